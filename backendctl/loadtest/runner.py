"""Conducts a load test: tells the generator what to do when, and collects what it counts."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.filesystem import make_folder
from backendctl.loadtest.discovery import scenario_of
from backendctl.loadtest.generator import GeneratorPlan, Order
from backendctl.loadtest.measurement import Measurement, Outcome
from backendctl.loadtest.private import write_private
from backendctl.loadtest.processes import Processes, generator_failed
from backendctl.loadtest.profile import Loop, Profile, Stage
from backendctl.loadtest.results import LoadTestResult, holds, save
from backendctl.loadtest.scenario import Scenario
from backendctl.loadtest.verdict import judge
from backendctl.loadtest.warmth import is_stable
from backendctl.spec.model import Spec

LEAD = 0.25
"""Seconds before its start that a stage is sent to the workers."""
START_DEADLINE = 60.0
PIECE = 1.0
"""Seconds by which a warm-up that is not yet stable goes on."""
TOKEN_RENEWAL = 120.0
"""Seconds between calls for a fresh token."""
TOKEN_FILE = "token"  # noqa: S105 - a file's name

Token = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Progress:
    """One second of a running test."""

    stage: str
    elapsed: float
    """Seconds since the first stage began."""
    remaining: float
    """Seconds until the last stage ends, if every stage takes its least time."""
    rps: float
    """Requests due in the last whole second that have ended by now."""
    errors: int
    """In that second."""
    p95_ms: float | None
    in_flight: int
    total: int
    """Requests that have ended since the beginning."""
    total_errors: int

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


OnEvent = Callable[[Progress], None]


def run_load_test(
    target: str,
    spec: Spec,
    profile: Profile,
    token: Token | None,
    on_event: OnEvent,
    folder: Path,
    *,
    environment: str = "local",
    scenario: Scenario | None = None,
    locustfile: Path | None = None,
    project: Path | None = None,
) -> LoadTestResult:
    """Offer `profile` to the service at `target` and judge it; keeps the result in `folder`.

    `token` gives a fresh bearer token each time it is called. `locustfile` replaces the users of
    the closed loop by the project's own. Raises `loadtest.target` if the target does not answer,
    `loadtest.invalid` if the generator itself fails, and `interrupted` (the partial result is
    kept) on KeyboardInterrupt. No process is left behind however it ends.
    """
    make_folder(folder)
    chosen = scenario or scenario_of(target, spec, with_token=token is not None)
    plan = GeneratorPlan(
        target=target.rstrip("/"),
        scenario=chosen,
        think_time=profile.think_time,
        request_timeout=profile.request_timeout,
        workers=profile.workers,
        seed=profile.seed,
        locustfile=str(locustfile.resolve()) if locustfile else "",
    )
    plan.write(folder)
    began = time.time()
    measurement = Measurement()
    interrupted: KeyboardInterrupt | None = None
    with _token_file(folder, token) as token_file:
        processes = Processes(folder, profile.workers, token_file, project or Path.cwd())
        try:
            renew = _renewal(token, token_file)
            _Conductor(processes, profile, measurement, on_event, renew).conduct()
        except KeyboardInterrupt as signal:
            measurement.interrupted = True
            interrupted = signal
        finally:
            processes.end()
    result = LoadTestResult(
        id=folder.name,
        target=plan.target,
        environment=environment,
        began=began,
        seconds=time.time() - began,
        profile=profile,
        measurement=measurement,
        verdict=judge(profile.stages, measurement, profile.limits),
        folder=folder,
        source=chosen.source + (f" and {locustfile.name}" if locustfile else ""),
        left_out=chosen.left_out,
    )
    save(result)
    if interrupted is not None:
        raise BackendctlError(
            "interrupted",
            "the load test was stopped before it was done",
            state=f"every process of it has ended; {result.requests} requests were measured",
            next=(f"backendctl loadtest report {result.id}",),
        ) from interrupted
    return result


@contextlib.contextmanager
def _token_file(folder: Path, token: Token | None) -> Iterator[Path | None]:
    """A file with the token for the workers, gone afterwards."""
    if token is None:
        yield None
        return
    path = folder / TOKEN_FILE
    write_private(path, token())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _renewal(token: Token | None, path: Path | None) -> Callable[[], None]:
    if token is None or path is None:
        return lambda: None
    return lambda: write_private(path, token())


class _Conductor:
    """One run, from the generator's readiness to its last report."""

    def __init__(
        self,
        processes: Processes,
        profile: Profile,
        measurement: Measurement,
        on_event: OnEvent,
        renew_token: Callable[[], None],
    ) -> None:
        self._processes = processes
        self._profile = profile
        self._measurement = measurement
        self._on_event = on_event
        self._renew_token = renew_token
        self._began = 0.0
        self._now = 0
        self._in_flight: dict[str, int] = {}
        self._final: set[str] = set()
        self._next_second = 0.0
        self._renewed = time.monotonic()

    def conduct(self) -> None:
        self._await_ready()
        start = self._began = time.time() + LEAD
        for index, stage in enumerate(self._profile.stages):
            self._now = index
            start = self._run(index, stage, start)
            if self._measurement.lost:
                return
            if stage.name == "preflight":
                self._check_preflight(index)
            if stage.name.startswith("stress") and not self._held(index):
                break
            start = max(start, time.time() + LEAD)  # looking at the counts took a moment
        self._finish()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline:
            for report in self._processes.hear(0.1):
                if report["say"] == "ready":
                    self._processes.sample_cpu()
                    self._next_second = time.monotonic() + 1
                    return
            if self._processes.ended():
                raise generator_failed(self._processes, "did not start")
        raise generator_failed(self._processes, f"was not ready within {START_DEADLINE:.0f} s")

    # --- one stage ---

    def _run(self, index: int, stage: Stage, start: float) -> float:
        """Run a stage that begins at `start`; returns when the next may begin, LEAD before it."""
        if stage.loop is Loop.CLOSED:
            self._ask_for_users(index, stage)
        end = start + stage.duration
        self._order(index, stage, start, 0.0, stage.duration, stage.arrivals)
        self._measurement.spans[index] = (start, end)
        self._pump_until(end - LEAD)
        while end - start < stage.most and not self._measurement.lost:
            found = self._measurement.stages.get(index)
            if found is not None and is_stable(found, int(end - start - LEAD)):
                break
            count = max(1, round(stage.to_rate * PIECE))
            self._order(index, stage, end, end - start, PIECE, count)
            end += PIECE
            self._measurement.spans[index] = (start, end)
            self._pump_until(end - LEAD)
        return end

    def _ask_for_users(self, index: int, stage: Stage) -> None:
        before = self._profile.stages[index - 1] if index else None
        if before is None or before.users != stage.users:
            rate = max(1.0, stage.users / max(stage.duration, 0.1))
            self._processes.tell({"do": "users", "count": stage.users, "rate": rate})

    def _order(
        self, index: int, stage: Stage, start: float, offset: float, duration: float, count: int
    ) -> None:
        is_open = stage.loop is Loop.OPEN
        order = Order(
            stage=index,
            open_loop=is_open,
            start=start,
            offset=offset,
            duration=duration,
            count=count if is_open else 0,
            from_rate=stage.from_rate,
            to_rate=stage.to_rate,
        )
        self._processes.tell({"do": "stage", "order": order.to_data()})

    def _check_preflight(self, index: int) -> None:
        """A target that answers nothing is not worth twice the peak."""
        self._pump_until(time.time() + 2 * LEAD)
        found = self._measurement.stages.get(index)
        if found is None or not found.count or found.errors < found.count:
            return
        reasons = ", ".join(f"{n} x {what}" for what, n in found.outcomes.most_common(3))
        if found.outcomes[Outcome.TRANSPORT] == found.count:
            raise BackendctlError(
                "loadtest.target",
                "the target refuses connections",
                cause=reasons,
                state="only the preflight was sent",
                next=("backendctl status",),
            )
        statuses = {
            f"{name}: {', '.join(operation.statuses)}"
            for name, operation in found.operations.items()
        }
        raise BackendctlError(
            "loadtest.target",
            "every request of the preflight failed; the load was not raised",
            cause="; ".join([reasons, *sorted(statuses)[:5]]),
            state="only the preflight was sent",
            next=("backendctl logs", "backendctl loadtest plan"),
        )

    def _held(self, index: int) -> bool:
        self._pump_until(time.time() + LEAD)
        return holds(self._measurement.stages.get(index), self._profile)

    # --- listening ---

    def _pump_until(self, moment: float) -> None:
        """Take in reports, once a second look at the processes and tell how it goes."""
        while (left := moment - time.time()) > 0:
            for report in self._processes.hear(min(left, self._until_next_second())):
                self._take(report)
            if self._until_next_second() <= 0.001:
                self._next_second = time.monotonic() + 1
                self._each_second()
            if self._measurement.lost:
                return

    def _until_next_second(self) -> float:
        return max(0.001, self._next_second - time.monotonic())

    def _take(self, report: Mapping[str, Any]) -> None:
        match report["say"]:
            case "delta":
                self._measurement.merge(report["stages"])
                self._in_flight[report["worker"]] = report["in_flight"]
            case "final":
                self._final.add(report["worker"])
            case "missing":
                self._measurement.lost.append(f"{report['worker']} fell silent")

    def _each_second(self) -> None:
        now = time.time()
        for worker, percent in self._processes.sample_cpu().items():
            self._measurement.cpu.setdefault(worker, []).append((now, percent))
        for name, status in self._processes.ended().items():
            self._measurement.lost.append(f"{name} ended with status {status}")
        if time.monotonic() - self._renewed > TOKEN_RENEWAL:
            self._renewed = time.monotonic()
            self._renew_token()
        self._on_event(self._progress(now))

    def _progress(self, now: float) -> Progress:
        stage = self._profile.stages[self._now]
        began = self._measurement.spans.get(self._now, (now, now))[0]
        found = self._measurement.stages.get(self._now)
        # The newest second whose counts have had time to arrive.
        latest = None if found is None else found.seconds.get(int(now - began) - 2)
        p95 = None
        if latest is not None and latest.response.count:
            p95 = round(latest.response.quantile(0.95) * 1000, 3)
        stages = self._measurement.stages.values()
        return Progress(
            stage=stage.name,
            elapsed=round(now - self._began, 1),
            remaining=round(max(0.0, self._profile.seconds - (now - self._began)), 1),
            rps=latest.count if latest else 0,
            errors=latest.errors if latest else 0,
            p95_ms=p95,
            in_flight=sum(self._in_flight.values()),
            total=sum(found.count for found in stages),
            total_errors=sum(found.errors for found in stages),
        )

    # --- the end ---

    def _finish(self) -> None:
        """Let what is in flight end, up to the request timeout, and take the last counts."""
        self._pump_until(time.time() + LEAD)
        drain = self._profile.request_timeout + 0.5
        self._processes.tell({"do": "finish", "drain": drain})
        deadline = time.time() + drain + 5
        while time.time() < deadline and not self._measurement.lost:
            if len(self._final) == self._profile.workers:
                return
            self._pump_until(time.time() + 0.05)
        if not self._measurement.lost:
            self._measurement.lost.append("a worker did not send its last counts")
