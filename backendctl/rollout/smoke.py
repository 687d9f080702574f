"""A few requests to a candidate before any user's request reaches it."""

import time
from collections.abc import Callable, Sequence

from backendctl.platforms.base import PREVIEW_HEADER

Probe = Callable[[str, Sequence[str], str], str]
"""(the gateway's url, paths, host) -> what was wrong, or "" when all answers were good."""

REQUESTS = 3
"""To each path, until one is answered well."""
TIMEOUT = 5.0
"""Seconds for one answer."""
NOT_YET = 503
"""What a gateway says of a release whose replicas it has not heard of yet. Where its proxies cannot
be asked, that they serve the route does not say that they know whom it leads to."""
PATIENCE = 10.0
"""Seconds in which that may change."""
_PAUSE = 0.2


def probe(url: str, paths: Sequence[str], host: str = "", patience: float = PATIENCE) -> str:
    """Ask each path of the release under preview a few times, through the gateway.

    A path is bad when no answer of it was good: this finds a release that is broken outright. How
    often a release may fail is the verdict's to judge, on far more requests. The first path is
    the readiness path, good with 2xx; the others are good with anything but a server's error,
    since a service need not serve them. `host`: the name the gateway knows the service by, where
    `url` has another: what answers to that one may be somebody else's.
    """
    import httpx

    headers = {PREVIEW_HEADER: "smoke", **({"host": host} if host else {})}
    extensions = {"sni_hostname": host} if host and url.startswith("https") else {}
    # trust_env: a proxy that the user's shell names must not stand between us and our gateway.
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
        for place, path in enumerate(paths):
            end = time.monotonic() + patience
            asked = 0
            while True:
                asked += 1
                status = 0
                try:
                    status = client.get(path, extensions=extensions).status_code
                    problem = f"GET {path} answered {status}, {asked} times of {asked}"
                except httpx.HTTPError as error:
                    problem = f"GET {path}: {type(error).__name__}: {error}"
                if status // 100 == 2 or (place > 0 and 0 < status < 500):
                    break
                if asked >= REQUESTS and (status != NOT_YET or time.monotonic() >= end):
                    return problem
                time.sleep(_PAUSE if status == NOT_YET else 0)
    return ""
