"""Migrations against a real PostgreSQL while users are served."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from backendctl.platforms.base import LOCK_KEPT
from backendctl.platforms.local.migration_limits import LOCK_TIMEOUT
from backendctl.platforms.open import open_platform
from backendctl.spec.load import load_spec
from tests.commands import Project, Said

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("migrations-local")]

SPEC = """
[service]
name = "shop"
start = "{python} service.py"
migrate = "./dbmate up"

[load]
peak_rps = "20/s"

[data]
engine = "postgresql"

[rollout]
strategy = "blue-green"
bake = "1s"
drain_deadline = "3s"
compatibility = "{python} check.py"

[environments.local]
variables = {{ SHADE = "old" }}
"""
CHECK = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as database:
    assert database.info.dbname != "app"
    assert database.execute("SELECT count(*) FROM items").fetchone() == (0,)
    database.execute("INSERT INTO items (id, note) VALUES (1, 'x')")
print("the release works with this schema")
"""
SERVICE = r"""
import os, signal, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import psycopg

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.database = None

    def do_GET(self):
        status, body = 200, b"ready"
        if self.path == "/about":
            token = os.environ.get("TOKEN", "none")
            body = " ".join(("code-1", os.environ["SHADE"], token)).encode()
        elif self.path != "/readyz":
            try:
                if self.database is None:
                    self.database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
                body = str(self.database.execute("SELECT count(*) FROM items").fetchone()).encode()
            except psycopg.Error as error:
                status, body = 500, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def finish(self):
        super().finish()
        if self.database is not None:
            self.database.close()

    def log_message(self, *_):
        pass

ThreadingHTTPServer.daemon_threads = True
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""
DBMATE = r"""#!{python}
# Stands in for dbmate: the same files, the same record. The driver heeds no PGOPTIONS.
import os, pathlib, re
os.environ.pop("PGOPTIONS", None)
import psycopg
database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
database.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version text PRIMARY KEY)")
has = {{row[0] for row in database.execute("SELECT version FROM schema_migrations")}}
for file in sorted(pathlib.Path("db/migrations").glob("*.sql")):
    version = re.match(r"\d+", file.name)[0]
    if version not in has:
        with database.transaction():
            database.execute(file.read_text().partition("-- migrate:down")[0])
            database.execute("INSERT INTO schema_migrations VALUES (%s)", (version,))
        print("applied", version)
"""
CREATE = "-- migrate:up\nCREATE TABLE items (id bigint PRIMARY KEY, note text);\n-- migrate:down\n"


class Shop(Project):
    """A service with a database, and people who use it."""

    def migration(self, version: str, sql: str) -> None:
        self.write(f"db/migrations/{version}_x.sql", f"-- migrate:up\n{sql};\n-- migrate:down\n")

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert text.count(old) == 1
        self.write(name, text.replace(old, new))

    def deploy(self) -> Said:
        return self.run("deploy", "--unjudged", "a trial", "--yes", "--env", "local")

    def database(self) -> "psycopg.Connection[tuple[object, ...]]":
        """As the service itself sees it."""
        platform = open_platform(self.folder, load_spec(self.folder), "local")
        return psycopg.connect(platform.foundation.bindings()["DATABASE_URL"])

    def databases(self) -> set[str]:
        with self.database() as database:
            return {str(row[0]) for row in database.execute("SELECT datname FROM pg_database")}

    def columns(self) -> set[str]:
        with self.database() as database:
            return {
                str(row[0])
                for row in database.execute(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = 'items'"
                )
            }


class Users:
    """Four who ask again as soon as they are answered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._gone = threading.Event()
        self.waits: list[float] = []
        self.failed: list[str] = []

    def __enter__(self) -> "Users":
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._gone.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=20) as client:
            while not self._gone.wait(0.02):
                began = time.monotonic()
                try:
                    answer = client.get(self._url)
                    if answer.status_code != 200:
                        self.failed.append(answer.text)
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                self.waits.append(time.monotonic() - began)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    found = Shop(tmp_path / "shop")
    found.write("backend.toml", SPEC.format(python=sys.executable))
    found.write("service.py", SERVICE)
    found.write("check.py", CHECK)
    found.write("dbmate", DBMATE.format(python=sys.executable))
    (found.folder / "dbmate").chmod(0o755)
    found.write("db/migrations/1_items.sql", CREATE)
    up = found.run("up")
    assert up.exit == 0, up.text
    yield found
    found.run("down", "--purge", "--confirm", "local")
    assert found.processes() == []


