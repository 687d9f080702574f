"""Comments in which people answer for a migration."""

from datetime import date

import pytest

from backendctl.migrations import markers
from backendctl.migrations.revisions import Effect


@pytest.mark.parametrize("comment", ["--", "#", "//"])
def test_a_marker_is_read_in_every_language(comment: str) -> None:
    said = markers.read(f"x = 1\n  {comment} backendctl: contract: release 3 reads it no more\n")
    assert (said.effect, said.reason) == (Effect.CONTRACT, "release 3 reads it no more")


def test_waivers_have_a_day_and_a_reason() -> None:
    said = markers.read("-- backendctl: allow locks-table until 2027-03-01: twelve rows\n")
    assert said.waivers == {"locks-table": markers.Waiver(date(2027, 3, 1), "twelve rows")}
    assert said.effect is None


@pytest.mark.parametrize(
    "text",
    [
        "backendctl: expend: typo",
        "backendctl: expanded the table",
        "backendctl: expand",
        "backendctl: expand: ",
        "backendctl: allow locks-table: no day",
        "backendctl: allow locks-table until 2027-02-30: no such day",
        "backendctl: allow locks-table until 2027-02-20",
    ],
)
def test_a_marker_that_is_not_understood_does_not_pass_for_none(text: str) -> None:
    with pytest.raises(markers.MarkerError) as caught:
        markers.read(f"SELECT 1;\n-- {text}\n")
    assert caught.value.line == 2


def test_a_comment_behind_code_is_no_marker() -> None:
    assert (
        markers.read("SELECT '-- backendctl: expand: x'; -- backendctl: expand: y").effect is None
    )
