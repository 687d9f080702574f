"""Times and numbers of a rollout as a person reads them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from backendctl.rollout.verdict import parameters as metric


def moment(at: float) -> str:
    """`2026-11-21 20:15:00 UTC`; `at` in seconds since the epoch."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def metric_in_words(name: str, numbers: Mapping[str, Any]) -> str:
    """A metric of a judgement, for both arms: of what the percentages are, and their limit."""
    text = f"{_events(name, numbers['threshold_s'])}: candidate {_rate(numbers['candidate_rate'])}"
    if numbers["stable_rate"] is not None:
        text += f", stable {_rate(numbers['stable_rate'])}"
    if numbers["limit"] is not None:
        text += f"; at most {_rate(numbers['limit'])} are promised"
    return text


def _events(name: str, threshold: float | None) -> str:
    if name == metric.REFUSALS:
        return "requests refused (4xx)"
    if threshold is None:
        return "requests that failed" if name == metric.ERRORS else f"operations bad by {name}"
    whose = {
        metric.SLO_P95: "the SLO's p95",
        metric.SLO_P99: "the SLO's p99",
        metric.STABLE_P99: "stable's own p99",
    }.get(name, name)
    return f"requests slower than {1000 * threshold:g} ms ({whose})"


def _rate(rate: float | None) -> str:
    return "unknown" if rate is None else f"{100 * rate:.3g} %"
