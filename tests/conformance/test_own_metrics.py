"""The service's own metrics, asked with the code and environment of the release they are of."""

from backendctl.platforms.own_metrics import OwnMetricsMeter
from backendctl.spec.model import OwnMetric

from .world import World

_COUNT = "import os; from app import VERSION; print(len(VERSION), os.environ['BAD'])"


def test_a_command_runs_in_the_release_it_is_about(world: World) -> None:
    metric = OwnMetric(
        name="checkout", limit=0.02, command=(world.python, "-B", "-c", _COUNT, "$RELEASE")
    )
    one = world.release(BAD="1")
    world.tree.joinpath("app.py").write_text(
        world.tree.joinpath("app.py").read_text().replace('VERSION = "one"', 'VERSION = "seven"')
    )
    two = world.release(BAD="4")
    for each in (one, two):
        world.start(each)
        world.platform.runtime.await_ready(each, 20.0)
        world.platform.router.connect(each.number, 20.0)
    platform = world.platform
    arms = (
        OwnMetricsMeter(platform.meter, (metric,), platform.runtime, platform.store).sample().arms
    )
    assert arms[one.number].counted == {"checkout": (len("one") + 1, 1)}
    assert arms[two.number].counted == {"checkout": (len("seven") + 4, 4)}
