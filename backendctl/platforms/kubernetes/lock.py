"""Who holds an environment: a Lease, changed only by compare-and-swap.

A lease counts from when whoever waits for it last *saw* it renewed, on its own monotonic clock: the
clocks of two machines need not agree (the same is done by client-go's leader election). What the
holder's clock says only decides whether that is worth waiting for.
"""

import json
import math
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from backendctl.clock import Clock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Holder
from backendctl.platforms.kubernetes.cluster import Cluster, Object
from backendctl.platforms.kubernetes.errors import Conflict
from backendctl.platforms.kubernetes.naming import DOMAIN, Naming
from backendctl.platforms.local.liveness import ProcessMark, alive, mark, of_this_boot

SKEW = 10.0
"""Seconds by which machines' clocks differ without anybody noticing."""
POLL = 0.5
"""Seconds between two looks at a lease that may have run out."""

_EPOCH = f"{DOMAIN}/epoch"
_COMMAND = f"{DOMAIN}/command"
_PROCESS = f"{DOMAIN}/process"


@dataclass(frozen=True, slots=True)
class Held:
    """What one look at the Lease shows."""

    epoch: int
    """The last one taken; it stays when the environment is given back."""
    owner: str
    """Empty if nobody holds it."""
    command: str
    since: float
    renewed: float
    """Both in seconds since the epoch, by the holder's clock."""
    duration: float
    process: ProcessMark | None
    version: str

    @property
    def alive(self) -> bool | None:
        """Whether the holder lives; None unless it is of this machine, or was until a reboot."""
        if self.process is None or not of_this_boot(self.process):
            return None
        return alive(self.process)


