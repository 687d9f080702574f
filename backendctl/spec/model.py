"""The promises, as frozen objects. Every quantity is held in the unit its type says.

`load.py` makes these from `backend.toml`; `derive.py` computes what follows from them. The
docstring under a field is its description in the JSON Schema and on the reference page, and its
type says how it is written: there is no other definition of either.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    StrictBool,
)

from backendctl.spec.fields import (
    Account,
    Argv,
    Bytes,
    CertificateArn,
    Count,
    Fraction,
    FreezeText,
    Growth,
    HostedZone,
    HostName,
    Image,
    Label,
    Namespace,
    Network,
    ObjectName,
    ObjectReference,
    OptionalUrl,
    OptionalUrlPath,
    Percent,
    PerSecond,
    Place,
    Port,
    Registry,
    Replicas,
    RoleArn,
    Seconds,
    SecretName,
    SecretsProvider,
    Share,
    StateUrl,
    Url,
    UrlPath,
    VariableName,
    VpcId,
    WindowText,
    named,
    named_list,
)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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


class Client(StrEnum):
    """What calls the service."""

    WEB = "web"
    MOBILE = "mobile"
    PARTNER = "partner"
    """Other organisations' programs."""
    SERVICE = "service"
    """Our own other services."""


class Health(_Part):
    """Paths answered with 2xx when the process is what the name says."""

    ready: UrlPath = "/readyz"
    """Answers 2xx when the process can serve requests; traffic waits for it."""
    live: UrlPath = "/livez"
    """Answers 2xx while the process is alive; it is restarted when this fails."""


class Service(_Part):
    """What runs, and how."""

    name: Label = Field(examples=["shop"])
    """The service's name: part of host names, folders and labels."""
    start: Argv = Field(examples=["uvicorn app.main:app --host 127.0.0.1 --port $PORT"])
    """The command that serves HTTP on $PORT: one command as it is typed, without shell operators;
    $NAME stands for a variable of its environment."""
    dev: Argv = Field(default=(), examples=["uvicorn app.main:app --reload --port $PORT"])
    """The command of `backendctl dev`; when absent, `start` with a restart on each change."""
    install: Argv = Field(default=(), examples=["pip install -r requirements.txt"])
    """The command that installs dependencies where the recognised lock files do not say how."""
    migrate: Argv = Field(default=(), examples=["alembic upgrade head"])
    """The command that brings the database's schema up to date, run before a release starts."""
    health: Health = Health()
    """Paths that tell whether a process is ready and alive."""
    openapi: OptionalUrlPath = "/openapi.json"
    """Path of the OpenAPI document the running service serves; "" when it has none."""
    residency: Place = Field(default="", examples=["eu", "us", "eu-central-1"])
    """Where personal data must stay: a zone or a region; "" when it may be anywhere."""
    rps_per_worker: PerSecond = Field(default=50.0, gt=0, examples=["50/s", 400])
    """The rate at which one worker process is saturated. An assumption (20 ms of work a request)
    until `backendctl loadtest run --with stress` has measured it."""
    memory: Bytes = Field(default=256 << 20, ge=32 << 20, examples=["512 MiB"])
    """Memory one worker process may use; on Kubernetes it is killed when it takes more. An
    assumption until it was looked at under load."""


class Build(_Part):
    """How the service's image is built, where it runs in a cluster."""

    dockerfile: str = Field(default="Dockerfile", min_length=1, examples=["deploy/Dockerfile"])
    """The Dockerfile, within the project; the project is the build's context."""
    target: str = Field(default="", examples=["production"])
    """The stage of the Dockerfile that is the image; the last when absent."""
    arguments: Mapping[VariableName, str] = Field(
        default={}, examples=[{"PYTHON_IMAGE": "registry.example.com/python:3.13-slim"}]
    )
    """Build arguments, in clear: they stay in the image's history. Secrets never stand here."""
    secrets: tuple[SecretName, ...] = Field(default=(), examples=[["NPM_TOKEN"]])
    """Variables of whoever builds (or NAME_FILE, the path of a file) that the Dockerfile may mount
    (`RUN --mount=type=secret,id=NAME`); they are in no layer and no history."""
    machine: str = Field(
        default="", pattern=r"^([a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?)?$", examples=["linux/amd64"]
    )
    """What the cluster's nodes are, where it is not what images are built on."""


