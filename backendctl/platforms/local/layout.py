"""Where everything of a local environment lies: `<project>/.backendctl/<environment>/`."""

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.filesystem import PRIVATE_FOLDER, atomic_write, make_folder

STATE_FOLDER = ".backendctl"

SOCKET_PATH_LIMIT = 100
"""Bytes of a Unix socket's path that work everywhere (Linux takes 107, macOS 103)."""
_LONGEST_SOCKET = len("/supervisor.sock.4194304")
"""supervisord binds `<name>.<pid>` first and renames it."""
_SHORT_ROOT = Path("/tmp")  # noqa: S108 - the folder in it is 0700, ours, and checked to be
"""Not TMPDIR: two shells with different ones must find the same sockets."""


@dataclass(frozen=True, slots=True)
class Layout:
    """All paths of one environment. Making one touches nothing; `create()` makes the folders."""

    project: Path
    environment: str

    @classmethod
    def of(cls, home: Path) -> "Layout":
        """The layout whose `home` this is."""
        return cls(home.parent.parent, home.name)

    @property
    def state(self) -> Path:
        """All environments of the project, and the `.gitignore` that hides them."""
        return self.project / STATE_FOLDER

    @property
    def home(self) -> Path:
        return self.state / self.environment

    @property
    def releases(self) -> Path:
        """One immutable folder per packaged code digest."""
        return self.home / "releases"

    @property
    def environments(self) -> Path:
        """Installed dependencies, one folder per lock-file digest."""
        return self.home / "environments"

    @property
    def journal(self) -> Path:
        """The store: releases, rollouts, the lock."""
        return self.home / "journal"

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def log(self, program: str) -> Path:
        """What the supervised program `program` wrote."""
        return self.logs / f"{program}.log"

    @property
    def run(self) -> Path:
        """What is true only while processes run: pid files, sockets when the path is short."""
        return self.home / "run"

    @property
    def supervisor(self) -> Path:
        """The supervisor's configuration and the environments of its programs (0600)."""
        return self.home / "supervisor"

    @property
    def gateway(self) -> Path:
        """Envoy's whole state: bootstrap, clusters and routes."""
        return self.home / "gateway"

    @property
    def requests(self) -> Path:
        """Envoy's log of requests that failed, were slow or were sampled (0600)."""
        return self.gateway / "requests.log"

    @property
    def client_key(self) -> Path:
        """The key under which clients' addresses are hashed (0600)."""
        return self.gateway / "client.key"

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    @property
    def issuer(self) -> Path:
        """The local test issuer's signing key."""
        return self.home / "issuer"

    @property
    def ports(self) -> Path:
        """The file that remembers which port each server has."""
        return self.home / "ports.json"

    @property
    def sockets(self) -> Path:
        """The folder of Unix sockets: `run`, or a short private folder when that is too long."""
        if len(os.fsencode(self.run)) + _LONGEST_SOCKET <= SOCKET_PATH_LIMIT:
            return self.run
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return _SHORT_ROOT / f"backendctl-{os.getuid()}-{digest}"

    @property
    def supervisor_socket(self) -> Path:
        return self.sockets / "supervisor.sock"

    @property
    def admin_socket(self) -> Path:
        """Envoy's admin interface, 0600."""
        return self.sockets / "envoy.sock"

    @property
    def postgres_sockets(self) -> Path:
        """The folder PostgreSQL puts its socket in; its own because the server may be another
        user (it refuses to run as root)."""
        return self.sockets / "pg"

    @property
    def recorded(self) -> Path:
        """What the last `up` wrote down for the environment's own process."""
        return self.supervisor / "recorded.json"

    @property
    def traffic(self) -> Path:
        """What each release did lately."""
        return self.home / "traffic"

    def folders(self) -> tuple[Path, ...]:
        """Every folder that `create()` makes, parents first."""
        return (
            self.state,
            self.home,
            self.releases,
            self.environments,
            self.journal,
            self.secrets,
            self.logs,
            self.run,
            self.supervisor,
            self.gateway,
            self.issuer,
        )

    def create(self) -> "Layout":
        """Make the folders, 0700, and hide all of it from version control; idempotent.

        Raises BackendctlError `platform.disk-full` or `platform.permission`.
        """
        for folder in self.folders():
            self.make(folder)
        return self

    def make(self, folder: Path) -> Path:
        """Make one of the folders, 0700, and hide all of it from version control; idempotent.

        A command that comes before the first `up` writes secrets or a lock, too. Raises
        BackendctlError `platform.disk-full` or `platform.permission`.
        """
        make_folder(self.state)
        ignore = self.state / ".gitignore"
        if not ignore.exists():
            atomic_write(ignore, b"*\n")
        return make_folder(folder)

    def create_sockets(self) -> None:
        """Make the folder of the sockets, where it is not `run`; before anything listens in it.

        Raises BackendctlError `platform.permission` when somebody else has made it.
        """
        if self.sockets != self.run:
            _make_private(self.sockets)

    def remove_sockets(self) -> None:
        """Remove the short socket folder, if there is one; nothing may be listening there."""
        if self.sockets != self.run:
            shutil.rmtree(self.sockets, ignore_errors=True)


def _make_private(folder: Path) -> None:
    """Make a folder where strangers may write beside it, and be sure that it is ours."""
    refused = BackendctlError(
        "platform.permission",
        f"the socket folder {folder} belongs to somebody else or is open to others",
        cause="another user of this machine made it; sockets in it could be theirs",
        state="nothing was started",
        next=(f"ls -ld {folder}",),
    )
    try:
        folder.mkdir(mode=PRIVATE_FOLDER)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise refused from None
        if stat.S_IMODE(found.st_mode) != PRIVATE_FOLDER:
            raise refused from None
