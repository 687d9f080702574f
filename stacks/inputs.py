"""What each program is told: plain, frozen values, all of them decided before it starts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Whose resources these are, and where."""

    service: str
    environment: str
    account: str
    """Twelve digits. The provider refuses to work in any other account."""
    region: str
    tags: Mapping[str, str]
    """On every resource that takes tags."""
    releasing: bool = False
    """Whether protection is taken off what holds data, so that it can be destroyed; only
    `infra destroy` says so, after its confirmation. Final snapshots are taken all the same."""

    @property
    def name(self) -> str:
        """What resources with a name of their own are called: `shop-prod`."""
        return f"{self.service}-{self.environment}"

    def within(self, limit: int) -> str:
        """The name, cut where AWS takes no longer one; what was cut off is told by a digest."""
        if len(self.name) <= limit:
            return self.name
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:6]
        return f"{self.name[: limit - 7].rstrip('-')}-{digest}"

    def tagged(self, name: str, **more: str) -> dict[str, str]:
        """The tags of one resource, with the Name that consoles show."""
        return {**self.tags, "Name": f"{self.name}-{name}", **more}


@dataclass(frozen=True, slots=True)
class NetworkInputs:
    """The network of one environment."""

    place: Place
    cidr: str
    public_cidrs: tuple[str, ...]
    """One subnet a zone, for load balancer and NAT only."""
    private_cidrs: tuple[str, ...]
    """One subnet a zone, for nodes and pods."""
    data_cidrs: tuple[str, ...]
    """One subnet a zone without any way out, for database and cache."""
    nat_gateways: int
    interface_endpoints: tuple[str, ...]
    """Services of AWS that are reached without leaving the network, such as `ecr.api`."""
    log_days: int
    """How long flow logs are kept."""
    public: bool
    """Whether users come over the internet, so that the load balancer needs public subnets."""
    adopted: str = ""
    """Id of a VPC that exists; nothing in it is created or changed but our security groups."""
    adopted_cluster: str = ""
    """Name of a cluster that exists: its security group is who may reach the database."""


FROM_STACK = "environment"
"""The Kubernetes provider's `clusterIdentifier` where the `cluster` stack says which cluster is
meant: a kubeconfig that says the same in other words then replaces nothing that is in it."""

MASTER = "owner"
"""RDS's master user of a database: RDS changes its password every seven days, and gives it nearly
all rights. It makes the service's role; nothing else logs in as it."""
ROLE = "service"
"""The role that the service logs in as, made by a Job of the `app` stack."""

CONNECTIONS_SHARE = 0.85
"""Of what the database accepts, from which on an alarm rings; at 100 % new processes cannot
start."""


@dataclass(frozen=True, slots=True)
class DatabaseInputs:
    """PostgreSQL on RDS."""

    major: str
    instance_class: str
    storage_gib: int
    most_storage_gib: int
    """Storage grows by itself up to this."""
    multi_az: bool
    replicas: int
    backup_days: int
    max_connections: int
    insights: str
    """Mode of Database Insights: `standard` (7 days, free) or `advanced` (15 months)."""
    insights_days: int
    monitoring_seconds: int
    """Interval of enhanced monitoring; 0 for none."""
    adopted: str = ""
    """Identifier of a database that exists."""


@dataclass(frozen=True, slots=True)
class CacheInputs:
    """Valkey on ElastiCache."""

    version: str
    node_type: str
    replicas: int
    snapshot_days: int


@dataclass(frozen=True, slots=True)
class DataInputs:
    """Everything that holds data."""

    place: Place
    database: DatabaseInputs | None
    cache: CacheInputs | None
    log_days: int


@dataclass(frozen=True, slots=True)
class ClusterInputs:
    """EKS and its nodes."""

    place: Place
    version: str
    instance_type: str
    nodes: int
    """At the beginning; from then on the autoscaler says how many."""
    least_nodes: int
    """That it may go down to. Never more than there are at any time: EKS refuses a least number
    over the present one, so that it cannot follow the load."""
    most_nodes: int
    node_disk_gib: int
    api_access: tuple[str, ...]
    """Networks that may reach the API server from outside; none when empty."""
    admins: tuple[str, ...]
    """ARNs of roles that administer the cluster; whoever makes it when empty."""
    log_days: int
    adopted: str = ""
    """Name of a cluster that exists."""


@dataclass(frozen=True, slots=True)
class AlarmInputs:
    """Thresholds of alarms, from the promises."""

    error_budget: float
    """1 - availability."""
    p95: float
    """Seconds."""
    p99: float
    max_connections: int
    """0 without a database of ours."""
    least_storage_bytes: int
    contacts: tuple[str, ...]
    """E-mail addresses that alarms go to."""


@dataclass(frozen=True, slots=True)
class AddonsInputs:
    """What runs in the cluster beside the service, its public address, and its alarms."""

    place: Place
    namespace: str
    """Of the service."""
    gateway: str
    """Name of the service's Gateway in that namespace."""
    host: str
    """The name users use; "" for the load balancer's own."""
    zone: str
    """Id of the Route 53 zone that holds `host`; "" when its records are made elsewhere."""
    certificate: str
    """ARN of a certificate for `host` that exists; "" to have one made and proven in `zone`."""
    gateway_replicas: int
    firewall: bool
    """Whether a web application firewall stands before the load balancer."""
    drain_seconds: int
    """How long requests in flight may take when a gateway pod goes away."""
    log_days: int
    database: bool
    """Whether there is one of ours to watch."""
    cache_nodes: int
    alarms: AlarmInputs
    adopted_cluster: bool = False
    """The cluster's owner runs its add-ons; only the alarms on our data are made."""
