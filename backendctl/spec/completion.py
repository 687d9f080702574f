"""What a `backend.toml` leaves out because it follows from what it states.

Works on the document as written, before it is validated, and writes what it derives the way a
person would. A value that cannot be read is left for validation to report; nothing is derived
from it, and nothing is said to be missing because of it.
"""

from collections.abc import Mapping
from typing import Any

from backendctl.spec import derive, units
from backendctl.spec.model import Slo

THINK_TIME = 7.0
"""Seconds; the mean think time of TPC-W (Transaction Processing Performance Council, TPC
Benchmark W, specification 1.8, clause 5.3.1)."""
SUSTAINED_SHARE = 0.5
"""Of the peak: the mean of a day whose load swings like a sine between nothing and its peak."""
P95_SHARE = 0.3
"""Of p99: the proportion of the defaults."""
BURN_LIMIT = 10.0
"""A release may fail at most this many times the error budget; 14.4 times would page someone."""

_UNREADABLE = object()
_PLACEHOLDERS = {"peak_rps": 1, "peak_users": 1, "sustained_users": 1, "think_time": "1s"}


def complete(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with everything that follows from it."""
    whole = dict(document)
    if isinstance(document.get("slo", {}), Mapping):
        whole["slo"] = _slo(document.get("slo", {}))
    if isinstance(document.get("load"), Mapping):
        whole["load"] = _load(document["load"], whole["slo"])
    environments = document.get("environments", {})
    if isinstance(environments, Mapping):
        whole["environments"] = {"local": {}, **environments}
    return whole


def states_a_peak(load: Mapping[str, Any]) -> bool:
    """Whether there is anything to derive the load from."""
    return "peak_rps" in load or "peak_users" in load


def _read(table: Mapping[str, Any], key: str, unit: units.Unit) -> Any:
    """The held number, None if absent, _UNREADABLE if validation will refuse it."""
    if key not in table:
        return None
    try:
        value = unit.parse(table[key])
    except units.UnitError:
        return _UNREADABLE
    return value if value > 0 else _UNREADABLE


def _slo(slo: Mapping[str, Any]) -> dict[str, Any]:
    whole = dict(slo)
    p95, p99 = _read(slo, "p95", units.DURATION), _read(slo, "p99", units.DURATION)
    if p95 is None and isinstance(p99, float):
        whole["p95"] = units.DURATION.render(round(p99 * P95_SHARE, 6))
    if p99 is None and isinstance(p95, float):
        whole["p99"] = units.DURATION.render(round(p95 / P95_SHARE, 3))
    availability = _read(slo, "availability", units.FRACTION)
    if "error_rate" not in slo and isinstance(availability, float) and availability < 1:
        most = round(BURN_LIMIT * (1 - availability), 9)
        default = Slo.model_fields["error_rate"].default
        whole["error_rate"] = units.FRACTION.render(min(default, most))
    return whole


def _load(load: Mapping[str, Any], slo: object) -> dict[str, Any]:
    """The load with rate, users and think time all there, if two of them can be known."""
    rate = _read(load, "peak_rps", units.RATE)
    users = _read(load, "peak_users", units.COUNT)
    think = _read(load, "think_time", units.DURATION)
    if _UNREADABLE in (rate, users, think) or not states_a_peak(load):
        return {**_PLACEHOLDERS, **load}
    p95 = _read(slo, "p95", units.DURATION) if isinstance(slo, Mapping) else None
    response = p95 if isinstance(p95, float) else Slo.model_fields["p95"].default
    if think is None:
        think = users / rate if rate is not None and users is not None else THINK_TIME
    if rate is None:
        rate = derive.rate(users, think)
    if users is None:
        users = derive.users(rate, think, response)
    whole = {
        "peak_rps": rate,
        "peak_users": users,
        "think_time": units.DURATION.render(round(think, 6)),
        "sustained_users": max(1, round(users * SUSTAINED_SHARE)),
    }
    return {**whole, **load}
