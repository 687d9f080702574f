"""Pulumi's Kubernetes provider for tests: no registry that a test may use holds one.

`BACKENDCTL_TEST_PULUMI_KUBERNETES` names the program, or the program packed by xz; else it is
looked for in `../shared/tools` beside the checkout, then where Pulumi installs its plugins.
"""

import hashlib
import lzma
import os
import shutil
from pathlib import Path

from filelock import FileLock

from tests.cluster.commands import ClusterError
from tests.cluster.layout import cache_folder

VERSION = "4.32.0"
PROGRAM = "pulumi-resource-kubernetes"
VARIABLE = "BACKENDCTL_TEST_PULUMI_KUBERNETES"
_BESIDE = Path(__file__).parents[3] / "shared" / "tools" / f"{PROGRAM}.xz"


def find() -> Path | None:
    """The provider's program, ready to run; None when there is none on this machine.

    Raises ClusterError when the variable names a file that is not there.
    """
    given = os.environ.get(VARIABLE)
    if given and not Path(given).is_file():
        raise ClusterError(f"{VARIABLE} names {given}, which is not a file")
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    installed = home / "plugins" / f"resource-kubernetes-v{VERSION}" / PROGRAM
    for found in (Path(given) if given else _BESIDE, installed):
        if found.is_file():
            return _unpacked(found) if found.suffix == ".xz" else found
    return None


def _unpacked(archive: Path) -> Path:
    with archive.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()[:16]
    program = cache_folder() / "plugins" / digest / PROGRAM
    program.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(program.with_suffix(".lock")):
        if not program.exists():
            unfinished = program.with_suffix(".unfinished")
            with lzma.open(archive) as source, unfinished.open("wb") as target:
                shutil.copyfileobj(source, target)
            unfinished.chmod(0o755)
            unfinished.rename(program)
    return program
