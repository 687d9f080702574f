"""The shipped stacks of AWS through the real engine, with an echo of both providers.

What the engine does is real: order, unknown values across stacks, plans, state, protection,
destruction. What AWS, a cluster or a chart would answer is not tested anywhere here: the real
Kubernetes provider runs in test_infra_app.py and test_infra_rollout.py.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.provision.app import KUBERNETES_PLUGIN
from backendctl.provision.registry import definitions
from backendctl.provision.simulate import simulate
from backendctl.provision.upstream import present
from backendctl.spec.model import Environment, Spec
from backendctl.workflows.infra import destroy
from backendctl.workflows.infra.cost import difference
from backendctl.workflows.infra.preview import telling
from tests.aws_environments import whole
from tests.engine.world import Silent, World, sound
from tests.fakes.echo_provider import plugin

pytestmark = pytest.mark.engine


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
    return Shop(tmp_path / "shop", home, definitions(whole("prod").environments["prod"]))


def protected(files: Mapping[Path, bytes]) -> set[str]:
    names: set[str] = set()
    for file, body in files.items():
        if file.suffix == ".json" and "stacks" in file.parts:
            for each in json.loads(body)["checkpoint"]["latest"].get("resources", ()):
                if each.get("protect"):
                    names.add(each["urn"].split("::")[-1])
    return names


@pytest.mark.timeout(900)  # five stacks, 180 resources, and a machine that others use too
def test_all_stacks_come_up_as_previewed_stay_as_they_are_and_keep_their_data(shop: Shop) -> None:
    infrastructure, previews = shop.preview()
    cost = difference(shop.opened(), previews)
    assert cost is not None
    assert cost.before == 0
    assert cost.after > 100
    shop.heard.clear()
    asked = {each.stack: len(telling(each.changes)) for each in previews}
    done = {n: sound(e) for n, e in infrastructure.up(infrastructure.plan(previews, "t")).items()}
    assert set(done) == {"network", "data", "cluster", "addons", "app"}
    at = [stack for stack, _step in shop.heard]
    assert at.index("network") < min(at.index("data"), at.index("cluster"))
    ended = {stack: len(at) - at[::-1].index(stack) for stack in done}
    assert max(ended["data"], ended["cluster"]) <= at.index("addons")
    assert ended["addons"] <= at.index("app")
    made = {name: len(each.changed) for name, each in done.items()}
    assert sum(made.values()) > 180
    assert asked == made

    # The engine was asked for what the simulation, and with it the rules, had seen.
    simulated = Counter(e.stack for e in simulate(shop.spec, shop.environment, shop.stacks))
    for name, count in simulated.items():
        extra = 2 if name == "addons" else 1  # the component, and the provider of the cluster
        assert abs(made[name] - count) <= extra, (name, made[name], count)

    assert_nothing_changes(shop)
    assert {"database", "replica-1", "cache", "data", "cluster", "shop-prod"} <= protected(
        shop.files()
    )
    assert_service_is_told(shop)
    assert_it_goes_with_its_last_copies(shop)


def assert_nothing_changes(shop: Shop) -> None:
    _, again = shop.preview()
    assert {each.stack: [(c.urn.split("::")[-2:], c) for c in each.changed] for each in again} == {
        each.name: [] for each in shop.stacks
    }


def assert_service_is_told(shop: Shop) -> None:
    """What `app` was given by the others is in what it made; of what is secret, names alone."""
    states = {n: sound(each) for n, each in shop.infrastructure().states().items()}
    outputs = {n: {k: v.value for k, v in present(each).items()} for n, each in states.items()}
    assert outputs["app"]["namespace"] == "shop-prod"
    held = states["app"]["resources"]
    assert outputs["app"]["objects"] == len(held) - 2  # the stack itself, and the provider
    [told] = [
        each["inputs"]["spec"]
        for each in held
        if each["urn"].endswith("ExternalSecret::shop-database")
    ]
    [source] = told["dataFrom"]
    assert source["extract"]["key"] == outputs["data"]["database_secret_arn"]
    url = told["target"]["template"]["data"]["DATABASE_URL"]
    assert url.startswith("postgresql://{{ .username")
    assert f"@{outputs['data']['database_address']}:5432/" in url
    assert not any(value.secret for each in states.values() for value in present(each).values())
    phrase = (shop.backend().folder / "passphrase").read_bytes()
    assert [file for file, body in shop.files().items() if phrase in body] == []


def assert_it_goes_with_its_last_copies(shop: Shop) -> None:
    with pytest.raises(BackendctlError, match="rds Instance database"):
        destroy.destroy(shop.opened(), Silent(), lambda _losses: None)
    gone = destroy.destroy(shop.opened(), Silent(), lambda _losses: None, delete_data=True)
    said = list(gone.lines())
    assert "final snapshot: shop-prod-final" in said
    assert any(line.startswith("kept: kms Key") for line in said)
    assert {file.name.partition("-")[0] for file in shop.cloud.iterdir()} == {"key"}
