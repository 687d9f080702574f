"""What a load test offers, derived from the promises: twice the expected peak, both ways.

Open: requests arrive at 2X whatever the service does, as from many independent users (Poisson).
Closed: 2N users who wait for each answer and then think. The two agree when N = X (R + Z), by
Little's law, with R the response time and Z the think time; a service that stalls slows a closed
loop down, so the open one finds what the closed one hides.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from backendctl.loadtest.intervals import LOOK_RISK, fewest
from backendctl.spec.derive import PEAK_MULTIPLE
from backendctl.spec.model import Load, Slo

SPIKE_FACTOR = 3.0
PREFLIGHT_SHARE = 0.05
STRESS_GROWTH = 1.25
"""Each stress step offers this many times the one before."""
STRESS_LIMIT = 16.0
"""Stress stops at this many times the expected peak even if the service still holds."""
RATE_PER_WORKER = 1000.0
"""Arrivals per second one worker is given. A Python worker's own lag grows beyond about 2,000."""
USERS_PER_WORKER = 2000
"""Closed-loop users one worker is given; with more, fewer of them think for a shorter time."""
SLACK = 0.8
"""Stated users and rate may disagree by this factor before it is worth a note."""
LONGEST_HOLD = 900.0
"""Seconds; the hold is not lengthened beyond this to collect requests for a verdict."""
LONGEST_EXTENSION = 60.0
"""Seconds; a hold that has decided nothing goes on for at most this, or as long again."""


class Loop(StrEnum):
    """Who decides when the next request is sent."""

    OPEN = "open"
    CLOSED = "closed"


class Extra(StrEnum):
    """Stages that run only on request."""

    SPIKE = "spike"
    SOAK = "soak"
    STRESS = "stress"


@dataclass(frozen=True, slots=True)
class Durations:
    """How long each stage lasts, in seconds. The one place of these defaults."""

    preflight: float = 5.0
    warm_up_least: float = 5.0
    warm_up_most: float = 60.0
    ramp: float = 10.0
    hold: float | None = None
    """None: a minute, or as long as a verdict on the 99th percentile needs at this rate."""
    closed_ramp: float = 5.0
    closed: float | None = None
    """None: as long as the hold."""
    spike: float = 30.0
    soak: float = 1800.0
    stress_step: float = 20.0


