"""Findings with their place in the file, waivers, and when each migration is applied."""

from collections.abc import Sequence
from datetime import date

import pytest

from backendctl.migrations.assess import Assessment, Script, assess
from backendctl.migrations.ordering import Order, arrange
from backendctl.migrations.revisions import Effect, Revision, Tool

TODAY = date(2027, 1, 15)
INDEX = "CREATE INDEX i ON items (name);"
WAIVED = "-- backendctl: allow require-concurrent-index-creation until {}: twelve rows\n" + INDEX


def look(*texts: str) -> Assessment:
    return assess([script(str(place + 1), text) for place, text in enumerate(texts)], TODAY)


def script(name: str, sql: str, source: str | None = None, problem: str = "") -> Script:
    after = (str(int(name) - 1),) if name != "1" else ()
    revision = Revision(name, after, f"migrations/{name}.sql")
    return Script(revision, sql if source is None else source, sql, problem)


def test_a_finding_names_file_line_statement_reason_and_remedy() -> None:
    (found,) = look("SELECT 1;\n\n" + INDEX).findings
    assert str(found).startswith(
        "migrations/1.sql:3 [require-concurrent-index-creation]: CREATE INDEX i ON items (name)"
    )
    assert "instead: CREATE INDEX CONCURRENTLY" in str(found)


def test_an_index_on_a_table_of_the_migration_before_is_no_hazard() -> None:
    assert look("CREATE TABLE items (name text);", INDEX).findings == ()


def test_a_waiver_counts_up_to_its_day_and_is_told() -> None:
    found = look(WAIVED.format(TODAY))
    assert found.findings == ()
    assert found.waived == ("migrations/1.sql:2 [require-concurrent-index-creation] twelve rows",)
    (late,) = look(WAIVED.format("2027-01-14")).findings
    assert "its waiver ended on 2027-01-14" in late.why


def test_a_word_for_a_migration_is_taken_but_its_hazards_stay() -> None:
    found = look("-- backendctl: expand: nobody reads it\nALTER TABLE t DROP COLUMN a;\n" + INDEX)
    assert found.revisions[0].effect is Effect.EXPAND
    assert [each.rule for each in found.findings] == ["require-concurrent-index-creation"]


def test_what_cannot_be_read_needs_somebodys_word() -> None:
    problem = "CommandError: no such thing"
    (found,) = assess([script("1", "", "def upgrade(): ...", problem)], TODAY).findings
    assert (found.rule, found.line) == ("unreadable", 1)
    assert problem in found.why
    said = script("1", "", "# backendctl: contract: release 3 uses it no more\n", problem)
    assert assess([said], TODAY).revisions[0].effect is Effect.CONTRACT


def test_a_typo_in_a_marker_is_a_finding() -> None:
    (found,) = look("SELECT 1;\n-- backendctl: expends: x").findings
    assert (found.rule, found.line) == ("marker", 2)


def test_a_line_of_rendered_sql_is_one_of_the_file() -> None:
    sql = (
        f"BEGIN;\n-- Running upgrade 1 -> 2\n-- line 14\n\n{INDEX}\n-- line 20\nSELECT 1;\nCOMMIT;"
    )
    (found,) = assess([script("2", sql, "the file")], TODAY).findings
    assert found.line == 14


# --- when ---

EXPAND, CONTRACT, BREAKING = Effect.EXPAND, Effect.CONTRACT, Effect.BREAKING
UP = ("alembic", "upgrade", "head")


def pending(*effects: Effect, why: str = "drops x") -> Sequence[Revision]:
    return [
        Revision(str(n), (str(n - 1),), f"{n}.py", effect, "" if effect is EXPAND else why)
        for n, effect in enumerate(effects, 1)
    ]


def order_of(
    revisions: Sequence[Revision], tool: Tool = Tool.ALEMBIC, command: tuple[str, ...] = UP
) -> Order:
    found = arrange(revisions, tool, command, (), 7)
    assert isinstance(found, Order), found
    return found


def refused(revisions: Sequence[Revision], tool: Tool = Tool.ALEMBIC) -> list[str]:
    found = arrange(revisions, tool, UP, (), 7)
    assert not isinstance(found, Order)
    assert all(each.instead and each.file for each in found)
    return [each.rule for each in found]


def test_additions_all_run_before() -> None:
    found = order_of(pending(EXPAND, EXPAND))
    assert (found.migrate, found.contract) == (UP, ())


def test_what_takes_away_waits_for_the_end_of_the_bake() -> None:
    found = order_of(pending(EXPAND, EXPAND, CONTRACT, CONTRACT))
    assert found.migrate == ("alembic", "upgrade", "2")
    assert found.contract == UP
    assert [each.name for each in found.after] == ["3", "4"]


def test_nothing_runs_before_when_all_must_wait() -> None:
    found = order_of(pending(CONTRACT))
    assert (found.migrate, found.contract) == ((), UP)


def test_an_addition_behind_what_must_wait_is_refused() -> None:
    assert refused(pending(CONTRACT, EXPAND)) == ["order"]


def test_what_suits_neither_release_is_refused() -> None:
    assert refused(pending(EXPAND, BREAKING, BREAKING)) == ["breaking", "breaking"]


def test_what_came_with_the_release_that_serves_is_no_danger_to_it() -> None:
    found = arrange(pending(CONTRACT, BREAKING, EXPAND), Tool.ALEMBIC, UP, ("1", "2"), 7)
    assert isinstance(found, Order)
    assert (found.migrate, found.contract) == (UP, ())


def test_a_tool_that_cannot_stop_half_way_needs_two_releases() -> None:
    assert refused(pending(EXPAND, CONTRACT), Tool.DJANGO) == ["contract"]
    found = order_of(pending(CONTRACT), Tool.DBMATE, ("dbmate", "up"))
    assert (found.migrate, found.contract) == ((), ("dbmate", "up"))


@pytest.mark.parametrize("command", [("alembic", "upgrade", "abc"), ("alembic", "upgrade", "+1")])
def test_a_command_that_names_its_own_end_is_not_changed(command: tuple[str, ...]) -> None:
    found = arrange(pending(EXPAND, CONTRACT), Tool.ALEMBIC, command, (), 7)
    assert not isinstance(found, Order)


def test_branches_are_not_cut() -> None:
    first, second, third = pending(EXPAND, EXPAND, CONTRACT)
    loose = Revision("2", ("other",), "2.py", EXPAND)
    assert refused([first, loose, third]) == ["contract"]
    assert order_of([first, second, third]).contract
