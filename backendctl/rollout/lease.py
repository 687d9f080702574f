"""Holding an environment: a lease that a thread renews, and that says at once when it is lost."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.base import Grant, Store

LEASE = 15.0
"""Seconds. A driver that is dead is noticed from afar after this long."""


class Lease:
    """The right to drive, kept alive while the block of `held` runs."""

    def __init__(self, store: Store, grant: Grant, clock: Clock) -> None:
        self.grant = grant
        self._store = store
        self._clock = clock
        self._renewed = clock.monotonic()
        self._lost: BackendctlError | None = None

    def check(self) -> None:
        """Return if the lease is still ours.

        Raises BackendctlError `rollout.fenced` when another run has taken over, or when the lease
        lapsed and could not be renewed: from then on another run may act.
        """
        if self._lost is not None:
            raise self._lost
        if self._clock.monotonic() - self._renewed >= LEASE:
            self._renew()
            if self._lost is not None:
                raise self._lost

    def confirm(self) -> None:
        """As `check`, and ask the store: right before an effect that a replaced run must not have.

        Time alone does not tell: somebody may have taken over on the owner's word, while this
        process was stopped and for less than its lease.
        """
        self.check()
        try:
            replaced = self._store.epoch() != self.grant.epoch
        except BackendctlError:
            return  # an outage of the store is waited out for as long as the lease runs
        if replaced:
            self._renew()
            self.check()

    def beat(self) -> None:
        """Renew once; a refusal is kept for `check`, an outage of the store is waited out."""
        try:
            self._renew()
        except BackendctlError:
            return  # `check` tries again, and raises, once the lease has run out

    def _renew(self) -> None:
        asked = self._clock.monotonic()
        try:
            self._store.renew(self.grant, LEASE)
        except BackendctlError as error:
            if error.code == "rollout.fenced":
                self._lost = error
                return
            raise
        self._renewed = asked


@contextmanager
def held(
    store: Store,
    owner: str,
    command: str,
    *,
    take_over: bool = False,
    clock: Clock | None = None,
) -> Iterator[Lease]:
    """Hold the environment for the block. Raises `rollout.locked` naming who holds it."""
    grant = store.acquire(owner, command, LEASE, take_over)
    lease = Lease(store, grant, clock or SystemClock())
    done = threading.Event()

    def keep() -> None:
        while not done.wait(LEASE / 3):
            lease.beat()

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    try:
        thread.start()
        yield lease
    except BaseException as error:
        done.set()
        try:
            store.release(grant)
        except BackendctlError as kept:
            # What ended the block says more, and the lease ends with this process anyway.
            error.add_note(f"the environment could not be given back: {kept.message}")
        raise
    done.set()
    try:
        store.release(grant)
    except BackendctlError as error:
        raise BackendctlError(
            error.code,
            f"the environment could not be given back: {error.message}",
            cause=error.cause,
            state="what was to be done is done; it counts as free once this process has ended",
            next=("backendctl rollout status",),
        ) from error
