"""When deploys may begin: windows of the week and freezes of the year, as people write them.

A window is "Mon-Fri 09:00-16:00 Europe/Berlin", a freeze "2026-12-20 to 2027-01-02 Europe/Berlin:
holidays". Without a zone UTC is meant. A window whose end is not after its beginning reaches into
the next day; a freeze holds from the first moment of its first day to the last of its last.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WINDOW_FORM = 'days, hours and a zone, such as "Mon-Thu 09:00-16:00 Europe/Berlin" (UTC if absent)'
FREEZE_FORM = (
    'two dates, a zone and a reason, such as "2026-12-20 to 2027-01-02 Europe/Berlin: holidays"'
)
_ZONE = r"(?: (?P<zone>[A-Za-z][A-Za-z0-9_+/-]*))?"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_NAMES = "|".join(DAYS)
_SPAN = rf"(?P<begins>{_CLOCK})-(?P<ends>{_CLOCK})"
WINDOW = rf"(?:(?P<days>(?:{_NAMES})(?:[-,](?:{_NAMES}))*) )?{_SPAN}{_ZONE}"
FREEZE = rf"(?P<first>\d{{4}}-\d\d-\d\d) to (?P<last>\d{{4}}-\d\d-\d\d){_ZONE}: ?(?P<reason>\S.*)"
_FARTHEST = 400
"""Days that are looked ahead for the next opening: longer than any year."""


class CalendarError(ValueError):
    """A window or freeze that is not written as accepted."""


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of some days of each week in which deploys may begin."""

    days: tuple[int, ...]
    """0 is Monday; the day on which the window begins."""
    begins: time
    ends: time
    zone: str

    @classmethod
    def parse(cls, written: str) -> "Window":
        """Raises CalendarError saying what is wrong."""
        match = re.fullmatch(WINDOW, written.strip())
        if match is None:
            raise CalendarError("not a window")
        begins, ends = time.fromisoformat(match["begins"]), time.fromisoformat(match["ends"])
        return cls(_days(match["days"] or "Mon-Sun"), begins, ends, _zone(match["zone"]))

    def on(self, day: date) -> tuple[datetime, datetime] | None:
        """When it begins and ends if it begins on that day of its own zone."""
        if day.weekday() not in self.days:
            return None
        zone = ZoneInfo(self.zone)
        last = day if self.ends > self.begins else day + timedelta(days=1)
        return (
            datetime.combine(day, self.begins, zone).astimezone(UTC),
            datetime.combine(last, self.ends, zone).astimezone(UTC),
        )


@dataclass(frozen=True, slots=True)
class Freeze:
    """Days in which no deploy begins."""

    first: date
    last: date
    zone: str
    reason: str

    @classmethod
    def parse(cls, written: str) -> "Freeze":
        """Raises CalendarError saying what is wrong."""
        match = re.fullmatch(FREEZE, written.strip())
        if match is None:
            raise CalendarError("not a freeze")
        try:
            first, last = date.fromisoformat(match["first"]), date.fromisoformat(match["last"])
        except ValueError as error:
            raise CalendarError(f"no such day: {error}") from error
        if last < first:
            raise CalendarError("it ends before it begins")
        return cls(first, last, _zone(match["zone"]), match["reason"].strip())

    def holds(self, now: datetime) -> bool:
        """Whether it is in force."""
        return self.first <= now.astimezone(ZoneInfo(self.zone)).date() <= self.last


@dataclass(frozen=True, slots=True)
class Closed:
    """Why no deploy may begin now, and when the next may."""

    why: str
    opens: datetime | None
    """In UTC; None when not within a year."""


def closed(windows: Sequence[Window], freezes: Sequence[Freeze], now: datetime) -> Closed | None:
    """None when a deploy may begin at `now` (which has a zone)."""
    frozen = next((each for each in freezes if each.holds(now)), None)
    if frozen is not None:
        why = f"frozen from {frozen.first} to {frozen.last} ({frozen.zone}): {frozen.reason}"
    elif windows and not any(b <= now < e for b, e in _spans(windows, now)):
        why = "outside the windows for deploys"
    else:
        return None
    openings = (at for at in sorted(_openings(windows, freezes, now)) if at > now)
    free = (at for at in openings if not any(each.holds(at) for each in freezes))
    return Closed(why, next((at for at in free if _open(windows, at)), None))


def _open(windows: Sequence[Window], at: datetime) -> bool:
    return not windows or any(b <= at < e for b, e in _spans(windows, at))


def _spans(windows: Sequence[Window], now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Windows that may be open at `now`: those of the day before, of that day and of the next."""
    for window in windows:
        today = now.astimezone(ZoneInfo(window.zone)).date()
        for shift in (-1, 0, 1):
            span = window.on(today + timedelta(days=shift))
            if span is not None:
                yield span


def _openings(
    windows: Sequence[Window], freezes: Sequence[Freeze], now: datetime
) -> Iterator[datetime]:
    """Moments at which something opens: a window begins, or a freeze is over."""
    for freeze in freezes:
        if freeze.last.year == date.max.year:
            continue  # for good; and there may be no day after it
        after = freeze.last + timedelta(days=1)
        yield datetime.combine(after, time(), ZoneInfo(freeze.zone)).astimezone(UTC)
    for window in windows:
        today = now.astimezone(ZoneInfo(window.zone)).date()
        for days in range(_FARTHEST):
            span = window.on(today + timedelta(days=days))
            if span is not None:
                yield span[0]


def _days(written: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in written.split(","):
        names = part.split("-")
        if len(names) > 2:
            raise CalendarError(f"not a range of days: {part}")
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        found.update((first + i) % 7 for i in range((last - first) % 7 + 1))
    return tuple(sorted(found))


def _zone(written: str | None) -> str:
    zone = written or "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: "Europe" is a folder
        raise CalendarError(f"no such time zone: {zone}") from error
    return zone
