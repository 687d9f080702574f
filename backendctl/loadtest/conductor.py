"""Tells the generator what to do when, stage after stage, and collects what it counts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.loadtest.enough import extended
from backendctl.loadtest.generator import Order
from backendctl.loadtest.measurement import Measurement, Outcome
from backendctl.loadtest.processes import Processes, generator_failed
from backendctl.loadtest.profile import Loop, Profile, Stage
from backendctl.loadtest.results import holds
from backendctl.loadtest.warmth import is_stable

LEAD = 0.25
"""Seconds before its start that a stage is sent to the workers."""
START_DEADLINE = 60.0
"""Seconds in which every worker must have found the master."""
LARGEST_SKEW = 1.0
"""Seconds by which a worker's clock may differ: stages begin by the clock."""
PIECE = 1.0
"""Seconds by which a warm-up that is not yet stable goes on."""
TOKEN_RENEWAL = 120.0
"""Seconds between calls for a fresh token."""


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
    extended_s: float = 0.0
    """Seconds by which the stage goes on, because its own time has left it undecided."""

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


OnEvent = Callable[[Progress], None]


class Conductor:
    """One run, from the generator's readiness to its last report."""

    def __init__(
        self,
        processes: Processes,
        profile: Profile,
        measurement: Measurement,
        on_event: OnEvent,
        renew_token: Callable[[], None],
        start_deadline: float = START_DEADLINE,
    ) -> None:
        self._processes = processes
        self._start_deadline = start_deadline
        self.profile = profile
        """As it is carried out: a hold that goes on has its real length in it."""
        self._measurement = measurement
        self._on_event = on_event
        self._renew_token = renew_token
        self._began = 0.0
        self._now = 0
        self._in_flight: dict[str, int] = {}
        self._skew: dict[str, float] = {}
        """The least by which a worker's reports seemed old, or to come from the future."""
        self._next_second = 0.0
        self._renewed = time.monotonic()

    def conduct(self) -> None:
        self._await_ready()
        start = self._began = time.time() + LEAD
        for index, stage in enumerate(self.profile.stages):
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
        deadline = time.monotonic() + self._start_deadline
        while time.monotonic() < deadline:
            for report in self._processes.hear(0.1):
                if report["say"] == "ready":
                    self._next_second = time.monotonic() + 1
                    return
            if self._processes.ended():
                raise generator_failed(self._processes, "did not start")
        raise generator_failed(
            self._processes, f"was not ready within {self._start_deadline:.0f} s"
        )

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
        return self._extended(index, stage, start, end)

    def _extended(self, index: int, stage: Stage, start: float, end: float) -> float:
        """Let a hold that is still undecided go on once, without a gap; returns its new end."""
        found = self._measurement.stages.get(index)
        if not stage.spare or found is None or self._measurement.lost:
            return end
        judged = sum(each.judged for each in self.profile.stages)
        longer = extended(stage, found, self.profile.limits, judged)
        if longer is None:
            return end
        stages = list(self.profile.stages)
        stages[index] = longer
        self.profile = replace(self.profile, stages=tuple(stages))
        if stage.loop is Loop.CLOSED:
            # Its users are at work; the order only says until when they count.
            self._order(index, longer, start, 0.0, longer.duration, 0)
        else:
            count = round(stage.to_rate * longer.extended)
            self._order(index, longer, end, stage.duration, longer.extended, count)
        end = start + longer.duration
        self._measurement.spans[index] = (start, end)
        self._pump_until(end - LEAD)
        return end

    def _ask_for_users(self, index: int, stage: Stage) -> None:
        before = self.profile.stages[index - 1] if index else None
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
        return holds(self._measurement.stages.get(index), self.profile)

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
                worker = report["worker"]
                self._measurement.merge(report["stages"])
                self._in_flight[worker] = report["in_flight"]
                if report["cpu"] is not None:
                    used = (report["at"], report["cpu"])
                    self._measurement.cpu.setdefault(worker, []).append(used)
                skew = abs(time.time() - report["at"])
                self._skew[worker] = min(skew, self._skew.get(worker, skew))
            case "final":
                self._measurement.counted[report["worker"]] = report["count"]
            case "missing":
                self._measurement.lost.append(f"{report['worker']} at {report['at']} fell silent")

    def _each_second(self) -> None:
        now = time.time()
        for name, status in self._processes.ended().items():
            self._measurement.lost.append(f"{name} ended with status {status}")
        if time.monotonic() - self._renewed > TOKEN_RENEWAL:
            self._renewed = time.monotonic()
            self._renew_token()
        self._on_event(self._progress(now))

    def _progress(self, now: float) -> Progress:
        stage = self.profile.stages[self._now]
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
            remaining=round(max(0.0, self.profile.seconds - (now - self._began)), 1),
            rps=latest.count if latest else 0,
            errors=latest.errors if latest else 0,
            p95_ms=p95,
            in_flight=sum(self._in_flight.values()),
            total=sum(found.count for found in stages),
            total_errors=sum(found.errors for found in stages),
            extended_s=round(stage.extended, 3),
        )

    # --- the end ---

    def _finish(self) -> None:
        """Let what is in flight end, up to the request timeout, and take the last counts."""
        self._pump_until(time.time() + LEAD)
        drain = self.profile.request_timeout + 0.5
        self._processes.tell({"do": "finish", "drain": drain})
        deadline = time.time() + drain + 5
        while time.time() < deadline and not self._measurement.lost:
            if len(self._measurement.counted) == self.profile.workers:
                self._check_clocks()
                self._check_counts()
                return
            self._pump_until(time.time() + 0.05)
        if not self._measurement.lost:
            self._measurement.lost.append("a worker did not send its last counts")

    def _check_clocks(self) -> None:
        """A worker on a machine with another time did not send when it was meant to."""
        for worker, skew in self._skew.items():
            if skew > LARGEST_SKEW:
                self._measurement.lost.append(f"{worker}'s clock is {skew:.1f} s off")

    def _check_counts(self) -> None:
        """What was merged is all that the workers counted, to the last request."""
        counted, merged = sum(self._measurement.counted.values()), self._measurement.count
        if counted != merged:
            self._measurement.lost.append(
                f"{counted} requests were counted by the workers, and {merged} arrived here"
            )
