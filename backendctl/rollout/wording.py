"""Times, numbers, whereabouts and ends of a rollout as a person reads them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from backendctl.rollout.states import Kind, Phase, Result
from backendctl.rollout.verdict.words import events


def moment(at: float) -> str:
    """`2026-11-21 20:15:00 UTC`; `at` in seconds since the epoch."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def whereabouts(
    phase: str, stage: int, steps: Sequence[int], candidate: int, stable: int | None
) -> str:
    """What a rollout that goes on is doing: `at step 1 of 3 (5 %)`."""
    match phase:
        case Phase.STEP if stage < len(steps):
            return f"at step {stage + 1} of {len(steps)} ({steps[stage]} %)"
        case Phase.MIGRATE:
            return "running its migration"
        case Phase.START:
            return f"starting release {candidate}"
        case Phase.VERIFY:
            return f"trying release {candidate} on the preview route"
        case Phase.PROMOTE:
            return f"giving release {candidate} all requests"
        case Phase.MIRROR:
            return f"trying release {candidate} on copies of users' reads, at 0 %"
        case Phase.BAKE:
            return f"watching release {candidate} at 100 %"
        case Phase.DRAIN if stable is None:
            return "closing the preview route"
        case Phase.DRAIN:
            return f"draining and stopping release {stable}"
        case Phase.ABORT if stable is None:
            return f"withdrawing release {candidate}"
        case Phase.ABORT:
            return f"going back to release {stable}"
        case _:
            return "being prepared"


def end_in_words(kind: Kind, candidate: int, stable: int | None, result: Result) -> str:
    """How a rollout ended, in a word or a few."""
    if result is Result.RESTORED:
        return "withdrawn" if stable is None else "restored"
    return f"done: release {candidate} serves" if kind is Kind.ROLLBACK else "promoted"


def metric_in_words(name: str, numbers: Mapping[str, Any]) -> str:
    """A metric of a judgement, for both arms: of what the percentages are, and their limit."""
    counted = events(name, numbers["threshold_s"])
    text = f"{counted}: candidate {_rate(numbers['candidate_rate'])}"
    if numbers["stable_rate"] is not None:
        text += f", stable {_rate(numbers['stable_rate'])}"
    if numbers["limit"] is not None:
        text += f"; at most {_rate(numbers['limit'])} are promised"
    return text


def _rate(rate: float | None) -> str:
    return "unknown" if rate is None else f"{100 * rate:.3g} %"
