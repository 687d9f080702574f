"""How much of everything, and what takes load off it."""

from backendctl.advice.database import reads
from backendctl.advice.rules import Finding, number, production, rule
from backendctl.spec import derive
from backendctl.spec.model import Spec
from backendctl.spec.units import DURATION, FRACTION

TOPIC = "Scaling"
CACHE_FROM = 100.0
"""Reads/s at twice the peak; below it a database answers from its own memory."""
CACHE_READS = 0.7
"""Share of reads below which most entries are overwritten before they are read again."""
HIT_RATIO = 0.8
"""Assumed until measured."""
BIG_MACHINE = 16
"""Processes that one common machine (16 vCPU) runs; beyond it more machines are cheaper."""


@rule(
    TOPIC,
    ("load.peak_rps", "load.peak_users", "load.think_time", "slo.p95"),
    'J. D. C. Little, "A Proof for the Queuing Formula: L = lambda W" (1961): N = X (R + Z)',
)
def twice_the_peak(spec: Spec) -> Finding:
    twice, load = derive.demand(spec), spec.load
    in_flight = twice.rps * spec.slo.p95
    return Finding(
        f"Tested at {number(twice.rps)} requests/s and {number(twice.users)} users at once",
        f"{derive.PEAK_MULTIPLE:g} x the peak of {number(load.peak_rps)} requests/s and "
        f"{number(load.peak_users)} users, who think {DURATION.render(load.think_time)} between "
        f"requests; at the p95 up to {number(in_flight)} requests are in flight",
        "load.peak_rps or load.peak_users; the other follows",
    )


@rule(
    TOPIC,
    (
        "load.peak_rps",
        "service.rps_per_worker",
        "slo.availability",
        "slo.p95",
        "data.max_connections",
        "data.engine",
    ),
    "Utilisation law, U = X S, and M/M/1 response time S / (1 - U); Little's law for the pool; "
    'FastAPI documentation, "FastAPI in Containers" (one process per container); PostgreSQL '
    'documentation, "Connections and Authentication" (max_connections)',
)
def size(spec: Spec) -> Finding:
    environment = production(spec)
    needed = derive.least_connections(spec, environment)
    if spec.data.engine != "none" and needed > spec.data.max_connections:
        return Finding(
            f"{derive.replicas(spec, environment)} replicas behind a connection pooler (PgBouncer)",
            f"two releases at once need {needed} connections, and data.max_connections is "
            f"{spec.data.max_connections}",
            f"data.max_connections of at least {needed}",
        )
    sized = derive.sizing(spec, environment)
    pool = (
        f"; a pool of {sized.pool} + {sized.overflow} connections each, {sized.connections} of "
        f"{sized.max_connections} in use during a rollout"
        if sized.pool
        else ""
    )
    capacity = spec.service.rps_per_worker
    stated = environment.replicas is not None
    load = f"{number(derive.demand(spec).rps)} requests/s at twice the peak"
    return Finding(
        f"{sized.replicas} {'replica' if sized.replicas == 1 else 'replicas'} of {sized.workers} "
        f"worker in {environment.name!r}{pool}",
        (
            f"stated for {environment.name!r}: {load} are "
            f"{number(derive.demand(spec).rps / sized.replicas)} for each"
            if stated
            else f"{load}, {number(capacity)} a worker at most, filled to "
            f"{FRACTION.render(derive.UTILISATION)} then and to half of that at the peak, where "
            f"queueing makes requests {number(1 / (1 - derive.UTILISATION / 2))} times as long; "
            f"at least {_least(spec)}"
        ),
        "service.rps_per_worker, once `backendctl loadtest run --with stress` has measured it"
        + ("; or no environments replicas" if stated else ""),
    )


def _least(spec: Spec) -> str:
    if spec.slo.availability >= derive.ZONED_AVAILABILITY:
        return f"{derive.ZONED_REPLICAS}, one per zone"
    return f"{derive.LEAST_REPLICAS}, so that one may be lost"


@rule(
    TOPIC,
    ("load.peak_rps", "service.rps_per_worker", "load.growth"),
    'N. Gunther, "Guerrilla Capacity Planning" (2007), Universal Scalability Law: each further '
    "machine adds less than the one before",
)
def vertical_or_horizontal(spec: Spec) -> Finding:
    capacity = spec.service.rps_per_worker * derive.UTILISATION
    needed = derive.demand(spec).rps / capacity
    years = derive.years_until(spec, BIG_MACHINE / needed) if needed < BIG_MACHINE else 0.0
    horizon = f"; at {spec.load.growth:.0%} growth for {years:.1f} years" if 0 < years < 100 else ""
    if needed <= BIG_MACHINE:
        return Finding(
            "A larger machine first; a second one for availability, not for load",
            f"{number(needed)} busy worker processes at twice the peak fit the {BIG_MACHINE} "
            f"cores of one common machine{horizon}",
            f"load.peak_rps over {number(BIG_MACHINE * capacity / derive.PEAK_MULTIPLE)}",
        )
    return Finding(
        "More machines: scale out by replicas on CPU, the database still by a larger machine",
        f"{number(needed)} busy worker processes at twice the peak exceed the {BIG_MACHINE} cores "
        "of one common machine",
        f"load.peak_rps of at most {number(BIG_MACHINE * capacity / derive.PEAK_MULTIPLE)}, or a "
        "higher measured service.rps_per_worker",
    )


