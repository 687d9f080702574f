"""What is remembered of an environment on this machine: releases, rollouts, who may write.

Every change happens inside one critical section (a file lock) that first compares the writer's
epoch with the one on disk, so a writer that was replaced cannot change anything, not even between
the comparison and the write. Readers take no lock: they see each file as it was or as it is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder, writing
from backendctl.journal.records import START, decode_only, encode
from backendctl.journal.segments import Journal
from backendctl.platforms.base import (
    SAMPLES_KEPT,
    Grant,
    Holder,
    PersonCommand,
    Release,
)
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.liveness import ProcessMark, alive, mark, of_this_boot
from backendctl.platforms.release_record import from_record, to_record

LOCK_PATIENCE = 10.0
"""Seconds to wait for another process inside its critical section, which takes milliseconds."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class _Held:
    """The environment in somebody's hands.

    The lease ends on the monotonic clock, which every process of this machine shares and nobody
    can set; it stands still while the machine sleeps, when neither the holder nor anybody who
    could take over runs. After a reboot it means nothing, but then the holder is dead.
    """

    owner: str
    command: str
    since: float
    until: float
    process: ProcessMark


class LocalStore:
    """base.Store in a folder. Making one touches nothing."""

    def __init__(self, layout: Layout, clock: Clock | None = None) -> None:
        self._layout = layout
        self._folder = layout.journal
        self._clock = clock or SystemClock()

    # --- the right to write ---

    def acquire(self, owner: str, command: str, lease: float, take_over: bool = False) -> Grant:
        """See base.Store."""
        with self._exclusive():
            epoch, held = self._state()
            if held is not None and not take_over and self._holds(held):
                raise self._locked(held, epoch)
            grant = Grant(epoch + 1, owner)
            until = self._clock.monotonic() + lease
            self._save(grant.epoch, _Held(owner, command, self._clock.now(), until, mark()))
            return grant

    def renew(self, grant: Grant, lease: float) -> None:
        """See base.Store. A lapsed lease that nobody took over is renewed too."""
        with self._writing(grant) as held:
            until = self._clock.monotonic() + lease
            renewed = _Held(held.owner, held.command, held.since, until, held.process)
            self._save(grant.epoch, renewed)

    def release(self, grant: Grant) -> None:
        """See base.Store. The epoch stays: it only ever rises."""
        with self._exclusive():
            epoch, held = self._state()
            if held is not None and epoch == grant.epoch:
                self._save(epoch, None)

    def holder(self) -> Holder | None:
        """See base.Store. A dead or lapsed holder is named until somebody takes over."""
        epoch, held = self._state()
        return None if held is None else self._describe(held, epoch)

    def epoch(self) -> int:
        """See base.Store."""
        return self._state()[0]

    # --- releases ---

    def add_release(self, grant: Grant, release: Release) -> None:
        """See base.Store. Recording the same one again changes nothing."""
        with self._writing(grant):
            known = self.releases()
            if release in known:
                return
            if release.number != len(known) + 1:
                raise ValueError(f"release {release.number} cannot follow {len(known)} others")
            folder = make_folder(self._folder / "releases")
            atomic_write(folder / f"{release.number:06d}.json", encode(to_record(release), START))

    def releases(self) -> Sequence[Release]:
        """See base.Store. Raises `journal.corrupt` for a changed file."""
        paths = sorted((self._folder / "releases").glob("*.json"))
        return [from_record(decode_only(path.read_bytes(), str(path))) for path in paths]

    # --- rollouts ---

    def append(self, grant: Grant, rollout: str, record: Mapping[str, Any]) -> None:
        """See base.Store."""
        if not _IDENTIFIER.fullmatch(rollout):
            raise ValueError(f"{rollout!r} is no identifier of a rollout")
        with self._writing(grant):
            folder = self._find(rollout)
            if folder is None:
                # Numbered, because "oldest first" must not depend on a clock.
                count = len(list(self._rollouts().glob("*-*")))
                folder = self._rollouts() / f"{count + 1:06d}-{rollout}"
            Journal(folder).append(record)

    def records(self, rollout: str) -> Sequence[Mapping[str, Any]]:
        """See base.Store. Raises `missing.rollout` for one that never began."""
        return Journal(self._known(rollout)).read().records

    def rollouts(self) -> Sequence[str]:
        """See base.Store. A rollout begins with its first whole record."""
        return [
            path.name.partition("-")[2]
            for path in sorted(self._rollouts().glob("*-*"))
            if Journal(path).begun()
        ]

    def keep_samples(self, grant: Grant, rollout: str, samples: Mapping[str, Any]) -> None:
        """See base.Store."""
        with self._writing(grant):
            folder = make_folder(self._samples())
            body = {"at": self._clock.now(), "samples": samples}
            atomic_write(folder / f"{rollout}.json", encode(body, START))
            for path in folder.glob("*.json"):
                self._fresh_samples(path)

    def samples(self, rollout: str) -> Mapping[str, Any] | None:
        """See base.Store."""
        return self._fresh_samples(self._samples() / f"{rollout}.json")

    def post(self, rollout: str, command: PersonCommand) -> None:
        """See base.Store. Raises `missing.rollout` for one that never began."""
        with self._exclusive():
            Journal(self._known(rollout) / "commands").append(asdict(command))

    def posted(self, rollout: str) -> Sequence[PersonCommand]:
        """See base.Store. None are left for a rollout that has not begun."""
        folder = self._find(rollout)
        if folder is None:
            return []
        return [PersonCommand(**record) for record in Journal(folder / "commands").read().records]

    # --- inside ---

    def _rollouts(self) -> Path:
        return self._folder / "rollouts"

    def _samples(self) -> Path:
        return self._folder / "samples"

    def _fresh_samples(self, path: Path) -> Mapping[str, Any] | None:
        """Those of a file, which is removed when it is too old."""
        try:
            body = decode_only(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None
        if self._clock.now() - body["at"] > SAMPLES_KEPT:
            path.unlink(missing_ok=True)
            return None
        found: Mapping[str, Any] = body["samples"]
        return found

    def _find(self, rollout: str) -> Path | None:
        for path in self._rollouts().glob("*-*"):
            if path.name.partition("-")[2] == rollout:
                return path
        return None

    def _known(self, rollout: str) -> Path:
        folder = self._find(rollout)
        if folder is None:
            raise BackendctlError(
                "missing.rollout",
                f"there is no rollout {rollout!r}",
                next=("backendctl rollout history",),
            )
        return folder

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One process at a time, with refused writes turned into errors to act on."""
        from filelock import FileLock, Timeout

        self._layout.make(self._folder)
        path = self._folder / "lock"
        with writing(path):
            try:
                # Not a singleton and not shared: threads of one process exclude each other too.
                with FileLock(path, timeout=LOCK_PATIENCE, poll_interval=0.005, mode=0o600):
                    yield
            except Timeout:
                raise BackendctlError(
                    "rollout.locked",
                    f"another process has kept {path} locked for {LOCK_PATIENCE:.0f} s",
                    cause="it was stopped (Ctrl-Z, a debugger) in the middle of a write",
                    state="nothing was changed",
                    next=(f"fuser {path}",),
                ) from None

    @contextmanager
    def _writing(self, grant: Grant) -> Iterator[_Held]:
        with self._exclusive():
            epoch, held = self._state()
            if held is None or epoch != grant.epoch:
                raise self._fenced(grant, epoch, held)
            yield held

    def _state(self) -> tuple[int, _Held | None]:
        """The last epoch ever given, and who holds it."""
        path = self._folder / "holder.json"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return 0, None
        body = decode_only(data, str(path))
        held = body["held"]
        if held is None:
            return body["epoch"], None
        return body["epoch"], _Held(**{**held, "process": ProcessMark(**held["process"])})

    def _save(self, epoch: int, held: _Held | None) -> None:
        body = {"epoch": epoch, "held": None if held is None else asdict(held)}
        atomic_write(self._folder / "holder.json", encode(body, START))

    def _holds(self, held: _Held) -> bool:
        return alive(held.process) is not False and self._clock.monotonic() < held.until

    def _describe(self, held: _Held, epoch: int) -> Holder:
        expires = held.since  # of another boot: its clock says nothing in this one
        if of_this_boot(held.process):
            expires = self._clock.now() + held.until - self._clock.monotonic()
        return Holder(held.owner, held.command, held.since, expires, epoch, alive(held.process))

    def _locked(self, held: _Held, epoch: int) -> BackendctlError:
        holder = self._describe(held, epoch)
        left = held.until - self._clock.monotonic()
        return BackendctlError(
            "rollout.locked",
            f"{held.owner} (process {held.process.pid}) holds this environment: {held.command}",
            cause=f"since {_local_time(held.since)}"
            # Of a process that lives, it says nothing: it is renewed.
            + ("" if holder.alive else f"; its lease runs for another {left:.0f} s"),
            state="nothing was changed",
            # A living process of this machine needs no taking over: it hears `abort`.
            next=(
                "backendctl rollout watch",
                "backendctl rollout abort"
                if holder.alive
                else "backendctl rollout recover --take-over",
            ),
            data={"holder": asdict(holder)},
        )

    def _fenced(self, grant: Grant, epoch: int, held: _Held | None) -> BackendctlError:
        by = f"{held.owner}: {held.command}" if held else "given back since"
        return BackendctlError(
            "rollout.fenced",
            "this run no longer holds the environment",
            cause=f"it held epoch {grant.epoch}; now it is epoch {epoch} ({by})",
            state="nothing was written",
            next=("backendctl rollout status",),
            data={"epoch": grant.epoch, "current_epoch": epoch},
        )


def _local_time(at: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
