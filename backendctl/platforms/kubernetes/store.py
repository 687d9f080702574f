"""What is remembered of an environment in its cluster: releases, rollouts, who may write.

See `head.py` for the one object that is changed, `lock.py` for the Lease. Taking the lock stamps
the head with the new epoch before the grant is given out: from then on no write of an older grant
can succeed. Whoever can read the namespace reads all of this, and it holds no secret.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.journal.records import START, Link, decode, decode_only, encode
from backendctl.platforms.base import SAMPLES_KEPT, Grant, Holder, PersonCommand, Release
from backendctl.platforms.kubernetes import head as heads
from backendctl.platforms.kubernetes.archive import Archive
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.errors import Conflict
from backendctl.platforms.kubernetes.head import SHORT, Head, Kept
from backendctl.platforms.kubernetes.lock import Lock
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.ownership import require_ours
from backendctl.platforms.release_record import from_record, to_record

ATTEMPTS = 20
"""So often somebody else may be quicker, before we say that something is wrong."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Change = Callable[[Head], Head]
_Asked = tuple[Grant, str, Mapping[str, Any]]


class KubernetesStore:
    """base.Store in a namespace. Making one touches nothing; threads may share it."""

    def __init__(self, cluster: Cluster, naming: Naming, clock: Clock | None = None) -> None:
        self._cluster = cluster
        self._naming = naming
        self._clock = clock or SystemClock()
        self._lock = Lock(cluster, naming, self._clock)
        self._archive = Archive(cluster, naming)
        self._writing = threading.Lock()
        self._latest: tuple[Head, str] | None = None
        """The head as this process last wrote it, and its version: saves reading it again."""
        self._unsure: tuple[_Asked, set[Link]] | None = None
        """A record that may have been written, and where it would end."""

    # --- the right to write ---

    def acquire(self, owner: str, command: str, lease: float, take_over: bool = False) -> Grant:
        """See base.Store. Raises `journal.corrupt` when what was recorded has lost its head."""
        epoch = self._lock.take(owner, command, lease, take_over=take_over, floor=self._floor)
        grant = Grant(epoch, owner)
        try:
            self._stamp(grant)
        except BackendctlError:
            self._lock.give_back(epoch)
            raise
        return grant

    def renew(self, grant: Grant, lease: float) -> None:
        """See base.Store. A lapsed lease that nobody took over is renewed too."""
        if not self._lock.renew(grant.epoch, lease):
            raise self._fenced(grant)

    def release(self, grant: Grant) -> None:
        """See base.Store. The epoch stays: it only ever rises."""
        try:
            self._commit(grant, lambda head: replace(head, held=False))
        except BackendctlError as error:
            if error.code != "rollout.fenced":
                raise
        self._lock.give_back(grant.epoch)

    def holder(self) -> Holder | None:
        """See base.Store. A dead or lapsed holder is named until somebody takes over."""
        return self._lock.holder()

    def epoch(self) -> int:
        """See base.Store."""
        held = self._lock.look()
        return held.epoch if held is not None else self._floor()

    # --- releases ---

    def add_release(self, grant: Grant, release: Release) -> None:
        """See base.Store. Recording the same one again changes nothing."""
        line = encode(to_record(release), START)
        digest = decode(line).last.sha256[:SHORT]

        def add(head: Head) -> Head:
            if len(head.releases) >= release.number > 0 and (
                head.releases[release.number - 1] == digest
            ):
                return head
            if release.number != len(head.releases) + 1:
                known = len(head.releases)
                raise ValueError(f"release {release.number} cannot follow {known} others")
            self._archive.keep_release(release.number, digest, line)
            return replace(head, releases=(*head.releases, digest))

        self._commit(grant, add)

    def releases(self) -> Sequence[Release]:
        """See base.Store. Raises `journal.corrupt` for one that is gone."""
        found, _version = self._head()
        texts = self._archive.releases(found.releases)
        return [from_record(decode_only(text, source)) for source, text in texts]

    # --- rollouts ---

    def append(self, grant: Grant, rollout: str, record: Mapping[str, Any]) -> None:
        """See base.Store. One that is tried again, because nothing could be learnt of what became
        of it, is not written twice."""
        if not _IDENTIFIER.fullmatch(rollout):
            raise ValueError(f"{rollout!r} is no identifier of a rollout")
        asked = (grant, rollout, record)
        tried = self._unsure[1] if self._unsure and self._unsure[0] == asked else set()
        self._unsure = (asked, tried)

        def add(head: Head) -> Head:
            if head.open.rollout != rollout:
                head, segment = head.closed()
                self._archive.keep(segment)
                head = head.at(rollout, self._end(head, rollout))
            last = self._last(head)
            if last in tried:  # it was written; only the answer was lost
                return head
            added, segment = head.appended(rollout, record, last)
            self._archive.keep(segment)
            tried.add(self._last(added))
            return added

        self._commit(grant, add)
        self._unsure = None

    def records(self, rollout: str) -> Sequence[Mapping[str, Any]]:
        """See base.Store. Raises `missing.rollout` for one that never began."""
        head = self._known(rollout)
        records, last = self._closed(head, rollout)
        if head.open.rollout == rollout and head.open.text:
            records += decode(head.open.text, last, self._source).records
        return records

    def rollouts(self) -> Sequence[str]:
        """See base.Store. A rollout begins with its first record."""
        return list(self._head()[0].rollouts)

    def keep_samples(self, grant: Grant, rollout: str, samples: Mapping[str, Any]) -> None:
        """See base.Store."""
        now = self._clock.now()
        line = encode({"at": now, "samples": samples}, START)
        kept = Kept(decode(line).last.sha256[:SHORT], now)
        former: set[str] = set()

        def keep(head: Head) -> Head:
            self._archive.keep_samples(kept.digest, line)
            fresh = {
                name: each
                for name, each in head.samples.items()
                if name != rollout and now - each.at <= SAMPLES_KEPT
            }
            former.clear()
            former.update(each.digest for each in head.samples.values())
            former.difference_update(each.digest for each in fresh.values())
            return replace(head, samples={**fresh, rollout: kept})

        self._commit(grant, keep)
        for digest in former - {kept.digest}:
            self._archive.forget_samples(digest)

    def samples(self, rollout: str) -> Mapping[str, Any] | None:
        """See base.Store."""
        kept = self._head()[0].samples.get(rollout)
        if kept is None or self._clock.now() - kept.at > SAMPLES_KEPT:
            return None
        text = self._archive.samples(kept.digest)
        if text is None:  # others were kept in their place meanwhile
            return None
        found: Mapping[str, Any] = decode_only(text, kept.digest)["samples"]
        return found

    def post(self, rollout: str, command: PersonCommand) -> None:
        """See base.Store. Raises `missing.rollout` for one that never began."""
        self._known(rollout)
        self._archive.add_command(rollout, asdict(command))

    def posted(self, rollout: str) -> Sequence[PersonCommand]:
        """See base.Store. None are left for a rollout that has not begun."""
        return [PersonCommand(**each) for each in self._archive.commands(rollout)]

    # --- inside ---

    @property
    def _source(self) -> str:
        return f"ConfigMap {self._naming.journal}"

    def _head(self) -> tuple[Head, str]:
        """As it is now, and its version; an empty one, without, if there is none."""
        found = self._cluster.get("ConfigMap", self._naming.journal)
        if found is None:
            return Head(), ""
        require_ours(self._naming, found)
        head = heads.read(found.get("data") or {}, self._source)
        return head, found["metadata"]["resourceVersion"]

    def _floor(self) -> int:
        return self._head()[0].epoch

    def _save(self, head: Head, version: str) -> None:
        """Compare and swap. Raises Conflict."""
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self._naming.journal,
                "namespace": self._naming.namespace,
                "labels": dict(self._naming.labels("journal")),
            },
            "data": dict(heads.written(head)),
        }
        if version:
            body["metadata"]["resourceVersion"] = version
            saved = self._cluster.replace(body)
        else:
            saved = self._cluster.create(body)
        self._latest = head, saved["metadata"]["resourceVersion"]

    def _stamp(self, grant: Grant) -> None:
        """See to it that no older grant can write any more."""

        def stamp(head: Head) -> Head:
            if head.epoch > grant.epoch:
                raise self._fenced(grant)
            return replace(head, epoch=grant.epoch, held=True)

        self._swap(stamp)

    def _commit(self, grant: Grant, change: Change) -> None:
        """Write under a grant, or raise `rollout.fenced`."""

        def fenced(head: Head) -> Head:
            if head.epoch != grant.epoch or not head.held:
                raise self._fenced(grant)
            return change(head)

        self._swap(fenced)

    def _swap(self, change: Change) -> None:
        """Change the head, whatever it has become meanwhile. `change` may be called again."""
        with self._writing:
            latest, self._latest = self._latest, None
            lost = False
            for _ in range(ATTEMPTS):
                head, version = latest or self._head()
                latest = None
                if not version:
                    self._refuse_if_lost()
                changed = change(head)
                if changed == head and version:
                    self._latest = head, version
                    return
                try:
                    self._save(changed, version)
                    return
                except Conflict:
                    continue
                except BackendctlError as error:
                    # Perhaps it was written: reading it again tells.
                    if error.code != "missing.cluster" or lost:
                        raise
                    lost = True
        raise BackendctlError(
            "platform.conflict",
            f"{self._source} changes faster than it can be written",
            cause=f"{ATTEMPTS} times in a row somebody else had changed it meanwhile",
            state="nothing was written",
        )

    def _refuse_if_lost(self) -> None:
        """A head that was deleted must not begin anew at release 1."""
        left = self._archive.any()
        if left:
            raise heads.gone(self._source, f"it was deleted, but {left} is still there")

    @staticmethod
    def _last(head: Head) -> Link:
        """Where the next record of the open journal goes."""
        opened = head.open
        return decode(opened.text, opened.start).last if opened.text else opened.start

    def _end(self, head: Head, rollout: str) -> Link:
        """The last record of a journal that is not open."""
        return self._closed(head, rollout)[1] if head.rollouts.get(rollout) else START

    def _closed(self, head: Head, rollout: str) -> tuple[tuple[Mapping[str, Any], ...], Link]:
        """The records in the closed segments, checked as one chain from the first."""
        records: tuple[Mapping[str, Any], ...] = ()
        last = START
        for source, text in self._archive.segments(rollout, head.rollouts[rollout]):
            found = decode(text, last, source)
            records, last = records + found.records, found.last
        return records, last

    def _known(self, rollout: str) -> Head:
        head, _version = self._head()
        if rollout not in head.rollouts:
            raise BackendctlError(
                "missing.rollout",
                f"there is no rollout {rollout!r}",
                next=("backendctl rollout history",),
            )
        return head

    def _fenced(self, grant: Grant) -> BackendctlError:
        held = self._lock.look()
        epoch = held.epoch if held else 0
        by = f"{held.owner}: {held.command}" if held and held.owner else "given back since"
        return BackendctlError(
            "rollout.fenced",
            "this run no longer holds the environment",
            cause=f"it held epoch {grant.epoch}; now it is epoch {epoch} ({by})",
            state="nothing was written",
            next=("backendctl rollout status",),
            data={"epoch": grant.epoch, "current_epoch": epoch},
        )
