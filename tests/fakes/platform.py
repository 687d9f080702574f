"""A whole platform in memory, on a clock that only moves when somebody waits.

It serves simulated users all the time: whenever time passes, each user's request goes to a release
by the gateway's weights, and it fails when that release has no process to answer it. `failed` and
`broken_rules` say what users saw and which order of operations was wrong.

Faults: `point` is called with a name before and after each effect and each journal append, and may
raise whatever the test wants to happen there (`Killed` stands for kill -9).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.base import (
    ArmSample,
    Breakdown,
    Condition,
    Configuration,
    FailedRequest,
    Grant,
    Holder,
    JobResult,
    Latencies,
    Mirrored,
    OnLine,
    Package,
    PersonCommand,
    Platform,
    Processes,
    Release,
    ReleaseStatus,
    Routes,
    Sample,
    SchemaRange,
    ServiceStatus,
    Span,
    unheard,
)

START = 1_700_000_000.0


class Killed(BaseException):
    """kill -9 of the process under test: no handler may run on it."""


class FakeClock:
    """Time that moves only by `wait`."""

    def __init__(self, at: float = START) -> None:
        self.time = at
        self.stepped = 0.0
        self.on_pass: list[Callable[[float], None]] = []

    def now(self) -> float:
        return self.time + self.stepped

    def monotonic(self) -> float:
        return self.time - START

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.stepped += seconds

    def wait(self, seconds: float) -> None:
        for callback in self.on_pass:
            callback(max(0.0, seconds))
        self.time += max(0.0, seconds)


@dataclass
class Behaviour:
    """What a release does once it is started."""

    ready_after: float = 0.5
    """Seconds; infinite: never becomes ready."""
    dies_after: float | None = None
    """Seconds after its start; then it crashes for ever."""
    errors: float = 0.0
    """Fraction of its answers that are errors, to users and to copies."""
    hangs: float = 0.0
    """Fraction of copies that it never answers."""
    slow: float = 0.0
    """Fraction of its answers that take 2 s; the others take 5 ms."""
    migration_status: int = 0
    failures: tuple[FailedRequest, ...] = ()
    """Examples of requests that it failed."""
    endpoints: Mapping[str, float] = field(default_factory=dict)
    """Endpoint -> fraction of its answers, all endpoints together, that fail there; part of
    `errors`. Where any release has some, the gateway tells endpoints apart."""
    smoke: str = ""
    """What the smoke check finds wrong."""
    log: tuple[str, ...] = ("listening",)
    started: float | None = None
    restarts: int = 0


@dataclass
class Counters:
    """What the gateway counted of one release; floats, so that small rates add up."""

    requests: float = 0.0
    errors: float = 0.0
    slow: float = 0.0
    masked: float = 0.0


@dataclass
class CopyCounters:
    """What the gateway counted of copies to one release, and of their originals."""

    copies: float = 0.0
    failures: float = 0.0
    unanswered: float = 0.0
    lost: float = 0.0
    originals: float = 0.0
    failed_originals: float = 0.0


READS = 0.8
"""Of users' requests."""


@dataclass
class Environment:
    """The state behind the fake parts; it survives a `Killed` driver as a real one would."""

    clock: FakeClock
    rps: float = 50.0
    behaviours: dict[int, Behaviour] = field(default_factory=dict)
    connected: set[int] = field(default_factory=set)
    routes: Routes | None = None
    counters: dict[int, Counters] = field(default_factory=dict)
    copies: dict[int, CopyCounters] = field(default_factory=dict)
    counts_copies: bool = True
    in_flight: set[int] = field(default_factory=set)
    """Releases that may have requests in flight: had weight since they were last drained."""
    failed: float = 0.0
    """Users' requests that nobody could answer."""
    broken_rules: list[str] = field(default_factory=list)
    applied: list[Routes] = field(default_factory=list)
    jobs: list[tuple[int, str]] = field(default_factory=list)
    gateway_down: bool = False
    meter_down: bool = False
    history: list[Span] = field(default_factory=list)
    """What was recorded of the traffic; nobody records here unless a test does."""
    point: Callable[[str], None] = lambda name: None

    def behaviour(self, number: int) -> Behaviour:
        return self.behaviours.setdefault(number, Behaviour())

    def condition(self, number: int) -> Condition:
        it = self.behaviour(number)
        if it.started is None:
            return Condition.STOPPED
        age = self.clock.now() - it.started
        if it.dies_after is not None and age >= it.dies_after:
            return Condition.CRASHING
        return Condition.READY if age >= it.ready_after else Condition.STARTING

    def serve(self, seconds: float) -> None:
        """Simulated users for so long."""
        if self.routes is None:
            return
        self._copy(self.routes, self.rps * seconds * READS)
        for number, share in self.routes.weights.items():
            requests = self.rps * seconds * share / 100
            if requests == 0.0:
                continue
            counters = self.counters.setdefault(number, Counters())
            counters.requests += requests
            it = self.behaviour(number)
            if self.condition(number) is Condition.READY:
                counters.errors += requests * it.errors
                counters.slow += requests * it.slow
            elif (
                self.routes.fallback is not None
                and self.condition(self.routes.fallback) is Condition.READY
            ):
                counters.masked += requests
            else:
                counters.errors += requests
                self.failed += requests

    def _copy(self, routes: Routes, reads: float) -> None:
        if routes.mirror is None or routes.preview is None:
            return
        it = self.behaviour(routes.preview)
        counters = self.copies.setdefault(routes.preview, CopyCounters())
        counters.originals += reads
        counters.failed_originals += sum(
            reads * share / 100 * self.behaviour(number).errors
            for number, share in routes.weights.items()
        )
        copies = reads * routes.mirror / 100
        if self.condition(routes.preview) is not Condition.READY:
            counters.lost += copies
            return
        counters.copies += copies
        counters.unanswered += copies * it.hangs
        counters.failures += copies * (1 - it.hangs) * it.errors


