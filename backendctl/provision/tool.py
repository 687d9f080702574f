"""Where the `pulumi` program is found, and which versions will do."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError

PINNED = "3.259.0"
"""The version that is installed on request, and that the tests run with."""
OLDEST = (3, 205)
"""The first one that streams its events; older ones are refused."""
VARIABLE = "BACKENDCTL_PULUMI"
"""Names the program where it is not on PATH."""
INSTALL = "backendctl infra install"


@dataclass(frozen=True, slots=True)
class Tool:
    """A pulumi program that will do."""

    program: Path
    version: str


def home() -> Path:
    """Pulumi's own folder, where its plugins are."""
    stated = os.environ.get("PULUMI_HOME")
    return Path(stated) if stated else Path.home() / ".pulumi"


def installed_at(version: str = PINNED) -> Path:
    """Where `infra install` puts the program."""
    data = os.environ.get("XDG_DATA_HOME")
    folder = Path(data) if data else Path.home() / ".local" / "share"
    return folder / "backendctl" / "pulumi" / version / "pulumi"


def find() -> Tool:
    """The program named by BACKENDCTL_PULUMI, else ours, else the one on PATH.

    Raises BackendctlError `missing.tool` when there is none, it does not start, or it is too old.
    """
    named = os.environ.get(VARIABLE)
    if named:
        try:
            return _checked(Path(named))
        except BackendctlError as error:
            raise BackendctlError(
                error.code,
                f"{VARIABLE} is set, and {error.message}",
                cause=error.cause,
                state=error.state,
                next=(f"unset {VARIABLE}  # or set it to a pulumi that runs",),
            ) from error
    ours = installed_at()
    if ours.exists():
        return _checked(ours)
    on_path = shutil.which("pulumi")
    if on_path:
        return _checked(Path(on_path))
    raise _missing(
        "the pulumi program is not installed; stacks cannot be worked with without it",
        f"looked at {VARIABLE}, {ours} and PATH",
    )


def _checked(program: Path) -> Tool:
    try:
        done = subprocess.run(
            [program, "version"],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing(f"{program} cannot be run", str(error)) from error
    found = re.fullmatch(r"v?((\d+)\.(\d+)\.\d+\S*)", done.stdout.strip())
    if found is None:
        said = (done.stdout or done.stderr).strip()[:200]
        raise _missing(f"{program} does not say its version", f"`pulumi version` said: {said}")
    if (int(found[2]), int(found[3])) < OLDEST:
        wanted = ".".join(str(part) for part in OLDEST)
        raise _missing(f"{program} is version {found[1]}; {wanted} or newer is needed", "")
    return Tool(program, found[1])


def missing_plugins(wanted: dict[str, str], where: Path | None = None) -> dict[str, str]:
    """Those resource plugins (name -> version) that Pulumi's folder and PATH do not have."""
    folder = (where or home()) / "plugins"

    def there(name: str, version: str) -> bool:
        program = folder / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"
        return program.exists() or shutil.which(f"pulumi-resource-{name}") is not None

    return {name: version for name, version in wanted.items() if not there(name, version)}


def require_plugins(wanted: dict[str, str], where: Path | None = None) -> None:
    """Raises BackendctlError `missing.tool` naming each plugin that is not installed."""
    missing = missing_plugins(wanted, where)
    if missing:
        named = ", ".join(f"{name} {version}" for name, version in sorted(missing.items()))
        raise _missing(
            f"Pulumi's plugin for {named} is not installed",
            f"looked in {(where or home()) / 'plugins'} and PATH",
        )


def _missing(message: str, cause: str) -> BackendctlError:
    return BackendctlError(
        "missing.tool",
        message,
        cause=cause,
        state="nothing was changed",
        next=(INSTALL,),
    )
