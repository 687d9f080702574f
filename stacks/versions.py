"""Versions that the stacks pin, each with the day its support ends and where that is said.

Read on 2026-11-21. `check infra` refuses a version whose day has come.
"""

from dataclasses import dataclass
from datetime import date

READ = date(2026, 11, 21)
MOST_AGE = 180
"""Days after which the table is said to be old: Kubernetes has a new minor version every four
months, and PostgreSQL a new major one a year."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one product of AWS."""

    product: str
    version: str
    supported_until: date
    """Last day of standard support; after it AWS charges for extended support or upgrades."""
    source: str


EKS_CALENDAR = 'Amazon EKS User Guide, "Understand the Kubernetes version lifecycle on EKS"'
RDS_CALENDAR = (
    'Amazon RDS for PostgreSQL Release Notes, "Release calendars": standard support ends at the '
    "end of the February after the community's last release (PostgreSQL versioning policy)"
)
CACHE_CALENDAR = (
    'Amazon ElastiCache User Guide, "Engine versions": no end of support is announced; two years '
    "from release are assumed, and to be read again then"
)

SUPPORT: tuple[Version, ...] = (
    Version("eks", "1.34", date(2026, 12, 2), EKS_CALENDAR),
    Version("eks", "1.35", date(2027, 3, 27), EKS_CALENDAR),
    Version("postgres", "15", date(2028, 2, 29), RDS_CALENDAR),
    Version("postgres", "16", date(2029, 2, 28), RDS_CALENDAR),
    Version("postgres", "17", date(2030, 2, 28), RDS_CALENDAR),
    Version("postgres", "18", date(2031, 2, 28), RDS_CALENDAR),
    Version("valkey", "8.2", date(2027, 10, 1), CACHE_CALENDAR),
    Version("valkey", "9.0", date(2028, 5, 1), CACHE_CALENDAR),
)

EKS = "1.35"
POSTGRES = "18"
"""The major version of the embedded server on `local`; RDS picks and upgrades the minor one."""
VALKEY = "9.0"
"""The major version of the embedded server on `local`."""
POSTGRES_CLIENT = f"public.ecr.aws/docker/library/postgres:{POSTGRES}-alpine"
"""psql, for the Job that makes the service's role: Docker's official image, as AWS mirrors it."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One Helm chart, at one version."""

    name: str
    repository: str
    """Of charts; "" for one that `location` names whole."""
    version: str
    location: str = ""
    """An OCI reference."""

    @property
    def reference(self) -> str:
        """What Helm is asked for."""
        return self.location or self.name


GATEWAY_API = Chart("gateway-crds", "", "v1.5.4", "oci://docker.io/envoyproxy/gateway-crds-helm")
"""The kinds of Gateway API 1.3 alone, which Contour 1.33 is built for; no controller."""
CONTOUR = Chart("contour", "https://projectcontour.github.io/helm-charts/", "0.7.0")
"""Contour 1.33.6: the gateway that the conformance suite runs on, a patch later."""
LOAD_BALANCER_CONTROLLER = Chart(
    "aws-load-balancer-controller", "https://aws.github.io/eks-charts", "1.14.0"
)
EXTERNAL_SECRETS = Chart("external-secrets", "https://charts.external-secrets.io", "2.0.0")
OPENTELEMETRY = Chart(
    "opentelemetry-collector",
    "https://open-telemetry.github.io/opentelemetry-helm-charts",
    "0.158.3",
)
METRICS_SERVER = Chart(
    "metrics-server", "https://kubernetes-sigs.github.io/metrics-server/", "3.13.0"
)
AUTOSCALER = Chart("cluster-autoscaler", "https://kubernetes.github.io/autoscaler", "9.59.1")
"""Cluster Autoscaler 1.35: its minor version follows the cluster's."""
CHARTS: tuple[Chart, ...] = (
    GATEWAY_API,
    CONTOUR,
    LOAD_BALANCER_CONTROLLER,
    EXTERNAL_SECRETS,
    OPENTELEMETRY,
    METRICS_SERVER,
    AUTOSCALER,
)

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
"""TLS 1.3 and 1.2 with forward secrecy; AWS's recommendation for application load balancers."""
TLS_POLICIES = frozenset(
    {
        TLS_POLICY,
        "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
        "ELBSecurityPolicy-TLS13-1-3-2021-06",
        "ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04",
    }
)
"""Those that refuse TLS 1.1 and 1.0 (Elastic Load Balancing documentation, "Security policies")."""
RDS_CERTIFICATE_AUTHORITY = "rds-ca-rsa2048-g1"
"""Valid until 2061; certificates under it are renewed by RDS without a restart."""
