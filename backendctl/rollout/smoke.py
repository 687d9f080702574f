"""A few requests to a candidate before any user's request reaches it."""

from collections.abc import Callable, Sequence

from backendctl.platforms.base import PREVIEW_HEADER

Probe = Callable[[str, Sequence[str]], str]
"""(the gateway's url, paths) -> what was wrong, or "" when all answers were good."""

REQUESTS = 3
"""To each path."""
TIMEOUT = 5.0
"""Seconds for one answer."""


def probe(url: str, paths: Sequence[str]) -> str:
    """Ask each path of the release under preview a few times, through the gateway.

    The first path is the readiness path and must answer 2xx; the others may answer anything that
    is not a server's error, since a service need not serve them.
    """
    import httpx

    headers = {PREVIEW_HEADER: "smoke"}
    # trust_env: a proxy that the user's shell names must not stand between us and our gateway.
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
        for place, path in enumerate(paths):
            for _ in range(REQUESTS):
                try:
                    status = client.get(path).status_code
                except httpx.HTTPError as error:
                    return f"GET {path}: {type(error).__name__}: {error}"
                good = 200 <= status < 300 if place == 0 else status < 500
                if not good:
                    return f"GET {path} answered {status}"
    return ""
