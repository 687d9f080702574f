"""Copies of users' read-only requests, before the candidate answers any user: sums and words. Pure.

The judge sees the copies in place of the candidate's requests and their originals in place of
stable's. Comparing the two is fair: which of these requests are copied is left to chance, so both
are the same mix at the same time. (That a copy and its original are one request makes the relative
test no less strict: with a share f of B bad requests copied, the candidate's errors are binomial
(B, f), stable's are B, and each bad request multiplies the expected evidence for a ratio rho by
(1 + f) (1 + 2 rho f - f) / (1 + rho f)^2, which is 1 at rho = 1 and less elsewhere.)

Latency is not judged: the originals' is not measured apart from that of other requests, and a
release with a tenth of the traffic has colder caches.
"""

from backendctl.platforms.base import MIRROR_PATIENCE, Mirrored, Sample
from backendctl.platforms.counters import began_anew
from backendctl.rollout.observations import Copied
from backendctl.rollout.states import Copies
from backendctl.rollout.verdict import ArmBlock, Block
from backendctl.rollout.verdict.words import count, rate

NO_COUNTS = "the gateway does not count the copies"


def copied_between(
    before: Sample | None,
    after: Sample | None,
    *,
    start: float,
    end: float,
    candidate: int,
    stable: int,
) -> Copied:
    """What copies and their originals did between two samples; both are missing, never zero, when
    either cannot be had.

    An original that took as long as a copy may counts as failed, like the copy: of requests that
    wait on purpose, neither convicts. How many originals did is not known; as many are taken as
    requests of stable did, which speaks for the candidate.
    """
    problem = ""
    if before is None or after is None:
        problem = "no counters could be had"
    elif candidate not in before.arms or candidate not in after.arms:
        problem = f"the gateway has no counters of release {candidate}"
    elif before.arms[candidate].mirrored is None or after.arms[candidate].mirrored is None:
        problem = NO_COUNTS
    elif stable not in before.arms or stable not in after.arms:
        problem = f"the gateway has no counters of release {stable}"
    elif began_anew(before.arms[stable], after.arms[stable]):
        problem = f"the counters of release {stable} began anew"
    if problem or before is None or after is None:
        return Copied(Block(start, end, None, None), problem=problem)
    first, last = before.arms[candidate].mirrored, after.arms[candidate].mirrored
    if first is None or last is None or _fell(first, last):
        return Copied(Block(start, end, None, None), problem="the counts of copies began anew")
    limit = 1000.0 * MIRROR_PATIENCE
    long = after.arms[stable].latencies.slower_than(limit)
    long -= before.arms[stable].latencies.slower_than(limit)
    originals = last.originals - first.originals
    bad = min(originals, last.failed_originals - first.failed_originals + long)
    unanswered = last.unanswered - first.unanswered
    failed = last.failures - first.failures + unanswered
    copies = ArmBlock(
        max(last.copies - first.copies, failed), failed, refused=last.refused - first.refused
    )
    block = Block(start, end, copies, ArmBlock(originals, bad))
    return Copied(block, unanswered, last.lost - first.lost)


def _fell(first: Mirrored, last: Mirrored) -> bool:
    return any(
        getattr(last, name) < getattr(first, name)
        for name in ("copies", "failures", "unanswered", "lost", "originals", "failed_originals")
    )


def added(copies: Copies, copied: Copied) -> Copies:
    """The sums with one block more."""
    arm, originals = copied.block.candidate, copied.block.stable
    if arm is None or originals is None:
        return Copies(
            copies.requests,
            copies.failed,
            copies.unanswered,
            copies.refused,
            copies.lost,
            copies.originals,
            copies.failed_originals,
            copied.problem,
        )
    return Copies(
        copies.requests + arm.requests,
        copies.failed + arm.errors,
        copies.unanswered + copied.unanswered,
        copies.refused + arm.refused,
        copies.lost + copied.lost,
        copies.originals + originals.requests,
        copies.failed_originals + originals.errors,
        copies.problem,
    )


def copies_in_words(copies: Copies) -> str:
    """`120 copies of reads: 2 failed (1.7 %); of 1,200 originals stable failed 3 (0.25 %)`."""
    if not copies.requests and not copies.originals:
        return f"nothing is known of the copies: {copies.problem or 'no reads came'}"
    text = f"{count(copies.requests)} copies of reads: {_failed(copies)}"
    if copies.refused:
        text += f", {count(copies.refused)} refused (4xx)"
    if copies.lost:
        text += f", {count(copies.lost)} more were lost on the way"
    text += (
        f"; of {count(copies.originals)} originals stable failed {count(copies.failed_originals)}"
        f" ({rate(copies.failed_originals, copies.originals)})"
    )
    return f"{text}; not whole: {copies.problem}" if copies.problem else text


def _failed(copies: Copies) -> str:
    text = f"{count(copies.failed)} failed ({rate(copies.failed, copies.requests)})"
    if copies.unanswered:
        text += f", {count(copies.unanswered)} of them no answer in {MIRROR_PATIENCE:g} s"
    return text
