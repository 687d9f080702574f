"""From cumulative counters to blocks: pure, and aware that counters start anew."""

from collections.abc import Collection, Mapping

from backendctl.platforms.base import ArmSample, Breakdown, Latencies, Sample
from backendctl.platforms.counters import began_anew
from backendctl.rollout.breakdowns import trimmed, with_breakdown, with_seen
from backendctl.rollout.verdict import ArmBlock, Block

MIN_OWN_P99_REQUESTS = 1000
"""So many of stable's requests make its p99 known well enough to be a threshold (ten beyond it)."""


def block_between(
    before: Sample | None,
    after: Sample | None,
    *,
    start: float,
    end: float,
    candidate: int,
    stable: int | None,
    thresholds: Mapping[str, float],
    uncompared: Collection[str] = (),
    optional: Collection[str] = (),
) -> tuple[Block, str]:
    """What each arm did between two samples, and why an arm is missing ("" if none is).

    `thresholds` are seconds by metric name; stable is not asked for the metrics `uncompared`, and
    of those that are `optional` nobody need hear that they are missing. An
    arm is missing, never zero, when a sample is, when the arm is not in both, or when any of its
    counters fell: it began anew in between, and what it had counted by then is lost.
    """
    problems = []
    arms: list[ArmBlock | None] = []
    for name, number, spared in (
        ("the candidate", candidate, {*optional}),
        ("stable", stable, {*optional, *uncompared}),
    ):
        arm, problem = _arm(before, after, number, thresholds, spared)
        arms.append(arm)
        if problem:
            problems.append(f"{name}: {problem}")
    ours, theirs = trimmed(arms)
    if theirs is not None:
        mine = _breakdown(after, candidate)
        theirs = with_seen(theirs, mine, _breakdown(before, stable), _breakdown(after, stable))
    return Block(start, end, ours, theirs), "; ".join(problems)


def _breakdown(sample: Sample | None, number: int | None) -> Breakdown | None:
    arm = sample.arms.get(number) if sample is not None and number is not None else None
    return arm.breakdown if arm is not None else None


def _arm(
    before: Sample | None,
    after: Sample | None,
    number: int | None,
    thresholds: Mapping[str, float],
    spared: Collection[str],
) -> tuple[ArmBlock | None, str]:
    if number is None:
        return None, ""
    if before is None or after is None:
        return None, "no counters could be had"
    first, last = before.arms.get(number), after.arms.get(number)
    if last is None or first is None:
        return None, f"the gateway has no counters of release {number}"
    if began_anew(first, last):
        return None, f"the counters of release {number} began anew"
    old, new = _counts(first, thresholds), _counts(last, thresholds)
    errors = new.errors - old.errors
    requests = max(new.requests - old.requests, errors)
    # A gateway flushes its histogram a moment after its counters, so that the slow requests of
    # one moment may show in the next block: never more of them than requests.
    slow = {name: min(new.slow[name] - old.slow[name], requests) for name in thresholds}
    counted = own_counts(first.counted, last.counted)
    refused = new.refused - old.refused
    block = ArmBlock(requests, errors, slow, refused=refused, counted=counted)
    return with_breakdown(block, first.breakdown, last.breakdown), _uncounted(last, counted, spared)


def own_counts(
    before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """What was added to the service's own metrics; one that is not in both, or that fell, is
    missing: it was not read, or began anew and had counted something by then."""
    found = {}
    for name in sorted(before.keys() & after.keys()):
        operations, bad = (new - old for new, old in zip(after[name], before[name], strict=True))
        if operations >= 0 and bad >= 0:
            found[name] = max(operations, bad), bad
    return found


def _uncounted(
    arm: ArmSample, counted: Mapping[str, tuple[int, int]], spared: Collection[str]
) -> str:
    """Why the service's own metrics are missing, where some are that are asked for."""
    reasons = {name: "its counts began anew" for name in arm.counted if name not in counted}
    reasons |= arm.uncounted
    return "; ".join(
        f"{name} could not be read: {why}"
        for name, why in sorted(reasons.items())
        if name not in spared
    )


def _counts(arm: ArmSample, thresholds: Mapping[str, float]) -> ArmBlock:
    """Cumulative counts as the verdict means them.

    A request that the fallback had to answer is the arm's error, though the user saw none.
    """
    slow = {name: arm.latencies.slower_than(s * 1000.0) for name, s in thresholds.items()}
    return ArmBlock(arm.requests, arm.errors + arm.masked, slow, refused=arm.refused)


def own_p99(latencies: Latencies) -> float | None:
    """The smallest edge, in seconds, that 99 % of the requests did not exceed.

    None when there were too few requests, or more than 1 % were slower than the last edge.
    """
    if latencies.total < MIN_OWN_P99_REQUESTS:
        return None
    for edge, count in zip(latencies.edges_ms, latencies.at_most, strict=True):
        if count >= 0.99 * latencies.total:
            return edge / 1000.0
    return None
