"""Which database, how many copies, and how it comes back."""

import math

from backendctl.advice.rules import Finding, number, rule
from backendctl.spec import derive
from backendctl.spec.model import Spec
from backendctl.spec.units import DURATION, SIZE

TOPIC = "Data"
PRIMARY_WRITES = 2_000.0
"""Writes/s one PostgreSQL primary takes with room to spare: an assumption to be measured with
pgbench on the real machine."""
PRIMARY_READS = 10_000.0
"""Reads/s, under the same proviso."""
MACHINE_MEMORY = 64 << 30
"""Bytes; of the machine that the size is compared with."""
STORAGE_LIMIT = 64 << 40
"""Bytes; Amazon RDS for PostgreSQL's largest volume."""

_KINDS = {
    "document": ("a document database (such as MongoDB)", "PostgreSQL with jsonb columns"),
    "key-value": ("a key-value store (such as DynamoDB)", "PostgreSQL, one table with a key"),
    "column-family": (
        "a column-family store (such as Cassandra)",
        "PostgreSQL with tables partitioned by time",
    ),
    "graph": ("a graph database (such as Neo4j)", "PostgreSQL with recursive queries"),
}


def writes(spec: Spec) -> float:
    """Writes per second at twice the peak."""
    return derive.demand(spec).rps * (1 - spec.load.reads)


def reads(spec: Spec) -> float:
    """Reads per second at twice the peak."""
    return derive.demand(spec).rps * spec.load.reads


def _within_one_primary(spec: Spec) -> bool:
    return writes(spec) <= PRIMARY_WRITES and spec.data.size <= STORAGE_LIMIT


@rule(
    TOPIC,
    ("data.shape", "data.consistency", "data.size", "load.peak_rps", "load.reads"),
    'M. Kleppmann, "Designing Data-Intensive Applications" (2017), chapter 2; PostgreSQL '
    'documentation, "JSON Types", "WITH Queries"; Amazon RDS User Guide, storage limits; '
    f"{PRIMARY_WRITES:,.0f} writes/s is an assumption to be measured with pgbench",
)
def database_kind(spec: Spec) -> Finding:
    data = spec.data
    load = f"{number(writes(spec))} writes/s at twice the peak and {SIZE.render(data.size)}"
    bound = f"one primary's {PRIMARY_WRITES:,.0f} writes/s and {SIZE.render(STORAGE_LIMIT)}"
    if data.shape == "relational":
        return Finding(
            "Relational: PostgreSQL",
            f"the data is relational, and {load} are "
            + ("within " if _within_one_primary(spec) else "over ")
            + bound,
            "another data.shape",
        )
    special, general = _KINDS[data.shape]
    if _within_one_primary(spec) or data.consistency == "strong":
        kept = (
            f"{load} are within {bound}"
            if _within_one_primary(spec)
            else 'consistency = "strong" wants transactions across keys'
        )
        return Finding(
            f"{general}, rather than {special}",
            f"the data is {data.shape}, but {kept}: one database to back up, secure and know",
            f"over {PRIMARY_WRITES:,.0f} writes/s or {SIZE.render(STORAGE_LIMIT)}, with "
            'data.consistency = "eventual"',
        )
    return Finding(
        special[0].upper() + special[1:],
        f'the data is {data.shape}, reads may be stale (consistency = "eventual"), and {load} '
        f"exceed {bound}",
        'data.consistency = "strong", or less load',
    )


@rule(
    TOPIC,
    ("data.consistency", "data.replicas", "data.engine"),
    'S. Gilbert, N. Lynch, "Brewer\'s conjecture" (2002); D. Abadi, "Consistency Tradeoffs in '
    'Modern Distributed Database System Design" (2012, PACELC); PostgreSQL documentation, '
    '"Streaming Replication" (asynchronous by default)',
)
def consistency(spec: Spec) -> Finding | None:
    data = spec.data
    if data.engine == "none":
        return None
    if data.consistency == "strong":
        where = f"the {data.replicas} replica(s) serve only reports and search" * bool(
            data.replicas
        )
        return Finding(
            "Read from the primary whatever the same user may just have written",
            'consistency = "strong", and an asynchronous replica trails its primary by '
            f"milliseconds to seconds; {where or 'there is no replica to read from'}",
            'data.consistency = "eventual"',
        )
    return Finding(
        "Read from replicas; send a user's own reads to the primary for a second after a write",
        'consistency = "eventual": a partition or a slow replica then costs staleness, not errors',
        'data.consistency = "strong"',
    )


@rule(
    TOPIC,
    ("load.peak_rps", "load.reads", "data.replicas", "load.growth", "data.engine"),
    'PostgreSQL documentation, "High Availability, Load Balancing, and Replication"; '
    f"{PRIMARY_READS:,.0f} reads/s a machine is an assumption to be measured with pgbench",
)
def read_replicas(spec: Spec) -> Finding | None:
    if spec.data.engine == "none":
        return None
    rate = reads(spec)
    needed = max(0, math.ceil(rate / PRIMARY_READS) - 1)
    years = derive.years_until(spec, PRIMARY_READS / rate) if 0 < rate < PRIMARY_READS else 0.0
    horizon = f"; at {spec.load.growth:.0%} growth that is reached in {years:.1f} years"
    if needed == 0:
        return Finding(
            "None needed for reads",
            f"{number(rate)} reads/s at twice the peak are under one machine's "
            f"{PRIMARY_READS:,.0f}" + horizon * (0 < years < 100),
            f"load.peak_rps over {number(PRIMARY_READS / 2 / max(spec.load.reads, 0.01))} with "
            "these reads",
        )
    return Finding(
        f"{needed} read replica{'s' * (needed > 1)}",
        f"{number(rate)} reads/s at twice the peak exceed one machine's {PRIMARY_READS:,.0f}; "
        f"data.replicas is {spec.data.replicas}",
        "a cache in front (see Cache), fewer reads, or a larger machine, measured",
    )


