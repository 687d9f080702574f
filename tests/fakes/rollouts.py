"""Rollouts on the fake platform, in few words."""

from collections.abc import Callable
from typing import Any

from backendctl.platforms.base import Release
from backendctl.rollout.events import Event
from backendctl.rollout.lease import LEASE, Lease
from backendctl.spec.model import Environment, Load, Rollout, Service, Slo, Spec, Strategy
from backendctl.workflows.rollouts import Means, Outcome, run_rollout
from tests.fakes.platform import Fake


def spec_with(**rollout: Any) -> Spec:
    """A small service whose steps take seconds."""
    quick = {"warm_up": 2.0, "step_time": 12.0, "deadline": 300.0, "bake": 20.0}
    return Spec(
        service=Service(name="shop", start=("serve",)),
        load=Load(peak_rps=100, peak_users=100, sustained_users=50, think_time=1.0),
        slo=Slo(error_rate=0.01, p95=0.3, p99=1.0),
        rollout=Rollout(**{**quick, **rollout}),
        environments={"local": Environment(name="local")},
    )


def means(fake: Fake) -> Means:
    return Means(clock=fake.clock, probe=fake.probe)


class Desk:
    """Somebody at a terminal with the fake platform; collects what they are told."""

    def __init__(self, fake: Fake, spec: Spec | None = None, owner: str = "ann") -> None:
        self.fake = fake
        self.spec = spec or spec_with()
        self.owner = owner
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = self.events.append

    def lease(self) -> Lease:
        """Without a heartbeat thread: it is renewed whenever the fake clock moves."""
        grant = self.fake.store.acquire(self.owner, "deploy", LEASE)
        lease = Lease(self.fake.store, grant, self.fake.clock)
        self.fake.clock.on_pass.append(lambda _: None if self.dead else lease.beat())
        return lease

    @property
    def dead(self) -> bool:
        return self.owner in self.fake.store.dead

    def deploy(
        self, strategy: Strategy = Strategy.CANARY, *, migrate: bool = False, **more: Any
    ) -> Outcome:
        """Make the next release and roll it out, as `deploy` does."""
        return self.roll_out(
            self.fake.make_release(migrate=migrate), self.lease(), strategy, **more
        )

    def roll_out(
        self, release: Release, lease: Lease, strategy: Strategy = Strategy.CANARY, **more: Any
    ) -> Outcome:
        outcome = run_rollout(
            self.fake.platform,
            self.spec,
            release,
            strategy,
            lambda event: self.on_event(event),
            lease=lease,
            by=self.owner,
            **{"means": means(self.fake), **more},
        )
        self.fake.store.release(lease.grant)
        return outcome