class Team(_Part):
    """Who builds and runs it."""

    size: Count = Field(default=5, ge=1, examples=[6])
    """Engineers who work on this service."""
    on_call: StrictBool = False
    """Whether someone is woken when it breaks at night; [on_call] says who."""


class Product(_Part):
    """What the service is for: only `backendctl advise` reads this."""

    stage: Literal["prototype", "production"] = "production"
    """`prototype` while it is still open whether anybody wants it."""
    clients: tuple[Client, ...] = Field(default=(Client.WEB,), examples=[["web", "mobile"]])
    """What calls the service: our web pages, our mobile apps, partners' programs, our services."""
    monthly_users: Count = Field(default=0, examples=["40k"])
    """Different people in a month; 0 when not known."""
    media: Bytes = Field(default=0, examples=["200 GiB"])
    """Files that users upload or download: how much is kept after a year; 0 for none."""
    work: Literal["in-request", "background", "long-running"] = "in-request"
    """The slowest work: done before the answer, in the background (seconds to minutes, such as
    e-mail), or in many steps over hours or days (such as an order)."""
    transfer_basis: Literal["none", "scc", "bcr"] = "none"
    """The safeguard under which personal data leaves the EU: standard contractual clauses (`scc`)
    or binding corporate rules (`bcr`), GDPR Article 46."""


class Load(_Part):
    """The expected peak. State `peak_rps`, or `peak_users`; the other follows by Little's law."""

    peak_rps: PerSecond = Field(gt=0, examples=[50, "200/s", "12k/min"])
    """Requests per second at the expected peak; when absent, peak_users / think_time."""
    peak_users: Count = Field(ge=1, examples=[500, "5k"])
    """Users at the same time at the expected peak; when absent, peak_rps x (think_time + p95)."""
    sustained_users: Count = Field(ge=1, examples=[200])
    """Users at the same time over a usual day; when absent, half the peak."""
    think_time: Seconds = Field(gt=0, examples=["7s", "500ms"])
    """Time a user waits between an answer and the next request; when absent, what rate and users
    imply, or 7s (the mean of the TPC-W benchmark)."""
    growth: Growth = Field(default=0.0, examples=["40%"])
    """How much the peak grows in a year."""
    reads: Fraction = Field(default=0.8, examples=["90%"])
    """The share of requests that only read."""


class Slo(_Part):
    """What users are promised."""

    availability: Fraction = Field(default=0.999, gt=0, lt=1, examples=["99.9%"])
    """The share of requests answered without error over 30 days."""
    p95: Seconds = Field(default=0.3, gt=0, examples=["300ms"])
    """95 of 100 requests are answered within this; when absent, 300ms, or 30% of a stated p99."""
    p99: Seconds = Field(default=1.0, gt=0, examples=["1s"])
    """99 of 100 requests are answered within this; when absent, 1s, or p95 / 30% if stated."""
    error_rate: Fraction = Field(default=0.01, gt=0, lt=1, examples=["1%"])
    """The largest share of requests a release may fail before it is rolled back; when absent, 1%,
    or ten times the stated availability's error budget if that is less."""


class Recovery(_Part):
    """What a disaster may cost."""

    rpo: Seconds = Field(default=900.0, examples=["15m"])
    """Recovery point: the latest writes that may be lost, counted back from the disaster."""
    rto: Seconds = Field(default=3600.0, gt=0, examples=["1h"])
    """Recovery time: how long until the service is back."""


