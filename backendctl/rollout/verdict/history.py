"""What stable did before the rollout: its rates, and how much its events come in bursts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.blocks import ArmBlock, Block


@dataclass(frozen=True, slots=True)
class Reference:
    """Stable's recorded behaviour."""

    requests: int
    events: Mapping[str, int]
    """Metric -> events over the whole history."""
    dispersion: Mapping[str, float] = field(default_factory=dict)
    """Metric -> variance of its counts over what independent events would show; at least 1."""


def reference_from(history: Sequence[Block]) -> Reference | None:
    """Summarise blocks of stable, in order of time; None if they hold no request.

    Blocks without stable's counters are passed over.
    """
    blocks = [(b, b.stable) for b in history if b.stable is not None and b.stable.requests > 0]
    if not blocks:
        return None
    names = [default.ERRORS, *sorted(set.intersection(*(set(arm.slow) for _, arm in blocks)))]
    arms = [arm for _, arm in blocks]
    requests = sum(arm.requests for arm in arms)
    events = {name: sum(arm.events(name) or 0 for arm in arms) for name in names}
    dispersion = {
        name: max(
            [1.0]
            + [
                _fano(
                    _windows(blocks, name, w * default.SLOWEST_CONVICTION), events[name] / requests
                )
                for w in default.DISPERSION_WINDOWS
            ]
        )
        for name in names
    }
    return Reference(requests, events, dispersion)


def _windows(
    blocks: Sequence[tuple[Block, ArmBlock]], metric: str, seconds: float
) -> list[tuple[int, int]]:
    """(requests, events) of whole windows of about `seconds`, made of whole blocks."""
    windows: list[tuple[int, int]] = []
    start, requests, events = blocks[0][0].start, 0, 0
    for block, arm in blocks:
        if block.end - start > seconds * 1.5:  # a gap in the history: begin anew after it
            start, requests, events = block.start, 0, 0
        requests += arm.requests
        events += arm.events(metric) or 0
        if block.end - start >= seconds * 0.999:
            windows.append((requests, events))
            start, requests, events = block.end, 0, 0
    return windows


def _fano(windows: Sequence[tuple[int, int]], rate: float) -> float:
    """Mean of (events - expected)^2 / expected, without the largest; 1 where it is no more than
    chance makes it: 1 + 2 sqrt(2 / n)."""
    terms = sorted((e - rate * n) ** 2 / (rate * n) for n, e in windows if rate * n > 0.0)
    kept = terms[: len(terms) - math.floor(len(terms) * default.DISPERSION_TRIM)]
    if len(kept) < 2:
        return 1.0
    fano = math.fsum(kept) / len(kept)
    chance = 1.0 + default.DISPERSION_SIGMAS * math.sqrt(2.0 / len(kept))
    return fano if fano > chance else 1.0
