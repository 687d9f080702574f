"""`backendctl logs`: a release's output, or a server's."""

from collections.abc import Iterator, Sequence

from backendctl.errors import BackendctlError
from backendctl.rollout.history import serving
from backendctl.workflows.environment import Opened


def read_logs(
    opened: Opened, number: int | None, lines: int, follow: bool
) -> tuple[int, Iterator[str]]:
    """The release meant and its lines, oldest first.

    Without a number it is the release that serves, else the newest, which may have failed to
    start. Raises `missing.release`.
    """
    store = opened.platform.store
    known = [release.number for release in store.releases()]
    newest = known[-1] if known else None
    chosen = number if number is not None else serving(store).stable or newest
    if chosen is None or chosen not in known:
        raise BackendctlError(
            "missing.release",
            "there is no release yet" if number is None else f"there is no release {number}",
            cause=f"there are 1 to {newest}" if known else "",
            next=("backendctl up",) if not known else (),
        )
    return chosen, opened.platform.runtime.logs(chosen, lines, follow)


def read_server_logs(opened: Opened, server: str, lines: int) -> Sequence[str]:
    """The last lines of one of the environment's servers. Raises `missing.data`."""
    foundation = opened.platform.foundation
    known = [each.name for each in foundation.status()]
    if server not in known:
        raise BackendctlError(
            "missing.data",
            f"environment {opened.environment.name!r} has no server {server!r}",
            cause=f"there are: {', '.join(known)}",
        )
    return foundation.logs(server, lines)
