"""The shipped stacks of AWS through the real engine, with an echo of both providers.

What the engine does is real: order, unknown values across stacks, plans, state, protection,
destruction. What AWS or a chart would answer is not tested anywhere here.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from backendctl.provision.app import KUBERNETES_PLUGIN
from backendctl.provision.aws import AWS_STACKS
from backendctl.provision.simulate import simulate
from backendctl.spec.model import Environment, Spec
from tests.aws_environments import whole
from tests.cluster.infra_world import World, sound
from tests.fakes.echo_provider import plugin

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("infra"),
    pytest.mark.skipif(
        not os.environ.get("BACKENDCTL_TEST_PULUMI"), reason="BACKENDCTL_TEST_PULUMI is not set"
    ),
]


@dataclass
class Shop(World):
    """The service with everything, in prod."""

    @property
    def spec(self) -> Spec:
        return whole("prod")

    @property
    def environment(self) -> Environment:
        return self.spec.environments["prod"]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    home = tmp_path / "pulumi"
    plugin.install(home)
    plugin.install(home, "kubernetes", KUBERNETES_PLUGIN)
    return Shop(tmp_path / "shop", home, AWS_STACKS)


def protected(files: Mapping[Path, bytes]) -> set[str]:
    names: set[str] = set()
    for file, body in files.items():
        if file.suffix == ".json" and "stacks" in file.parts:
            for each in json.loads(body)["checkpoint"]["latest"].get("resources", ()):
                if each.get("protect"):
                    names.add(each["urn"].split("::")[-1])
    return names


@pytest.mark.timeout(600)
def test_all_stacks_come_up_as_previewed_stay_as_they_are_and_keep_their_data(shop: Shop) -> None:
    infrastructure, previews = shop.preview()
    shop.heard.clear()
    asked = {each.stack: len(each.changed) - 1 for each in previews}  # less the stack itself
    done = {n: sound(e) for n, e in infrastructure.up(infrastructure.plan(previews, "t")).items()}
    assert set(done) == {"network", "data", "cluster", "addons"}
    at = [stack for stack, _step in shop.heard]
    assert at.index("network") < min(at.index("data"), at.index("cluster")) < at.index("addons")
    made = {name: len(each.changed) for name, each in done.items()}
    assert sum(made.values()) > 150
    assert asked == made

    # The engine was asked for what the simulation, and with it the rules, had seen.
    simulated = Counter(each.stack for each in simulate(shop.spec, shop.environment, AWS_STACKS))
    for name, count in simulated.items():
        extra = 2 if name == "addons" else 1  # the component, and the provider of the cluster
        assert abs(made[name] - count) <= extra, (name, made[name], count)

    _, again = shop.preview()
    assert {each.stack: [(c.urn.split("::")[-2:], c) for c in each.changed] for each in again} == {
        name: [] for name in made
    }
    assert {"database", "replica-1", "cache", "data", "cluster"} <= protected(shop.files())