class Lock:
    """The Lease of one environment. Making one touches nothing; threads may share it."""

    def __init__(self, cluster: Cluster, naming: Naming, clock: Clock) -> None:
        self._cluster = cluster
        self._naming = naming
        self._clock = clock
        self._observed = threading.Lock()
        self._version = ""
        self._first_seen = 0.0
        self._renewals_seen = 0

    def look(self) -> Held | None:
        """As it is now; None if nobody ever took it."""
        found = self._cluster.get("Lease", self._naming.lease)
        if found is None:
            return None
        held = _held(found)
        self._observe(held.version)
        return held

    def left(self, held: Held) -> float:
        """Seconds until it may be taken over, by what was seen here; 0 or less: now."""
        with self._observed:
            if self._version != held.version:
                return held.duration
            return held.duration - (self._clock.monotonic() - self._first_seen)

    def holder(self) -> Holder | None:
        """Who holds it, with the best guess of when that ends."""
        held = self.look()
        if held is None or not held.owner:
            return None
        now, left = self._clock.now(), self.left(held)
        with self._observed:
            renewed_before_our_eyes = self._renewals_seen > 0
        if not renewed_before_our_eyes:
            left = min(left, _claimed(held, now))
        return Holder(held.owner, held.command, held.since, now + left, held.epoch, held.alive)

    def take(
        self, owner: str, command: str, lease: float, *, take_over: bool, floor: Callable[[], int]
    ) -> int:
        """Become the holder and return the new epoch: one more than the last, and than `floor`.

        A holder that died on this machine is replaced at once. One that seems to be gone is
        watched for as long as its lease says first; `take_over`, the owner's word, replaces any.
        Raises `rollout.locked`.
        """
        watched = ""
        while True:
            held = self.look()
            if held is not None and held.owner and not take_over and held.alive is not False:
                left = self.left(held)
                if left > 0:
                    if (watched and watched != held.version) or self._claims(held):
                        raise self._locked(held)
                    watched = held.version
                    self._clock.wait(min(left, POLL))
                    continue
            epoch = max(held.epoch if held else 0, floor()) + 1
            now = self._clock.now()
            taken = Held(epoch, owner, command, now, now, float(math.ceil(lease)), mark(), "")
            if self._swap(held, taken):
                return epoch

    def renew(self, epoch: int, lease: float) -> bool:
        """Extend it; False if it is not (any more) held under this epoch."""
        while True:
            held = self.look()
            if held is None or held.epoch != epoch or not held.owner:
                return False
            now, duration = self._clock.now(), float(math.ceil(lease))
            renewed = Held(
                epoch, held.owner, held.command, held.since, now, duration, held.process, ""
            )
            if self._swap(held, renewed):
                return True

    def give_back(self, epoch: int) -> None:
        """Hold it no more; nothing happens unless it is held under this epoch."""
        while True:
            held = self.look()
            if held is None or held.epoch != epoch or not held.owner:
                return
            free = Held(epoch, "", "", held.since, self._clock.now(), held.duration, None, "")
            if self._swap(held, free):
                return

    # --- inside ---

    def _observe(self, version: str) -> None:
        with self._observed:
            if version != self._version:
                self._renewals_seen += bool(self._version)
                self._version = version
                self._first_seen = self._clock.monotonic()

    def _claims(self, held: Held) -> bool:
        """Whether the holder's clock says, believably, that the lease still runs."""
        return 0 < _claimed(held, self._clock.now()) <= held.duration + SKEW

    def _swap(self, old: Held | None, new: Held) -> bool:
        """Put `new` in the place of `old`; False if that is no longer there."""
        body = self._body(new)
        try:
            if old is None:
                self._cluster.create(body)
            else:
                body["metadata"]["resourceVersion"] = old.version
                self._cluster.replace(body)
        except Conflict:
            return False
        except BackendctlError as error:
            if error.code != "missing.cluster":
                raise
            found = self.look()  # perhaps it was written, and only the answer was lost
            if found is None or replace(found, version="") != _as_read(new):
                raise
        return True

    def _body(self, held: Held) -> Object:
        annotations = {_EPOCH: str(held.epoch), _COMMAND: held.command}
        if held.process is not None:
            annotations[_PROCESS] = json.dumps(asdict(held.process))
        spec: Object = {
            "leaseDurationSeconds": int(held.duration),
            "acquireTime": _written(held.since),
            "renewTime": _written(held.renewed),
        }
        if held.owner:
            spec["holderIdentity"] = held.owner
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._naming.lease,
                "namespace": self._naming.namespace,
                "labels": dict(self._naming.labels("lock")),
                "annotations": annotations,
            },
            "spec": spec,
        }

    def _locked(self, held: Held) -> BackendctlError:
        now = self._clock.now()
        left = min(self.left(held), max(0.0, _claimed(held, now)) or held.duration)
        since = datetime.fromtimestamp(held.since).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        return BackendctlError(
            "rollout.locked",
            f"{held.owner} holds environment {self._naming.environment}: {held.command}",
            cause=f"since {since}"
            # Of a process that lives, it says nothing: it is renewed.
            + ("" if held.alive else f"; its lease runs for another {left:.0f} s"),
            state="nothing was changed",
            next=(
                "backendctl rollout watch",
                "backendctl rollout abort"
                if held.alive
                else "backendctl rollout recover --take-over",
            ),
            data={
                "holder": asdict(
                    Holder(held.owner, held.command, held.since, now + left, held.epoch, held.alive)
                )
            },
        )


def _as_read(held: Held) -> Held:
    """With the times as the object can hold them."""
    return replace(held, since=_read(_written(held.since)), renewed=_read(_written(held.renewed)))


def _claimed(held: Held, now: float) -> float:
    """Seconds for which the lease still runs, if both machines' clocks agree."""
    return held.renewed + held.duration - now


def _held(found: Object) -> Held:
    metadata, spec = found["metadata"], found.get("spec") or {}
    annotations: dict[str, Any] = metadata.get("annotations") or {}
    process = annotations.get(_PROCESS)
    return Held(
        epoch=int(annotations.get(_EPOCH, 0)),
        owner=spec.get("holderIdentity") or "",
        command=annotations.get(_COMMAND, ""),
        since=_read(spec.get("acquireTime")),
        renewed=_read(spec.get("renewTime")),
        duration=float(spec.get("leaseDurationSeconds") or 0),
        process=ProcessMark(**json.loads(process)) if process else None,
        version=metadata["resourceVersion"],
    )


def _written(at: float) -> str:
    """As Kubernetes writes a MicroTime."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
