"""Doing what the machine asks, through the platform's seam, and saying how it ended."""

from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import (
    LOCK_KEPT,
    MIGRATION,
    Condition,
    OnLine,
    Platform,
    Release,
    ReleaseStatus,
    Routes,
)
from backendctl.rollout.intents import (
    Apply,
    Connect,
    Contract,
    Disconnect,
    Drain,
    EnsureReady,
    Inspect,
    Intent,
    Migrate,
    Mirror,
    Smoke,
    Stop,
)
from backendctl.rollout.machine import UNREADY_GRACE
from backendctl.rollout.observations import Health, Outcome
from backendctl.rollout.redact import without_secrets
from backendctl.rollout.smoke import Probe
from backendctl.rollout.states import RolloutPlan

OUTAGE = 30.0
"""Seconds for which an outage of the gateway or the store is waited out."""
SHARED_GRACE = 60.0
"""Seconds that a release which is not ready is waited for before a shift while stable is not ready
either."""
SLICE = 1.0
"""Seconds of a long effect between two looks at what a person wants."""
TAIL = 20
"""Log lines kept of a release that failed."""
PASSING = frozenset({"platform.gateway", "missing.server", "missing.cluster"})
"""Errors that may go away by themselves."""

GoOn = Callable[[], bool]
Fence = Callable[[], None]
"""Raises `rollout.fenced` when another run has taken over."""


