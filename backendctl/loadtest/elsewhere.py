"""Load from within the environment: a conductor and workers as errands there.

This machine only starts them and reads what the conductor says; it may be far away, behind a
slow line, and needs nothing but access to the cluster's API.
"""

import json
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.loadtest.conduct import PORT, PROFILE_FILE, START_DEADLINE, Heard
from backendctl.loadtest.conductor import OnEvent
from backendctl.loadtest.generator import PLAN_FILE
from backendctl.loadtest.measurement import Measurement
from backendctl.loadtest.place import TOKEN_FILE, Offer
from backendctl.loadtest.profile import RATE_PER_WORKER, USERS_PER_WORKER, Profile
from backendctl.loadtest.scenario import TOKEN_VARIABLE
from backendctl.platforms.base import (
    ERRAND_FOLDER,
    ERRAND_SECRETS,
    LOAD_PODS,
    Away,
    Errand,
    OnLine,
    Underway,
)

NAME = "load"
MOST_WORKERS = LOAD_PODS - 1
"""Of one test; the other pod is the conductor."""
LOCUSTFILE = "locustfile.py"
_SLACK = START_DEADLINE + 300.0
"""Seconds beyond the stages themselves after which everything is ended."""
_LAST_WORDS = 30.0
"""Seconds that a conductor has, once it is told to stop, to say what was counted."""
_CONDUCTOR_CORES, _CONDUCTOR_MEMORY = 0.2, 384 * 2**20
_WORKER_MEMORY = 384 * 2**20
_LEAST_CORES = 0.1


class InEnvironment:
    """place.Place: pods of the environment's cluster."""

    def __init__(self, away: Away, on_line: OnLine) -> None:
        self._away = away
        self._on_line = on_line

    def carry_out(self, offer: Offer, measurement: Measurement, on_event: OnEvent) -> Profile:
        """See place.Place. Also raises what `Away.start` raises."""
        with ExitStack() as begun:  # each is removed, although removing another fails
            conductor = self._away.start(_conductor(offer), self._on_line)
            begun.callback(conductor.remove)
            workers = self._away.start(_workers(offer, conductor.address()), self._on_line)
            begun.callback(workers.remove)
            found = _listen(conductor, on_event)
        if found.measurement is None or found.profile is None:
            measurement.interrupted = True
            return offer.profile
        take_over(measurement, found.measurement)
        return found.profile


def _listen(conductor: Underway, on_event: OnEvent) -> Heard:
    """Everything that the conductor says. Told to stop, we tell it, and hear it out.

    Raises what it raised, and `loadtest.invalid` when it ended without a word.
    """
    found, reader = Heard(), _Reader(conductor)
    until: float | None = None
    while True:
        try:
            for document in reader.documents(until):
                progress = found.take(document)
                if progress is not None and until is None:
                    on_event(progress)
            break
        except KeyboardInterrupt:
            if until is not None:
                raise  # told twice: at once
            until = time.monotonic() + _LAST_WORDS
            threading.Thread(target=_end, args=(conductor,), daemon=True).start()
    if found.measurement is None and until is None:
        raise BackendctlError(
            "loadtest.invalid",
            "the load test in the cluster ended without a result",
            cause=str(reader.trouble or f"{conductor.where} said nothing more"),
            state="the service was not judged; nothing of the load test is left",
            next=("backendctl loadtest run",),
        )
    return found


class _Reader:
    """What an errand says, read by a thread of its own: a signal to us loses none of it."""

    def __init__(self, underway: Underway) -> None:
        self._read: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.trouble: BackendctlError | None = None
        """Why it could not be heard to its end."""
        threading.Thread(target=self._work, args=(underway,), daemon=True).start()

    def documents(self, until: float | None) -> Iterator[Mapping[str, Any]]:
        """As they come, to its end, or to a moment of the monotonic clock."""
        while until is None or time.monotonic() < until:
            try:
                line = self._read.get(timeout=0.5)
            except queue.Empty:
                continue
            if line is None:
                return
            with suppress(ValueError):
                document = json.loads(line)
                if isinstance(document, dict):
                    yield document

    def _work(self, underway: Underway) -> None:
        try:
            for line in underway.lines():
                self._read.put(line)
        except BackendctlError as error:
            self.trouble = error
        finally:
            self._read.put(None)


def _end(underway: Underway) -> None:
    with suppress(BackendctlError):  # tried again by whoever started it, and told then
        underway.remove()


def _conductor(offer: Offer) -> Errand:
    return Errand(
        name=NAME,
        argv=("backendctl.loadtest.conduct",),
        deadline=_longest(offer.profile),
        files={**_plan(offer), PROFILE_FILE: json.dumps(offer.profile.to_data()).encode()},
        cores=_CONDUCTOR_CORES,
        memory=_CONDUCTOR_MEMORY,
    )


def cores_of(profile: Profile) -> float:
    """That each worker is promised: one core for as much as a worker may send, so that a small
    test finds room where there is little."""
    rate = max(stage.to_rate for stage in profile.stages) / RATE_PER_WORKER
    most = max(rate, profile.users / USERS_PER_WORKER) / profile.workers
    return min(1.0, max(_LEAST_CORES, most))


def _workers(offer: Offer, address: str) -> Errand:
    token = {TOKEN_FILE: offer.token().encode()} if offer.token is not None else {}
    variables = {TOKEN_VARIABLE: f"{ERRAND_SECRETS}/{TOKEN_FILE}"} if token else {}
    agent = ("backendctl.loadtest.agent", "worker", ERRAND_FOLDER)
    return Errand(
        name=NAME,
        argv=(*agent, "--host", address, "--port", str(PORT)),
        deadline=_longest(offer.profile),
        files=_plan(offer),
        secrets=token,
        variables=variables,
        copies=offer.profile.workers,
        cores=cores_of(offer.profile),
        memory=_WORKER_MEMORY,
    )


def _plan(offer: Offer) -> dict[str, bytes]:
    """The plan as it is there, and the project's own users."""
    own, plan = offer.plan.locustfile, offer.plan
    if not own:
        return {PLAN_FILE: plan.to_text().encode()}
    plan = replace(plan, locustfile=f"{ERRAND_FOLDER}/{LOCUSTFILE}")
    return {PLAN_FILE: plan.to_text().encode(), LOCUSTFILE: Path(own).read_bytes()}


def _longest(profile: Profile) -> float:
    return sum(stage.duration + stage.most + stage.spare for stage in profile.stages) + _SLACK


def take_over(measurement: Measurement, counted: Measurement) -> None:
    """Put what was counted there into the measurement of here."""
    for each in fields(Measurement):
        setattr(measurement, each.name, getattr(counted, each.name))
