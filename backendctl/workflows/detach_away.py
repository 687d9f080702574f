"""A deploy that is driven from within the environment: it outlives this machine.

The image is built here, where the working tree is; the driver there gets it with `backend.toml`
and does all the rest: lock, checks, journal, every step.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.base import ERRAND_FOLDER, Errand, Underway
from backendctl.platforms.images.builder import PACKAGE_VARIABLE
from backendctl.platforms.release_record import package_to_record
from backendctl.spec.load import FILE
from backendctl.spec.units import DURATION, RATE
from backendctl.workflows import rollouts
from backendctl.workflows.deploy import Changes
from backendctl.workflows.environment import Opened
from backendctl.workflows.identity import ACTOR_VARIABLE, user
from backendctl.workflows.progress import Progress

NAME = "driver"
PACKAGE_FILE = "package.json"
_SLACK = 3600.0
"""Seconds beyond what the rollout itself may take: packaging, waiting for readiness, a restart."""


class Afar:
    """detach.Apart: an errand in the environment."""

    def __init__(self, underway: Underway) -> None:
        self._underway = underway

    @property
    def where(self) -> str:
        return self._underway.where

    @property
    def log(self) -> str:
        return self._underway.follow

    @property
    def data(self) -> Mapping[str, Any]:
        return {"driver": self._underway.where, "log": self._underway.follow}

    def lines(self) -> Iterator[str]:
        return self._underway.lines()

    def stop(self) -> None:
        self._underway.remove()


def depart(opened: Opened, changes: Changes, progress: Progress) -> Afar:
    """Package the working tree and start the driver.

    Raises what packaging and `Away.start` raise, `platform.unsupported` where there is no away;
    and before an image is built, as `rollouts.look_ahead`: the driver looks again, and tells.
    """
    away = opened.platform.away
    if away is None:
        raise BackendctlError(
            "platform.unsupported",
            f"nothing of backendctl runs in environment {opened.environment.name!r}",
            state="nothing was changed",
        )
    if changes.supersede is None:
        spec = changes.applied_to(opened.spec)
        rollouts.look_ahead(
            opened.platform,
            spec,
            spec.rollout.strategy,
            lambda _: None,
            override=changes.override(user()),
        )
    with progress.step("Packaging the working tree") as say:
        package = opened.platform.runtime.package(opened.project, say)
    errand = Errand(
        name=NAME,
        argv=("backendctl", *arguments(opened, changes)),
        deadline=longest(opened, changes),
        files={
            FILE: (opened.project / FILE).read_bytes(),
            PACKAGE_FILE: json.dumps(package_to_record(package)).encode(),
        },
        variables={
            PACKAGE_VARIABLE: f"{ERRAND_FOLDER}/{PACKAGE_FILE}",
            ACTOR_VARIABLE: user(),
        },
        steers=True,
    )
    with progress.step("Starting the driver") as say:
        return Afar(away.start(errand, say))


def arguments(opened: Opened, changes: Changes) -> tuple[str, ...]:
    """The deploy as it is typed there."""
    stated = {
        "--strategy": changes.strategy.value if changes.strategy else None,
        "--warm-up": _written(DURATION.render, changes.warm_up),
        "--step-time": _written(DURATION.render, changes.step_time),
        "--bake": _written(DURATION.render, changes.bake),
        "--traffic": _written(RATE.render, changes.synthetic_rps),
        "--unjudged": changes.unjudged,
        "--outside-window": changes.outside_window,
        "--reason": changes.supersede,
        "--note": changes.note or None,
    }
    found = ["deploy", "--env", opened.environment.name, "--directory", ERRAND_FOLDER]
    found += ["--yes", "--output", "jsonl"]
    found += ["--supersede"] if changes.supersede is not None else []
    for option, value in stated.items():
        if value is not None:
            found.append(f"{option}={value}")  # one word: a value may begin with a dash
    return tuple(found)


def longest(opened: Opened, changes: Changes) -> float:
    """Seconds that the rollout may take at most, with every hold waited out."""
    rollout = changes.applied_to(opened.spec).rollout
    steps = len(rollout.steps) if rollout.steps is not None else 5
    each = rollout.warm_up + rollout.deadline + rollout.hold + rollout.ready_deadline
    waits = len(rollout.approvals) * rollout.hold
    return (steps + 1) * each + waits + rollout.bake + rollout.migrate_deadline + _SLACK


def _written(render: Any, value: float | None) -> str | None:
    return None if value is None else str(render(value))