QUICK = Durations(
    preflight=1.0,
    warm_up_least=2.0,
    warm_up_most=4.0,
    ramp=1.0,
    hold=6.0,
    closed_ramp=0.5,
    closed=5.0,
    spike=4.0,
    soak=10.0,
    stress_step=3.0,
)
"""For a first look or a demonstration: a verdict needs about 400 requests in each held stage."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of the test at one kind of load."""

    name: str
    loop: Loop
    duration: float
    """Seconds; for a stage that waits until the service is stable, the least."""
    from_rate: float
    """Requests per second offered at its start; in a closed stage, expected."""
    to_rate: float
    users: int = 0
    judged: bool = False
    """Whether the verdict looks at it."""
    most: float = 0.0
    """Seconds after which a stage that waits for stability ends anyway; 0 if it does not wait."""
    spare: float = 0.0
    """Seconds by which it may go on, once, where its own time decides nothing."""
    extended: float = 0.0
    """Seconds of `duration` by which it did go on."""

    @property
    def arrivals(self) -> int:
        """Requests an open stage offers: exact, not only on average."""
        return max(1, round((self.from_rate + self.to_rate) / 2 * self.duration))


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything the generator needs to know but the target and the requests themselves."""

    stages: tuple[Stage, ...]
    peak_rps: float
    offered_rps: float
    users: int
    think_time: float
    """Seconds, the mean of an exponential distribution."""
    request_timeout: float
    """Seconds after which a request counts as failed."""
    workers: int
    seed: int
    limits: Slo
    notes: tuple[str, ...] = field(default=())
    """What a reader of the plan should know."""

    @property
    def seconds(self) -> float:
        """The least time the stages take together."""
        return sum(stage.duration for stage in self.stages)

    def to_data(self) -> dict[str, Any]:
        """Plain values for JSON."""
        data = asdict(replace(self, limits=Slo()))
        data["limits"] = self.limits.model_dump(mode="json")
        data["seconds"] = self.seconds
        return data


def profile_from_data(data: Mapping[str, Any]) -> Profile:
    """The profile that `to_data` gave."""
    fields = {k: v for k, v in data.items() if k != "seconds"}
    stages = tuple(Stage(**{**each, "loop": Loop(each["loop"])}) for each in data["stages"])
    fields.update(stages=stages, limits=Slo(**data["limits"]), notes=tuple(data["notes"]))
    return Profile(**fields)


def derive(
    load: Load,
    slo: Slo,
    durations: Durations | None = None,
    extras: frozenset[Extra] = frozenset(),
    *,
    seed: int = 1,
    cores: int | None = None,
    loops: frozenset[Loop] = frozenset(Loop),
) -> Profile:
    """The load test that the promises ask for."""
    lengths = durations or Durations()
    rate = PEAK_MULTIPLE * load.peak_rps
    # A service slower than this has long broken its promise; waiting longer only ties up sockets.
    timeout = min(30.0, max(2.0, 5 * slo.p99))
    hold = _hold(lengths.hold, rate)
    stages: list[Stage] = [
        _open("preflight", lengths.preflight, PREFLIGHT_SHARE * rate),
        replace(
            _open("warm-up", lengths.warm_up_least, load.peak_rps),
            most=max(lengths.warm_up_least, lengths.warm_up_most),
        ),
    ]
    users, think, notes = _users(load, slo, cores or os.cpu_count() or 1)
    if Loop.OPEN in loops:
        stages += [
            Stage("ramp", Loop.OPEN, lengths.ramp, load.peak_rps, rate),
            _held(_open("hold", hold, rate)),
        ]
    if Loop.CLOSED in loops:
        expected = users / think if think else rate
        closed = hold if lengths.closed is None else lengths.closed
        stages += [
            Stage("closed ramp", Loop.CLOSED, lengths.closed_ramp, 0.0, expected, users),
            _held(Stage("closed hold", Loop.CLOSED, closed, expected, expected, users)),
        ]
    stages += _extra_stages(extras, lengths, load.peak_rps)
    top = max(stage.to_rate for stage in stages)
    workers = max(math.ceil(top / RATE_PER_WORKER), math.ceil(users / USERS_PER_WORKER), 1)
    available = cores or os.cpu_count() or 1
    if workers > available:
        notes.append(
            f"{workers} workers would be needed for {top:,.0f} requests/s, this machine has "
            f"{available} cores: expect the result to be invalid"
        )
        workers = available
    notes += _too_few_requests(stages)
    return Profile(
        stages=tuple(stages),
        peak_rps=load.peak_rps,
        offered_rps=rate,
        users=users,
        think_time=think,
        request_timeout=timeout,
        workers=workers,
        seed=seed,
        limits=slo,
        notes=tuple(notes),
    )


def _open(name: str, duration: float, rate: float) -> Stage:
    """A stage at constant rate whose duration makes a whole number of arrivals the exact rate."""
    count = max(1, round(rate * duration))
    return Stage(name, Loop.OPEN, count / rate, rate, rate)


def _held(stage: Stage) -> Stage:
    """A stage that is judged, and goes on where that decides nothing."""
    return replace(stage, judged=True, spare=min(stage.duration, LONGEST_EXTENSION))


def _extra_stages(extras: frozenset[Extra], lengths: Durations, peak: float) -> list[Stage]:
    stages: list[Stage] = []
    if Extra.SPIKE in extras:
        stages.append(_open("spike", lengths.spike, SPIKE_FACTOR * peak))
    if Extra.SOAK in extras:
        stages.append(replace(_open("soak", lengths.soak, peak), judged=True))
    if Extra.STRESS in extras:
        rate = PEAK_MULTIPLE * STRESS_GROWTH * peak
        while rate <= STRESS_LIMIT * peak:
            stages.append(_open(f"stress {rate / peak:.1f}x", lengths.stress_step, rate))
            rate *= STRESS_GROWTH
    return stages


def _hold(asked: float | None, rate: float) -> float:
    if asked is not None:
        return asked
    # Twice the bare minimum: dependence between requests makes them count for less.
    return min(LONGEST_HOLD, max(60.0, 2 * fewest(0.99, LOOK_RISK) / rate))


def _users(load: Load, slo: Slo, cores: int) -> tuple[int, float, list[str]]:
    """How many closed-loop users, their mean think time, and what to say about them."""
    wanted = math.ceil(PEAK_MULTIPLE * load.peak_users)
    notes = []
    # N = X (Z + R), with R anywhere between nothing and what the SLO allows.
    fastest = load.peak_users / load.think_time if load.think_time else math.inf
    slowest = load.peak_users / (load.think_time + slo.p95)
    if not SLACK * slowest <= load.peak_rps <= fastest / SLACK:
        notes.append(
            f"{load.peak_users:,} users who think {load.think_time:g} s make {slowest:,.1f} to "
            f"{fastest:,.1f} requests/s, not the stated {load.peak_rps:,.1f}: the closed stage "
            "offers what the users make"
        )
    most = USERS_PER_WORKER * cores
    if wanted <= most:
        return wanted, load.think_time, notes
    notes.append(
        f"{most} users think {load.think_time * most / wanted:.2f} s instead of {wanted} users "
        f"{load.think_time:g} s: the same rate from what this machine can hold"
    )
    return most, load.think_time * most / wanted, notes


def _too_few_requests(stages: list[Stage]) -> list[str]:
    needed = fewest(0.99, LOOK_RISK)
    return [
        f"{stage.name}: about {stage.to_rate * stage.duration:.0f} requests are too few to decide "
        f"on the 99th percentile ({needed} at least); expect an inconclusive result"
        for stage in stages
        if stage.judged and stage.to_rate * stage.duration < needed
    ]
