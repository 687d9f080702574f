"""Where the files that ship beside the code are found.

The folders stand at the top of the repository and appear here as links; a wheel holds their
contents in this place. Code therefore finds them the same way from a checkout and from a wheel.
"""

from importlib.resources import files
from pathlib import Path
from typing import Literal

Folder = Literal["templates", "stacks", "loadtests", "runbooks"]


def shipped(folder: Folder) -> Path:
    """The shipped folder of that name, as a path on this machine."""
    return Path(str(files(__name__))) / folder