class Data(_Part):
    """The database."""

    engine: Literal["none", "postgresql"] = "none"
    """The database that backendctl runs for the service."""
    shape: Literal["relational", "document", "key-value", "column-family", "graph"] = "relational"
    """What the data looks like; `backendctl advise` says which kind of database fits."""
    consistency: Literal["strong", "eventual"] = "strong"
    """`strong` when a read must see every write that was acknowledged before it."""
    size: Bytes = Field(default=1 << 30, examples=["20 GiB"])
    """How much data there will be after a year."""
    replicas: Count = Field(default=0, le=15, examples=[1])
    """Asynchronous copies that serve reads and can take over."""
    standby: StrictBool = False
    """Whether a synchronous copy in another zone stands by (on AWS: Multi-AZ)."""
    max_connections: Count = Field(default=100, ge=10, examples=[200])
    """Connections the database accepts (PostgreSQL's own default is 100)."""


class Cache(_Part):
    """The cache."""

    engine: Literal["none", "valkey"] = "none"
    """The cache that backendctl runs for the service."""
    ttl: Seconds = Field(default=60.0, gt=0, examples=["60s"])
    """How long an entry is served, unless `ttls` says otherwise for its kind."""
    ttls: Mapping[str, Annotated[Seconds, Field(gt=0)]] = Field(
        default={}, examples=[{"products": "10m"}]
    )
    """How long entries of one kind are served, by the kind's name."""


class Auth(_Part):
    """Who may call."""

    issuer: OptionalUrl = Field(default="", examples=["https://login.example.com/"])
    """The OpenID Connect issuer whose tokens are accepted; "" for no authentication. On `local` a
    test issuer stands in for it."""
    audience: str = Field(default="", examples=["shop-api"])
    """The audience (`aud`) a token must be made for."""


class Integration(_Part):
    """A service of somebody else's that this one calls."""

    name: str = Field(json_schema_extra={"in_header": True})
    url: Url = Field(examples=["https://api.stripe.com"])
    """Where it is called."""
    phase: Literal["launch", "later"] = "launch"
    """Whether it is needed at launch or comes later."""
    timeout: Seconds = Field(default=2.0, gt=0, examples=["2s"])
    """How long one call may take."""
    retries: Count = Field(default=2, le=10, examples=[2])
    """How often a failed call is tried again, with growing, jittered waits."""
    fallback: str = Field(default="", examples=["queue the payment and confirm by mail"])
    """What the service does while it cannot be reached."""


class OnCall(_Part):
    """Who is called when it breaks."""

    primary: str = Field(default="", examples=["payments-oncall@example.com"])
    """Who is called first: an address, a number or a rota's name."""
    escalation: tuple[str, ...] = Field(default=(), examples=[["lead@example.com"]])
    """Who is called next, in order, while nobody answers."""


class News(StrEnum):
    """What happens to a rollout that somebody may want to hear of."""

    BEGAN = "began"
    WAITS = "waits"
    PROMOTED = "promoted"
    UNDONE = "undone"


class Notification(_Part):
    """Somebody who is told what becomes of rollouts."""

    name: str = Field(json_schema_extra={"in_header": True})
    kind: Literal["slack", "webhook"] = "slack"
    """`slack` for anything that takes Slack's incoming webhooks (Mattermost, Rocket.Chat and Teams
    workflows do); `webhook` for a JSON document with every field."""
    secret: SecretName = Field(default="", examples=["SLACK_URL"])
    """The secret that holds the URL, for one that whoever knows it may post to:
    `backendctl secrets set SLACK_URL`. Releases are not given it."""
    url: OptionalUrl = Field(default="", examples=["http://127.0.0.1:9099/hooks/rollouts"])
    """The URL itself, where it is no secret."""
    on: tuple[News, ...] = Field(default=tuple(News), min_length=1, examples=[["waits", "undone"]])
    """What is told; all of it when absent."""


