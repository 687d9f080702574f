"""What follows from a `Spec` for an environment on AWS: every number of its stacks.

Pure. dev, staging and prod are the same programs with the values of `DIFFERENCES`, and a small
environment is a standard one without what `GIVEN_UP` lists; nothing else tells them apart.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network

from backendctl.shipped.stacks import versions
from backendctl.shipped.stacks.inputs import (
    AddonsInputs,
    AlarmInputs,
    CacheInputs,
    ClusterInputs,
    DatabaseInputs,
    DataInputs,
    NetworkInputs,
    Place,
)
from backendctl.spec import derive
from backendctl.spec.model import Environment, Regime, Spec
from backendctl.spec.places import AWS_REGION, zone_of

GIB = 1 << 30


class Tier(StrEnum):
    """What an environment is for, told by its name."""

    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


def tier_of(environment: Environment) -> Tier:
    """`prod...` and `live...` are production; `stag...` and `preprod...` rehearse it; the rest is
    for developing."""
    if environment.name.startswith(("prod", "live")):
        return Tier.PROD
    return Tier.STAGING if environment.name.startswith(("stag", "preprod")) else Tier.DEV


# --- the table of differences -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs between dev, staging and prod, and why."""

    dev: int
    staging: int
    prod: int
    reason: str

    def at(self, tier: Tier) -> int:
        """The value there."""
        return {Tier.DEV: self.dev, Tier.STAGING: self.staging, Tier.PROD: self.prod}[tier]


DIFFERENCES: Mapping[str, Difference] = {
    "nat_gateways": Difference(
        1,
        1,
        3,
        "prod keeps its way out when a zone is lost; the others may go without",
    ),
    "interface_endpoints": Difference(
        0, 1, 1, "staging proves the way prod reaches AWS; dev's few calls go through NAT"
    ),
    "multi_az": Difference(
        0, 0, 1, "prod fails over by itself; elsewhere a restore is fast enough, and rehearses one"
    ),
    "backup_days": Difference(
        1,
        7,
        14,
        "two weeks to notice that prod's data went wrong; elsewhere it is made anew",
    ),
    "cache_replicas": Difference(
        0, 1, 1, "staging rehearses prod's failover; a cold cache in dev hurts nobody"
    ),
    "burstable": Difference(
        1, 1, 0, "CPU credits run out under load, which only prod has for long"
    ),
    "log_days": Difference(
        14, 30, 90, "an intrusion is found after weeks; regimes may ask for more"
    ),
    "monitoring_seconds": Difference(
        0, 60, 15, "seconds matter while an outage of prod is looked into"
    ),
    "insights_days": Difference(
        7, 7, 465, "an outage of prod is compared with last year's; seven days are free"
    ),
    "snapshot_days": Difference(
        0, 1, 1, "a warm cache after a restore spares the database; dev's may be cold"
    ),
}
"""All that dev, staging and prod differ by. Yes and no are 1 and 0."""


@dataclass(frozen=True, slots=True)
class Sacrifice:
    """What a small environment does without, and what that costs when it is needed."""

    value: int
    meaning: str


GIVEN_UP: Mapping[str, Sacrifice] = {
    "zones": Sacrifice(2, "two zones instead of three: half of the nodes are gone with one"),
    "nat_gateways": Sacrifice(
        1, "one NAT gateway: while its zone is lost, nothing reaches the services it calls"
    ),
    "interface_endpoints": Sacrifice(
        0, "no interface endpoints: calls to AWS leave the network through NAT (encrypted)"
    ),
    "burstable": Sacrifice(1, "burstable machines: they slow down when high load lasts for hours"),
    "insights_days": Sacrifice(7, "seven days of the database's history instead of 15 months"),
    "gateway_replicas": Sacrifice(2, "two gateway pods instead of one in each zone"),
}
"""All that `size = "small"` differs by from `standard`."""

EVERYWHERE: Mapping[str, int] = {"zones": 3, "gateway_replicas": 3}
"""What every tier of a standard environment has: one gateway pod in each of three zones."""
REGULATED_BACKUP_DAYS = 35
"""As long as RDS keeps automated backups."""
LOG_DAYS: Mapping[Regime, tuple[int, str]] = {
    Regime.PCI_DSS: (400, "PCI DSS v4.0.1, requirement 10.5.1: twelve months"),
    Regime.HIPAA: (2192, "45 CFR 164.316(b)(2)(i): six years"),
}
"""Days among those that CloudWatch accepts, and who asks for them."""
REGULATED_DATA = (Regime.HIPAA, Regime.PCI_DSS)


def value(name: str, environment: Environment) -> int:
    """A value of the tables above."""
    if environment.size == "small" and name in GIVEN_UP:
        return GIVEN_UP[name].value
    if name in DIFFERENCES:
        return DIFFERENCES[name].at(tier_of(environment))
    return EVERYWHERE[name]


