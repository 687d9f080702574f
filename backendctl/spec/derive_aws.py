"""What follows from a `Spec` for an environment on AWS: what each of its stacks is told. Pure."""

import math
from dataclasses import dataclass
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
from backendctl.spec.machines_aws import (
    CACHE_RATE,
    CACHES,
    GIB,
    QUERIES_PER_REQUEST,
    database_machine,
    node_plan,
    storage_gib,
)
from backendctl.spec.model import Environment, Regime, Spec
from backendctl.spec.places import AWS_REGION, zone_of
from backendctl.spec.tiers_aws import REGULATED_DATA, Tier, backup_days, log_days, tier_of, value

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
        public=bool(environment.host) and not environment.cluster,
        adopted=environment.vpc,
        adopted_cluster=environment.cluster,
    )


# --- data -------------------------------------------------------------------------------------

FREE_INSIGHTS_DAYS = 7
"""Of Database Insights; what is kept longer needs its advanced mode."""
STORAGE_GROWTH = 4
"""Times the first size up to which storage grows by itself, and no further than RDS's most."""
MOST_STORAGE = 65_536
"""GiB of one database on RDS."""
NODE_DISK = 50
"""GiB for images, as small ones fill with those of old releases."""


def multi_az(spec: Spec, environment: Environment) -> bool:
    """Where the tier, the file, or an RPO that backups cannot meet asks for a standby."""
    recovery = spec.recovery.rpo < derive.PITR_LAG and spec.data.replicas == 0
    asked = spec.data.standby or recovery
    return bool(value("multi_az", environment)) or (asked and tier_of(environment) is not Tier.DEV)


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
        most_storage_gib=min(storage * STORAGE_GROWTH, MOST_STORAGE),
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
            least_nodes=value("zones", environment),
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
