"""Who is doing this, for locks, releases and journals."""

import getpass
import os
import socket

ACTOR_VARIABLE = "BACKENDCTL_ACTOR"
"""Says who it is, where the system's own user does not."""


def person() -> str:
    """user@host: enough to find them."""
    return f"{user()}@{socket.gethostname()}"


def user() -> str:
    """In CI whoever started the run, when the runner says so."""
    for variable in (ACTOR_VARIABLE, "GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if os.environ.get(variable):
            return os.environ[variable]
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
