"""PostgreSQL: made once, whole; run as a user that is not root; found by DATABASE_URL."""

import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder, writing
from backendctl.platforms.local import launch
from backendctl.platforms.local.binaries import postgres_binary
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.ports import HOST
from backendctl.platforms.local.server import OnLine
from backendctl.platforms.local.supervisor import Program
from backendctl.platforms.variables import DATABASE_NAMES

DATABASE = "app"
ROLE = "app"
"""Owns the database; no superuser, so that a hole in the service is not one in the machine."""
ADMINISTRATOR = "postgres"
MAX_CONNECTIONS = 200

_UNPRIVILEGED = ("postgres", "nobody")
"""Who runs it when we are root: the first that exists. It must have a name (initdb asks)."""
_INIT_DEADLINE = 120.0
_READY_DEADLINE = 5.0
_STOP_GRACE = 30.0


class Postgres:
    """The database server of an environment."""

    name = "postgres"
    variables: tuple[str, ...] = DATABASE_NAMES

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._data = layout.postgres / "data"
        self._credentials = layout.postgres / "credentials.json"

    def refuse_if_lost(self) -> None:
        """Raises BackendctlError `missing.database` when there was a database and its files are
        gone: an empty one in its place would look as if all data had been deleted on purpose."""
        missing = self._lost()
        if missing is None:
            return
        raise BackendctlError(
            "missing.database",
            f"the database's files are gone: there is no {missing}",
            cause="the environment had a database; something outside backendctl has moved or "
            "deleted its files",
            state="nothing was started or changed; no new database was created",
            next=(
                f"put {missing} back, from where it was moved to or from a backup",
                "backendctl down --purge  # or give up its data, releases and secrets",
            ),
        )

    def _lost(self) -> Path | None:
        """What is missing of a database that was there once."""
        if self._data.exists():
            return None if self._credentials.exists() else self._credentials
        if self._credentials.exists():
            # `_create` writes them before the data folder gets its name: a crash in between left
            # the whole of it elsewhere, and nobody has ever used it.
            begun = any(self._layout.postgres.glob("making-*/data"))
            return None if begun else self._data
        # Its log stays where the whole folder was deleted; it begins with the first start.
        return self._layout.postgres if self._layout.log(self.name).exists() else None

    def prepare(self, port: int, on_line: OnLine) -> Program:
        self.refuse_if_lost()
        make_folder(self._layout.postgres)
        if not self._data.exists():
            on_line("postgresql: creating the database")
            self._create()
        user = self._user()
        _own(make_folder(self._layout.postgres_sockets), user)
        self._remove_stale_lock()
        return Program(
            self.name,
            (str(postgres_binary("postgres")), "-D", str(self._data), "-p", str(port)),
            self._data,
            _environment(),
            stop_signal="INT",  # "fast": end transactions, write everything, exit
            stop_grace=_STOP_GRACE,
            user=user,
        )

    def ready(self, port: int) -> bool:
        argv = [str(postgres_binary("pg_isready")), "-q", "-h", HOST, "-p", str(port), "-t", "2"]
        try:
            return subprocess.run(argv, check=False, timeout=_READY_DEADLINE).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def address(self, port: int) -> str:
        return f"{HOST}:{port}"

    def bindings(self, port: int) -> Mapping[str, str]:
        try:
            password = json.loads(self._credentials.read_bytes())[ROLE]
        except FileNotFoundError:
            raise BackendctlError(
                "missing.environment",
                "the environment has no database yet",
                next=("backendctl up",),
            ) from None
        return {"DATABASE_URL": f"postgresql://{ROLE}:{password}@{HOST}:{port}/{DATABASE}"}

    def administration(self, port: int) -> str:
        """The URL under which its administrator reaches the service's database."""
        password = json.loads(self._credentials.read_bytes())[ADMINISTRATOR]
        return f"postgresql://{ADMINISTRATOR}:{password}@{HOST}:{port}/{DATABASE}"

    # --- making it --------------------------------------------------------------------------

    def _create(self) -> None:
        """Make the data folder elsewhere and rename it: a half-made one is never trusted."""
        for left in self._layout.postgres.glob("making-*"):
            shutil.rmtree(left)
        passwords = {name: secrets.token_urlsafe(24) for name in (ADMINISTRATOR, ROLE)}
        making = make_folder(self._layout.postgres / f"making-{secrets.token_hex(4)}")
        try:
            self._fill(making, passwords)
            atomic_write(self._credentials, json.dumps(passwords).encode())
            with writing(self._data):
                (making / "data").rename(self._data)
        except BaseException:
            if not self._data.exists():
                self._credentials.unlink(missing_ok=True)  # of no database
            raise
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _fill(self, making: Path, passwords: Mapping[str, str]) -> None:
        data, user = making / "data", self._user()
        _own(make_folder(data), user)
        password_file = making / "password"
        atomic_write(password_file, passwords[ADMINISTRATOR].encode())
        _own(password_file, user)
        self._run(
            making,
            (
                *(str(postgres_binary("initdb")), "-D", str(data), "-U", ADMINISTRATOR),
                *(f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                "--no-instructions",
            ),
        )
        settings = self._settings(data)
        atomic_write(
            settings,
            settings.read_bytes()
            + _SETTINGS.format(
                max_connections=MAX_CONNECTIONS, sockets=_quoted(str(self._layout.postgres_sockets))
            ).encode(),
        )
        _own(settings, user)
        statements = making / "statements.sql"
        atomic_write(
            statements,
            f"CREATE ROLE {ROLE} LOGIN PASSWORD {_quoted(passwords[ROLE])};\n"
            f"CREATE DATABASE {DATABASE} OWNER {ROLE};\n".encode(),
        )
        # Single-user mode: no port, nobody else, and over before anything trusts the folder.
        argv = (str(postgres_binary("postgres")), "--single", "-D", str(data), "postgres")
        self._run(making, argv, statements)

    def _settings(self, data: Path) -> Path:
        return data / "postgresql.conf"

    def _run(self, making: Path, argv: Sequence[str], statements: Path | None = None) -> None:
        """Run a program of PostgreSQL to its end, as the user the server will have."""
        job = making / "job.json"
        user = self._user()
        body = {
            "argv": argv,
            "environment": _environment(),
            "directory": str(making),
            "input": str(statements) if statements else None,
            "user": user,
        }
        atomic_write(job, json.dumps(body).encode())
        done = subprocess.run(
            [sys.executable, "-I", "-S", launch.__file__, str(job)],
            capture_output=True,
            text=True,
            timeout=_INIT_DEADLINE,
            check=False,
        )
        # Single-user mode exits 0 after a failed statement.
        if done.returncode == 0 and "ERROR:" not in done.stderr and "FATAL:" not in done.stderr:
            return
        output = (done.stderr or done.stdout).strip()
        full = "No space left on device" in output
        raise BackendctlError(
            "platform.disk-full" if full else "missing.server",
            "the database could not be created",
            cause="\n".join(output.splitlines()[-5:]),
            state="no database was created; nothing half-made was left",
            next=(f"df -h {self._layout.postgres}",) if full else ("backendctl doctor",),
        )

    # --- running it -------------------------------------------------------------------------

    def _user(self) -> tuple[int, int] | None:
        """Uid and gid to run as; None for our own. PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        if self._data.exists() and (owner := self._data.stat()).st_uid != 0:
            return owner.st_uid, owner.st_gid
        for name in _UNPRIVILEGED:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return entry.pw_uid, entry.pw_gid
        raise BackendctlError(
            "platform.unsupported",
            "PostgreSQL refuses to run as root and there is no other user to run it as",
            cause=f"none of the users {', '.join(_UNPRIVILEGED)} exists",
            state="nothing was started",
            next=("run backendctl as a user that is not root",),
        )

    def _remove_stale_lock(self) -> None:
        """Remove the lock file of a server that is gone, when its pid is somebody else's now.

        PostgreSQL itself takes any living process of its user with that pid for the server.
        """
        import psutil

        lock = self._data / "postmaster.pid"
        record = self._layout.run / f"{self.name}{launch.RECORD_SUFFIX}"
        if launch.lives(launch.read_record(str(record))):
            return
        try:
            process = psutil.Process(int(lock.read_text().splitlines()[0]))
            if process.name() == "postgres" and Path(process.cwd()) == self._data:
                return
        except (FileNotFoundError, psutil.NoSuchProcess, ValueError, IndexError):
            return  # none, or one that PostgreSQL sees through by itself
        except psutil.AccessDenied:
            return  # a postgres, and nobody may say whose: let PostgreSQL decide
        with writing(lock):
            lock.unlink(missing_ok=True)


_SETTINGS = """
# backendctl
listen_addresses = '127.0.0.1'
unix_socket_directories = {sockets}
unix_socket_permissions = 0600
max_connections = {max_connections}
shared_buffers = 64MB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
"""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _own(path: Path, user: tuple[int, int] | None) -> None:
    if user is not None:
        with writing(path):
            os.chown(path, *user)


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LANG": "C", "LC_ALL": "C", "TZ": "UTC"}
