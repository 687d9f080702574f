"""The present traffic, as it is counted before a rollout is planned."""

from backendctl.rollout.events import Forecasted
from backendctl.rollout.planning import TRAFFIC_WINDOW, look_at_traffic
from backendctl.rollout.states import Word
from tests.fakes.platform import Fake, fake_platform
from tests.fakes.rollouts import Desk


def serving(rps: float) -> Fake:
    fake = fake_platform(rps)
    Desk(fake).deploy()
    fake.clock.wait(60.0)
    return fake


def test_counters_that_begin_anew_while_traffic_is_counted_are_no_sign_of_no_traffic() -> None:
    fake = serving(50.0)
    began = fake.clock.now()

    def forget(_: float) -> None:
        if fake.clock.now() == began:
            fake.env.counters[1].requests = 5.0

    fake.clock.on_pass.append(forget)
    baseline = look_at_traffic(fake.platform, fake.clock, 1)
    assert 45.0 < baseline.rps < 55.0
    assert fake.clock.now() - began == 2 * TRAFFIC_WINDOW


def test_counters_that_always_begin_anew_end_the_counting() -> None:
    fake = serving(50.0)
    left = iter(range(1000, 0, -1))

    def forget(_: float) -> None:
        fake.env.counters[1].requests = float(next(left))

    fake.clock.on_pass.append(forget)
    assert look_at_traffic(fake.platform, fake.clock, 1).rps == 0.0


def test_a_deploy_on_somebodys_word_is_not_forecast_to_be_refused() -> None:
    fake = fake_platform(0.0)
    desk = Desk(fake)
    desk.deploy()
    desk.events.clear()
    assert desk.deploy(override=Word("ann", "nobody uses it yet")).result == "promoted"
    said = [each.forecast.advice for each in desk.events if isinstance(each, Forecasted)]
    assert said == [
        (
            "no verdict will be asked for: promoted on your word (nobody uses it yet), once it is "
            "ready and has baked",
        )
    ]
