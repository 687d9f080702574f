"""What follows from a `Spec`: one function per derivation, each with its formula and source.

All are pure. Rates are requests per second, times are seconds unless a name says otherwise.
"""

import math
from dataclasses import dataclass

from backendctl.errors import BackendctlError
from backendctl.spec.model import Environment, PlatformName, Spec

PEAK_MULTIPLE = 2.0
"""The load a service is sized for and tested at, as a multiple of its expected peak."""
UTILISATION = 0.7
"""The share of a worker's capacity used at the sized load. In an M/M/1 queue response time is
S / (1 - U): at 0.7 it is 3.3 times the service time, at 0.9 ten times."""
LOCAL_MOST_REPLICAS = 2
"""`local` shares one machine with database, gateway and load generator; two are enough for one
to answer while the other restarts."""
LEAST_REPLICAS = 2
"""So that one may be lost, or moved to another node, without an outage."""
ZONED_REPLICAS = 3
"""One in each of three zones, from `ZONED_AVAILABILITY` on."""
ZONED_AVAILABILITY = 0.9995
"""A single zone's EC2 instances are promised at 99.5 % (Amazon Compute SLA, instance level): more
than this has to survive the loss of a zone."""
RESERVED_CONNECTIONS = 10
"""Kept free: PostgreSQL's superuser_reserved_connections (3), a migration, backups, a person."""
ARMS = 2
"""Stable and candidate are connected at the same time during a rollout."""
LEAST_POOL = 2
PITR_LAG = 300.0
"""Point-in-time recovery trails by about five minutes (Amazon RDS User Guide, "Restoring a DB
instance to a specified time": LatestRestorableTime is typically within the last 5 minutes)."""
ERROR_BUDGET_WINDOW = 30 * 86400.0


# --- load -------------------------------------------------------------------------------------


def rate(users: float, think_time: float, response: float = 0.0) -> float:
    """Requests per second of a closed loop of `users`: X = N / (R + Z), Little's law.

    Without a response time it is the highest rate those users can make.
    """
    return users / (response + think_time)


def users(rate: float, think_time: float, response: float) -> int:
    """Users at the same time who make `rate`: N = X (R + Z), Little's law, rounded up."""
    return max(1, math.ceil(round(rate * (response + think_time), 6)))


@dataclass(frozen=True, slots=True)
class Demand:
    """A load, said both ways."""

    rps: float
    """Offered by an open loop."""
    users: int
    """Making that rate in a closed loop, each waiting `think_time` between requests."""
    think_time: float


def demand(spec: Spec, multiple: float = PEAK_MULTIPLE) -> Demand:
    """The expected peak times `multiple`, as the load test offers it."""
    load = spec.load
    return Demand(load.peak_rps * multiple, math.ceil(load.peak_users * multiple), load.think_time)


def sustained_rps(spec: Spec) -> float:
    """The rate over a usual day: the peak's, in proportion to the users who are there."""
    return spec.load.peak_rps * spec.load.sustained_users / spec.load.peak_users


def monthly_requests(spec: Spec) -> float:
    """Requests in 30 days at the sustained rate."""
    return sustained_rps(spec) * ERROR_BUDGET_WINDOW


def peak_in(spec: Spec, years: float) -> float:
    """The peak after `years`: X (1 + g)^years."""
    return float(spec.load.peak_rps * (1 + spec.load.growth) ** years)


def years_until(spec: Spec, multiple: float) -> float:
    """Years until the peak has grown `multiple` times: ln m / ln(1 + g); endless without growth."""
    growth = spec.load.growth
    return math.log(multiple) / math.log1p(growth) if growth > 0 else math.inf


# --- promises ---------------------------------------------------------------------------------


def error_budget(spec: Spec) -> float:
    """Seconds of full outage that 30 days allow: (1 - availability) x 30 d."""
    return (1 - spec.slo.availability) * ERROR_BUDGET_WINDOW


def burn_rate(spec: Spec) -> float:
    """How many times the error budget a release uses up that just stays under error_rate."""
    return spec.slo.error_rate / (1 - spec.slo.availability)


def slo_edges_ms(spec: Spec) -> tuple[float, float]:
    """p95 and p99 in ms, to be edges of every latency histogram.

    A threshold that is no edge can only be judged at the edge below it.
    """
    return round(spec.slo.p95 * 1000, 3), round(spec.slo.p99 * 1000, 3)