def gateway_error(what: str) -> BackendctlError:
    return BackendctlError("platform.gateway", f"the fake gateway does not {what}")


class FakeRuntime:
    def __init__(self, env: Environment, store: "FakeStore") -> None:
        self._env = env
        self._store = store

    def package(self, tree: Path, on_line: OnLine) -> Package:
        return Package(code_digest="c0de", location=str(tree))

    def start(self, release: Release) -> None:
        self._env.point("start:before")
        it = self._env.behaviour(release.number)
        if it.started is None:
            it.started = self._env.clock.now()
        self._env.point("start:after")

    def stop(self, number: int) -> None:
        self._env.point("stop:before")
        env = self._env
        weight = env.routes.weights.get(number, 0) if env.routes else 0
        if weight > 0:
            env.broken_rules.append(f"release {number} was stopped with weight {weight}")
        if env.routes is not None and env.routes.mirror and env.routes.preview == number:
            env.broken_rules.append(f"release {number} was stopped while requests are copied to it")
        if number in env.in_flight:
            env.broken_rules.append(f"release {number} was stopped without being drained")
        env.behaviour(number).started = None
        env.point("stop:after")

    def status(self, number: int) -> ReleaseStatus:
        condition = self._env.condition(number)
        restarts = 1 if condition is Condition.CRASHING else 0
        ready = int(condition is Condition.READY)
        return ReleaseStatus(
            number, condition, 1, ready, self._env.behaviour(number).restarts + restarts
        )

    def running(self) -> Sequence[int]:
        return sorted(n for n, b in self._env.behaviours.items() if b.started is not None)

    def await_ready(self, release: Release, deadline: float) -> ReleaseStatus:
        until = self._env.clock.now() + deadline
        while True:
            status = self.status(release.number)
            done = status.condition not in (Condition.STARTING, Condition.UNREADY)
            if done or self._env.clock.now() >= until:
                return status
            self._env.clock.wait(min(0.25, until - self._env.clock.now()))

    def run_job(
        self, release: Release, name: str, argv: Sequence[str], deadline: float, on_line: OnLine
    ) -> JobResult:
        self._env.point("job:before")
        self._env.jobs.append((release.number, name))
        status = self._env.behaviour(release.number).migration_status
        self._env.point("job:after")
        return JobResult(status, 0.1, ("migrating", f"ended with {status}"))

    def logs(self, number: int, lines: int, follow: bool = False) -> Iterator[str]:
        return iter(self._env.behaviour(number).log[-lines:])


