"""The table of prices, as it stands in `prices.toml` beside this file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

MOST_AGE = 365
"""Days after which a list of prices is said to be old: AWS has changed some in every year."""
FILE = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True, slots=True)
class Price:
    """One price, in US dollars."""

    dollars: float
    source: str


@dataclass(frozen=True, slots=True)
class Table:
    """List prices of one day."""

    read: date
    region: str
    """For which they are."""
    hours: float
    """In a month."""
    factors: Mapping[str, float]
    """Region -> what machines cost there against `region`."""
    _prices: Mapping[str, Mapping[str, Any]]

    def too_old(self, today: date) -> str:
        """What to say of prices that nobody read for so long; "" for newer ones."""
        days = (today - self.read).days
        if days <= MOST_AGE:
            return ""
        return f"they are {days // 30} months old: read the pages named before money depends on it"

    def price(self, group: str, name: str) -> Price | None:
        """None for what the table does not have."""
        prices = self._prices[group]
        found = prices.get(name)
        return Price(found, prices["source"]) if isinstance(found, float) else None

    def factor(self, region: str) -> float | None:
        """None for a region that the table does not have."""
        return self.factors.get(region)


@cache
def table() -> Table:
    """The shipped one."""
    body = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return Table(
        read=body.pop("read"),
        region=body.pop("region"),
        hours=body.pop("hours"),
        factors=body.pop("factor"),
        _prices=body,
    )
