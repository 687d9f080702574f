"""The servers of an environment, started for real."""

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backendctl.platforms.local.foundation import LocalFoundation
from backendctl.platforms.local.issuer import mint_token
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.support import checks
from tests.local_platform.servers import foundation_of

psycopg = pytest.importorskip("psycopg")
jwt = pytest.importorskip("jwt")


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(tmp_path_factory.mktemp("foundation"), "local")


@pytest.fixture(scope="module")
def foundation(layout: Layout) -> Iterator[LocalFoundation]:
    found = foundation_of(layout)
    try:
        found.ensure(lambda _line: None)
        yield found
    finally:
        found.stop(purge=True)


def test_everything_that_was_asked_for_runs(foundation: LocalFoundation) -> None:
    status = {each.name: each for each in foundation.status()}
    assert status.keys() == {"gateway", "postgres", "valkey", "issuer", "watchdog"}
    assert all(each.running for each in status.values()), status


def test_nothing_runs_that_was_not_asked_for(tmp_path: Path) -> None:
    bare = foundation_of(Layout(tmp_path, "local"), everything=False)
    assert [each.name for each in bare.status()] == ["gateway", "watchdog"]


def test_a_second_ensure_changes_nothing_and_says_nothing(foundation: LocalFoundation) -> None:
    before = {p.pid for p in _processes(foundation)}
    lines: list[str] = []
    foundation.ensure(lines.append)
    assert {p.pid for p in _processes(foundation)} == before
    assert lines == []


def test_the_names_of_its_bindings_are_those_it_says_before_it_was_ever_up(
    foundation: LocalFoundation,
) -> None:
    assert set(foundation.variables()) == foundation.bindings().keys()


def test_the_service_reaches_its_database_as_a_plain_user(foundation: LocalFoundation) -> None:
    with psycopg.connect(foundation.bindings()["DATABASE_URL"]) as connection:
        role = connection.execute(
            "select rolsuper, rolcreaterole from pg_roles where rolname = current_user"
        ).fetchone()
        assert role == (False, False)
        connection.execute("create table kept (what text)")
        connection.execute("insert into kept values ('Grüße')")
    with psycopg.connect(foundation.bindings()["DATABASE_URL"]) as connection:
        assert connection.execute("select what from kept").fetchone() == ("Grüße",)


def test_the_database_refuses_a_wrong_password(foundation: LocalFoundation) -> None:
    url = foundation.bindings()["DATABASE_URL"]
    scheme, _, rest = url.partition("://")
    wrong = f"{scheme}://app:wrong@{rest.rpartition('@')[2]}"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_the_database_has_a_private_socket_too(foundation: LocalFoundation, layout: Layout) -> None:
    url = foundation.bindings()["DATABASE_URL"]
    port = int(url.rpartition(":")[2].partition("/")[0])
    password = url.split(":")[2].rpartition("@")[0]
    folder = layout.postgres_sockets
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / f".s.PGSQL.{port}").stat().st_mode) == 0o600
    with psycopg.connect(
        host=str(folder), port=port, user="app", password=password, dbname="app"
    ) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_the_cache_refuses_whoever_has_no_password(foundation: LocalFoundation) -> None:
    address = next(each.address for each in foundation.status() if each.name == "valkey")
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(b"GET x\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")


def test_a_token_of_the_issuer_is_verified_by_its_published_keys(
    foundation: LocalFoundation, layout: Layout
) -> None:
    found = foundation.bindings()
    token = mint_token(layout, {"sub": "ada", "roles": ["admin"]}, ttl=60)
    key = jwt.PyJWKClient(found["AUTH_JWKS_URL"]).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key.key,
        algorithms=["RS256"],
        audience=found["AUTH_AUDIENCE"],
        issuer=found["AUTH_ISSUER"],
    )
    assert (claims["sub"], claims["roles"]) == ("ada", ["admin"])
    assert claims["exp"] - claims["iat"] == 60


def test_no_other_environment_accepts_its_tokens(
    foundation: LocalFoundation, layout: Layout
) -> None:
    other = Layout(layout.project, "staging")
    neighbour = foundation_of(other)
    try:
        neighbour.ensure(lambda _line: None)
        theirs, ours = neighbour.bindings(), foundation.bindings()
        assert theirs["AUTH_ISSUER"] != ours["AUTH_ISSUER"]
        assert theirs["AUTH_ISSUER"].endswith("/staging")
        token = mint_token(layout, {}, ttl=60)
        keys = jwt.PyJWKClient(theirs["AUTH_JWKS_URL"])
        with pytest.raises(jwt.PyJWKClientError):
            keys.get_signing_key_from_jwt(token)
        neighbour.stop(purge=True)
        assert all(each.running for each in foundation.status())
        assert layout.home.exists()
    finally:
        if other.home.exists():
            neighbour.stop(purge=True)


def test_nothing_listens_beyond_this_machine(foundation: LocalFoundation) -> None:
    addresses = {
        connection.laddr.ip
        for process in _processes(foundation)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_no_secret_is_on_a_command_line_in_an_environment_or_in_a_log(
    foundation: LocalFoundation, layout: Layout
) -> None:
    secrets = [
        *json.loads((layout.postgres / "credentials.json").read_bytes()).values(),
        *json.loads((layout.cache / "credentials.json").read_bytes()).values(),
    ]
    assert len(secrets) == 3
    seen = [" ".join(p.cmdline()) + str(p.environ()) for p in _processes(foundation)]
    seen += [log.read_text(errors="replace") for log in layout.logs.iterdir()]
    for secret in secrets:
        assert not [text for text in seen if secret in text]


def test_every_file_and_socket_is_private(foundation: LocalFoundation, layout: Layout) -> None:
    open_to_others = [
        path
        for path in layout.state.rglob("*")
        if path.lstat().st_mode & 0o077 and not path.is_relative_to(layout.postgres / "data")
    ]
    assert open_to_others == []
    assert stat.S_IMODE((layout.postgres / "data").stat().st_mode) == 0o700


def test_this_machine_is_supported() -> None:
    found = checks()
    assert {check.name for check in found} == {"envoy", "postgresql", "valkey"}
    assert all(check.ok for check in found), found
    assert "1.4" in next(check.detail for check in found if check.name == "envoy")


def _processes(foundation: LocalFoundation) -> list[psutil.Process]:
    """Every process of the environment, its supervisor's whole tree."""
    home = foundation._layout.home
    root = psutil.Process(int((home / "run" / "supervisord.pid").read_text()))
    return [root, *root.children(recursive=True)]