# --- size -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sizing:
    """What one release gets in one environment."""

    replicas: int
    workers: int
    """Processes per replica."""
    pool: int
    """Database connections each worker keeps; 0 without a database."""
    overflow: int
    """Connections it may open beyond those for a burst."""
    connections: int
    """At most, while a rollout runs both releases."""
    max_connections: int
    """What the database accepts; 0 without one."""


def replicas(spec: Spec, environment: Environment) -> int:
    """Processes or pods per release.

    As stated, or ceil(2X / (capacity of one worker x 0.7)) and at least two (three from 99.95 %
    on, one per zone); on `local` one or two.
    """
    if environment.replicas is not None:
        return environment.replicas
    capacity = spec.service.rps_per_worker * UTILISATION
    needed = math.ceil(round(demand(spec).rps / capacity, 6))
    if environment.platform is PlatformName.LOCAL:
        return max(1, min(needed, LOCAL_MOST_REPLICAS))
    zoned = spec.slo.availability >= ZONED_AVAILABILITY
    return max(needed, ZONED_REPLICAS if zoned else LEAST_REPLICAS)


def least_replicas(spec: Spec, environment: Environment) -> int:
    """Processes or pods that a release may shrink to where the platform adds some at the peak.

    ceil(sustained / (capacity of one worker x 0.7)), but enough to lose one, as `replicas`, which
    it never exceeds; a stated number is kept.
    """
    most = replicas(spec, environment)
    if environment.replicas is not None:
        return most
    needed = math.ceil(round(sustained_rps(spec) / (spec.service.rps_per_worker * UTILISATION), 6))
    zoned = spec.slo.availability >= ZONED_AVAILABILITY
    return min(most, max(needed, ZONED_REPLICAS if zoned else LEAST_REPLICAS))


def cores(spec: Spec, environment: Environment) -> float:
    """Cores that one replica uses at the expected peak: X / (replicas x rate of one worker).

    A worker process is saturated at one core, and is given no more.
    """
    share = spec.load.peak_rps / (replicas(spec, environment) * spec.service.rps_per_worker)
    return min(1.0, share)


def connection_share(spec: Spec, environment: Environment) -> int:
    """Connections one worker may hold: (max_connections - reserved) / (2 arms x workers)."""
    free = spec.data.max_connections - RESERVED_CONNECTIONS
    return free // (ARMS * replicas(spec, environment))


def sizing(spec: Spec, environment: Environment) -> Sizing:
    """Replicas, workers and connection pool of a release.

    One worker process per replica: the platform scales, restarts and routes by replica, and on
    Kubernetes one process per container is what FastAPI's documentation advises ("FastAPI in
    Containers - Docker"). The pool holds the connections in use at twice the peak if each request
    keeps one for as long as the SLO's p95 (Little's law, L = X W), and may double for a burst:

        arms x replicas x workers x (pool + overflow) + reserved <= max_connections

    Raises BackendctlError `spec.contradiction` if not even the least pool fits.
    """
    count, workers = replicas(spec, environment), 1
    if spec.data.engine == "none":
        return Sizing(count, workers, 0, 0, 0, 0)
    share = connection_share(spec, environment)
    if share < LEAST_POOL:
        raise BackendctlError(
            "spec.contradiction",
            f"{count} replicas in {environment.name!r} need more connections than data."
            f"max_connections = {spec.data.max_connections} leaves",
            cause=f"two releases at once, {LEAST_POOL} connections a process, "
            f"{RESERVED_CONNECTIONS} kept free",
            next=(
                "put a connection pooler such as PgBouncer before the database, or raise "
                f"data.max_connections to {least_connections(spec, environment)}",
            ),
        )
    in_use = math.ceil(round(demand(spec).rps / (count * workers) * spec.slo.p95, 6))
    pool = max(LEAST_POOL, min(in_use, share))
    overflow = min(pool, share - pool)
    most = ARMS * count * workers * (pool + overflow) + RESERVED_CONNECTIONS
    return Sizing(count, workers, pool, overflow, most, spec.data.max_connections)


def least_connections(spec: Spec, environment: Environment) -> int:
    """The fewest connections with which an environment can run a rollout."""
    return ARMS * replicas(spec, environment) * LEAST_POOL + RESERVED_CONNECTIONS
