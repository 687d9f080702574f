"""Dispersion: how much more the events vary than independent events would.

Retries, sticky users, failing batches and pods make events come in clusters; each cluster then
tells about as much as one event, so log E is divided by the dispersion. It is the largest of that
in stable's history and of two estimates in this rollout, each over windows of several lengths and
each counted only when it exceeds 1 by four standard errors. Both leave alone what is merely bad: a
release that fails steadily, or steadily from some moment on, is not taken for a bursty one.
"""

import math
from dataclasses import dataclass, replace

from backendctl.rollout.verdict import parameters as default


@dataclass(frozen=True, slots=True)
class Split:
    """How the candidate's part of both arms' events varies.

    A window has T events, X of them the candidate's. With p the step's own share,

        dispersion = sum (X - p T)^2 / (p (1-p) (sum T - sum T^2 / sum T)),

    the variance of the score over what independent events would show. Windows with many events
    weigh more: an outage is what makes evidence swing.
    """

    x: int = 0
    t: int = 0
    xx: int = 0
    xt: int = 0
    tt: int = 0
    """Sums over whole windows."""
    open_x: int = 0
    open_t: int = 0
    open_seconds: float = 0.0
    """The window that is not full yet."""

    def after(self, x: int, t: int, seconds: float, window: float) -> "Split":
        x, t, length = self.open_x + x, self.open_t + t, self.open_seconds + seconds
        if length < window * _WHOLE:
            return Split(self.x, self.t, self.xx, self.xt, self.tt, x, t, length)
        return Split(self.x + x, self.t + t, self.xx + x * x, self.xt + x * t, self.tt + t * t)

    def value(self) -> float:
        if self.t == 0:
            return 1.0
        p = (self.x + 0.5) / (self.t + 1.0)
        q = p * (1.0 - p)
        expected = q * (self.t - self.tt / self.t)
        squares = max(0.0, self.xx - 2.0 * p * self.xt + p * p * self.tt)
        variance = 2.0 * q * q * self.tt + max(0.0, q * (1.0 - 6.0 * q)) * self.t
        return _beyond_chance(squares, expected, variance)


@dataclass(frozen=True, slots=True)
class Bursts:
    """How the candidate's rate of events varies from each window to the next.

    A window has T requests, X of them events. With h = T T' / (T + T') of neighbours,

        dispersion = sum h^2 (X/T - X'/T')^2 / (p (1-p) sum h)

    (von Neumann's successive differences). Bursts that come and go keep it high; a change that
    stays makes one difference only.
    """

    x: int = 0
    t: int = 0
    """Sums over whole windows."""
    last_x: int = 0
    last_t: int = 0
    squares: float = 0.0
    h: float = 0.0
    hh: float = 0.0
    open_x: int = 0
    open_t: int = 0
    open_seconds: float = 0.0
    """The window that is not full yet."""

    def after(self, x: int, t: int, seconds: float, window: float) -> "Bursts":
        x, t, length = self.open_x + x, self.open_t + t, self.open_seconds + seconds
        if length < window * _WHOLE:
            return replace(self, open_x=x, open_t=t, open_seconds=length)
        if t == 0:  # a window without requests says nothing
            return replace(self, open_x=0, open_t=0, open_seconds=0.0)
        squares, h, hh = self.squares, self.h, self.hh
        if self.last_t > 0:
            weight = t * self.last_t / (t + self.last_t)
            squares += (weight * (x / t - self.last_x / self.last_t)) ** 2
            h, hh = h + weight, hh + weight * weight
        return Bursts(self.x + x, self.t + t, x, t, squares, h, hh)

    def value(self) -> float:
        if self.t == 0:
            return 1.0
        p = (self.x + 0.5) / (self.t + 1.0)
        q = p * (1.0 - p)
        # Neighbouring differences share a window, which makes their variance half as large again.
        variance = 1.5 * (2.0 * q * q * self.hh + q * self.h / 4.0)
        return _beyond_chance(self.squares, q * self.h, variance)


_WHOLE = 0.999
"""A window is full at this part of its length: block times are floats."""


def _beyond_chance(squares: float, expected: float, variance: float) -> float:
    if expected <= 0.0:
        return 1.0
    dispersion = squares / expected
    chance = 1.0 + default.RUNNING_SIGMAS * math.sqrt(variance) / expected
    return dispersion if dispersion > chance else 1.0


_WINDOWS = len(default.DISPERSION_WINDOWS)


@dataclass(frozen=True, slots=True)
class Dispersion:
    """The dispersion of one metric, and what it is computed from."""

    value: float = 1.0
    peak: float = 1.0
    """Highest value so far."""
    past: float = 1.0
    """Highest value of the steps before, and of stable's history."""
    split: tuple[Split, ...] = (Split(),) * _WINDOWS
    bursts: tuple[Bursts, ...] = (Bursts(),) * _WINDOWS

    def begin_step(self) -> "Dispersion":
        """At another weight the rates and shares are estimated anew."""
        return Dispersion(self.value, self.peak, self.value)

    def after(
        self,
        hits: int,
        stable_hits: int,
        requests: int,
        seconds: float,
        scale: float,
        outage: bool = False,
    ) -> "Dispersion":
        """With one more block: both arms' events and the candidate's requests.

        `scale` is T of the speed limit, seconds. In an outage of both arms a burst of the
        candidate's is not its own, so only the split between the arms is looked at.
        """
        split = tuple(
            each.after(hits, hits + stable_hits, seconds, window * scale)
            for each, window in zip(self.split, default.DISPERSION_WINDOWS, strict=True)
        )
        bursts = tuple(
            each.after(0 if outage else hits, 0 if outage else requests, seconds, window * scale)
            for each, window in zip(self.bursts, default.DISPERSION_WINDOWS, strict=True)
        )
        value = max(
            self.past,
            *(s.value() for s in split),
            *(min(default.DISPERSION_CAP, b.value()) for b in bursts),
        )
        return Dispersion(value, max(self.peak, value), self.past, split, bursts)


def unseen(floor: float) -> Dispersion:
    """Before the first block: the dispersion of stable's history."""
    floor = max(1.0, floor)
    return Dispersion(floor, floor, floor)
