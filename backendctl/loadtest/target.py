"""Where load may be sent without asking: this machine, and nowhere else."""

import ipaddress
from urllib.parse import urlsplit

from backendctl.errors import BackendctlError


def checked(target: str) -> str:
    """The URL without a trailing slash. Raises `usage` if it is none."""
    try:
        parts = urlsplit(target)
        usable = parts.port is None or parts.port > 0
    except ValueError:  # brackets that do not match, a port that is no number
        raise _no_url(target) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not usable:
        raise _no_url(target)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BackendctlError(
            "usage",
            "a target has neither credentials nor a query",
            cause="a token is read from BACKENDCTL_LOADTEST_TOKEN",
            state="nothing was sent",
        )
    return target.rstrip("/")


def _no_url(target: str) -> BackendctlError:
    return BackendctlError(
        "usage",
        f"{target!r} is not the URL of a service",
        cause="accepted: http://host[:port][/path] or https://...",
        state="nothing was sent",
    )


def host_of(target: str) -> str:
    return urlsplit(target).hostname or ""


def is_this_machine(target: str) -> bool:
    """Whether the URL can only mean this machine: a loopback address, or `localhost`."""
    host = host_of(target)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
