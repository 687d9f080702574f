"""Which releases were started and not stopped since: what should run, also after a reboot."""

import json
from dataclasses import asdict, dataclass

from backendctl.filesystem import atomic_write
from backendctl.platforms.local.layout import Layout


@dataclass(frozen=True, slots=True)
class LiveRelease:
    """How a release was started."""

    replicas: int
    ready_path: str
    been_ready: bool = False
    """Whether all its processes were ready once since."""


class LiveReleases:
    """A small file each, beside the releases' code."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.releases

    def get(self, number: int) -> LiveRelease | None:
        """How the release was started; None when it was not, or was stopped."""
        try:
            body = (self._folder / f"{number}.live").read_bytes()
        except FileNotFoundError:
            return None
        return LiveRelease(**json.loads(body))

    def put(self, number: int, live: LiveRelease) -> None:
        """Remember it. Raises BackendctlError `platform.disk-full` or `platform.permission`."""
        atomic_write(self._folder / f"{number}.live", json.dumps(asdict(live)).encode())

    def remove(self, number: int) -> None:
        """Forget it; unknown ones are forgotten already."""
        (self._folder / f"{number}.live").unlink(missing_ok=True)

    def numbers(self) -> list[int]:
        """All of them, rising."""
        return sorted(int(path.stem) for path in self._folder.glob("*.live"))
