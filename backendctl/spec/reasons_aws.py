"""Why the stacks of an environment on AWS have the numbers they have, for previews. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.shipped.stacks import versions
from backendctl.shipped.stacks.inputs import CONNECTIONS_SHARE, DatabaseInputs
from backendctl.spec import derive, derive_aws, machines_aws, tiers_aws
from backendctl.spec.derive_aws import Plan
from backendctl.spec.model import Environment, Spec
from backendctl.spec.tiers_aws import Tier, why

DATABASE = "aws:rds/instance:Instance"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
NODES = "aws:eks/nodeGroup:NodeGroup"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a resource is there, or has a value."""

    type: str
    name: str
    """Of the resource; "" for all of that type."""
    property: str
    """Its path among the inputs; "" for the resource itself."""
    value: Any
    words: str

    def about(self, type_: str, name: str) -> bool:
        """Whether it is about that resource."""
        return type_ == self.type and self.name in ("", name)

    def line(self) -> str:
        """For a preview."""
        if not self.property:
            return f"because: {self.words}"
        return f"{self.property} = {self.value}: {self.words}"


def reasons(spec: Spec, environment: Environment) -> Sequence[Reason]:
    """All of them; what exists already and is only looked up has none."""
    plan = derive_aws.plan_of(spec, environment)
    return (
        *_network(spec, environment, plan),
        *_database(spec, environment, plan.data.database),
        *_cache(spec, environment, plan),
        *_cluster(spec, environment, plan),
        *_promises(spec, environment, plan),
    )


def _network(spec: Spec, environment: Environment, plan: Plan) -> Iterator[Reason]:
    stated = "environments.NAME.region" if environment.region else "service.residency"
    yield Reason(
        "aws:ec2/vpc:Vpc",
        "vpc",
        "",
        None,
        f"{plan.place.region} follows from {stated}; {len(plan.network.private_cidrs)} zones "
        f"({why('zones', environment)})",
    )
    yield Reason("aws:ec2/natGateway:NatGateway", "", "", None, why("nat_gateways", environment))
    if plan.network.interface_endpoints:
        words = why("interface_endpoints", environment)
        yield Reason("aws:ec2/vpcEndpoint:VpcEndpoint", "", "", None, words)
    asked = [f"{r.value}: {d[1]}" for r, d in tiers_aws.LOG_DAYS.items() if r in spec.compliance]
    yield Reason(
        "aws:cloudwatch/logGroup:LogGroup",
        "",
        "retentionInDays",
        plan.network.log_days,
        "; ".join([why("log_days", environment), *asked]),
    )


# --- data -------------------------------------------------------------------------------------


def _database(
    spec: Spec, environment: Environment, made: DatabaseInputs | None
) -> Iterator[Reason]:
    if made is None or made.adopted:
        return
    needs = machines_aws.database_needs(spec, environment)
    own: dict[str, tuple[Any, str]] = {
        "instanceClass": (
            made.instance_class,
            f"twice the peak makes {needs.queries:.0f} queries/s, {needs.cpus:.1f} vCPU at an "
            f"assumed {machines_aws.QUERIES_PER_CPU:.0f} each; {needs.hot:.1f} GiB of hot data and "
            f"{needs.connections} connections need {needs.memory:.1f} GiB; "
            f"{why('burstable', environment)}",
        ),
        "allocatedStorage": (
            made.storage_gib,
            f"data.size is {spec.data.size / machines_aws.GIB:g} GiB after a year; half as much "
            f"again for indexes and bloat, and {machines_aws.LEAST_STORAGE} GiB at least",
        ),
        "maxAllocatedStorage": (
            made.most_storage_gib,
            f"it grows by itself up to {derive_aws.STORAGE_GROWTH} times the first size",
        ),
        "multiAz": (made.multi_az, _standby(spec, environment, made)),
        "backupRetentionPeriod": (made.backup_days, _backups(spec, environment)),
        "databaseInsightsMode": (made.insights, why("insights_days", environment)),
    }
    for path, (value, words) in own.items():
        yield Reason(DATABASE, "database", path, value, words)
    for number in range(1, made.replicas + 1):
        words = f"data.replicas = {made.replicas}: reads are spread over as many copies"
        yield Reason(DATABASE, f"replica-{number}", "", None, words)


