"""Writing files so that a crash or a full disk leaves the old one or the new one, never half.

The one place where an operating system's refusal to write becomes an error a person can act on.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backendctl.errors import BackendctlError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


AS_BEFORE = "the file on disk is as it was before; nothing half-written was left"


@contextmanager
def writing(path: Path, state: str = AS_BEFORE) -> Iterator[None]:
    """Turn a refusal to write at `path` into a BackendctlError; `state` says how things are then.

    Raises `platform.disk-full` (no space, quota) or `platform.permission` (mode, read-only file
    system); every other OSError passes unchanged.
    """
    try:
        yield
    except OSError as error:
        found = refusal(error, path, state)
        if found is None:
            raise
        raise found from error


def refusal(error: OSError, path: Path, state: str = AS_BEFORE) -> BackendctlError | None:
    """The BackendctlError that `error` means, or None when it means something else."""
    where = error.filename if isinstance(error.filename, str) else str(path)
    if error.errno in _DISK_FULL:
        return BackendctlError(
            "platform.disk-full",
            f"no space left to write {where}",
            cause=os.strerror(error.errno or 0),
            state=state,
            next=(f"df -h {path.parent}",),
        )
    if error.errno in _NOT_ALLOWED:
        return BackendctlError(
            "platform.permission",
            f"{where} may not be written",
            cause=os.strerror(error.errno or 0),
            state=state,
            next=(f"ls -ld {path.parent}",),
        )
    return None


def refuse_foreign(path: Path, mark: str) -> None:
    """Make sure, before the work, that a report may be written to `path`.

    Raises BackendctlError `usage` unless it is absent in a folder that exists, or a file with
    `mark` near its beginning: an earlier report. What somebody else wrote is never replaced.
    """
    if not path.parent.is_dir():
        problem = f"there is no folder {path.parent}"
    elif not os.path.lexists(path) or (path.is_file() and mark in _beginning(path)):
        return
    else:
        problem = f"{path} is there already and is no such report"
    raise BackendctlError("usage", problem, state="nothing was done and nothing written")


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(1024).decode(errors="replace")


def make_folder(path: Path, mode: int = PRIVATE_FOLDER) -> Path:
    """Make `path` and its parents if missing, all with `mode`; returns it.

    Raises BackendctlError `platform.disk-full` or `platform.permission`.
    """
    with writing(path):
        for missing in [each for each in reversed(path.parents) if not each.exists()]:
            missing.mkdir(mode=mode, exist_ok=True)
        path.mkdir(exist_ok=True, mode=mode)
        if path.stat().st_mode & 0o7777 != mode:
            path.chmod(mode)
    return path


def atomic_write(
    path: Path, body: bytes, mode: int = PRIVATE_FILE, *, scratch: Path | None = None
) -> None:
    """Replace `path` by `body`, durable on return; readers see the old file or the new one.

    The temporary file is made beside `path`, or in `scratch` (same file system) where something
    watches the folder. Raises BackendctlError `platform.disk-full` or `platform.permission`, and
    then `path` is untouched and the temporary file gone.
    """
    folder = scratch or path.parent
    with writing(path):
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable: the folder's entry is data too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
