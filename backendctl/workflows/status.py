"""`backendctl status`: one look at an environment, for somebody who did not write the service."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from backendctl.platforms.base import WATCHDOG, Condition, Router, ServiceStatus
from backendctl.rollout.history import Summary
from backendctl.rollout.states import Result
from backendctl.rollout.wording import moment
from backendctl.workflows import rollouts
from backendctl.workflows.environment import Opened


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """A release that serves, or takes part in a rollout."""

    number: int
    condition: str
    weight: int | None
    """Percent of requests that the gateway gives it; None when the gateway cannot be asked."""
    replicas: int
    ready: int
    restarts: int
    detail: str
    last_restart: float | None = None
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """What runs, and what to do next."""

    service: str
    environment: str
    url: str
    stable: int | None
    headline: str
    servers: Sequence[ServiceStatus]
    releases: Sequence[ReleaseLine]
    rollout: Mapping[str, Any] | None
    notes: Sequence[str]
    next: Sequence[str]

    def data(self) -> dict[str, Any]:
        """For the JSON answer."""
        return {
            "service": self.service,
            "environment": self.environment,
            "url": self.url,
            "stable": self.stable,
            "servers": [asdict(each) for each in self.servers],
            "releases": [asdict(each) for each in self.releases],
            "rollout": self.rollout,
            "notes": list(self.notes),
            "next": list(self.next),
        }


def look(opened: Opened) -> EnvironmentStatus:
    """Look once; changes nothing and takes no lock."""
    platform = opened.platform
    found = rollouts.status(platform)
    servers = platform.foundation.status()
    weights = found.routes.weights if found.routes is not None else None
    lines = [
        ReleaseLine(
            number=number,
            condition=each.condition.value,
            weight=None if weights is None else weights.get(number, 0),
            replicas=each.replicas,
            ready=each.ready,
            restarts=each.restarts,
            detail=each.detail,
            last_restart=each.last_restart,
        )
        for number, each in found.releases.items()
    ]
    stopped = [each for each in servers if not each.running and not each.alive and each.needed]
    silent = [each for each in servers if not each.running and each.alive and each.needed]
    stable = found.serving.stable
    serving = found.releases.get(stable) if stable is not None else None
    condition = serving.condition if serving is not None else Condition.STOPPED
    serves = stable
    if stable is not None and weights and not weights.get(stable):
        # A rollout has moved the requests away: whoever gets them serves, not what it began from.
        serves = max(weights, key=lambda number: weights[number])
        serving = found.releases.get(serves)
        condition = serving.condition if serving is not None else Condition.READY
    state, following = headline(
        serves,
        condition,
        stopped,
        silent,
        len(servers),
        address_of(platform.router),
        routed=found.routes is not None,
    )
    notes, rollout = [], None
    if found.serving.rollout_in_flight is not None and found.rollout is not None:
        rollout = {
            "id": found.rollout.rollout,
            "phase": found.rollout.phase,
            "held": found.rollout.held,
            "driver_lives": found.driver_lives,
        }
        alone = ""
        doing = "held" if found.rollout.held else "under way"
        if found.stranded:
            alone = ", and nobody drives it: its process is gone"
            if any(each.name == WATCHDOG and each.running for each in servers):
                alone += "; the environment's watchdog ends it in a moment unless somebody does"
        notes.append(f"rollout {found.rollout.rollout} is {doing} ({found.rollout.stands}){alone}")
    elif found.rollout is not None and found.rollout.result is Result.RESTORED:
        notes.append(undone(found.rollout))
    return EnvironmentStatus(
        service=opened.spec.service.name,
        environment=opened.environment.name,
        url=platform.router.url,
        stable=stable,
        headline=state,
        servers=servers,
        releases=lines,
        rollout=rollout,
        notes=notes,
        # A rollout can be told nothing while a server that it needs is not there.
        next=[*following, *found.next] if stopped or silent else [*found.next, *following],
    )


def address_of(router: Router) -> str:
    """Where requests go, and the host that they have to name there, where that is another."""
    named = urlsplit(router.url).hostname == router.host or not router.host
    return router.url if named else f"{router.url} (Host: {router.host})"


def undone(rollout: Summary) -> str:
    """Why the newest release does not serve."""
    when = f" {moment(rollout.ended)}" if rollout.ended is not None else ""
    end = "withdrawn" if rollout.stable is None else "undone"
    return f"release {rollout.candidate} was {end}{when}: {rollout.why}"


def headline(
    stable: int | None,
    condition: Condition,
    stopped: Sequence[ServiceStatus],
    silent: Sequence[ServiceStatus],
    servers: int,
    url: str,
    *,
    routed: bool = True,
) -> tuple[str, list[str]]:
    """The environment in one line, and what to do about it; `condition` is that of `stable`.

    `silent` servers have a process, which does not answer. `routed`: whether the gateway says that
    it serves a release.
    """
    # What a server lacks comes first: `up` refuses to begin without it.
    up = list(dict.fromkeys([*(line for each in stopped for line in each.next), "backendctl up"]))
    if stable is None and not silent:
        return "no release has served yet", up
    if len(stopped) == servers:
        return f"stopped; release {stable} served last", up
    if stopped or silent:
        wrong = [f"{', '.join(each.name for each in stopped)} stopped"] if stopped else []
        names = ", ".join(each.name for each in silent)
        wrong += [f"{names} running without an answer"] if silent else []
        mend = [line for each in silent for line in each.next] or up
        return f"NOT whole: {'; '.join(wrong)}", list(dict.fromkeys(mend))
    if condition is Condition.STOPPED and not routed:  # in a cluster servers outlive a `down`
        return f"stopped; release {stable} served last", up
    if condition is not Condition.READY:
        gone = condition in (Condition.STOPPED, Condition.FAILED)
        mend = ["backendctl up"] if gone else []
        # One that was stopped has nothing new to say, and in a cluster nothing at all.
        logs = [] if condition is Condition.STOPPED else [f"backendctl logs --release {stable}"]
        return f"NOT whole: release {stable} should serve and is {condition}", [*mend, *logs]
    if not routed:
        return f"NOT whole: the gateway does not serve release {stable}", ["backendctl up"]
    return f"release {stable} serves at {url}", []
