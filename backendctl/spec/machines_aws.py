"""Machines on AWS: which there are, and the smallest that carries the load. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from backendctl.spec import derive
from backendctl.spec.model import Environment, Spec
from backendctl.spec.tiers_aws import value

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of machine: virtual CPUs, memory in GiB."""

    name: str
    cpus: int
    memory: int


DATABASES: Mapping[bool, tuple[Machine, ...]] = {
    True: (
        Machine("db.t4g.small", 2, 2),
        Machine("db.t4g.medium", 2, 4),
        Machine("db.t4g.large", 2, 8),
        Machine("db.t4g.xlarge", 4, 16),
        Machine("db.t4g.2xlarge", 8, 32),
    ),
    False: (
        Machine("db.m7g.large", 2, 8),
        Machine("db.m7g.xlarge", 4, 16),
        Machine("db.m7g.2xlarge", 8, 32),
        Machine("db.m7g.4xlarge", 16, 64),
        Machine("db.m7g.8xlarge", 32, 128),
    ),
}
"""By whether burstable ones are taken; rising. Database Insights works on all of them."""
CACHES: Mapping[bool, tuple[Machine, ...]] = {
    True: (Machine("cache.t4g.small", 2, 1), Machine("cache.t4g.medium", 2, 3)),
    False: (
        Machine("cache.m7g.large", 2, 6),
        Machine("cache.m7g.xlarge", 4, 12),
        Machine("cache.m7g.2xlarge", 8, 26),
    ),
}
NODES: Mapping[bool, tuple[Machine, ...]] = {
    True: (
        Machine("t3.medium", 2, 4),
        Machine("t3.large", 2, 8),
        Machine("t3.xlarge", 4, 16),
        Machine("t3.2xlarge", 8, 32),
    ),
    False: (
        Machine("m7i.large", 2, 8),
        Machine("m7i.xlarge", 4, 16),
        Machine("m7i.2xlarge", 8, 32),
        Machine("m7i.4xlarge", 16, 64),
    ),
}
QUERIES_PER_CPU = 1500.0
"""Simple queries a second that one vCPU of a database serves at 70 %: an assumption, until the
load test has shown the database's processor use."""
QUERIES_PER_REQUEST = 2.0
"""Assumed likewise: a read and what it looks up, or a write and its row of audit."""
CACHE_HITS = 0.8
"""Assumed share of reads that a cache takes off the database, where there is one."""
HOT_SHARE = 0.25
"""Share of the data that should be in memory."""
HOT_LIMIT = 48.0
"""GiB of it at most; beyond, hot data is a matter of measuring."""
CONNECTION_MEMORY = 10 / 1024
"""GiB that one connection takes (RDS User Guide, "Managing connections": about 10 MB)."""
STORAGE_HEADROOM = 1.5
LEAST_STORAGE = 20
"""GiB, the least RDS makes with gp3."""
CACHE_RATE = 20_000.0
"""Operations a second of one Valkey thread that are no strain on any of these machines."""
NODE_SHARE = 0.85
"""Of a node's processor and memory that pods get; the rest is the kubelet's and the system's."""
SYSTEM_CORES = 2.0
SYSTEM_MEMORY = 4.0
"""What the add-ons ask for together, in cores and GiB (stacks/charts.py), and daemons."""
MOST_NODES = 12
"""Beyond, larger machines: each node costs the same daemons."""


def _smallest(machines: tuple[Machine, ...], cpus: float, memory: float) -> Machine:
    fitting = (each for each in machines if each.cpus >= cpus and each.memory >= memory)
    return next(fitting, machines[-1])


@dataclass(frozen=True, slots=True)
class DatabaseNeeds:
    """What a database machine has to have."""

    queries: float
    """A second, at twice the peak."""
    cpus: float
    hot: float
    """GiB of data that should be in memory."""
    connections: int
    """That two releases at once open at most, with those kept free."""
    memory: float
    """GiB."""


def database_needs(spec: Spec, environment: Environment) -> DatabaseNeeds:
    """Room for the queries at twice the peak; for the hot data and all connections in memory.

    cpus   = 2X (writes + reads that no cache takes) x queries a request / queries a vCPU
    memory = min(hot share of the data, limit) + connections x 10 MB + 1 GiB
    """
    rate = derive.demand(spec).rps
    reads = spec.load.reads * (1 - CACHE_HITS if spec.cache.engine != "none" else 1.0)
    if spec.data.replicas:
        reads /= 1 + spec.data.replicas
    queries = rate * (1 - spec.load.reads + reads) * QUERIES_PER_REQUEST
    hot = min(spec.data.size / GIB * HOT_SHARE, HOT_LIMIT)
    connections = derive.sizing(spec, environment).connections
    memory = hot + connections * CONNECTION_MEMORY + 1
    return DatabaseNeeds(queries, queries / QUERIES_PER_CPU, hot, connections, memory)


def database_machine(spec: Spec, environment: Environment) -> Machine:
    """The smallest that has what is needed."""
    needs = database_needs(spec, environment)
    return _smallest(DATABASES[bool(value("burstable", environment))], needs.cpus, needs.memory)


def storage_gib(spec: Spec) -> int:
    """A year's data, half as much again for indexes and bloat, and at least what RDS makes."""
    return max(LEAST_STORAGE, math.ceil(spec.data.size / GIB * STORAGE_HEADROOM))


@dataclass(frozen=True, slots=True)
class NodePlan:
    """Nodes that always run, and how many there may be."""

    machine: Machine
    nodes: int
    most: int


def node_plan(spec: Spec, environment: Environment) -> NodePlan:
    """Room for the fewest replicas and the add-ons always; for both arms of a rollout at twice the
    peak with the most nodes.

        nodes = max(zones, ceil((replicas x cores + add-ons) / (cpus x 0.85)), the same for memory)
    """
    zones = value("zones", environment)
    machines = NODES[bool(value("burstable", environment))]
    cores = max(0.25, derive.cores(spec, environment) * derive.PEAK_MULTIPLE)
    memory = spec.service.memory / GIB

    def nodes(machine: Machine, replicas: int) -> int:
        by_cores = (replicas * min(1.0, cores) + SYSTEM_CORES) / (machine.cpus * NODE_SHARE)
        by_memory = (replicas * memory + SYSTEM_MEMORY) / (machine.memory * NODE_SHARE)
        return max(zones, math.ceil(max(by_cores, by_memory)))

    least = derive.least_replicas(spec, environment)
    most = derive.ARMS * derive.replicas(spec, environment)
    machine = next((m for m in machines if nodes(m, most) <= MOST_NODES), machines[-1])
    return NodePlan(machine, nodes(machine, least), nodes(machine, most) + 1)