class FakeRouter:
    def __init__(self, env: Environment) -> None:
        self._env = env

    url = "http://gateway.invalid"
    host = ""

    def connect(self, number: int, deadline: float) -> None:
        self._env.point("connect:before")
        if self._env.gateway_down:
            raise gateway_error("answer")
        if self._env.condition(number) is not Condition.READY:
            self._env.clock.wait(deadline)
            raise gateway_error(f"find release {number} healthy")
        self._env.connected.add(number)
        self._env.point("connect:after")

    def apply(self, routes: Routes, fence: Callable[[], None] = lambda: None) -> None:
        env = self._env
        env.point("apply:before")
        fence()
        if env.gateway_down:
            raise gateway_error("answer")
        named = {*routes.weights, routes.preview, routes.fallback} - {None}
        if not named <= env.connected:
            raise ValueError(f"not connected: {named - env.connected}")
        env.clock.wait(0.01)
        before = env.routes.weights if env.routes else {}
        for number, share in routes.weights.items():
            rises = share > before.get(number, 0)
            if rises and env.condition(number) is not Condition.READY:
                env.broken_rules.append(f"release {number} got {share} % and is not ready")
            if share > 0:
                env.in_flight.add(number)
        env.routes = routes
        env.applied.append(routes)
        if routes.mirror is not None and routes.preview is not None:
            env.copies.setdefault(routes.preview, CopyCounters())
        env.point("apply:after")

    def read(self) -> Routes | None:
        return self._env.routes

    def drain(self, number: int, deadline: float) -> bool:
        self._env.point("drain:before")
        weight = self._env.routes.weights.get(number, 0) if self._env.routes else 0
        if weight:
            self._env.broken_rules.append(f"release {number} was drained with weight {weight}")
        self._env.clock.wait(0.1)
        self._env.in_flight.discard(number)
        self._env.point("drain:after")
        return True

    def dismiss(self) -> None:
        self._env.point("dismiss:before")

    def disconnect(self, number: int) -> None:
        self._env.point("disconnect:before")
        routes = self._env.routes
        named = {*routes.weights, routes.preview, routes.fallback} if routes else set()
        if number in named:
            self._env.broken_rules.append(f"release {number} is named by a route and disconnected")
        self._env.connected.discard(number)
        self._env.point("disconnect:after")


class FakeMeter:
    def __init__(self, env: Environment) -> None:
        self._env = env

    def sample(self) -> Sample:
        if self._env.meter_down or self._env.gateway_down:
            raise gateway_error("count")
        arms = {}
        for number in sorted(self._env.connected):
            it = self._env.counters.get(number, Counters())
            total, slow = int(it.requests), int(it.slow)
            histogram = Latencies((10.0, 300.0, 1000.0), (total - slow,) * 3, total)
            healthy = int(self._env.condition(number) is Condition.READY)
            arms[number] = ArmSample(
                number,
                total,
                int(it.errors),
                int(it.masked),
                histogram,
                healthy,
                self._breakdown(number, it),
                mirrored=self._mirrored(number),
            )
        return Sample(self._env.clock.now(), arms)

    def _mirrored(self, number: int) -> Mirrored | None:
        it = self._env.copies.get(number)
        if it is None or not self._env.counts_copies:
            return None
        return Mirrored(
            int(it.copies),
            int(it.failures),
            0,
            int(it.unanswered),
            int(it.lost),
            int(it.originals),
            int(it.failed_originals),
        )

    def _breakdown(self, number: int, counters: Counters) -> Breakdown | None:
        if not any(it.endpoints for it in self._env.behaviours.values()):
            return None
        shares = self._env.behaviour(number).endpoints
        return Breakdown({name: int(counters.requests * part) for name, part in shares.items()})

    def failures(self, number: int, limit: int) -> Sequence[FailedRequest]:
        return self._env.behaviour(number).failures[-limit:]

    def history(self, since: float) -> Sequence[Span]:
        if self._env.meter_down:
            raise gateway_error("remember")
        return [span for span in self._env.history if span.start >= since]

    def leave_out(self, start: float, end: float) -> None:
        kept = [s for s in self._env.history if s.end <= start or end <= s.start]
        self._env.history[:] = kept


