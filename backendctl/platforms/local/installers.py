"""The installers' own settings, and the interpreters they install for."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError

_PIP_TO_UV = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}
_UV_OLD_NAMES = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
_COMMA_SEPARATED = {"UV_FIND_LINKS"}
_NOT_PASSED = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "NODE_ENV")


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter that environments are made from."""

    executable: str
    version: str
    """All it says of itself: another build is another environment."""


def settings(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment variables for an installer.

    pip's settings are passed on under uv's names where uv has none of its own, because a machine
    behind a mirror is usually set up for pip.
    """
    known = {name: value for name, value in inherited.items() if name not in _NOT_PASSED}
    for pip, uv in _PIP_TO_UV.items():
        if pip not in known or uv in known or _UV_OLD_NAMES.get(uv) in known:
            continue
        value = known[pip]
        known[uv] = ",".join(value.split()) if uv in _COMMA_SEPARATED else value
    return known


def uv() -> str:
    """The uv that came with the `local` extra. Raises BackendctlError `missing.extra`."""
    try:
        from uv import find_uv_bin
    except ImportError:
        raise BackendctlError(
            "missing.extra",
            "the `local` platform is not installed",
            state="nothing was changed",
            next=("pip install 'backendctl[local]'",),
        ) from None
    return find_uv_bin()


def find_python(wanted: str) -> Python:
    """The interpreter to use: ours if it is what is asked for, else what uv finds or downloads.

    Raises BackendctlError `release.package` when there is none.
    """
    # The base interpreter: our own environment may be removed while the service runs.
    ours = getattr(sys, "_base_executable", sys.executable)
    if _satisfies(wanted):
        return Python(ours, sys.version)
    # pyenv's shims answer for versions they then refuse to run.
    folders = os.environ.get("PATH", "").split(os.pathsep)
    path = os.pathsep.join(f for f in folders if not f.rstrip("/").endswith("/shims"))
    environment = settings(os.environ) | {"PATH": path}
    find = ("python", "find", "--system", "--no-python-downloads", wanted)
    found = _call(find, environment)
    if found.returncode != 0 and _call(("python", "install", wanted), environment).returncode == 0:
        found = _call(find, environment)
    if found.returncode == 0:
        executable = found.stdout.strip()
        asked = [executable, "-I", "-c", "import sys; print(sys.version)"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=True)
        return Python(executable, answer.stdout.strip())
    raise BackendctlError(
        "release.package",
        f"the service asks for Python {wanted}, which is not installed here",
        cause=found.stderr.strip(),
        state="no release was made; what runs goes on running",
        next=(f"install Python {wanted}, or change .python-version or requires-python",),
    )


def node_version() -> str:
    """What decides which native modules fit. Raises BackendctlError `missing.tool`."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise BackendctlError(
                "missing.tool",
                f"{tool} is not installed, and package.json needs it",
                state="no release was made; what runs goes on running",
                next=("install Node.js with npm",),
            )
    script = "const v = process.versions; console.log(JSON.stringify([v.node, v.modules]))"
    found = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    return " ".join(json.loads(found.stdout))


def _call(
    step: tuple[str, ...], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [uv(), *step], capture_output=True, text=True, check=False, env=environment, cwd=Path("/")
    )


def _satisfies(wanted: str) -> bool:
    """Whether the interpreter that runs this is what is asked for."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    ours = ".".join(map(str, sys.version_info[:3]))
    if not wanted:
        return True
    try:
        return SpecifierSet(wanted).contains(ours)
    except InvalidSpecifier:
        return ours == wanted or ours.startswith(f"{wanted}.")
