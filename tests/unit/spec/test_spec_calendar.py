"""Deploy windows and freezes: what is written, and what it means at a moment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.spec.calendar import CalendarError, Freeze, Window, closed

OFFICE = Window.parse("Mon-Fri 09:00-16:00 Europe/Berlin")
NIGHT = Window.parse("Sat 22:00-02:00")
SALE = Freeze.parse("2026-11-20 to 2026-11-23 Europe/Berlin: sale")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_without_windows_and_freezes_every_moment_is_open() -> None:
    assert closed([], [], at("2026-11-22T03:00")) is None


def test_a_window_is_open_from_its_first_moment_until_before_its_last() -> None:
    assert closed([OFFICE], [], at("2026-11-23T08:00")) is None
    assert closed([OFFICE], [], at("2026-11-23T14:59")) is None
    assert closed([OFFICE], [], at("2026-11-23T15:00")) is not None


def test_a_window_follows_its_zone_through_summer_time() -> None:
    assert closed([OFFICE], [], at("2026-07-06T07:00")) is None
    assert closed([OFFICE], [], at("2026-12-07T07:00")) is not None


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    assert closed([NIGHT], [], at("2026-11-22T01:59")) is None
    assert closed([NIGHT], [], at("2026-11-21T01:59")) is not None


def test_a_closed_moment_says_when_the_next_opening_is() -> None:
    found = closed([OFFICE], [], at("2026-11-21T20:00"))
    assert found is not None
    assert found.opens == at("2026-11-23T08:00")


def test_a_freeze_closes_open_windows_says_why_and_is_counted_in_the_next_opening() -> None:
    found = closed([OFFICE], [SALE], at("2026-11-23T10:00"))
    assert found is not None
    assert "sale" in found.why
    assert found.opens == at("2026-11-24T08:00")


def test_a_freeze_alone_opens_when_its_last_day_is_over_in_its_zone() -> None:
    found = closed([], [SALE], at("2026-11-21T10:00"))
    assert found is not None
    assert found.opens == at("2026-11-23T23:00")


def test_a_freeze_for_good_never_opens() -> None:
    forever = Freeze.parse("2026-11-20 to 9999-12-31: until further notice")
    found = closed([OFFICE], [forever], at("2026-11-23T10:00"))
    assert found is not None
    assert found.opens is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "Mon", "Mon-Fri 9-5", "Fun 09:00-10:00", "Mon 25:00-26:00", "09:00-10:00 Nowhere"),
        "09:00-10:00 Europe",
    ],
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(CalendarError):
        Window.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "2026-12-20", "2026-12-20 to 2026-12-19: no", "2026-02-30 to 2026-03-01: no", "x to y: z"],
)
def test_what_is_no_freeze_is_refused(text: str) -> None:
    with pytest.raises(CalendarError):
        Freeze.parse(text)


@given(
    minutes=st.integers(0, 2 * 366 * 24 * 60),
    windows=st.lists(
        st.sampled_from([OFFICE, NIGHT, Window.parse("Mon,Wed-Thu 23:30-00:15 Asia/Tokyo")])
    ),
    freezes=st.lists(
        st.sampled_from([SALE, Freeze.parse("2026-12-20 to 2027-01-02 America/New_York: holidays")])
    ),
)
def test_the_next_opening_is_open_and_nothing_before_it_is(
    minutes: int, windows: list[Window], freezes: list[Freeze]
) -> None:
    now = at("2026-06-01T00:00") + timedelta(minutes=minutes)
    found = closed(windows, freezes, now)
    if found is None:
        return
    assert found.opens is not None
    assert found.opens > now
    assert closed(windows, freezes, found.opens) is None
    step = (found.opens - now) / 50
    assert all(closed(windows, freezes, now + i * step) is not None for i in range(50))