@rule(TOPIC, ("load.growth", "load.peak_rps"), "Compound growth, X (1 + g)^t")
def growth(spec: Spec) -> Finding | None:
    if spec.load.growth == 0:
        return None
    years = derive.years_until(spec, derive.PEAK_MULTIPLE)
    return Finding(
        f"Plan for {number(derive.peak_in(spec, 1))} requests/s in a year, "
        f"{number(derive.peak_in(spec, 3))} in three",
        f"{number(spec.load.peak_rps)} requests/s growing {FRACTION.render(spec.load.growth)} a "
        f"year; the headroom that the load test proves is used up in {years:.1f} years",
        "load.growth",
    )


@rule(
    TOPIC,
    ("load.reads", "load.peak_rps", "data.consistency", "cache.engine", "cache.ttl"),
    'AWS whitepaper "Database Caching Strategies Using Redis" (lazy loading, write-through); '
    'R. Nishtala et al., "Scaling Memcache at Facebook" (2013); RFC 9111 (HTTP Caching)',
)
def cache(spec: Spec) -> Finding:
    rate, share = reads(spec), spec.load.reads
    ttl = DURATION.render(spec.cache.ttl)
    facts = f"{number(rate)} reads/s at twice the peak, {FRACTION.render(share)} of all requests"
    if rate < CACHE_FROM or share < CACHE_READS:
        there = "; one is configured all the same" * (spec.cache.engine != "none")
        return Finding(
            "No cache for speed" + there,
            f"{facts}: below {number(CACHE_FROM)} reads/s or {FRACTION.render(CACHE_READS)} reads "
            "a cache adds stale data and a part that can fail, and saves little",
            f"over {number(CACHE_FROM)} reads/s at twice the peak with at least "
            f"{FRACTION.render(CACHE_READS)} reads",
        )
    left = f"at {FRACTION.render(HIT_RATIO)} hits {number(rate * (1 - HIT_RATIO))} are left"
    if spec.data.consistency == "strong":
        return Finding(
            f"Write-through (or delete on write), with a TTL of {ttl} as the upper bound of error",
            f'{facts}; {left}. consistency = "strong": an entry must change with its row',
            'data.consistency = "eventual" (cache-aside)',
        )
    return Finding(
        f"Cache-aside with a TTL of {ttl}, jittered, one filler per key",
        f'{facts}; {left}. consistency = "eventual": {ttl} of staleness is accepted',
        'data.consistency = "strong" (write-through), or fewer reads',
    )


@rule(
    TOPIC,
    ("product.work", "integrations", "slo.p99"),
    'C. Richardson, "Microservices Patterns" (2018), transactional outbox; H. Garcia-Molina, '
    'K. Salem, "Sagas" (1987); G. Hohpe, B. Woolf, "Enterprise Integration Patterns" (2003)',
)
def queue(spec: Spec) -> Finding:
    slow = [i.name for i in spec.integrations if i.timeout * (i.retries + 1) > spec.slo.p99]
    if spec.product.work == "long-running":
        return Finding(
            "A durable workflow engine (such as Temporal); each step idempotent with an undo",
            'work = "long-running": many steps over hours have to survive restarts and releases',
            'product.work = "background" or "in-request"',
        )
    if spec.product.work == "background" or slow:
        why = (
            'work = "background"'
            if spec.product.work == "background"
            else f"{', '.join(slow)} may take longer with all retries than the p99 of "
            f"{DURATION.render(spec.slo.p99)}"
        )
        return Finding(
            "A queue with a worker, filled from a transactional outbox; at-least-once, idempotent",
            f"{why}: it must not be done before the answer, and must not be lost after it",
            'product.work = "in-request" and integrations whose timeout x (retries + 1) is within '
            "the p99",
        )
    return Finding(
        "No queue",
        f"all work is done before the answer, and no integration exceeds the p99 of "
        f"{DURATION.render(spec.slo.p99)}",
        'product.work = "background", or an integration slower than the p99',
    )


RULES = (twice_the_peak, size, vertical_or_horizontal, growth, cache, queue)
