"""The lease: renewed while work goes on, and known to be lost at once."""

import pytest

from backendctl.errors import BackendctlError
from backendctl.rollout.lease import LEASE, Lease, held
from tests.fakes.platform import FakeStore, fake_platform


def test_a_lease_is_given_back_when_the_work_is_done() -> None:
    fake = fake_platform()
    with held(fake.store, "ann", "deploy", clock=fake.clock) as lease:
        lease.check()
        holder = fake.store.holder()
        assert holder is not None
        assert (holder.owner, holder.command) == ("ann", "deploy")
    assert fake.store.holder() is None


def test_a_second_run_is_refused_while_the_first_holds_it() -> None:
    fake = fake_platform()
    with held(fake.store, "ann", "deploy", clock=fake.clock):
        with pytest.raises(BackendctlError) as refused:
            fake.store.acquire("bob", "deploy", LEASE)
        assert refused.value.exit == 6


def test_a_lease_taken_over_is_noticed_at_the_next_beat_and_stays_lost() -> None:
    fake = fake_platform()
    lease = Lease(fake.store, fake.store.acquire("ann", "deploy", LEASE), fake.clock)
    fake.store.acquire("bob", "recover", LEASE, take_over=True)
    lease.check()  # not asked since
    lease.beat()
    for _ in range(2):
        with pytest.raises(BackendctlError, match="epoch") as lost:
            lease.check()
        assert lost.value.code == "rollout.fenced"


def test_a_lapsed_lease_is_not_trusted_without_asking_the_store() -> None:
    fake = fake_platform()
    lease = Lease(fake.store, fake.store.acquire("ann", "deploy", LEASE), fake.clock)
    fake.clock.wait(LEASE + 1)
    lease.check()  # nobody took it: renewed
    fake.clock.wait(LEASE + 1)
    fake.store.acquire("bob", "recover", LEASE)
    with pytest.raises(BackendctlError) as lost:
        lease.check()
    assert lost.value.code == "rollout.fenced"


class DownStore(FakeStore):
    def renew(self, grant: object, lease: float) -> None:
        raise BackendctlError("missing.server", "the store does not answer")


def test_an_outage_of_the_store_counts_only_once_the_lease_has_run_out() -> None:
    fake = fake_platform()
    store = DownStore(fake.env)
    lease = Lease(store, store.acquire("ann", "deploy", LEASE), fake.clock)
    lease.beat()
    lease.check()
    fake.clock.wait(LEASE)
    with pytest.raises(BackendctlError, match="does not answer"):
        lease.check()
