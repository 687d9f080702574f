"""The stacks of an environment on AWS, as the engine runs them: from the spec to their inputs, from
one stack's outputs to the next one's."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from backendctl.provision.app import KUBERNETES_PLUGIN
from backendctl.provision.definition import Inputs, StackDefinition
from backendctl.spec.derive_aws import Plan, plan_of

if TYPE_CHECKING:
    from backendctl.shipped.stacks.network import NetworkOutputs

AWS_PLUGIN = "7.51.1"
Made = TypeVar("Made")
Upstream = Mapping[str, Mapping[str, Any]]


def _plan(inputs: Inputs) -> Plan:
    return plan_of(inputs.spec, inputs.environment, releasing=inputs.releasing)


def _given(outputs: Callable[..., Made], upstream: Upstream, stack: str) -> Made:
    """Another stack's outputs, in their type; what it does not export keeps its default."""
    exported = upstream.get(stack, {})
    names = {each.name for each in fields(outputs)}  # type: ignore[arg-type]
    return outputs(**{name: value for name, value in exported.items() if name in names})


def _export(outputs: Any) -> None:
    import pulumi

    for each in fields(outputs):
        pulumi.export(each.name, getattr(outputs, each.name))


def _network_of(inputs: Inputs) -> "NetworkOutputs":
    from backendctl.shipped.stacks.network import NetworkOutputs

    return _given(NetworkOutputs, inputs.upstream, "network")


def _network(inputs: Inputs) -> None:
    from backendctl.shipped.stacks.network import network

    _export(network(_plan(inputs).network))


def _data(inputs: Inputs) -> None:
    from backendctl.shipped.stacks.data import data

    _export(data(_plan(inputs).data, _network_of(inputs)))


def _cluster(inputs: Inputs) -> None:
    from backendctl.shipped.stacks.cluster import cluster

    _export(cluster(_plan(inputs).cluster, _network_of(inputs)))


def _addons(inputs: Inputs) -> None:
    from backendctl.shipped.stacks.addons import addons
    from backendctl.shipped.stacks.cluster import ClusterOutputs
    from backendctl.shipped.stacks.data import DataOutputs

    data = _given(DataOutputs, inputs.upstream, "data")
    cluster = _given(ClusterOutputs, inputs.upstream, "cluster")
    _export(addons(_plan(inputs).addons, _network_of(inputs), data, cluster))


_AWS: Mapping[str, str] = {"aws": AWS_PLUGIN}

AWS_STACKS: tuple[StackDefinition, ...] = (
    StackDefinition("network", _network, plugins=_AWS),
    StackDefinition("data", _data, needs=("network",), plugins=_AWS),
    StackDefinition("cluster", _cluster, needs=("network",), plugins=_AWS),
    StackDefinition(
        "addons",
        _addons,
        needs=("network", "data", "cluster"),
        plugins={**_AWS, "kubernetes": KUBERNETES_PLUGIN},
    ),
)
"""In an order in which each comes after what it needs; data and cluster may run side by side."""