class OwnMetric(_Part):
    """A measure of the service's own, judged in a rollout as errors are."""

    name: Label = Field(json_schema_extra={"in_header": True})
    limit: Fraction = Field(gt=0, lt=1, examples=["2%"])
    """The largest share of operations that may be bad before a release is rolled back."""
    command: Argv = Field(default=(), examples=["python -m shop.checkout_counts $RELEASE"])
    """Prints how the release with number $RELEASE has done since it started: `GOOD BAD`, or
    `{"requests": N, "events": M}` with M bad ones among N. Runs with that release's code and
    environment, within 5 s."""
    prometheus: OptionalUrl = Field(default="", examples=["http://127.0.0.1:9090"])
    """Or a Prometheus server, to be asked for `requests` and `events`."""
    requests: str = Field(default="", examples=['sum(orders_total{release="$RELEASE"})'])
    """PromQL: all operations of the release so far."""
    events: str = Field(
        default="", examples=['sum(orders_failed_total{release="$RELEASE"}) or vector(0)']
    )
    """PromQL: the bad ones among them."""
    required: bool = Field(default=True, strict=True, examples=[False])
    """Whether a release must be shown to keep the limit before it gets more traffic. If not, the
    measure can only undo a rollout."""


class Environment(_Part):
    """A named place where releases run. `local` is always there."""

    name: Label = Field(json_schema_extra={"in_header": True})
    platform: PlatformName = PlatformName.LOCAL
    """Processes on this machine, any Kubernetes cluster, or AWS, where Pulumi makes the cluster."""
    port: Port | None = Field(default=None, examples=[8080])
    """The gateway's port on `local`; chosen free and remembered when absent."""
    region: Place = Field(default="", examples=["eu-central-1"])
    """The cloud region."""
    replicas: Replicas | None = Field(default=None, examples=[3])
    """Processes or pods per release; derived from the load when absent."""
    variables: Mapping[VariableName, str] = Field(default={}, examples=[{"LOG_LEVEL": "info"}])
    """Configuration in clear, given to the service's processes. Secrets never stand here:
    `backendctl secrets set`."""
    context: str = Field(default="", examples=["prod-eu"])
    """The kubeconfig's context that leads to the cluster; the current one when absent. In a pod
    without a kubeconfig, the pod's own account is used."""
    namespace: Namespace = Field(default="", examples=["shop-prod"])
    """The namespace in the cluster; `<service>-<environment>` when absent."""
    registry: Registry = Field(default="", examples=["ghcr.io/acme"])
    """Where `backendctl build` pushes the service's image, from where the cluster pulls it."""
    gateway: ObjectReference = Field(default="", examples=["gateways/shared"])
    """An existing Gateway, `namespace/name`, that the service's route joins; one of its own when
    absent."""
    gateway_class: ObjectName = Field(default="", examples=["contour", "eg"])
    """The GatewayClass of a Gateway of its own (`kubectl get gatewayclass` lists those there are);
    on AWS, that of the controller which the stacks install, when absent."""
    host: HostName = Field(default="", examples=["shop.example.com"])
    """The host name by which users reach the service; requests for any, when absent."""
    url: OptionalUrl = Field(default="", examples=["https://shop.example.com"])
    """Where users reach the gateway, when its own addresses do not say so (behind another load
    balancer, say)."""
    prometheus: OptionalUrl = Field(default="", examples=["http://prometheus.monitoring:9090"])
    """A Prometheus server that scrapes the gateway; without one, its numbers are read from the
    gateway itself."""
    database_secret: ObjectName = Field(default="", examples=["shop-database"])
    """The Secret in the namespace whose keys are the variables by which the database is reached
    (DATABASE_URL); `<service>-database` when absent."""
    cache_secret: ObjectName = Field(default="", examples=["shop-cache"])
    """The same for the cache (CACHE_URL and REDIS_URL, the same); `<service>-cache` when absent."""
    driver_image: Image = Field(default="", examples=["ghcr.io/acme/backendctl:1.4.0"])
    """The image of backendctl itself, for what it runs in the cluster: the watchdog, `deploy
    --detach`, the workers of load tests. Without it there are none."""
    state: StateUrl = Field(default="", examples=["s3://acme-state/shop?region=eu-central-1"])
    """Where Pulumi keeps what it knows of this environment's stacks: a bucket that all of a team
    reach; a folder of the project, for one person, when absent."""
    secrets_provider: SecretsProvider = Field(
        default="", examples=["awskms://alias/shop?region=eu-central-1"]
    )
    """The key that encrypts secrets in that state; a phrase generated on this machine when
    absent."""
    size: Literal["small", "standard"] = "standard"
    """On AWS: `standard` is built to lose a zone without an outage; `small` is for a team that
    looks at its bill, and `backendctl infra preview` says what it gives up."""
    account: Account = Field(default="", examples=["123456789012"])
    """The AWS account; credentials of any other are refused."""
    vpc: VpcId = Field(default="", examples=["vpc-0abc1234"])
    """An existing VPC to use; its subnets are found by the tags kubernetes.io/role/elb and
    kubernetes.io/role/internal-elb. One of its own when absent."""
    database: ObjectName = Field(default="", examples=["shop-db-2019"])
    """The identifier of an existing RDS database to use; one of its own when absent."""
    cluster: ObjectName = Field(default="", examples=["platform-eu"])
    """The name of an existing EKS cluster to use; one of its own when absent."""
    api_access: tuple[Network, ...] = Field(default=(), examples=[["203.0.113.0/24"]])
    """Networks that may reach the cluster's API server over the internet. When absent it answers
    only inside the VPC, and backendctl has to run there or over a VPN."""
    admins: tuple[RoleArn, ...] = Field(
        default=(), examples=[["arn:aws:iam::123456789012:role/platform"]]
    )
    """IAM roles that administer the cluster; whoever makes it when absent."""
    zone: HostedZone = Field(default="", examples=["Z0123456789ABC"])
    """The Route 53 zone that holds `host`: its records and its certificate's proof go there."""
    certificate: CertificateArn = Field(
        default="",
        examples=["arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d"],
    )
    """A certificate for `host` that exists; one is made and proven in `zone` when absent."""


