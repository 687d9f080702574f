"""Who is doing this, for locks, releases and journals."""

import getpass
import os
import socket


def person() -> str:
    """user@host; in CI the user is whoever started the run, when the runner says so."""
    for variable in ("BACKENDCTL_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if os.environ.get(variable):
            return f"{os.environ[variable]}@{socket.gethostname()}"
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
