"""A few requests to a candidate before any user's request reaches it."""

from collections.abc import Callable, Sequence

from backendctl.platforms.base import PREVIEW_HEADER

Probe = Callable[[str, Sequence[str], str], str]
"""(the gateway's url, paths, host) -> what was wrong, or "" when all answers were good."""

REQUESTS = 3
"""To each path, until one is answered well."""
TIMEOUT = 5.0
"""Seconds for one answer."""


def probe(url: str, paths: Sequence[str], host: str = "") -> str:
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
            problem = ""
            for _ in range(REQUESTS):
                try:
                    status = client.get(path, extensions=extensions).status_code
                except httpx.HTTPError as error:
                    problem = f"GET {path}: {type(error).__name__}: {error}"
                    continue
                if status // 100 == 2 or (place > 0 and status < 500):
                    break
                problem = f"GET {path} answered {status}, {REQUESTS} times of {REQUESTS}"
            else:
                return problem
    return ""