def why(name: str, environment: Environment) -> str:
    """Why such a value is what it is there."""
    if environment.size == "small" and name in GIVEN_UP:
        return f'size = "small": {GIVEN_UP[name].meaning}'
    if name in DIFFERENCES:
        return DIFFERENCES[name].reason
    return "one in each of three zones, so that two thirds are left when one is lost"


def given_up(environment: Environment) -> tuple[str, ...]:
    """What this environment does without, in words; nothing for `standard`."""
    if environment.size == "standard":
        return ()
    return tuple(each.meaning for each in GIVEN_UP.values())


# --- place ------------------------------------------------------------------------------------


def region(spec: Spec, environment: Environment) -> str:
    """As stated; else a region in the zone where data must stay."""
    if environment.region:
        return environment.region
    residency = spec.service.residency
    if residency and zone_of(residency) != residency:
        return residency
    return AWS_REGION[residency]


def place(spec: Spec, environment: Environment, releasing: bool = False) -> Place:
    """Whose resources, and where."""
    tier = tier_of(environment)
    return Place(
        service=spec.service.name,
        environment=environment.name,
        account=environment.account,
        region=region(spec, environment),
        tags={
            "service": spec.service.name,
            "environment": environment.name,
            "tier": str(tier),
            "managed-by": "backendctl",
            "data": "regulated" if spec.compliance & set(REGULATED_DATA) else "ordinary",
        },
        releasing=releasing,
    )


# --- network ----------------------------------------------------------------------------------

CIDR = "10.0.0.0/16"
INTERFACE_ENDPOINTS = (
    "ec2",
    "ecr.api",
    "ecr.dkr",
    "eks",
    "eks-auth",
    "elasticloadbalancing",
    "kms",
    "logs",
    "monitoring",
    "secretsmanager",
    "sts",
)
"""What nodes and add-ons call all the time: images, tokens, logs, secrets, targets."""


@dataclass(frozen=True, slots=True)
class Subnets:
    """Networks of each layer, one a zone."""

    public: tuple[str, ...]
    private: tuple[str, ...]
    data: tuple[str, ...]


def subnets(zones: int, cidr: str = CIDR) -> Subnets:
    """Cut a /16: private /19 from the start (8,187 pods a zone: each pod has an address of its
    own), public and data /24 from the last /19."""
    whole = IPv4Network(cidr)
    blocks = list(whole.subnets(new_prefix=whole.prefixlen + 3))
    small = list(blocks[-1].subnets(new_prefix=whole.prefixlen + 8))
    return Subnets(
        public=tuple(str(each) for each in small[:zones]),
        private=tuple(str(each) for each in blocks[:zones]),
        data=tuple(str(each) for each in small[8 : 8 + zones]),
    )


def network_inputs(spec: Spec, environment: Environment, at: Place) -> NetworkInputs:
    """The network stack's."""
    zones = value("zones", environment)
    cut = subnets(zones)
    endpoints = INTERFACE_ENDPOINTS if value("interface_endpoints", environment) else ()
    return NetworkInputs(
        place=at,
        cidr=CIDR,
        public_cidrs=cut.public,
        private_cidrs=cut.private,
        data_cidrs=cut.data,
        nat_gateways=min(zones, value("nat_gateways", environment)),
        interface_endpoints=endpoints,
        log_days=log_days(spec, environment),
        adopted=environment.vpc,
        adopted_cluster=environment.cluster,
    )


def log_days(spec: Spec, environment: Environment) -> int:
    """As the tier asks, or the strictest regime: what they say of records is said of all."""
    asked = [LOG_DAYS[regime][0] for regime in spec.compliance if regime in LOG_DAYS]
    return max([value("log_days", environment), *asked])


# --- machines ---------------------------------------------------------------------------------


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
FREE_INSIGHTS_DAYS = 7
"""Of Database Insights; what is kept longer needs its advanced mode."""
LEAST_STORAGE = 20
"""GiB, the least RDS makes with gp3."""
STORAGE_GROWTH = 4
"""Times the first size up to which storage grows by itself."""
CACHE_RATE = 20_000.0
"""Operations a second of one Valkey thread that are no strain on any of these machines."""
NODE_SHARE = 0.85
"""Of a node's processor and memory that pods get; the rest is the kubelet's and the system's."""
SYSTEM_CORES = 2.0
SYSTEM_MEMORY = 4.0
"""What the add-ons ask for together, in cores and GiB (stacks/charts.py), and daemons."""
MOST_NODES = 12
"""Beyond, larger machines: each node costs the same daemons."""
NODE_DISK = 50
"""GiB for images, as small ones fill with those of old releases."""


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