class Rollout(_Part):
    """How a new release takes over."""

    strategy: Strategy = Strategy.CANARY
    """`canary`: traffic moves step by step while the release is judged; `blue-green`: all at once
    after a smoke check, with stable kept warm."""
    steps: tuple[Percent, ...] | None = Field(default=None, min_length=1, examples=[[5, 25, 50]])
    """Percentages of traffic the candidate gets, rising, below 100; chosen from the traffic when
    absent."""
    warm_up: Seconds = Field(default=30.0, examples=["30s"])
    """How long after each rise of weight the candidate is not judged yet."""
    step_time: Seconds = Field(default=60.0, gt=0, examples=["60s"])
    """The least time at a step after warm-up."""
    deadline: Seconds = Field(default=3600.0, gt=0, examples=["1h"])
    """The most time at a step; without a verdict by then, `on_inconclusive` applies."""
    bake: Seconds = Field(default=300.0, examples=["5m"])
    """How long stable is kept warm once the candidate has all traffic."""
    ready_deadline: Seconds = Field(default=120.0, gt=0, examples=["2m"])
    """How long a release may take to become ready."""
    drain_deadline: Seconds = Field(default=30.0, gt=0, examples=["30s"])
    """How long requests in flight may take to end before a process is stopped."""
    migrate_deadline: Seconds = Field(default=600.0, gt=0, examples=["10m"])
    """How long the migration may take."""
    compatibility: Argv = Field(default=(), examples=["python -m app.check"])
    """The command that tests the release that serves against the schema of the one to come, in its
    own code, before that is started; with a database of its own. None when absent."""
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    """What happens without a verdict: `hold` waits for a person, `abort` goes back to stable.
    Nothing is ever promoted without a verdict."""
    hold: Seconds = Field(default=14400.0, gt=0, examples=["4h"])
    """How long a held rollout waits for a person before it is undone."""
    max_ratio: float = Field(default=2.0, gt=1, le=100, strict=True, examples=[2.0])
    """A release must be shown to fail less than this many times as often as stable, or less than
    the SLO allows. Both arms are judged so: a release may fail more often than stable and be
    promoted while it keeps the promise."""
    refusals: Literal["compare", "ignore"] = "compare"
    """`compare`: a release that answers 4xx far more often than stable at the same time is undone.
    `ignore` for one that is meant to."""
    synthetic: PerSecond = Field(default=0.0, examples=["50/s"])
    """Reads per second that backendctl itself sends while a release is judged, on `local` only,
    where nobody else may use the service. `deploy --traffic` says it for one deploy."""
    mirror: Share | None = Field(default=None, examples=["10%"])
    """Share of GET and HEAD requests that is copied to a release before it answers any user, on
    `local` only; its answers to copies are thrown away. None when absent. Not for a service in
    which a GET changes something: a copy changes it once more."""
    mirror_time: Seconds = Field(default=60.0, gt=0, examples=["60s"])
    """How long requests are copied, where `mirror` says so."""
    approvals: tuple[Share, ...] = Field(default=(), examples=[[100]])
    """Percentages of traffic that a release gets only after `backendctl rollout approve`; 100 is
    all of it. The rollout waits at most as long as `hold` says."""
    sticky: Literal["none", "cookie"] = "none"
    """`cookie`: a browser stays with the release that answered it first, by a cookie the gateway
    sets, and moves to the candidate at most once. Clients without cookies are spread as ever."""
    windows: tuple[WindowText, ...] = Field(
        default=(), examples=[["Mon-Thu 09:00-16:00 Europe/Berlin"]]
    )
    """When deploys may begin: days, hours and a zone. Always, when absent. Rolling back is never
    held up."""
    freezes: tuple[FreezeText, ...] = Field(
        default=(), examples=[["2026-12-20 to 2027-01-02 Europe/Berlin: holidays"]]
    )
    """Days on which no deploy begins, and why."""


