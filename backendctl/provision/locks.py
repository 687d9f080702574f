"""Whose lock is on a stack, and what an interrupted operation left in its state.

A state on disk or in a bucket is locked by a file `locks/organization/PROJECT/STACK/ID.json` that
names process, user, host and time. Here it is read from the disk, or from what the engine says.
"""

import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.provision.changes import name_of, short_type, type_of

SLACK = 60.0
"""Seconds by which a clock may have been set between a lock and the beginning of its process."""
_TOLD = re.compile(r"created by (?P<who>\S+@\S+) \(pid (?P<pid>\d+)\) at (?P<at>\S+)")


@dataclass(frozen=True, slots=True)
class StackLock:
    """One lock on one stack."""

    owner: str
    """user@host"""
    pid: int
    since: str
    """As the engine wrote it, RFC 3339."""
    alive: bool | None
    """Whether its process lives; None when it is on another machine."""
    file: Path | None = None

    def in_words(self) -> str:
        known = {True: "which is alive", False: "which is gone", None: "on another machine"}
        return f"{self.owner} (process {self.pid}), {known[self.alive]}, since {self.since}"


def read_locks(state_folder: Path, project: str, stack: str) -> tuple[StackLock, ...]:
    """The locks on a stack whose state is on this machine."""
    folder = state_folder / ".pulumi" / "locks" / "organization" / project / stack
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            body = json.loads(file.read_bytes())
        except FileNotFoundError:
            continue  # given back just now
        host, pid = body["hostname"], int(body["pid"])
        owner = f"{body['username']}@{host}"
        since = body["timestamp"]
        found.append(StackLock(owner, pid, since, _alive(host, pid, since), file))
    return tuple(found)


def told_locks(text: str) -> tuple[StackLock, ...]:
    """The locks that the engine named when it refused."""
    found = []
    for said in _TOLD.finditer(text):
        host = said["who"].partition("@")[2]
        pid, since = int(said["pid"]), said["at"].rstrip(",")
        found.append(StackLock(said["who"], pid, since, _alive(host, pid, since)))
    return tuple(found)


def _alive(host: str, pid: int, since: str) -> bool | None:
    if host != socket.gethostname():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _over(pid, since)


def _over(pid: int, since: str) -> bool:
    """Whether that process has ended, or is another one that was given its number since."""
    import psutil

    try:
        process = psutil.Process(pid)
        held = age(since, datetime.fromtimestamp(process.create_time(), UTC))
        return process.status() == psutil.STATUS_ZOMBIE or (held is not None and held > SLACK)
    except psutil.NoSuchProcess:
        return True


def locked(stack: str, text: str) -> BackendctlError:
    """Another run holds the stack."""
    locks = told_locks(text)
    who = "; ".join(lock.in_words() for lock in locks) or "somebody else"
    dead = bool(locks) and all(lock.alive is False for lock in locks)
    return BackendctlError(
        "infra.locked",
        f"stack {stack} is locked by {who}",
        cause="that process was ended before it could give the lock back"
        if dead
        else "another operation on it is under way",
        state="nothing was changed",
        next=("backendctl infra unlock",) if dead else ("backendctl infra unlock --help",),
    )


@dataclass(frozen=True, slots=True)
class Pending:
    """An operation that was begun and whose end nobody saw."""

    urn: str
    type: str
    """creating | updating | deleting | reading"""
    id: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def title(self) -> str:
        return f"{short_type(type_of(self.urn))} {name_of(self.urn)}"

    def in_words(self) -> str:
        what = self.title
        if self.type == "creating":
            return f"{what} was being created: whether it exists is not known"
        if self.type == "deleting":
            return f"{what} was being deleted: it may be gone"
        return f"{what} was being changed ({self.type}): what it is like now is not known"


def pending(deployment: Mapping[str, Any]) -> tuple[Pending, ...]:
    """What an exported state says was in flight."""
    operations: Sequence[Mapping[str, Any]] = deployment.get("pending_operations") or ()
    return tuple(
        Pending(
            each["resource"]["urn"],
            each["type"],
            each["resource"].get("id", ""),
            each["resource"].get("inputs") or {},
        )
        for each in operations
    )


def with_created(deployment: Mapping[str, Any], existing: Mapping[str, str]) -> Mapping[str, Any]:
    """A state in which creations that were cut off are done, by URN -> id: as if the engine had
    lived to write it down. Comparing it with what is there takes away those that were not."""
    operations = deployment.get("pending_operations") or ()
    # One that was to replace another has its URN; a state cannot hold both.
    free = existing.keys() - {each["urn"] for each in deployment.get("resources") or ()}
    made = [e for e in operations if e["type"] == "creating" and e["resource"]["urn"] in free]
    done = [{**e["resource"], "id": existing[e["resource"]["urn"]]} for e in made]
    return {
        **deployment,
        "resources": [*(deployment.get("resources") or ()), *done],
        "pending_operations": [each for each in operations if each not in made],
    }


def cut_off(stack: str, operations: Sequence[Pending]) -> BackendctlError:
    """What is really there is not known, so neither is what a change would do."""
    return BackendctlError(
        "infra.pending",
        f"an earlier operation on stack {stack} was cut off",
        cause="\n".join(each.in_words() for each in operations),
        state="nothing was changed",
        next=("backendctl infra unlock",),
    )


_IDENTIFIED_BY: Mapping[str, str] = {
    "aws:rds/instance:Instance": "identifier",
    "aws:rds/subnetGroup:SubnetGroup": "name",
    "aws:rds/parameterGroup:ParameterGroup": "name",
    "aws:elasticache/replicationGroup:ReplicationGroup": "replicationGroupId",
    "aws:elasticache/subnetGroup:SubnetGroup": "name",
    "aws:eks/cluster:Cluster": "name",
    "aws:iam/role:Role": "name",
    "aws:cloudwatch/logGroup:LogGroup": "name",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "name",
    "aws:s3/bucket:Bucket": "bucket",
}
"""Types whose id is the name that we give, and the input that holds it. Others are given an id by
the cloud, which nobody knows when the answer was lost."""


def natural_id(operation: Pending) -> str | None:
    """The id that a creation which was cut off would have given; None where only the cloud
    knows."""
    kind = type_of(operation.urn)
    if kind.startswith("kubernetes:"):
        metadata = operation.inputs.get("metadata") or {}
        name, namespace = metadata.get("name"), metadata.get("namespace")
        return f"{namespace}/{name}" if namespace else name
    found = operation.inputs.get(_IDENTIFIED_BY.get(kind, ""))
    return found if isinstance(found, str) else None


def age(since: str, now: datetime) -> float | None:
    """Seconds since then; None where the time cannot be read."""
    try:
        then = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", since))
    except ValueError:
        return None
    return (now - then).total_seconds()