def multi_az(spec: Spec, environment: Environment) -> bool:
    """Where the tier, the file, or an RPO that backups cannot meet asks for a standby."""
    recovery = spec.recovery.rpo < derive.PITR_LAG and spec.data.replicas == 0
    asked = spec.data.standby or recovery
    return bool(value("multi_az", environment)) or (asked and tier_of(environment) is not Tier.DEV)


def backup_days(spec: Spec, environment: Environment) -> int:
    """As the tier asks; with regulated data as long as RDS can, outside dev."""
    if spec.compliance & set(REGULATED_DATA) and tier_of(environment) is not Tier.DEV:
        return REGULATED_BACKUP_DAYS
    return value("backup_days", environment)


def storage_gib(spec: Spec) -> int:
    """A year's data, half as much again for indexes and bloat, and at least what RDS makes."""
    return max(LEAST_STORAGE, math.ceil(spec.data.size / GIB * STORAGE_HEADROOM))


def database_inputs(spec: Spec, environment: Environment) -> DatabaseInputs | None:
    """None without a database."""
    if spec.data.engine == "none":
        return None
    insights_days = value("insights_days", environment)
    storage = storage_gib(spec)
    return DatabaseInputs(
        major=versions.POSTGRES,
        instance_class=database_machine(spec, environment).name,
        storage_gib=storage,
        most_storage_gib=storage * STORAGE_GROWTH,
        multi_az=multi_az(spec, environment),
        replicas=spec.data.replicas,
        backup_days=backup_days(spec, environment),
        max_connections=spec.data.max_connections,
        insights="advanced" if insights_days > FREE_INSIGHTS_DAYS else "standard",
        insights_days=insights_days,
        monitoring_seconds=value("monitoring_seconds", environment),
        adopted=environment.database,
    )


def cache_inputs(spec: Spec, environment: Environment) -> CacheInputs | None:
    """None without a cache."""
    if spec.cache.engine == "none":
        return None
    strain = derive.demand(spec).rps * QUERIES_PER_REQUEST / CACHE_RATE
    machines = CACHES[bool(value("burstable", environment))]
    return CacheInputs(
        version=versions.VALKEY,
        node_type=machines[min(len(machines) - 1, int(strain))].name,
        replicas=value("cache_replicas", environment),
        snapshot_days=value("snapshot_days", environment),
    )


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


# --- the whole --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What each stack of an environment is told."""

    network: NetworkInputs
    data: DataInputs
    cluster: ClusterInputs
    addons: AddonsInputs

    @property
    def place(self) -> Place:
        """Where all of them are."""
        return self.network.place


def plan_of(spec: Spec, environment: Environment, *, releasing: bool = False) -> Plan:
    """Everything the stacks of an environment on AWS are told."""
    at = place(spec, environment, releasing)
    days = log_days(spec, environment)
    database, cache = database_inputs(spec, environment), cache_inputs(spec, environment)
    nodes = node_plan(spec, environment)
    return Plan(
        network=network_inputs(spec, environment, at),
        data=DataInputs(place=at, database=database, cache=cache, log_days=days),
        cluster=ClusterInputs(
            place=at,
            version=versions.EKS,
            instance_type=nodes.machine.name,
            nodes=nodes.nodes,
            most_nodes=nodes.most,
            node_disk_gib=NODE_DISK,
            api_access=environment.api_access,
            admins=environment.admins,
            log_days=days,
            adopted=environment.cluster,
        ),
        addons=_addons_inputs(spec, environment, at, database, cache),
    )


def _addons_inputs(
    spec: Spec,
    environment: Environment,
    at: Place,
    database: DatabaseInputs | None,
    cache: CacheInputs | None,
) -> AddonsInputs:
    ours = database is not None and not database.adopted
    contacts = [spec.on_call.primary, *spec.on_call.escalation]
    return AddonsInputs(
        place=at,
        namespace=environment.namespace or at.name,
        gateway=spec.service.name,
        host=environment.host,
        zone=environment.zone,
        certificate=environment.certificate,
        gateway_replicas=value("gateway_replicas", environment),
        firewall=Regime.PCI_DSS in spec.compliance,
        drain_seconds=math.ceil(spec.rollout.drain_deadline),
        log_days=log_days(spec, environment),
        database=ours,
        cache_nodes=0 if cache is None else 1 + cache.replicas,
        alarms=AlarmInputs(
            error_budget=1 - spec.slo.availability,
            p95=spec.slo.p95,
            p99=spec.slo.p99,
            max_connections=spec.data.max_connections if ours else 0,
            least_storage_bytes=storage_gib(spec) * GIB // 10,
            contacts=tuple(each for each in contacts if "@" in each),
        ),
        adopted_cluster=bool(environment.cluster),
    )
