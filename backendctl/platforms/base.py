"""The seam behind which a platform stands.

Everything above it (rollouts, load tests, workflows) knows an environment only through these
types. Each platform implements all of them, and one conformance suite runs on every platform.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from backendctl.migrations.revisions import Effect, Revision, Tool

OnLine = Callable[[str], None]


def unheard(_line: str) -> None:
    """The OnLine of a caller who does not listen."""


"""Receives one line of progress, as text for a person."""


# --- releases ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SchemaRange:
    """The schema versions a release works with, both ends included, and how they follow.

    Versions are the migration tool's own revision names. A release also works with later ones that
    only add to its newest: what each revision does is recorded by the release that brought it.
    """

    oldest: str
    """The last revision that must be applied before it starts; "" for none."""
    newest: str
    tool: Tool
    revisions: tuple[Revision, ...]
    """All that came with its code, in the order in which they apply."""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "SchemaRange":
        """What `dataclasses.asdict` and JSON made of one."""
        revisions = (
            Revision(
                **{
                    **each,
                    "after": tuple(each["after"]),
                    "effect": Effect(each["effect"]) if each["effect"] else None,
                }
            )
            for each in body["revisions"]
        )
        return cls(body["oldest"], body["newest"], Tool(body["tool"]), tuple(revisions))


@dataclass(frozen=True, slots=True)
class Package:
    """Code made immutable: what a release runs, under the digest of its contents."""

    code_digest: str
    location: str
    """Where the platform keeps it: a folder on `local`, an image reference on Kubernetes."""
    environment_digest: str = ""
    """Digest of the lock file whose installed dependencies it shares with other releases."""
    schema: SchemaRange | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a release runs with: values in clear, secrets only by name and version."""

    values: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret name -> version. The value stays in the platform's secret store."""

    @property
    def digest(self) -> str:
        """SHA-256 over names, values and secret versions, first 16 hex digits."""
        import hashlib
        import json

        body = json.dumps([dict(self.values), dict(self.secrets)], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Processes:
    """How a release's processes are run, fixed at the time it was made.

    Commands are argv lists; `$NAME` in an argument stands for the variable of that name in the
    process's environment (`PORT` above all).
    """

    start: tuple[str, ...]
    migrate: tuple[str, ...] = ()
    """Brings the schema up to what the release needs to start."""
    ready_path: str = "/"
    replicas: int = 1
    stop_grace: float = 30.0
    """Seconds a process has, after the polite signal, to finish what is in flight."""
    contract: tuple[str, ...] = ()
    """Applies the migrations that wait until the former release is gone."""
    live_path: str = ""
    """Answers 2xx while the process is alive; "" where nobody has said that there is such a path:
    then a process is alive while it accepts connections."""


@dataclass(frozen=True, slots=True)
class Release:
    """Code, configuration and schema range under one number; never changed once recorded."""

    number: int
    package: Package
    configuration: Configuration
    processes: Processes
    created: float
    """Seconds since the epoch."""
    created_by: str
    note: str = ""


# --- runtime ----------------------------------------------------------------------------------


class Condition(StrEnum):
    """The state of a release's processes as a whole."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    """Running, but its readiness check says no (or nothing)."""
    CRASHING = "crashing"
    """At least one process died and is being restarted with back-off."""
    FAILED = "failed"
    """Given up: it will not come back by itself."""


@dataclass(frozen=True, slots=True)
class ReleaseStatus:
    """What one look at a release's processes shows."""

    number: int
    condition: Condition
    replicas: int = 0
    ready: int = 0
    restarts: int = 0
    """Restarts after a crash since the release was started."""
    detail: str = ""
    """For a person: exit status, signal, the readiness check's answer."""
    last_restart: float | None = None
    """When the last of its restarts was, in seconds since the epoch."""


MIGRATION = "migrate"
"""The job that changes the schema: it gives up rather than keep users waiting for a lock."""
LOCK_KEPT = "it was ended: requests of users waited for a lock that it kept"
"""The last line of a migration that had to be stopped."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """The end of a one-off command."""

    exit_status: int
    """As the shell would say it: negative of the signal when killed by one; 124 at time-out."""
    seconds: float
    tail: tuple[str, ...]
    """Its last lines of output, oldest first."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command to be run here, by whoever has the terminal. Its environment holds secrets."""

    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    """The whole environment, not additions to ours."""


class Runtime(Protocol):
    """Runs releases and one-off jobs. Every method is idempotent."""

    def package(self, tree: Path, on_line: OnLine) -> Package:
        """Make the working tree immutable and its dependencies ready to start in a second.

        Raises BackendctlError `release.package` with the installer's last lines.
        """
        ...

    def start(self, release: Release) -> None:
        """Start the release's processes; returns before they are ready."""
        ...

    def stop(self, number: int) -> None:
        """Ask the processes to end, wait their grace, kill what is left; gone on return."""
        ...

    def status(self, number: int) -> ReleaseStatus:
        """One look, under 100 ms unless a process hangs."""
        ...

    def running(self) -> Sequence[int]:
        """Numbers of all releases that have processes, ready or not."""
        ...

    def await_ready(self, release: Release, deadline: float) -> ReleaseStatus:
        """Wait until every replica is ready, the release failed, or `deadline` seconds passed.

        Returns as soon as the outcome can be known: a crash loop is not waited out.
        """
        ...

    def run_job(
        self, release: Release, name: str, argv: Sequence[str], deadline: float, on_line: OnLine
    ) -> JobResult:
        """Run a command in the release's code, environment and configuration, to its end."""
        ...

    def in_release(self, release: Release, argv: Sequence[str]) -> Invocation:
        """A command that a person typed, in a release's surroundings; taken literally, without
        `$NAME` being replaced."""
        ...

    def in_tree(
        self,
        tree: Path,
        argv: Sequence[str],
        configuration: Configuration,
        extra: Mapping[str, str],
        on_line: OnLine,
    ) -> Invocation:
        """A command in the working tree itself, with the dependencies its files ask for now and
        `extra` variables; `$NAME` in it is replaced. Nothing is written into the tree.

        Raises like `package`.
        """
        ...

    def development_port(self) -> int:
        """A port for the working tree's own process, the same each time while it is free."""
        ...

    def logs(self, number: int, lines: int, follow: bool = False) -> Iterator[str]:
        """The release's last `lines` lines, oldest first; then, if `follow`, those to come."""
        ...


# --- router -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Routes:
    """Everything the gateway is told about one environment, as one value."""

    weights: Mapping[int, int]
    """Release number -> percent of requests. Sums to 100; zero entries stay connected."""
    preview: int | None = None
    """Release served to requests with the preview header, whatever the weights."""
    fallback: int | None = None
    """Release that takes over a request its own arm could not even accept."""
    mirror: int | None = None
    """Percent of users' read-only requests (GET and HEAD) that are copied to the release under
    preview as well. Nobody waits for a copy or sees its answer."""

    def __post_init__(self) -> None:
        if self.weights and sum(self.weights.values()) != 100:
            raise ValueError(f"weights must sum to 100: {dict(self.weights)}")
        if any(w < 0 for w in self.weights.values()):
            raise ValueError(f"a weight is negative: {dict(self.weights)}")
        if self.mirror is not None and (self.preview is None or not 1 <= self.mirror <= 100):
            raise ValueError(f"{self.mirror} % cannot be copied to release {self.preview}")


MIRROR_HEADER = "x-backendctl-mirrored"
"""What a copy carries (value `1`) and its original does not."""
MIRROR_PATIENCE = 10.0
"""Seconds after which a copy that has not ended is cut off, so that a candidate which hangs holds
on to few of them."""

PREVIEW_HEADER = "x-backendctl-preview"
"""A request that carries this header (any value) goes to the release under preview."""
PREVIEW_COOKIE = "backendctl-preview"
"""So does one with this cookie (any value): for testers with a browser."""


class Router(Protocol):
    """Moves traffic. `apply` is atomic and counts only once the gateway serves it."""

    @property
    def url(self) -> str:
        """Where users reach the service, without a trailing slash."""
        ...

    @property
    def host(self) -> str:
        """The name that requests sent to `url` must bear as their Host; empty: that of `url`."""
        ...

    def connect(self, number: int, deadline: float) -> None:
        """Make a running release known to the gateway, at no weight, and wait until it is healthy.

        Raises BackendctlError `platform.gateway` at the deadline.
        """
        ...

    def apply(self, routes: Routes, fence: Callable[[], None] = lambda: None) -> None:
        """Serve `routes` on every gateway replica; returns once that has been read back.

        `fence` is called right before the change, when nobody else can make one, and raises if
        whoever asked may make none any more: then nothing is changed.

        Raises BackendctlError `platform.gateway` if the gateway refuses or does not serve it; the
        former routes then still hold.
        """
        ...

    def read(self) -> Routes | None:
        """What the gateway really serves now; None if it serves no release (or is not up)."""
        ...

    def drain(self, number: int, deadline: float) -> bool:
        """Wait until no request is in flight to that release; False if some were at the deadline.

        The release must have no weight.
        """
        ...

    def dismiss(self) -> None:
        """Tell each user's connection to close with its next answer: the gateway is about to stop.

        Requests in flight and new connections are still served. Nothing happens where no gateway
        of ours runs.
        """
        ...

    def disconnect(self, number: int) -> None:
        """Forget a release that has no weight, after its processes are gone."""
        ...


# --- meter ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Latencies:
    """Cumulative counts over fixed edges: `at_most[i]` requests took <= `edges_ms[i]`."""

    edges_ms: tuple[float, ...]
    at_most: tuple[int, ...]
    total: int

    def slower_than(self, threshold_ms: float) -> int:
        """Requests over the largest edge that is not above `threshold_ms`."""
        over = self.total
        for edge, count in zip(self.edges_ms, self.at_most, strict=True):
            if edge > threshold_ms:
                break
            over = self.total - count
        return over


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Which requests of a release failed or were slow, as far as the gateway tells them apart.

    Counts since whoever samples began. They may lag `ArmSample`'s by a moment and miss some of
    them; what is missing must not depend on the arm.
    """

    errors: Mapping[str, int] = field(default_factory=dict)
    """Endpoint (`GET /orders/{id}`) -> failed and masked requests."""
    slow: Mapping[str, int] = field(default_factory=dict)
    """Endpoint -> requests over the largest threshold that the meter was made with."""
    clients: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Client -> endpoint -> failed and masked requests. A client is a keyed hash, never a name."""
    seen: Mapping[str, int] = field(default_factory=dict)
    """Client -> requests of it that were noticed at all: failed, slow, or in a random sample."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What became of the copies of read-only requests, beside their originals.

    Cumulative: only differences of two mean anything. The originals are users' requests that could
    have been copied: the copies are a random share of them, and so the same mix.
    """

    copies: int
    """Copies that the release answered, or let wait for `MIRROR_PATIENCE`."""
    failures: int
    """Of those: answered 5xx."""
    refused: int
    """Of those: answered 4xx."""
    unanswered: int
    """Of those: cut off before an answer began."""
    lost: int
    """Copies that got no answer because a connection broke or could not be made, or because too
    many were under way. The gateway repeats a user's request after the former, a copy never: they
    say nothing about what users would see."""
    originals: int
    failed_originals: int
    """Of those: 5xx, as users saw them."""


@dataclass(frozen=True, slots=True)
class ArmSample:
    """Counters of one release since its series began. Only differences of two mean anything."""

    number: int
    requests: int
    """Requests answered for users of this arm."""
    errors: int
    """Of those: 5xx, resets and time-outs, as users saw them."""
    masked: int
    """Attempts that this release failed and the fallback answered: counted against the arm too."""
    latencies: Latencies
    healthy: int
    """Replicas the gateway holds to be healthy."""
    breakdown: Breakdown | None = None
    """None where the gateway cannot tell requests apart."""
    counted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """The service's own metrics by name: operations, and bad ones among them."""
    uncounted: Mapping[str, str] = field(default_factory=dict)
    """Those of its own metrics that could not be read, and why."""
    refused: int = 0
    """Of the requests: those answered 4xx."""
    mirrored: Mirrored | None = None
    """What it did with copies, which are among none of the other counts; None where it is sent
    none, or they are not counted."""


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """One request that a release failed; nothing in it is secret or names a user."""

    at: float
    """When it began, seconds since the epoch."""
    endpoint: str
    status: int | None
    """What the user got; None if no answer, or not the whole of it."""
    problem: str
    """What the gateway saw, in words; empty where the status says it all."""
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """All arms at one moment."""

    at: float
    """Seconds since the epoch."""
    arms: Mapping[int, ArmSample]


@dataclass(frozen=True, slots=True)
class Span:
    """What one release did in a span of time: differences of its counters."""

    number: int
    start: float
    end: float
    """Seconds since the epoch."""
    requests: int
    errors: int
    """Masked ones included."""
    latencies: Latencies


class Meter(Protocol):
    """Counts what each release did, as the gateway saw it."""

    def sample(self) -> Sample:
        """Cumulative counters of every connected release, now.

        Raises BackendctlError `platform.gateway` when they cannot be had: missing data is said,
        never invented.
        """
        ...

    def failures(self, number: int, limit: int) -> Sequence[FailedRequest]:
        """The last `limit` requests that a release failed, oldest first; none where the gateway
        keeps no record of them. Needs neither the release nor the gateway to be up."""
        ...

    def history(self, since: float) -> Sequence[Span]:
        """What each release did since then (seconds since the epoch), oldest first, in spans of
        some ten seconds: recorded while nobody looks, for a day at least while the environment is
        up. A span that could not be measured is left out, never zero; all of them where nobody
        records. Raises BackendctlError when what was recorded cannot be read.
        """
        ...

    def leave_out(self, start: float, end: float) -> None:
        """What is counted between these moments (seconds since the epoch) is not how users are
        served, a load test above all: `history` leaves those spans out."""
        ...


# --- store ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds an environment."""

    owner: str
    """user@host, and the process: enough to find them."""
    command: str
    since: float
    expires: float
    epoch: int
    alive: bool | None = None
    """False when the owner is known to be dead, True when known to live, None from afar."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The right to write. Every write carries the epoch; a stale one is refused."""

    epoch: int
    owner: str


@dataclass(frozen=True, slots=True)
class PersonCommand:
    """What a person asks of a rollout that another process drives."""

    verb: str
    """pause | resume | approve | promote | abort"""
    by: str
    reason: str
    at: float


SAMPLES_KEPT = 7 * 86400.0
"""Seconds for which examples of failed requests are kept."""


class Store(Protocol):
    """Remembers releases, rollouts and who may write, by compare-and-swap with a fencing epoch.

    A write whose grant is stale raises BackendctlError `rollout.fenced`; taking a lock that is
    held raises `rollout.locked` naming the holder. No secret is ever given to it.
    """

    def acquire(self, owner: str, command: str, lease: float, take_over: bool = False) -> Grant:
        """Take the environment for `lease` seconds.

        A lapsed lease, or a holder known to be dead, is taken over; a live one only on the
        owner's word (`take_over`). Each grant has a higher epoch than all before.
        """
        ...

    def renew(self, grant: Grant, lease: float) -> None:
        """Extend the lease."""
        ...

    def release(self, grant: Grant) -> None:
        """Give the environment back; a stale grant is ignored."""
        ...

    def holder(self) -> Holder | None:
        """Who holds it now."""
        ...

    def epoch(self) -> int:
        """The last epoch ever granted, 0 before the first. Each grant's is one higher: who sees
        the same one twice knows that nobody was given the environment in between."""
        ...

    def add_release(self, grant: Grant, release: Release) -> None:
        """Record a release; its number must be the next one."""
        ...

    def releases(self) -> Sequence[Release]:
        """All releases, oldest first."""
        ...

    def append(self, grant: Grant, rollout: str, record: Mapping[str, Any]) -> None:
        """Add a record to a rollout's journal, durable on return; begins it if it is new."""
        ...

    def records(self, rollout: str) -> Sequence[Mapping[str, Any]]:
        """A rollout's whole records, oldest first; a torn last one is left out.

        Raises `journal.corrupt` on a gap, `journal.version` on another version's journal.
        """
        ...

    def rollouts(self) -> Sequence[str]:
        """Identifiers of all rollouts, oldest first."""
        ...

    def keep_samples(self, grant: Grant, rollout: str, samples: Mapping[str, Any]) -> None:
        """Keep examples of what went wrong in a rollout, in place of those kept before.

        They are no part of the journal: forgotten after `SAMPLES_KEPT`, and nothing depends on
        them.
        """
        ...

    def samples(self, rollout: str) -> Mapping[str, Any] | None:
        """What `keep_samples` kept; None if nothing was, or no more."""
        ...

    def post(self, rollout: str, command: PersonCommand) -> None:
        """Leave a command for whoever drives the rollout. Needs no grant."""
        ...

    def posted(self, rollout: str) -> Sequence[PersonCommand]:
        """All commands left for a rollout so far, oldest first."""
        ...


# --- what outlives a release ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One of the servers that outlive a release: gateway, database, cache, issuer."""

    name: str
    running: bool
    """Whether it answers as it should."""
    address: str
    detail: str = ""
    alive: bool = False
    """Whether its process runs; one that runs and does not answer hangs, or is still starting."""
    restarts: int = 0
    """Times it came back by itself since it was started."""
    last_restart: float | None = None
    """When the last of them was, in seconds since the epoch."""
    next: tuple[str, ...] = ()
    """What to type where starting it again would not help."""
    needed: bool = True
    """Whether anything waits for it; one that was never asked for is only spoken of."""


WATCHDOG = "watchdog"
"""The service that brings a rollout to an end which nobody drives, where an environment has one."""


class Foundation(Protocol):
    """The servers an environment stands on. On Kubernetes and AWS the Pulumi stacks own them."""

    def ensure(self, on_line: OnLine) -> None:
        """Bring up whatever is not running, with its data; idempotent, also after a reboot."""
        ...

    def stop(self, purge: bool = False, on_line: OnLine = unheard) -> None:
        """Stop every process of the environment; with `purge`, delete its data too.

        `on_line` is told what is waited for.
        """
        ...

    def status(self) -> Sequence[ServiceStatus]:
        """One look at each server."""
        ...

    def logs(self, server: str, lines: int) -> Sequence[str]:
        """A server's last lines of output, oldest first; none if it never ran."""
        ...

    def variables(self) -> Collection[str]:
        """Names of the `bindings`; known before the environment was ever up."""
        ...

    def bindings(self) -> Mapping[str, str]:
        """Environment variables by which a process of the service reaches the servers.

        Secret: never shown, logged or journaled.
        """
        ...


@dataclass(frozen=True, slots=True)
class MigrationScript:
    """What one migration would run."""

    source: str
    """Its file's text."""
    sql: str = ""
    problem: str = ""
    """Why the SQL cannot be had."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a rehearsal of migrations ended."""

    argv: tuple[str, ...]
    """The last command that was run: the migration if that failed, else the tests."""
    result: JobResult


class Schema(Protocol):
    """The database's schema, as the migration tool's own record in the database has it."""

    def applied(self, tool: Tool) -> frozenset[str]:
        """The names that the tool has recorded; of a tool that records only where it stands,
        that. Empty if it never ran.

        Raises BackendctlError `missing.server` when the database cannot be asked.
        """
        ...

    def scripts(
        self, release: Release, revisions: Sequence[Revision]
    ) -> Mapping[str, MigrationScript]:
        """By name, what these migrations of the release would run. Nothing is changed."""
        ...

    def rehearse(
        self,
        candidate: Release,
        stable: Release,
        tests: Sequence[str],
        deadline: float,
        on_line: OnLine,
    ) -> Rehearsal:
        """Run `tests` in stable's code, environment and configuration, against a database of their
        own that has the present schema, no rows, and candidate's migrations applied.

        Each of the two commands has `deadline` seconds. Raises BackendctlError `missing.server`.
        """
        ...


class Secrets(Protocol):
    """Named secret values, each change a new version.

    Values reach the processes of releases and, by `reveal`, backendctl's own requests; nothing
    else.
    """

    def set(self, name: str, value: str) -> str:
        """Store a new version and return its identifier."""
        ...

    def unset(self, name: str) -> None:
        """Forget the name for releases to come; releases that pinned a version keep it."""
        ...

    def reveal(self, name: str) -> str | None:
        """The present value, for a request that backendctl itself makes; None if it is not set.

        Never shown, logged or journaled.
        """
        ...

    def current(self) -> Mapping[str, str]:
        """Name -> version, for every name that is set."""
        ...


# --- backendctl itself, where the environment is ----------------------------------------------


ERRAND_FOLDER = "/etc/backendctl"
"""Where an errand finds its files."""
ERRAND_SECRETS = "/etc/backendctl-secret"
"""Where it finds those that are secret."""
INDEX_VARIABLE = "BACKENDCTL_INDEX"
"""Tells a copy of an errand which one it is: 0, 1, 2 ..."""


LOAD_PODS = 24
"""Copies that a load test may have at the same time, one core each: an environment has room for
them."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A module of backendctl that is to run where the environment is, apart from this machine."""

    name: str
    """What it is for, as a part of names: `driver`, `load`."""
    argv: tuple[str, ...]
    """The module and its arguments, as `python -m` takes them."""
    deadline: float
    """Seconds after which it is ended, whatever it is at."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Name -> content, in ERRAND_FOLDER; nothing secret."""
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    """The same in ERRAND_SECRETS."""
    variables: Mapping[str, str] = field(default_factory=dict)
    steers: bool = False
    """Whether it drives a rollout, and so may change the environment. Others may ask for nothing
    at all."""
    copies: int = 1
    cores: float = 0.1
    """That each copy is promised."""
    memory: int = 256 * 2**20
    """Bytes that each copy may take."""


class Underway(Protocol):
    """An errand that has begun."""

    @property
    def where(self) -> str:
        """Where it runs, in words, for a person."""
        ...

    @property
    def follow(self) -> str:
        """The command that shows what it says."""
        ...

    def address(self) -> str:
        """Where the first copy is reached by other errands of the same environment."""
        ...

    def lines(self) -> Iterator[str]:
        """What the first copy says, from its beginning, as it comes, until it has ended.

        Raises BackendctlError when that cannot be had any more.
        """
        ...

    def ended(self) -> Mapping[int, int]:
        """Exit status of the copies that have ended, by index."""
        ...

    def remove(self) -> None:
        """End what is left of it; gone on return. Idempotent."""
        ...


class Away(Protocol):
    """Runs backendctl itself in the environment, so that this machine may go."""

    def start(self, errand: Errand, on_line: OnLine) -> Underway:
        """Returns once every copy has begun.

        Raises BackendctlError `missing.environment` when there is no image of backendctl for it,
        `platform.errand` when a copy does not begin; nothing is left then.
        """
        ...


@dataclass(frozen=True, slots=True)
class Platform:
    """One environment, ready to be worked with. Making one touches nothing outside."""

    name: str
    foundation: Foundation
    runtime: Runtime
    router: Router
    meter: Meter
    store: Store
    secrets: Secrets
    schema: Schema | None = None
    """None where the environment has no database of its own."""
    away: Away | None = None
    """None where the environment is on this machine."""
