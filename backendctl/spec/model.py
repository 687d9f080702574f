"""The promises, as frozen objects. Every quantity is in the unit its name or docstring says.

`load.py` makes these from `backend.toml`; `derive.py` computes what follows from them.
"""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlatformName(StrEnum):
    LOCAL = "local"
    KUBERNETES = "kubernetes"
    AWS = "aws"


class Strategy(StrEnum):
    CANARY = "canary"
    BLUE_GREEN = "blue-green"


class OnInconclusive(StrEnum):
    HOLD = "hold"
    ABORT = "abort"


class Regime(StrEnum):
    HIPAA = "hipaa"
    PCI_DSS = "pci-dss"
    COPPA = "coppa"
    GDPR = "gdpr"
    CCPA = "ccpa"


class Health(_Part):
    """Paths answered with 2xx when the process is what the name says."""

    ready: str = "/readyz"
    live: str = "/livez"


class Service(_Part):
    name: str
    start: tuple[str, ...]
    """argv; `$PORT` and other variables stand in arguments. Written as one shell-like line."""
    dev: tuple[str, ...] = ()
    """argv for `backendctl dev`; the start command with restart on change when empty."""
    install: tuple[str, ...] = ()
    """argv that installs dependencies where the recognised lock files do not say how."""
    migrate: tuple[str, ...] = ()
    health: Health = Health()
    openapi: str = "/openapi.json"
    """Path of the OpenAPI document the running service serves; empty when it has none."""
    residency: str = ""


class Team(_Part):
    size: int = 5
    on_call: bool = False


class Load(_Part):
    peak_rps: float
    """Requests per second at the expected peak: stated, or peak_users / think_time."""
    peak_users: int
    sustained_users: int
    think_time: float
    """Seconds a user waits between requests."""
    growth: float = 0.0
    """Per year, as a fraction."""


class Slo(_Part):
    availability: float = 0.999
    """Fraction of requests answered without error over 30 days."""
    p95: float = 0.3
    """Seconds."""
    p99: float = 1.0
    """Seconds."""
    error_rate: float = 0.01
    """Fraction; the most a release may fail."""


class Recovery(_Part):
    rpo: float = 900.0
    """Seconds of writes that may be lost."""
    rto: float = 3600.0
    """Seconds until the service is back."""


class Data(_Part):
    engine: str = "none"
    """postgresql | none (later: others)"""
    consistency: str = "strong"
    size: int = 1 << 30
    """Bytes."""
    replicas: int = 0


class Cache(_Part):
    engine: str = "none"
    """valkey | none"""
    ttl: float = 60.0
    """Seconds, unless a name in `ttls` says otherwise."""
    ttls: Mapping[str, float] = {}


class Auth(_Part):
    issuer: str = ""
    """Empty: no authentication. `local` replaces it by its own test issuer."""
    audience: str = ""


class Integration(_Part):
    name: str
    url: str
    phase: str = "launch"
    timeout: float = 2.0
    retries: int = 2
    fallback: str = ""


class OnCall(_Part):
    primary: str = ""
    escalation: tuple[str, ...] = ()


class Environment(_Part):
    name: str
    platform: PlatformName = PlatformName.LOCAL
    port: int | None = None
    """The gateway's port on `local`; chosen free and remembered when absent."""
    replicas: int | None = None
    """Processes or pods per release; derived from the load when absent."""
    variables: Mapping[str, str] = {}
    """Configuration in clear, given to the service's processes."""


class Rollout(_Part):
    strategy: Strategy = Strategy.CANARY
    steps: tuple[int, ...] | None = None
    """Candidate percentages below 100, rising; chosen from the traffic when absent."""
    warm_up: float = 30.0
    step_time: float = 60.0
    """Seconds; the least time at a step after warm-up."""
    deadline: float = 3600.0
    """Seconds; the most time at a step."""
    bake: float = 300.0
    """Seconds at 100 % during which stable is kept warm."""
    ready_deadline: float = 120.0
    drain_deadline: float = 30.0
    migrate_deadline: float = 600.0
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    hold: float = 14400.0
    """Seconds a held rollout waits for a person before it is undone."""
    max_ratio: float = 2.0
    """The error ratio candidate / stable from which a release counts as bad (rho_bad)."""


class Tenancy(_Part):
    model: str = "single"
    """single | pooled | siloed"""


class LoadTest(_Part):
    paths: tuple[str, ...] = ()
    """GET these instead of what the OpenAPI document describes."""
    locustfile: str = ""
    """The project's own users for the closed loop; `loadtests/locustfile.py` if that exists."""


class Spec(_Part):
    """One validated `backend.toml`."""

    service: Service
    load: Load
    slo: Slo = Slo()
    recovery: Recovery = Recovery()
    team: Team = Team()
    compliance: frozenset[Regime] = frozenset()
    data: Data = Data()
    cache: Cache = Cache()
    auth: Auth = Auth()
    integrations: tuple[Integration, ...] = ()
    on_call: OnCall = OnCall()
    rollout: Rollout = Rollout()
    tenancy: Tenancy = Tenancy()
    loadtest: LoadTest = LoadTest()
    environments: Mapping[str, Environment]
    """By name; `local` is always there."""
