"""Rendered files onto the disk: all of them or none, and nothing overwritten."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backendctl.errors import BackendctlError
from backendctl.filesystem import writing
from backendctl.scaffold.render import Files


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of each file."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...] = ()
    """Were there already, with the same content."""
    conflicts: tuple[tuple[str, str], ...] = ()
    """Were there with other content, and stay; the new content stands in the second name."""


def place(folder: Path, files: Files, *, merge: bool = False) -> Placed:
    """Write the files into a folder that is absent or empty; with `merge`, into any.

    Raises `scaffold.not-empty`, `platform.disk-full` or `platform.permission`; then everything is
    as it was before.
    """
    with writing(folder, UNTOUCHED):
        refuse_unless_free(folder, merge=merge)
        return _into(folder, files) if folder.exists() else _as_new_folder(folder, files)


UNTOUCHED = "nothing was written"


def refuse_unless_free(folder: Path, *, merge: bool = False) -> None:
    """Raises `scaffold.not-empty` unless the folder is absent or empty, or may be merged into."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BackendctlError(
            "scaffold.not-empty", f"{folder} is a file, not a folder", state=UNTOUCHED
        )
    there = sorted(path.name for path in folder.iterdir())
    if merge or not there:
        return
    shown = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
    raise BackendctlError(
        "scaffold.not-empty",
        f"{folder} already holds {shown}",
        state=UNTOUCHED,
        next=(
            f"backendctl new {folder.name} --merge    # adds what is missing, overwrites nothing",
            "backendctl init    # to put an existing service under backendctl",
        ),
    )


def _as_new_folder(folder: Path, files: Files) -> Placed:
    """Written beside, then renamed: another process sees all of it or nothing."""
    missing = [p for p in (folder.parent, *folder.parent.parents) if not p.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write(staging, files)
            staging.chmod(0o755)
            staging.rename(folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    except BaseException:
        for parent in missing:
            _remove_if_empty(parent)
        raise
    return Placed(tuple(str(path) for path in files))


def _into(folder: Path, files: Files) -> Placed:
    """File by file, each only where there is none; all taken away again if one fails."""
    plan, unchanged, conflicts = _plan(folder, files)
    made: list[Path] = []
    try:
        for name, body in plan.items():
            for parent in reversed(name.parents[:-1]):
                if not (folder / parent).exists():
                    (folder / parent).mkdir()
                    made.append(folder / parent)
            with (folder / name).open("xb") as file:
                made.append(folder / name)
                file.write(body)
    except BaseException:
        for path in reversed(made):
            _remove_if_empty(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise
    beside = {new for _, new in conflicts}
    written = tuple(str(name) for name in plan if str(name) not in beside)
    return Placed(written, unchanged, conflicts)


def _plan(
    folder: Path, files: Files
) -> tuple[dict[PurePosixPath, bytes], tuple[str, ...], tuple[tuple[str, str], ...]]:
    """What to write under which name, given what is there."""
    plan: dict[PurePosixPath, bytes] = {}
    unchanged: list[str] = []
    conflicts: list[tuple[str, str]] = []
    for name, body in files.items():
        _refuse_blocked(folder, name)
        there = folder / name
        if not there.exists() and not there.is_symlink():
            plan[name] = body
        elif there.is_file() and there.read_bytes() == body:
            unchanged.append(str(name))
        else:
            beside = _free_name(folder, name, body)
            conflicts.append((str(name), str(beside)))
            if not (folder / beside).exists():
                plan[beside] = body
    return plan, tuple(unchanged), tuple(conflicts)


def _free_name(folder: Path, name: PurePosixPath, body: bytes) -> PurePosixPath:
    """`NAME.new`, or the first `NAME.newN` that is free or already says the same."""
    number = 1
    while True:
        beside = name.with_name(f"{name.name}.new{'' if number == 1 else number}")
        there = folder / beside
        if not there.exists() or (there.is_file() and there.read_bytes() == body):
            return beside
        number += 1


def _refuse_blocked(folder: Path, name: PurePosixPath) -> None:
    for parent in name.parents:
        there = folder / parent
        if parent != PurePosixPath(".") and (
            there.is_symlink() or (there.exists() and not there.is_dir())
        ):
            raise BackendctlError(
                "scaffold.not-empty",
                f"{there} is in the way: a folder of that name is needed",
                cause="it is a link" if there.is_symlink() else "it is a file",
                state=UNTOUCHED,
            )


def _write(root: Path, files: Files) -> None:
    for name, body in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