class FakeStore:
    """base.Store in memory. A holder is dead once its owner is in `dead`. Leases are kept on the
    monotonic clock, as a platform must."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._epoch = 0
        self._holder: Holder | None = None
        self._releases: list[Release] = []
        self._journals: dict[str, list[Mapping[str, Any]]] = {}
        self._posted: dict[str, list[PersonCommand]] = {}
        self._samples: dict[str, Mapping[str, Any]] = {}
        self.dead: set[str] = set()

    def acquire(self, owner: str, command: str, lease: float, take_over: bool = False) -> Grant:
        now, held = self._env.clock.time, self._holder
        if held and held.expires > now and held.owner not in self.dead and not take_over:
            raise BackendctlError("rollout.locked", f"{held.owner} holds this environment")
        self._epoch += 1
        self._holder = Holder(owner, command, now, now + lease, self._epoch)
        return Grant(self._epoch, owner)

    def renew(self, grant: Grant, lease: float) -> None:
        self._check(grant)
        if self._holder is not None:
            self._holder = replace(self._holder, expires=self._env.clock.time + lease)

    def release(self, grant: Grant) -> None:
        if grant.epoch == self._epoch:
            self._holder = None

    def holder(self) -> Holder | None:
        if self._holder is None:
            return None
        return replace(
            self._holder,
            expires=self._holder.expires + self._env.clock.stepped,
            alive=self._holder.owner not in self.dead,
        )

    def epoch(self) -> int:
        return self._epoch

    def add_release(self, grant: Grant, release: Release) -> None:
        self._check(grant)
        if release.number != len(self._releases) + 1:
            raise ValueError("not the next number")
        self._releases.append(release)

    def releases(self) -> Sequence[Release]:
        return tuple(self._releases)

    def append(self, grant: Grant, rollout: str, record: Mapping[str, Any]) -> None:
        import json

        self._env.point("append:before")
        self._check(grant)
        written = json.loads(json.dumps(record, allow_nan=False))
        self._journals.setdefault(rollout, []).append(written)
        self._env.point("append:after")

    def records(self, rollout: str) -> Sequence[Mapping[str, Any]]:
        return tuple(self._journals[rollout])

    def rollouts(self) -> Sequence[str]:
        return tuple(self._journals)

    def keep_samples(self, grant: Grant, rollout: str, samples: Mapping[str, Any]) -> None:
        self._check(grant)
        self._samples[rollout] = samples

    def samples(self, rollout: str) -> Mapping[str, Any] | None:
        return self._samples.get(rollout)

    def post(self, rollout: str, command: PersonCommand) -> None:
        self._posted.setdefault(rollout, []).append(command)

    def posted(self, rollout: str) -> Sequence[PersonCommand]:
        return tuple(self._posted.get(rollout, ()))

    def _check(self, grant: Grant) -> None:
        if grant.epoch != self._epoch or self._holder is None:
            raise BackendctlError("rollout.fenced", f"epoch {grant.epoch} is not {self._epoch}")


class FakeFoundation:
    def ensure(self, on_line: OnLine) -> None:
        on_line("waiting for gateway to answer")

    def stop(self, purge: bool = False, on_line: OnLine = unheard) -> None:
        return

    def status(self) -> Sequence[ServiceStatus]:
        return ()

    def logs(self, server: str, lines: int) -> Sequence[str]:
        return ()

    def variables(self) -> Collection[str]:
        return self.bindings().keys()

    def bindings(self) -> Mapping[str, str]:
        return {"DATABASE_URL": "postgresql://app:hunter2secret@127.0.0.1/app", "PORT": "8000"}


class FakeSecrets:
    def __init__(self) -> None:
        self._versions: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def set(self, name: str, value: str) -> str:
        self._versions[name] = str(int(self._versions.get(name, "0")) + 1)
        self._values[name] = value
        return self._versions[name]

    def unset(self, name: str) -> None:
        self._versions.pop(name, None)
        self._values.pop(name, None)

    def reveal(self, name: str) -> str | None:
        return self._values.get(name)

    def current(self) -> Mapping[str, str]:
        return dict(self._versions)


@dataclass(frozen=True)
class Fake:
    """A platform and the world behind it."""

    platform: Platform
    env: Environment
    clock: FakeClock
    store: FakeStore

    def probe(self, url: str, paths: Sequence[str], host: str = "") -> str:
        """Stands in for the smoke check."""
        self.env.point("smoke:before")
        preview = self.env.routes.preview if self.env.routes else None
        if preview is None:
            return "there is no preview route"
        if self.env.condition(preview) is not Condition.READY:
            return f"GET {paths[0]} answered 503"
        return self.env.behaviour(preview).smoke

    def add_release(
        self, grant: Grant, *, migrate: bool = False, schema: SchemaRange | None = None
    ) -> Release:
        """Record the next release."""
        release = self.make_release(migrate=migrate, schema=schema)
        self.store.add_release(grant, release)
        return release

    def make_release(self, *, migrate: bool = False, schema: SchemaRange | None = None) -> Release:
        """What would be the next release; not recorded."""
        number = len(self.store.releases()) + 1
        return Release(
            number=number,
            package=Package(f"code{number}", f"/releases/{number}", schema=schema),
            configuration=Configuration(),
            processes=Processes(("serve",), ("migrate",) if migrate else (), "/readyz"),
            created=self.clock.now(),
            created_by="test",
        )


def fake_platform(rps: float = 50.0) -> Fake:
    """A new, empty environment."""
    clock = FakeClock()
    env = Environment(clock=clock, rps=rps)
    clock.on_pass.append(env.serve)
    store = FakeStore(env)
    platform = Platform(
        name="fake",
        foundation=FakeFoundation(),
        runtime=FakeRuntime(env, store),
        router=FakeRouter(env),
        meter=FakeMeter(env),
        store=store,
        secrets=FakeSecrets(),
    )
    return Fake(platform, env, clock, store)