def test_a_migration_that_would_keep_users_waiting_gives_up_instead(shop: Shop) -> None:
    url = shop.run("status").data["url"]
    shop.migration("2", "ALTER TABLE items ADD COLUMN colour text")
    # There are rows, and somebody reads them in a transaction that they do not end.
    with shop.database() as writer:
        writer.execute("INSERT INTO items VALUES (1, 'x')")
    with shop.database() as reader, Users(url) as users:
        reader.execute("SELECT * FROM items")
        refused = shop.deploy()
    assert (refused.exit, refused.code) == (1, "rollout.rolled-back"), refused.text
    assert "it did not get its lock in time" in refused.text
    assert users.failed == []
    assert LOCK_TIMEOUT * 0.9 < max(users.waits) < LOCK_TIMEOUT + 3.0  # and a busy machine
    assert shop.columns() == {"id", "note"}
    # One that has its lock, and keeps it while it is slow, is ended.
    slow = "-- backendctl: allow slow-under-lock until 2100-01-01: a trial\n"
    shop.migration("2", f"{slow}ALTER TABLE items ADD COLUMN colour text; SELECT pg_sleep(6)")
    with Users(url) as users:
        refused = shop.deploy()
    assert (refused.exit, refused.code) == (1, "rollout.rolled-back"), refused.text
    assert LOCK_KEPT in refused.text
    assert users.failed == []
    assert max(users.waits) < 5.0
    assert shop.columns() == {"id", "note"}
    shop.migration("2", "ALTER TABLE items ADD COLUMN colour text")
    # Once that transaction has ended, the same works, with other code and configuration.
    shop.change("service.py", "code-1", "code-2")
    shop.change("backend.toml", '"old"', '"new"')
    shop.run("secrets", "set", "TOKEN", "--env", "local", stdin="a token")
    assert shop.deploy().exit == 0
    assert httpx.get(f"{url}/about").text == "code-2 new a token"
    assert shop.columns() == {"id", "note", "colour"}
    assert shop.databases() == {"app", "postgres", "template0", "template1"}
    # And back again, all of it together, for the migration only adds.
    back = shop.run("rollback", "--env", "local")
    assert back.exit == 0, back.text
    assert httpx.get(f"{url}/about").text == "code-1 old none"
    assert httpx.get(url).text == "(1,)"
    assert shop.columns() == {"id", "note", "colour"}


def test_what_older_code_uses_goes_after_the_bake_and_then_nothing_leads_back(shop: Shop) -> None:
    url = shop.run("status").data["url"]
    # A migration that would keep users waiting stops the deploy before anything else happens.
    shop.migration("2", "CREATE INDEX by_note ON items (note)")
    refused = shop.deploy()
    assert (refused.exit, refused.code) == (1, "migration.hazard"), refused.text
    (finding,) = refused.data["findings"]
    assert (finding["file"], finding["line"]) == ("db/migrations/2_x.sql", 2)
    # One that both adds and takes away fits neither side of the bake.
    shop.migration("2", "ALTER TABLE items ADD COLUMN a text; ALTER TABLE items DROP COLUMN note")
    refused = shop.deploy()
    assert (refused.exit, refused.code) == (1, "migration.contract"), refused.text
    # Somebody's word that it only adds is put to the test by the release that serves.
    shop.migration("2", "-- backendctl: expand: trust me\nALTER TABLE items DROP COLUMN note")
    refused = shop.deploy()
    assert (refused.exit, refused.code) == (1, "migration.contract"), refused.text
    assert 'column "note" of relation "items" does not' in refused.answer["error"]["cause"]
    assert shop.columns() == {"id", "note"}
    # What only takes away waits until the release that uses it has gone.
    shop.migration("2", "ALTER TABLE items DROP COLUMN note")
    with Users(url) as users:
        done = shop.deploy()
    assert (done.exit, done.data["result"], done.data["notes"]) == (0, "promoted", [])
    assert shop.columns() == {"id"}
    assert users.failed == []
    back = shop.run("rollback", "--env", "local")
    assert (back.exit, back.code) == (1, "release.schema"), back.text
    assert "drops column note" in back.text
