"""What the two arms do: every trace, for tuning and, with other numbers, for evaluation.

Parameters of the verdict were tuned on seeds below 10,000 and on `TUNING`. `bench.verdict` reports
`EVALUATION` on seeds from 1,000,000 on, in which cluster sizes, outages, bursts, surges and the
rates beside 0.5 % are others.

Truth is decided by the release, not by what its traffic looked like: a good release does in the
long run, on both arms' infrastructure, what stable does. A pod that dies, a burst that happens to
hit the candidate once, a cold cache are no fault of a release; a candidate that has bursts again
and again, where stable has none, is bad.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Rates = Mapping[str, float]
GOOD: Rates = {"errors": 0.005, "slo_p95": 0.02, "stable_p99": 0.01, "slo_p99": 0.004}
"""Requests that fail, and that are slower than 300 ms (the SLO's p95), 800 ms (stable's own p99)
and 1 s (the SLO's p99). Each slower class is part of the one before."""


@dataclass(frozen=True)
class Incidents:
    """Spans of time in which a share of requests fails."""

    per_hour: float
    """Of each pod for pods, of the service otherwise; they come independently of each other."""
    seconds: float
    severity: float = 1.0
    """Share of the requests that fail."""
    once: bool = False
    """One only, at a random time within the first ten minutes."""
    regular: bool = False
    """At equal distances, from a random time on."""


@dataclass(frozen=True)
class Surge:
    """The candidate's rates after each rise of its weight, until its caches are warm."""

    multiple: float
    seconds: float
    """How long it lasts; for a decaying one its time constant."""
    decays: bool = False
    metrics: tuple[str, ...] = ("errors", "slo_p95", "stable_p99", "slo_p99")


@dataclass(frozen=True, eq=False)
class Trace:
    """The arms' rates, and what comes on top."""

    name: str
    good: bool
    effect: str
    """What is wrong with the candidate, or with the world."""
    stable: Rates = field(default_factory=lambda: GOOD)
    candidate: Rates = field(default_factory=lambda: GOOD)
    limit: float = 0.01
    """The SLO's most errors per request."""
    cluster: str = "none"
    """none | fixed | geometric: errors come in clusters of this mean size, each on one arm."""
    cluster_size: float = 1.0
    pods: Incidents | None = None
    """One of ten pods, shared out between the arms by weight, fails its requests."""
    common: Incidents | None = None
    """Both arms fail requests."""
    own: Incidents | None = None
    """Only the candidate fails requests."""
    client: Incidents | None = None
    """A client that sends `severity` of all requests, all of which fail."""
    sticky: bool = False
    """Sessions stay with an arm: all requests of a client go to one, by a number of its own."""
    surge: Surge | None = None
    onset: float = 0.0
    """Seconds into the rollout before which the candidate does as well as stable."""
    onset_share: float = 0.0
    """Share of the requests under which it does as well as stable."""
    cycle: float = 0.0
    """Amplitude of a daily cycle, run through in an hour, of traffic and both arms' errors."""
    missing: float = 0.0
    """Chance that an arm's counters cannot be read, each time."""
    silent: bool = False
    """The candidate's counters can never be read."""
    resets: float = 0.0
    """Restarts per hour of one of an arm's ten pods: counts since the last look are lost."""
    skew: float = 1.0
    """The candidate's true share in multiples of its weight."""
    retries: int = 0
    """Times that a failed request is tried again, routed anew; 80 % of the tries fail too."""
    endpoint: float = 0.0
    """Share of the traffic of an endpoint that always fails on the candidate."""


def rates(**multiples: float) -> Rates:
    """The good rates, some of them multiplied."""
    return {**GOOD, **{key: GOOD[key] * value for key, value in multiples.items()}}


def with_errors(rate: float) -> Rates:
    return {**GOOD, "errors": rate}


@dataclass(frozen=True)
class Numbers:
    """What differs between the tuning and the evaluation traces."""

    low: float
    high: float
    """Error rates beside 0.5 %, with SLOs of 1 % and twice `high`."""
    fixed_cluster: float
    geometric_cluster: float
    pod_out: Incidents
    pods_out: Incidents
    """So many that stable itself breaks the SLO."""
    outage: Incidents
    burst: Incidents
    bursts: Incidents
    warm_up: Surge
    cold: Surge
    missing: float
    resets: float
    skew: float
    late: float
    crash: Incidents
    client: Incidents


def _good(n: Numbers) -> tuple[Trace, ...]:
    flat = with_errors(0.0)
    base = with_errors(0.0015)
    high, low, tail = with_errors(n.high), with_errors(n.low), rates(slo_p99=2.25)
    return (
        Trace("zero errors", True, "none", flat, flat),
        Trace("independent 0.5 %", True, "none"),
        Trace("independent, low rate", True, f"{100 * n.low:g} % errors", low, low),
        Trace(
            "independent, high rate", True, f"{100 * n.high:g} % errors", high, high, 2.0 * n.high
        ),
        Trace("p99 near its limit", True, "0.9 % slower than the SLO's p99", tail, tail),
        Trace("daily cycle", True, "traffic and errors x0.4 to x1.6 in an hour", cycle=0.6),
        Trace(
            "fixed clusters",
            True,
            f"errors in fives and more: x{n.fixed_cluster:g}",
            cluster="fixed",
            cluster_size=n.fixed_cluster,
        ),
        Trace(
            "geometric clusters",
            True,
            f"clusters of mean size {n.geometric_cluster:g}",
            cluster="geometric",
            cluster_size=n.geometric_cluster,
        ),
        Trace("retries", True, "up to 4 tries more of 0.15 %", base, base, retries=4),
        Trace("one bad pod of ten", True, _said(n.pod_out) + " of each pod", pods=n.pod_out),
        Trace(
            "bad pods, both arms over the SLO",
            True,
            _said(n.pods_out) + " of each pod",
            pods=n.pods_out,
        ),
        Trace("outage of both arms", True, _said(n.outage), common=n.outage),
        Trace("one burst, candidate only", True, _said(n.burst), own=n.burst),
        Trace("warm-up", True, f"x{n.warm_up.multiple:g}", surge=n.warm_up),
        Trace("cold cache", True, f"latencies x{n.cold.multiple:g}, decaying", surge=n.cold),
        Trace("missing scrapes", True, f"{100 * n.missing:g} % of them", missing=n.missing),
        Trace("counter resets", True, f"{n.resets:g} an hour", resets=n.resets),
        Trace("routing skew 5 %", True, "share x1.05", skew=1.05),
        Trace("routing skew, large", True, f"share x{n.skew:g}", skew=n.skew),
        Trace("one bad client", True, _said(n.client), client=n.client),
        Trace("one bad client, sticky", True, _said(n.client), client=n.client, sticky=True),
    )


def _bad(n: Numbers) -> tuple[Trace, ...]:
    slow = rates(slo_p95=4.0, stable_p99=6.0, slo_p99=6.0)
    return (
        Trace("errors 2x", False, "0.5 % to 1 %", candidate=rates(errors=2.0)),
        Trace("errors 3x", False, "0.5 % to 1.5 %", candidate=rates(errors=3.0)),
        Trace("errors 10x", False, "0.5 % to 5 %", candidate=rates(errors=10.0)),
        Trace("every request fails", False, "100 %", candidate=with_errors(1.0)),
        Trace("all latencies doubled", False, "slow requests x4 to x6", candidate=slow),
        Trace(
            "slow path",
            False,
            "beyond stable's p99 x2, inside the SLO",
            candidate=rates(stable_p99=2.0),
        ),
        Trace(
            "late regression",
            False,
            f"errors 3x after {n.late:g} s",
            candidate=rates(errors=3.0),
            onset=n.late,
        ),
        Trace("errors after 30 s", False, "errors 10x", candidate=rates(errors=10.0), onset=30.0),
        Trace(
            "errors under load",
            False,
            "errors 10x from 20 % of the traffic on",
            candidate=rates(errors=10.0),
            onset_share=0.2,
        ),
        Trace("crash loop", False, _said(n.crash), own=n.crash),
        Trace("bursts, candidate only", False, _said(n.bursts), own=n.bursts),
        Trace(
            "errors 10x, missing scrapes",
            False,
            f"{100 * n.missing:g} % of the scrapes",
            candidate=rates(errors=10.0),
            missing=n.missing,
        ),
        Trace(
            "errors 2x, sticky sessions",
            False,
            "0.5 % to 1 %",
            candidate=rates(errors=2.0),
            sticky=True,
        ),
        Trace(
            "errors 10x, sticky sessions",
            False,
            "0.5 % to 5 %",
            candidate=rates(errors=10.0),
            sticky=True,
        ),
        Trace("no data", False, "the candidate cannot be measured", silent=True),
        Trace(
            "broken endpoint",
            False,
            "2 % of the traffic fails",
            candidate=GOOD,
            endpoint=0.02,
        ),
    )


def _said(i: Incidents) -> str:
    often = "once" if i.once else f"{i.per_hour:g} an hour"
    return f"{100 * i.severity:g} % for {i.seconds:g} s, {often}"


TUNING_NUMBERS = Numbers(
    low=0.001,
    high=0.02,
    fixed_cluster=5.0,
    geometric_cluster=20.0,
    pod_out=Incidents(0.2, 30.0),
    pods_out=Incidents(1.0, 30.0),
    outage=Incidents(1.0, 30.0, 0.5),
    burst=Incidents(0.0, 30.0, 0.3, once=True),
    bursts=Incidents(15.0, 20.0, 0.3),
    warm_up=Surge(20.0, 30.0),
    cold=Surge(8.0, 15.0, decays=True, metrics=("slo_p95", "stable_p99", "slo_p99")),
    missing=0.1,
    resets=12.0,
    skew=1.3,
    late=150.0,
    crash=Incidents(60.0, 15.0, regular=True),
    client=Incidents(2.0, 300.0, 0.01),
)
EVALUATION_NUMBERS = Numbers(
    low=0.002,
    high=0.01,
    fixed_cluster=7.0,
    geometric_cluster=12.0,
    pod_out=Incidents(0.15, 45.0),
    pods_out=Incidents(0.7, 45.0),
    outage=Incidents(1.5, 20.0, 0.4),
    burst=Incidents(0.0, 20.0, 0.5, once=True),
    bursts=Incidents(20.0, 15.0, 0.4),
    warm_up=Surge(15.0, 25.0),
    cold=Surge(6.0, 20.0, decays=True, metrics=("slo_p95", "stable_p99", "slo_p99")),
    missing=0.2,
    resets=20.0,
    skew=1.25,
    late=200.0,
    crash=Incidents(45.0, 20.0, regular=True),
    client=Incidents(3.0, 200.0, 0.015),
)
TUNING = (*_good(TUNING_NUMBERS), *_bad(TUNING_NUMBERS))
EVALUATION = (*_good(EVALUATION_NUMBERS), *_bad(EVALUATION_NUMBERS))
INDEPENDENT = (
    "zero errors",
    "independent 0.5 %",
    "independent, low rate",
    "independent, high rate",
    "p99 near its limit",
    "daily cycle",
)
"""The good traces in which events are independent, given the hour; the others are disturbed."""
TUNING_SEED, EVALUATION_SEED = 1, 1_000_000
"""First seed of each. Every run of a cell has its own, far from those of other cells."""


def called(name: str, among: tuple[Trace, ...] = EVALUATION) -> Trace:
    """The trace of this name."""
    return among[_place(name, among)]


def place(name: str) -> int:
    """Where in the list a trace stands: its seeds follow from that."""
    return _place(name, EVALUATION)


def _place(name: str, among: tuple[Trace, ...]) -> int:
    return [trace.name for trace in among].index(name)


def before(trace: Trace) -> Trace:
    """The same world without a candidate: what stable's history is made of."""
    return replace(trace, candidate=trace.stable, own=None, surge=None, silent=False, endpoint=0.0)
