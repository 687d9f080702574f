"""Which migrations a tree holds, by its files alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.migrations import history, plain_sql
from backendctl.migrations.revisions import Revision, Tool, heads, ordered, with_ancestors


def write(tree: Path, name: str, text: str = "") -> None:
    file = tree / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def found(tree: Path, migrate: str) -> tuple[Tool, list[str]]:
    read = history.read(tree, migrate.split())
    assert read is not None
    return read.tool, [each.name for each in read.revisions]


ALEMBIC = """revision: str = "{}"
down_revision = {!r}
raise RuntimeError("a migration must not be imported to be listed")
"""


@pytest.mark.parametrize(
    ("location", "folder"),
    [("%(here)s/db", "db"), ("db", "db"), ("shop.data:db", "shop/data/db")],
)
def test_alembic_revisions_come_in_the_order_of_their_graph(
    tmp_path: Path, location: str, folder: str
) -> None:
    write(tmp_path, "alembic.ini", f"[alembic]\nscript_location = {location}\n")
    parents: dict[str, object] = {"c3": ("b1", "b2"), "a": None, "b2": "a", "b1": "a", "d": "c3"}
    for name, parent in parents.items():
        write(tmp_path, f"{folder}/versions/{name}_x.py", ALEMBIC.format(name, parent))
    write(tmp_path, f"{folder}/versions/helpers.py", "x = 1")
    tool, names = found(tmp_path, "python -m alembic upgrade head")
    assert tool is Tool.ALEMBIC
    assert names == ["a", "b1", "b2", "c3", "d"]


def test_alembic_takes_the_file_that_its_command_names(tmp_path: Path) -> None:
    write(tmp_path, "conf/db.ini", "[alembic]\nscript_location = %(here)s/db\n")
    write(tmp_path, "conf/db/versions/a.py", ALEMBIC.format("a", None))
    read = history.read(tmp_path, ("alembic", "-c", "conf/db.ini", "upgrade", "head"))
    assert read is not None
    assert read.revisions == (Revision("a", (), "conf/db/versions/a.py"),)


DJANGO = """from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [{}]
    operations = [migrations.RunPython(lambda *_: 1 / 0)]
"""


def test_django_migrations_of_the_projects_own_apps(tmp_path: Path) -> None:
    write(tmp_path, "manage.py")
    write(tmp_path, "books/migrations/__init__.py")
    write(
        tmp_path,
        "books/migrations/0001_initial.py",
        DJANGO.format("migrations.swappable_dependency(settings.AUTH_USER_MODEL)"),
    )
    write(
        tmp_path,
        "books/migrations/0002_more.py",
        DJANGO.format('("books", "0001_initial"), ("shelves", "0001_initial")'),
    )
    write(tmp_path, "racks/apps.py", 'class C(AppConfig):\n    label = "shelves"\n')
    write(tmp_path, "racks/migrations/0001_initial.py", DJANGO.format(""))
    read = history.read(tmp_path, ("python", "manage.py", "migrate", "--noinput"))
    assert read is not None
    assert read.tool is Tool.DJANGO
    names = [each.name for each in read.revisions]
    assert sorted(names) == ["books.0001_initial", "books.0002_more", "shelves.0001_initial"]
    assert names.index("books.0002_more") == 2


FILES = (
    (
        Tool.DBMATE,
        "dbmate up",
        ("db/migrations/20240101_a.sql", "db/migrations/20240102_b.sql"),
        ["20240101", "20240102"],
    ),
    (
        Tool.GOLANG_MIGRATE,
        "migrate -path migrations up",
        (
            "migrations/000009_a.up.sql",
            "migrations/000010_b.up.sql",
            "migrations/000010_b.down.sql",
        ),
        ["9", "10"],
    ),
    (
        Tool.FLYWAY,
        "flyway migrate",
        ("sql/V1__a.sql", "sql/V1_1__b.sql", "sql/V10__c.sql", "sql/R__views.sql"),
        ["1", "1.1", "10"],
    ),
    (
        Tool.GOOSE,
        "goose -dir migrations up",
        ("migrations/001_a.sql", "migrations/002_b.go"),
        ["1", "2"],
    ),
    (
        Tool.PRISMA,
        "npx prisma migrate deploy",
        ("prisma/migrations/20240101_init/migration.sql", "prisma/migrations/migration_lock.toml"),
        ["20240101_init"],
    ),
    (
        Tool.NODE_PG_MIGRATE,
        "npx node-pg-migrate up",
        ("migrations/1_a.sql", "migrations/2_b.js", "migrations/.eslintrc.js"),
        ["1_a", "2_b"],
    ),
    (
        Tool.KNEX,
        "npx knex migrate:latest",
        ("migrations/1_a.js", "migrations/2_b.ts"),
        ["1_a.js", "2_b.ts"],
    ),
)


@pytest.mark.parametrize(("tool", "command", "files", "names"), FILES)
def test_files_are_named_as_the_tool_records_them(
    tmp_path: Path, tool: Tool, command: str, files: tuple[str, ...], names: list[str]
) -> None:
    for file in files:
        write(tmp_path, file)
        write(tmp_path, f"node_modules/some/{file}")
    assert found(tmp_path, command) == (tool, names)


def test_an_npm_script_is_looked_up(tmp_path: Path) -> None:
    write(tmp_path, "package.json", '{"scripts": {"db:up": "knex migrate:latest"}}')
    write(tmp_path, "migrations/1_a.js")
    assert found(tmp_path, "npm run db:up") == (Tool.KNEX, ["1_a.js"])


@pytest.mark.parametrize("command", ["python -m app.migrate", "alembic upgrade head", "sh up.sh"])
def test_of_an_unknown_kind_nothing_is_said(tmp_path: Path, command: str) -> None:
    write(tmp_path, "migrations/1_a.sql")
    assert history.read(tmp_path, command.split()) is None


def test_only_the_part_that_applies_a_file_counts_and_lines_stay() -> None:
    text = "-- migrate:up\nALTER TABLE a ADD b int;\n\n-- migrate:down\nALTER TABLE a DROP b;\n"
    assert plain_sql.up(text).split("\n")[1] == "ALTER TABLE a ADD b int;"
    assert "DROP" not in plain_sql.up(text)
    assert len(plain_sql.up(text).split("\n")) == len(text.split("\n"))
    assert plain_sql.up("SELECT 1;") == "SELECT 1;"
    assert plain_sql.in_transaction(Tool.DBMATE, text)
    assert not plain_sql.in_transaction(Tool.DBMATE, text.replace("up", "up transaction:false"))


@st.composite
def graphs(draw: st.DrawFn) -> list[Revision]:
    names = draw(st.lists(st.integers(0, 99), unique=True, min_size=1, max_size=12))
    found = []
    for place, name in enumerate(names):
        parents = draw(st.sets(st.sampled_from(names[:place]), max_size=2)) if place else set()
        found.append(Revision(str(name), tuple(str(each) for each in parents)))
    return draw(st.permutations(found))


@given(graphs())
def test_every_revision_comes_after_those_it_builds_on(graph: list[Revision]) -> None:
    order = [each.name for each in ordered(graph)]
    assert sorted(order) == sorted(each.name for each in graph)
    for each in graph:
        assert all(order.index(parent) < order.index(each.name) for parent in each.after)


@given(graphs())
def test_all_is_reached_from_the_heads(graph: list[Revision]) -> None:
    assert with_ancestors(heads(graph), graph) == {each.name for each in graph}


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="a, b"):
        ordered([Revision("a", ("b",)), Revision("b", ("a",))])
