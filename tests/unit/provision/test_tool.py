"""Which pulumi program is taken, and what is said of one that will not do."""

from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.provision import tool
from backendctl.workflows.infra.installing import install_tools
from backendctl.workflows.infra.opened import Opened


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "pulumi"
    monkeypatch.setenv(tool.VARIABLE, str(program))
    return program


def refused() -> BackendctlError:
    with pytest.raises(BackendctlError) as raised:
        tool.find()
    assert raised.value.code == "missing.tool"
    assert raised.value.message.startswith("BACKENDCTL_PULUMI is set, and ")
    assert raised.value.next == ("unset BACKENDCTL_PULUMI  # or set it to a pulumi that runs",)
    return raised.value


def test_a_program_that_is_named_and_not_there_is_not_to_be_installed(named: Path) -> None:
    error = refused()
    assert f"{named} cannot be run" in error.message
    assert "No such file" in error.cause


def test_a_program_that_is_named_and_too_old_is_named(named: Path) -> None:
    named.write_text("#!/bin/sh\necho v3.100.0\n")
    named.chmod(0o755)
    assert "is version 3.100.0" in refused().message


def test_installing_does_not_get_around_the_program_that_is_named(named: Path) -> None:
    opened = Opened(named.parent, None, None, ())  # type: ignore[arg-type] # not looked at
    with pytest.raises(BackendctlError, match="BACKENDCTL_PULUMI is set"):
        install_tools(opened, None)  # type: ignore[arg-type] # it comes to nothing
