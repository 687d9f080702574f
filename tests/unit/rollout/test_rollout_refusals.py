"""What a deploy is refused for leaves no trace, and what is offered instead can be done."""

from dataclasses import replace

import pytest

from backendctl.errors import BackendctlError
from backendctl.rollout.states import Word
from backendctl.spec.model import Environment, PlatformName, Spec
from tests.fakes.platform import Fake
from tests.fakes.rollouts import Desk, spec_with


def on(environment: Environment) -> Spec:
    return spec_with().model_copy(update={"environments": {environment.name: environment}})


def refused(fake: Fake, environment: Environment) -> BackendctlError:
    """Release 1 serves, nobody uses it, and another is to be judged."""
    there = replace(fake, platform=replace(fake.platform, name=environment.name))
    desk = Desk(there, on(environment))
    assert desk.deploy().result == "promoted"
    fake.env.rps = 0.0
    with pytest.raises(BackendctlError) as caught:
        desk.deploy()
    assert caught.value.code == "rollout.unjudgeable"
    return caught.value


def test_a_release_that_cannot_be_judged_uses_no_number(fake: Fake) -> None:
    error = refused(fake, Environment(name="local"))
    assert "no release was made" in error.state
    assert [release.number for release in fake.store.releases()] == [1]
    assert len(fake.store.rollouts()) == 1
    fake.store.release(fake.store.acquire("ann", "deploy", 15.0, take_over=True))
    word = Word("ann", "nobody uses it yet")
    assert Desk(fake).deploy(override=word).candidate == 2


@pytest.mark.parametrize(
    ("environment", "offered"),
    [
        (Environment(name="local"), True),
        (Environment(name="laptop"), True),
        (Environment(name="local", platform=PlatformName.KUBERNETES), False),
    ],
    ids=lambda each: f"{each.name} on {each.platform}" if isinstance(each, Environment) else "",
)
def test_synthetic_users_are_offered_by_platform_whatever_the_environment_is_called(
    fake: Fake, environment: Environment, offered: bool
) -> None:
    error = refused(fake, environment)
    assert ("backendctl deploy --traffic 100/s" in error.next) is offered
