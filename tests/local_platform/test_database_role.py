"""The script that makes a service's role, run by a real psql against a real PostgreSQL."""

import os
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from backendctl.platforms.local.binaries import postgres_binary
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.ports import HOST, Ports
from backendctl.platforms.local.postgres import Postgres
from backendctl.platforms.local.supervisor import Supervisor
from backendctl.provision.database_role import SCRIPT, STATEMENTS
from backendctl.shipped.stacks.database import RESERVED
from backendctl.shipped.stacks.inputs import MASTER, ROLE
from tests.waiting import eventually

psycopg = pytest.importorskip("psycopg")

MASTERS_PASSWORD = "of-the-master"
PASSWORD = secrets.token_urlsafe(36)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(tmp_path_factory.mktemp("role"), "local")


@pytest.fixture(scope="module")
def port(layout: Layout) -> Iterator[int]:
    """Of a server on which a master user with the rights of RDS's has a database: no superuser."""
    layout.create()
    supervisor, postgres = Supervisor(layout.home), Postgres(layout)
    try:
        port = Ports(layout).assign(postgres.name)
        supervisor.start(postgres.prepare(port, print))
        assert eventually(lambda: postgres.ready(port))
        with psycopg.connect(postgres.administration(port), autocommit=True) as administrator:
            administrator.execute(
                f"CREATE ROLE {MASTER} LOGIN CREATEDB CREATEROLE PASSWORD '{MASTERS_PASSWORD}'"
            )
            administrator.execute(f"CREATE DATABASE shop OWNER {MASTER}")
            administrator.execute("ALTER SYSTEM SET log_statement = 'all'")
            administrator.execute("SELECT pg_reload_conf()")
        yield port
    finally:
        supervisor.shutdown()


def url(port: int, user: str, password: str) -> str:
    return f"postgresql://{user}:{password}@{HOST}:{port}/shop"


def run(
    port: int, password: str = PASSWORD, database: str = "shop"
) -> subprocess.CompletedProcess[str]:
    """The Job's script as in its pod: without a terminal, with the Secret's variables."""
    given = {
        "PATH": f"{postgres_binary('psql').parent}:{os.environ['PATH']}",
        "PGHOST": HOST,
        "PGPORT": str(port),
        "PGDATABASE": database,
        "PGUSER": MASTER,
        "PGPASSWORD": MASTERS_PASSWORD,
        "SERVICE_PASSWORD": password,
        "STATEMENTS": STATEMENTS,
    }
    return subprocess.run(
        ["sh", "-c", SCRIPT],
        env=given,
        start_new_session=True,  # no terminal to ask on
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_role_migrates_and_works_and_may_do_no_more(port: int) -> None:
    done = run(port)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url(port, ROLE, PASSWORD), autocommit=True) as service:
        service.execute("CREATE TABLE items (id bigint PRIMARY KEY)")
        service.execute("INSERT INTO items VALUES (1)")
        service.execute("CREATE EXTENSION pg_trgm")
        service.execute("CREATE SCHEMA reporting")
        for forbidden in (
            "CREATE ROLE other",
            "CREATE DATABASE other",
            "ALTER DATABASE shop RENAME TO other",
            f"SET ROLE {MASTER}",
            "ALTER SYSTEM SET log_statement = 'none'",
            "COPY items TO PROGRAM 'cat'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(forbidden)


def test_a_role_that_was_given_nothing_has_no_way_in(port: int) -> None:
    assert run(port).returncode == 0
    with psycopg.connect(url(port, MASTER, MASTERS_PASSWORD), autocommit=True) as master:
        master.execute("CREATE ROLE other LOGIN PASSWORD 'x'")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url(port, "other", "x")).close()


def test_a_second_run_changes_the_password_and_nothing_else(port: int) -> None:
    assert run(port).returncode == 0
    assert run(port, "another-password").returncode == 0
    with psycopg.connect(url(port, ROLE, "another-password")) as service:
        assert service.execute("SELECT current_user").fetchone() == (ROLE,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(port, ROLE, PASSWORD)).close()


def test_neither_log_nor_output_holds_the_password(port: int, layout: Layout) -> None:
    done = run(port)
    log = layout.log(Postgres.name).read_text(errors="replace").replace('"', "")
    assert f"ALTER USER {ROLE} PASSWORD 'SCRAM-SHA-256$" in log
    assert PASSWORD not in log + done.stdout + done.stderr


def test_a_run_that_fails_says_why(port: int) -> None:
    done = run(port, database="none")
    assert done.returncode != 0
    assert 'database "none" does not exist' in done.stderr


def test_the_words_that_name_no_database_are_those_that_the_server_reserves(port: int) -> None:
    with psycopg.connect(url(port, MASTER, MASTERS_PASSWORD)) as connection:
        reserved = connection.execute(
            "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')"
        ).fetchall()
    assert {word for (word,) in reserved} == RESERVED
