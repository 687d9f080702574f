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

    def asked(path: str) -> int | httpx.HTTPError:
        try:
            return client.get(path, extensions=extensions).status_code
        except httpx.HTTPError as error:
            return error

    # trust_env: a proxy that the user's shell names must not stand between us and our gateway.
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
        for place, path in enumerate(paths):
            answer, times = asked(path), 1
            end = time.monotonic() + patience
            while not _good(answer, readiness=place == 0):
                hears = answer == NOT_YET and time.monotonic() < end
                if times >= REQUESTS and not hears:
                    return _in_words(url, path, answer, times)
                if hears:
                    time.sleep(_PAUSE)
                answer, times = asked(path), times + 1
    return ""


def _good(answer: int | Exception, *, readiness: bool) -> bool:
    if isinstance(answer, Exception):
        return False
    return answer // 100 == 2 or (answer < 500 and not readiness)


def _in_words(url: str, path: str, answer: int | Exception, times: int) -> str:
    if isinstance(answer, Exception):
        return f"GET {url}{path}: {type(answer).__name__}: {answer}"
    return f"GET {path} answered {answer}, {times} times of {times}"
