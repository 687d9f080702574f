"""The stack of what was adopted: brought in by import as it is, looked at, never changed.

Its program is run only to bring something in, and for that alone: the engine reads the object,
refuses unless it is what the program says, and keeps it in the state. What was brought in before is
left out of that run by naming its target.
"""

from collections.abc import Mapping
from typing import Any

from backendctl.provision.app import KUBERNETES_PLUGIN, provider_of, token
from backendctl.provision.definition import Inputs, StackDefinition

ADOPTED = "adopted"

_OF_THE_SERVER = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
)
_ANNOTATIONS_OF_OTHERS = (
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
)


def adopted_stack(live: Mapping[str, Any] | None = None) -> StackDefinition:
    """`live`: the object to be brought in, as the cluster has it; without one it only looks."""

    def program(inputs: Inputs) -> None:
        if live is None:
            raise AssertionError("what is adopted is not made by a program")
        _bring_in(inputs, live)

    return StackDefinition(ADOPTED, program, plugins={"kubernetes": KUBERNETES_PLUGIN})


def identifier(live: Mapping[str, Any]) -> str:
    """`namespace/name`"""
    return f"{live['metadata']['namespace']}/{live['metadata']['name']}"


def targets(project: str, stack: str, live: Mapping[str, Any]) -> tuple[str, ...]:
    """The URNs that bringing it in is about."""
    base = f"urn:pulumi:{stack}::{project}::"
    provider = f"{base}pulumi:providers:kubernetes::cluster"
    return (provider, f"{base}{token(live)}::{identifier(live)}")


def asked_for(live: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object without what the cluster itself says in it."""
    metadata = {k: v for k, v in live["metadata"].items() if k not in _OF_THE_SERVER}
    notes = {
        name: text
        for name, text in metadata.pop("annotations", {}).items()
        if name not in _ANNOTATIONS_OF_OTHERS
    }
    if notes:
        metadata["annotations"] = notes
    return {**{k: v for k, v in live.items() if k != "status"}, "metadata": metadata}


def _bring_in(inputs: Inputs, live: Mapping[str, Any]) -> None:
    import pulumi

    pulumi.CustomResource(
        token(live),
        identifier(live),
        dict(asked_for(live)),
        pulumi.ResourceOptions(
            provider=provider_of(inputs),
            version=KUBERNETES_PLUGIN,
            import_=identifier(live),
            protect=True,
            retain_on_delete=True,
        ),
    )
