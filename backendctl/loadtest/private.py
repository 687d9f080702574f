"""Results and plans, kept so that only their owner can read them."""

from pathlib import Path

from backendctl.filesystem import atomic_write


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises BackendctlError `platform.disk-full` or `platform.permission`.
    """
    atomic_write(path, text.encode())