def _standby(spec: Spec, environment: Environment, made: DatabaseInputs) -> str:
    if made.multi_az and not tiers_aws.value("multi_az", environment):
        if spec.data.standby:
            return "data.standby asks for one"
        return (
            f"recovery.rpo is {spec.recovery.rpo:g} s, and backups trail by {derive.PITR_LAG:g} s"
        )
    return why("multi_az", environment)


def _backups(spec: Spec, environment: Environment) -> str:
    regimes = sorted(spec.compliance & set(tiers_aws.REGULATED_DATA))
    if regimes and tiers_aws.tier_of(environment) is not Tier.DEV:
        return f"compliance with {', '.join(regimes)}: as long as RDS keeps any"
    recovered = f"any second of it comes back; recovery.rpo is {spec.recovery.rpo:g} s"
    return f"{why('backup_days', environment)}; {recovered}"


def _cache(spec: Spec, environment: Environment, plan: Plan) -> Iterator[Reason]:
    made = plan.data.cache
    if made is None:
        return
    operations = derive.demand(spec).rps * machines_aws.QUERIES_PER_REQUEST
    yield Reason(
        CACHE,
        "cache",
        "nodeType",
        made.node_type,
        f"twice the peak makes {operations:.0f} operations/s; one thread does "
        f"{machines_aws.CACHE_RATE:.0f} without strain; {why('burstable', environment)}",
    )
    words = why("cache_replicas", environment)
    yield Reason(CACHE, "cache", "numCacheClusters", 1 + made.replicas, words)


# --- cluster ----------------------------------------------------------------------------------


def _cluster(spec: Spec, environment: Environment, plan: Plan) -> Iterator[Reason]:
    made = plan.cluster
    if made.adopted:
        return
    until = next(v.supported_until for v in versions.SUPPORT if v.version == made.version)
    least = derive.least_replicas(spec, environment)
    most = derive.ARMS * derive.replicas(spec, environment)
    each = f"{derive.cores(spec, environment):.2f} cores at the peak"
    rows: tuple[tuple[str, str, str, Any, str], ...] = (
        (
            "aws:eks/cluster:Cluster",
            "cluster",
            "version",
            made.version,
            f"in standard support until {until}, as read on {versions.READ}",
        ),
        (
            "aws:eks/cluster:Cluster",
            "cluster",
            "vpcConfig.endpointPublicAccess",
            bool(made.api_access),
            "api_access says which networks may reach it over the internet"
            if made.api_access
            else "api_access is not stated: it answers inside the VPC only",
        ),
        (
            NODES,
            "nodes",
            "instanceTypes",
            [made.instance_type],
            f"the smallest of which {machines_aws.MOST_NODES} at most are enough at the peak; "
            f"{why('burstable', environment)}",
        ),
        (
            NODES,
            "nodes",
            "scalingConfig.desiredSize",
            made.nodes,
            f"at the beginning: the {least} replicas that always run ({each}), the add-ons' "
            f"{machines_aws.SYSTEM_CORES:g} cores and {machines_aws.SYSTEM_MEMORY:g} GiB, and one "
            "node in each zone; then as the autoscaler says",
        ),
        (
            NODES,
            "nodes",
            "scalingConfig.minSize",
            made.least_nodes,
            "one node in each zone",
        ),
        (
            NODES,
            "nodes",
            "scalingConfig.maxSize",
            made.most_nodes,
            f"both releases of a rollout at twice the peak, {most} replicas, and one node while "
            "another is replaced",
        ),
    )
    for type_, name, path, value, words in rows:
        yield Reason(type_, name, path, value, words)


def _promises(spec: Spec, environment: Environment, plan: Plan) -> Iterator[Reason]:
    if environment.cluster:
        return
    for name, seconds in (("p95", spec.slo.p95), ("p99", spec.slo.p99)):
        words = f"slo.{name} is {seconds:g} s"
        yield Reason(ALARM, f"latency-{name}", "threshold", seconds, words)
    if plan.addons.database:
        yield Reason(
            ALARM,
            "database-connections",
            "threshold",
            spec.data.max_connections * CONNECTIONS_SHARE,
            f"{CONNECTIONS_SHARE:.0%} of data.max_connections = {spec.data.max_connections}",
        )