class Tenancy(_Part):
    """How customers are kept apart."""

    model: Literal["single", "pooled", "siloed"] = "single"
    """One customer; many in the same tables; or each with a database of their own."""


class LoadTest(_Part):
    """What the load test sends, where the OpenAPI document does not say it."""

    paths: tuple[UrlPath, ...] = Field(default=(), examples=[["/products", "/health"]])
    """GET these instead of what the OpenAPI document describes."""
    locustfile: str = Field(default="", examples=["loadtests/checkout.py"])
    """The project's own users for the closed loop; `loadtests/locustfile.py` if that exists."""


class Spec(_Part):
    """What a backend service promises; everything else is derived from it."""

    service: Service
    build: Build = Build()
    load: Load
    slo: Slo = Slo()
    recovery: Recovery = Recovery()
    team: Team = Team()
    product: Product = Product()
    compliance: Annotated[frozenset[Regime], PlainSerializer(sorted)] = Field(
        default=frozenset(), examples=[["gdpr", "pci-dss"]]
    )
    """Laws and standards the service is held to. Stands above the first table."""
    data: Data = Data()
    cache: Cache = Cache()
    auth: Auth = Auth()
    integrations: Annotated[tuple[Integration, ...], BeforeValidator(named_list)] = ()
    """Services of others that this one calls: a table [integrations.NAME] each."""
    notifications: Annotated[tuple[Notification, ...], BeforeValidator(named_list)] = ()
    """Who is told what becomes of rollouts: a table [notifications.NAME] each."""
    on_call: OnCall = OnCall()
    rollout: Rollout = Rollout()
    tenancy: Tenancy = Tenancy()
    loadtest: LoadTest = LoadTest()
    metrics: Annotated[tuple[OwnMetric, ...], BeforeValidator(named_list)] = ()
    """Measures of the service's own, judged in rollouts: a table [metrics.NAME] each."""
    environments: Annotated[Mapping[str, Environment], BeforeValidator(named)]
    """Where releases run: a table [environments.NAME] each; `local` is always there."""

    _stated: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def stated(self) -> frozenset[str]:
        """Dotted keys that the file itself states; everything else is derived or a default."""
        return self._stated
