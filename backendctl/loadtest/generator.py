"""What a worker process knows: its orders, its requests to come, its counts.

The Locust users of the shipped locustfile reach it as `environment.generator`. It touches no
socket; sending is the users' part.
"""

import json
import os
import random
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backendctl.loadtest.arrivals import arrivals
from backendctl.loadtest.measurement import Outcome, Recorder
from backendctl.loadtest.player import Player, Request, outcome_of
from backendctl.loadtest.private import write_private
from backendctl.loadtest.scenario import TOKEN_VARIABLE, Scenario

PLAN_FILE = "plan.json"
SPARE_FILES = 200
"""File descriptors kept for everything that is not a request in flight."""
TOKEN_AGE = 10.0
"""Seconds between looks at the token file."""


@dataclass(frozen=True, slots=True)
class Order:
    """One stage, or a piece of one, as a worker is told of it."""

    stage: int
    open_loop: bool
    start: float
    """Seconds since the epoch."""
    offset: float
    """Seconds of the stage that came before this piece."""
    duration: float
    count: int
    """Arrivals for this worker; 0 in a closed loop."""
    from_rate: float
    to_rate: float

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class GeneratorPlan:
    """What every process of the generator reads when it starts."""

    target: str
    scenario: Scenario
    think_time: float
    request_timeout: float
    workers: int
    seed: int
    locustfile: str = ""
    """The user's own, whose users take the place of the closed loop's."""
    host: str = ""
    """The name that requests bear as their Host; that of the target if empty."""

    def write(self, folder: Path) -> None:
        write_private(folder / PLAN_FILE, self.to_text())

    def to_text(self) -> str:
        """What `read` reads."""
        return json.dumps({**asdict(self), "scenario": self.scenario.to_data()})

    @classmethod
    def read(cls, folder: Path) -> "GeneratorPlan":
        data = json.loads((folder / PLAN_FILE).read_text())
        return cls(**{**data, "scenario": Scenario.from_data(data["scenario"])})


@dataclass(frozen=True, slots=True)
class Flight:
    """A request on its way."""

    stage: int
    second: int
    due: float
    sent: float
    request: Request


class Generator:
    """The state of one worker. Times are `time.monotonic()` unless said otherwise."""

    def __init__(self, plan: GeneratorPlan, worker: int) -> None:
        self.plan = plan
        self.recorder = Recorder()
        self.rng = random.Random(f"{plan.seed}/{worker}")  # noqa: S311 - reproducible on purpose
        self._player = Player(plan.scenario, random.Random(f"{plan.seed}/{worker}/requests"))  # noqa: S311
        self._closed: Order | None = None
        self._flights: dict[int, Flight] = {}
        self._flown = 0
        self._most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES
        self._token_read = -TOKEN_AGE
        self._headers: Mapping[str, str] = {}

    # --- when ---

    def moments(self, order: Order) -> Iterator[tuple[int, float]]:
        """The second of the stage and the time at which each of the order's requests is due."""
        start = _monotonic_of(order.start)
        self.recorder.scheduled(order.stage, order.count)
        for at in arrivals(order.duration, order.count, order.from_rate, order.to_rate, self.rng):
            yield int(order.offset + at), start + at

    def close_loop(self, order: Order) -> None:
        """From its start to its end, closed-loop users act for this order."""
        self._closed = order

    def closed_at(self, due: float) -> tuple[int, int] | None:
        """The stage, and its second, to which a closed-loop user's request at `due` belongs."""
        order = self._closed
        if order is None:
            return None
        at = due - _monotonic_of(order.start)
        if not 0 <= at < order.duration:
            return None
        return order.stage, int(order.offset + at)

    def think(self) -> float:
        """Seconds a user thinks. Exponential: a user who has just come is as far through a pause
        as any other, so the closed loop is in its steady state from the first second."""
        return self.rng.expovariate(1 / self.plan.think_time) if self.plan.think_time else 0.0

    # --- what ---

    def take_off(self, stage: int, second: int, due: float) -> tuple[int, Flight] | None:
        """The next request, counted as started; None if too many wait for their answers."""
        now = time.monotonic()
        request = self._player.next(self._auth_headers(now))
        if len(self._flights) >= self._most:
            self.recorder.shed(stage, second, request.operation.name)
            return None
        self.recorder.started(stage, now - due)
        self._flown += 1
        flight = Flight(stage, second, due, now, request)
        self._flights[self._flown] = flight
        return self._flown, flight

    def land(self, number: int, status: int, body: bytes | None, failure: Outcome | None) -> None:
        """A request ended: with a status, or with a failure before there was one."""
        flight = self._flights.pop(number, None)
        if flight is None:
            return  # it was given up at the end of the test, and counted then
        now = time.monotonic()
        operation = flight.request.operation
        outcome = failure or outcome_of(status, operation.expected)
        self.recorder.ended(
            flight.stage,
            flight.second,
            operation.name,
            outcome,
            status,
            now - flight.due,
            now - flight.sent,
        )
        if failure is None:
            self._player.learn(flight.request, status, body)

    def give_up(self) -> None:
        """Count whatever is still in flight as unanswered, at its time so far."""
        for number in list(self._flights):
            self.land(number, 0, None, Outcome.UNFINISHED)

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    def _auth_headers(self, now: float) -> Mapping[str, str]:
        if now - self._token_read > TOKEN_AGE:
            self._token_read = now
            path = os.environ.get(TOKEN_VARIABLE)
            if path:
                token = Path(path).read_text().strip()
                self._headers = {"Authorization": f"Bearer {token}"}
        return self._headers


def _monotonic_of(epoch: float) -> float:
    return time.monotonic() + (epoch - time.time())
