"""What a process of the service is given: its environment variables and its arguments. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

from backendctl.errors import BackendctlError

DATABASE_NAMES = ("DATABASE_URL",)
CACHE_NAMES = ("REDIS_URL", "CACHE_URL")
"""Both usual names of one URL."""
BOUND: Mapping[str, Sequence[str]] = {"database": DATABASE_NAMES, "cache": CACHE_NAMES}
"""By which variables a process reaches what an environment has, on every platform."""

INHERITED = (
    *("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"),
)
"""All that is taken over from whoever typed the command, besides PATH: two people's shells must
start the same release."""

DEFAULTS = {"HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
"""Bound to this machine only, and a crashing process's last words reach the log."""

_NAME = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of `environ` that is passed on."""
    return {name: environ[name] for name in INHERITED if name in environ}


def sensitive(variables: Mapping[str, str]) -> set[str]:
    """Names of variables that carry a password: by their name, or in a URL."""
    return {
        name
        for name, value in variables.items()
        if re.search(r"PASSWORD|SECRET|TOKEN", name) or ("://" in value and _password(value))
    }


def _password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return True


def expand(
    argv: Sequence[str], variables: Mapping[str, str], secret: Collection[str]
) -> tuple[str, ...]:
    """Put variables in the place of `$NAME` and `${NAME}`; `$$` is a dollar sign.

    Raises BackendctlError `release.start` for a name that is not set, and for a secret: every
    user of the machine can read a command line.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name is None:
            return "$"
        if name not in variables:
            raise BackendctlError(
                "release.start",
                f"the command uses ${name}, which is not set",
                cause=f"set are: {', '.join(sorted(variables))}",
                state="it was not started",
                next=("set it under variables in backend.toml, or with `backendctl secrets set`",),
            )
        if name in secret:
            raise BackendctlError(
                "release.start",
                f"the command has ${name}, a secret, among its arguments",
                cause="every user of the machine can read a process's arguments",
                state="it was not started",
                next=(f"read {name} from the environment in the program itself",),
            )
        return variables[name]

    return tuple(_NAME.sub(value, argument) for argument in argv)