@rule(
    TOPIC,
    ("data.size", "load.peak_rps", "load.reads", "tenancy.model", "data.engine"),
    'PostgreSQL documentation, "Table Partitioning" (worth it where a table exceeds the machine\'s '
    f"memory); {PRIMARY_WRITES:,.0f} writes/s is an assumption to be measured with pgbench",
)
def sharding(spec: Spec) -> Finding | None:
    data = spec.data
    if data.engine == "none":
        return None
    key = "the tenant" if spec.tenancy.model != "single" else "the user"
    load = f"{number(writes(spec))} writes/s at twice the peak and {SIZE.render(data.size)}"
    if not _within_one_primary(spec):
        shards = max(math.ceil(writes(spec) / PRIMARY_WRITES), math.ceil(data.size / STORAGE_LIMIT))
        return Finding(
            f"{shards} shards by {key}, after the larger machine has been tried",
            f"{load} exceed one primary's {PRIMARY_WRITES:,.0f} writes/s or "
            f"{SIZE.render(STORAGE_LIMIT)}",
            "fewer writes (batching, a queue) or less data kept",
        )
    if data.size > MACHINE_MEMORY:
        return Finding(
            "No shards; partition the large tables by time or by tenant",
            f"{SIZE.render(data.size)} exceed the {SIZE.render(MACHINE_MEMORY)} of memory of a "
            "usual machine, so old rows should be out of the way of new ones",
            f"data.size of at most {SIZE.render(MACHINE_MEMORY)}",
        )
    return Finding(
        "Neither shards nor partitions",
        f"{load} fit one primary and its memory ({SIZE.render(MACHINE_MEMORY)})",
        f"over {PRIMARY_WRITES:,.0f} writes/s or over {SIZE.render(MACHINE_MEMORY)}",
    )


@rule(
    TOPIC,
    ("recovery.rpo", "recovery.rto", "data.standby", "data.replicas", "data.engine"),
    'Amazon RDS User Guide, "Restoring a DB instance to a specified time" and "Configuring and '
    'managing a Multi-AZ deployment"; PostgreSQL documentation, "Continuous Archiving and '
    'Point-in-Time Recovery"',
)
def recovery(spec: Spec) -> Finding | None:
    data, rpo, rto = spec.data, spec.recovery.rpo, spec.recovery.rto
    if data.engine == "none":
        return None
    promise = f"an RPO of {DURATION.render(rpo)} and an RTO of {DURATION.render(rto)}"
    lag = DURATION.render(derive.PITR_LAG)
    if data.standby:
        return Finding(
            "Fail over to the synchronous standby; point-in-time recovery for mistakes",
            f"{promise}: a standby loses nothing and takes over in one to two minutes; it repeats "
            f"a wrong DELETE at once, so backups stay",
            "data.standby = false",
        )
    if rpo < derive.PITR_LAG:
        return Finding(
            "Promote a replica; point-in-time recovery for mistakes",
            f"{promise}: backups trail by about {lag}, an asynchronous replica by seconds",
            f"an RPO of at least {lag}, or data.standby = true",
        )
    return Finding(
        "Point-in-time recovery from a base backup and archived log, drilled monthly",
        f"{promise}: the archive trails by about {lag}, and restoring {SIZE.render(data.size)} "
        f"at 100 MB/s takes about {DURATION.render(max(60, round(data.size / 1e8 / 60) * 60))}"
        + ("" if data.size / 1e8 <= rto else ", longer than the RTO: a standby is needed"),
        f"an RPO under {lag}",
    )


@rule(
    TOPIC,
    ("tenancy.model", "compliance", "data.engine"),
    'AWS whitepaper "SaaS Tenant Isolation Strategies"; PostgreSQL documentation, "Row Security '
    'Policies"',
)
def tenant_isolation(spec: Spec) -> Finding | None:
    model = spec.tenancy.model
    if model == "single" or spec.data.engine == "none":
        return None
    if model == "pooled":
        return Finding(
            "One schema, row-level security on every table, the tenant set per transaction",
            'tenancy.model = "pooled": tenants share tables, and a forgotten WHERE must not show '
            "another's rows",
            'tenancy.model = "siloed"',
        )
    return Finding(
        "A database and a role per tenant; migrations run tenant by tenant",
        f'tenancy.model = "siloed": {spec.data.max_connections} connections are shared by all '
        "their pools, so put a pooler in front from about ten tenants on",
        'tenancy.model = "pooled"',
    )


RULES = (
    database_kind,
    consistency,
    read_replicas,
    sharding,
    recovery,
    tenant_isolation,
)