class Effects:
    """Performs intents. Each is idempotent, so that one done half is simply done again.

    The fence is asked right before each attempt and each change: a process that was stopped (a
    suspended machine, a debugger) and wakes up after it was replaced must not act any more.
    """

    def __init__(
        self, platform: Platform, clock: Clock, probe: Probe, on_line: OnLine, fence: Fence
    ) -> None:
        self._platform = platform
        self._clock = clock
        self._probe = probe
        self._on_line = on_line
        self._fence = fence

    def perform(
        self, intent: Intent, serial: int, plan: RolloutPlan, go_on: GoOn
    ) -> Outcome | None:
        """Do it; None if `go_on` said no before it was done.

        What a platform raises becomes a failed outcome, except `rollout.fenced`, which is raised.
        """
        began = self._clock.monotonic()
        try:
            outcome = self._retrying(go_on)(self._once, intent, serial, plan, go_on)
        except BackendctlError as error:
            if error.code == "rollout.fenced":
                raise
            said = f"{error.message} ({error.cause})" if error.cause else error.message
            outcome = Outcome(serial, False, error.code, said, self._tail(_subject(intent)))
        if outcome is None:
            return None
        seconds = round(self._clock.monotonic() - began, 3)
        return Outcome(
            serial,
            outcome.ok,
            outcome.code,
            outcome.message,
            outcome.tail,
            outcome.condition,
            outcome.restarts,
            seconds,
        )

    def health(self, number: int, restarts: int, stable: int | None) -> Health:
        """One look; a look that fails counts as not ready, with the reason.

        `restarts` is how many there were when it became ready: one more means that it died, though
        it may be ready again by now. Stable is looked at when the candidate is not ready.
        """
        try:
            status = self._platform.runtime.status(number)
        except BackendctlError as error:
            return Health(Condition.UNREADY, 0, f"its state cannot be had: {error.message}")
        good = status.condition is Condition.READY and status.restarts <= restarts
        tail = () if good else self._tail(number)
        detail = " ".join(self._redacted(status.detail.splitlines()[:1]))
        if not detail and status.restarts > restarts:
            detail = f"a process ended and was started again {status.restarts - restarts} times"
        shared = status.condition is not Condition.READY and self._unready(stable)
        return Health(status.condition, status.restarts, detail, tail, shared)

    def _unready(self, stable: int | None) -> bool:
        """Whether stable is surely not ready; what cannot be had excuses nobody."""
        if stable is None:
            return False
        try:
            return self._platform.runtime.status(stable).condition is Condition.UNREADY
        except BackendctlError:
            return False

    def _once(self, intent: Intent, serial: int, plan: RolloutPlan, go_on: GoOn) -> Outcome | None:
        runtime, router = self._platform.runtime, self._platform.router
        self._fence()
        match intent:
            case Inspect(number=number):
                return self._inspect(number, plan.stable, serial, go_on)
            case Migrate() | Contract():
                return self._migrate(intent, serial)
            case EnsureReady():
                return self._ensure_ready(intent, serial, go_on)
            case Connect():
                router.connect(intent.number, intent.deadline)
            case Apply():
                routes = Routes(intent.weights, intent.preview, intent.fallback)
                router.apply(routes, self._fence)
            case Mirror(number=number):
                routes = Routes({intent.stable: 100}, preview=number, mirror=intent.percent)
                router.apply(routes, self._fence)
            case Smoke():
                problem = self._probe(router.url, plan.smoke_paths, router.host)
                if problem:
                    tail = self._tail(intent.number)
                    return Outcome(serial, False, "release.not-ready", problem, tail)
            case Drain():
                return self._drain(intent, serial)
            case Stop(number=number):
                runtime.stop(number)
            case Disconnect(number=number):
                router.disconnect(number)
        return Outcome(serial, True)

    def _inspect(self, number: int, stable: int | None, serial: int, go_on: GoOn) -> Outcome | None:
        """One late answer on a busy machine does not make a release unready: it has its grace, and
        more while stable is not ready either.

        Taken for the last word it would leave out the steps of a canary (stable could not be
        compared with), or undo a good candidate.
        """
        began = self._clock.monotonic()
        while True:
            status = self._platform.runtime.status(number)
            passing = status.condition in (Condition.UNREADY, Condition.STARTING)
            waited = self._clock.monotonic() - began
            shared = number != stable and waited < SHARED_GRACE
            if not passing or (waited >= UNREADY_GRACE and not (shared and self._unready(stable))):
                return self._seen(serial, status)
            if not go_on():
                return None
            self._clock.wait(SLICE)

    def _seen(self, serial: int, status: ReleaseStatus) -> Outcome:
        good = status.condition is Condition.READY
        return Outcome(
            serial,
            True,
            message=" ".join(self._redacted(status.detail.splitlines()[:1])),
            tail=() if good else self._tail(status.number),
            condition=status.condition,
            restarts=status.restarts,
        )

    def _migrate(self, intent: Migrate | Contract, serial: int) -> Outcome:
        processes = self._release(intent.number).processes
        argv = processes.migrate if isinstance(intent, Migrate) else processes.contract
        result = self._platform.runtime.run_job(
            self._release(intent.number), MIGRATION, argv, intent.deadline, self._on_line
        )
        if result.exit_status == 0:
            return Outcome(serial, True)
        said = f"{' '.join(argv)} ended with status {result.exit_status}"
        if LOCK_KEPT in result.tail:
            said += (
                "; it kept a lock while it did something slow, and was ended so that users need "
                "not wait: change few tables and no rows in one transaction"
            )
        elif any("lock timeout" in line for line in result.tail):
            said += (
                "; it did not get its lock in time and gave up, so that users need not wait: "
                "some transaction keeps the table. Deploy again once that has ended"
            )
        return Outcome(serial, False, "release.migration", said, self._redacted(result.tail))

    def _ensure_ready(self, intent: EnsureReady, serial: int, go_on: GoOn) -> Outcome | None:
        runtime, clock = self._platform.runtime, self._clock
        status = runtime.status(intent.number)
        if status.condition is Condition.READY:
            return self._seen(serial, status)
        release = self._release(intent.number)
        self._fence()
        runtime.start(release)
        until = clock.monotonic() + intent.deadline
        while True:
            began = clock.monotonic()
            wait = min(SLICE, max(0.0, until - began))
            status = runtime.await_ready(release, wait)
            early = clock.monotonic() - began < wait * 0.9
            if status.condition is Condition.READY:
                return self._seen(serial, status)
            hopeless = status.condition is Condition.FAILED or (
                early and status.condition in (Condition.CRASHING, Condition.STOPPED)
            )
            late = clock.monotonic() >= until
            if hopeless or late:
                return self._not_ready(intent, serial, status, late and not hopeless)
            if not go_on():
                return None

    def _not_ready(
        self, intent: EnsureReady, serial: int, status: ReleaseStatus, late: bool
    ) -> Outcome:
        code, said = "release.start", "it died"
        if late:
            status = self._platform.runtime.status(intent.number)
            code, said = "release.not-ready", f"{status.condition} after {intent.deadline:g} s"
        # The log is in the tail: a detail that repeats it is cut after its first line.
        (detail,) = self._redacted(status.detail.splitlines()[:1]) or ("",)
        said += f": {detail}" if detail else ""
        return Outcome(serial, False, code, said, self._tail(intent.number), status.condition)

    def _drain(self, intent: Drain, serial: int) -> Outcome:
        if self._platform.router.drain(intent.number, intent.deadline):
            return Outcome(serial, True)
        said = f"some requests were still in flight after {intent.deadline:g} s"
        return Outcome(serial, False, "release.not-ready", said)

    def _release(self, number: int) -> Release:
        for release in self._platform.store.releases():
            if release.number == number:
                return release
        raise BackendctlError("missing.release", f"release {number} is not recorded")

    def _tail(self, number: int | None) -> tuple[str, ...]:
        if number is None:
            return ()
        try:
            lines = list(self._platform.runtime.logs(number, TAIL))
        except BackendctlError as error:
            return (f"(its log cannot be read: {error.message})",)
        return self._redacted(lines)

    def _redacted(self, lines: list[str] | tuple[str, ...]) -> tuple[str, ...]:
        return without_secrets(self._platform, lines[-TAIL:])

    def _retrying(self, go_on: GoOn) -> Retrying:
        return retrying(self._clock, lambda error: error.code in PASSING, go_on)


def retrying(
    clock: Clock, passing: Callable[[BackendctlError], bool], go_on: GoOn = lambda: True
) -> Retrying:
    """Try again, ever more rarely, for as long as an outage is waited out."""
    began = clock.monotonic()

    def stop(_: RetryCallState) -> bool:
        return clock.monotonic() - began >= OUTAGE or not go_on()

    def passes(error: BaseException) -> bool:
        return isinstance(error, BackendctlError) and passing(error)

    return Retrying(
        retry=retry_if_exception(passes),
        stop=stop,
        wait=wait_exponential(multiplier=0.1, max=2.0),
        sleep=clock.wait,
        reraise=True,
    )


def _subject(intent: Intent) -> int | None:
    """The release whose log may explain a failure."""
    explained = Migrate | Contract | EnsureReady | Connect
    return intent.number if isinstance(intent, explained) else None
