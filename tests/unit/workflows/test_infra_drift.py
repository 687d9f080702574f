"""What counts as drift, and what is adopted and only looked at."""

from backendctl.provision.adopted import adopted_stack
from backendctl.provision.changes import Action, PropertyChange, ResourceChange
from backendctl.provision.simulate import simulate
from backendctl.workflows.infra.drift import Drift, drifted
from tests.aws_environments import bare

URN = "urn:pulumi:prod::shop::aws:ec2/vpc:Vpc::vpc"
OTHER = PropertyChange("cidrBlock", "update", '"10.0.0.0/16"', '"10.1.0.0/16"')


def test_what_is_gone_and_what_differs_in_something_of_ours_is_drift() -> None:
    gone = ResourceChange(URN, Action.DELETE)
    changed = ResourceChange(URN, Action.REFRESH, (OTHER,))
    added_by_the_cloud = ResourceChange(URN, Action.REFRESH)
    same = ResourceChange(URN, Action.SAME, (OTHER,))
    found = drifted([gone, changed, added_by_the_cloud, same])
    assert found == [gone, changed]
    said = list(Drift("prod", {"network": found}, 4).lines())
    assert said[0] == "network: ec2 Vpc vpc is gone"
    assert said[1] == "network: ec2 Vpc vpc was changed"


def test_what_is_adopted_is_protected_and_only_ever_forgotten() -> None:
    live = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "legacy", "namespace": "shop", "uid": "u", "resourceVersion": "7"},
        "spec": {"replicas": 2},
        "status": {"readyReplicas": 2},
    }
    spec = bare()
    [found] = [
        each
        for each in simulate(spec, spec.environments["prod"], [adopted_stack(live)])
        if each.name == "shop/legacy"
    ]
    assert (found.protected, found.retained) == (True, True)
    assert "status" not in found.properties
    assert found.properties["metadata"] == {"name": "legacy", "namespace": "shop"}
