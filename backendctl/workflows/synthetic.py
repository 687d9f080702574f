"""Synthetic users: traffic of our own where an environment has none to judge a release by."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from backendctl.errors import BackendctlError
from backendctl.loadtest.discovery import scenario_of
from backendctl.loadtest.traffic import Traffic, TrafficRequest
from backendctl.spec.model import PlatformName
from backendctl.workflows.environment import Opened

SETTLE = 3.0
"""Seconds of traffic before a deploy looks at how much there is."""


@contextmanager
def synthetic_users(opened: Opened, rps: float | None) -> Iterator[Traffic | None]:
    """Send `rps` requests per second to the gateway while the block runs; nothing for None.

    Only reads are sent, and only on `local`. Raises as `check_synthetic`.
    """
    if rps is None:
        yield None
        return
    check_synthetic(opened)
    with Traffic(opened.platform.router.url, rps, readable(opened)) as traffic:
        yield traffic


def check_synthetic(opened: Opened) -> None:
    """Raises `usage` where traffic of ours has no place, because there are real users."""
    local = opened.environment.platform is PlatformName.LOCAL
    if not local or not _loopback(opened.platform.router.url):
        raise BackendctlError(
            "usage",
            f"synthetic traffic goes to local environments only, not to "
            f"{opened.environment.name!r}",
            state="nothing was changed",
            next=(f"backendctl deploy --env {opened.environment.name}",),
        )


def readable(opened: Opened) -> list[TrafficRequest]:
    """What synthetic users ask for: every GET of the service that needs no identifier or token."""
    router = opened.platform.router
    scenario = scenario_of(router.url, opened.spec, host=router.host, with_token=False)
    paths = [
        operation.path
        for operation in scenario.operations
        if operation.method == "GET" and "{" not in operation.path and not operation.secured
    ]
    return [TrafficRequest(path) for path in paths or [opened.spec.service.health.ready]]


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host.startswith("127.")
