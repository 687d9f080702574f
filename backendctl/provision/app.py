"""The `app` stack: what outlives a release in a cluster, through the Kubernetes provider.

The objects are plain manifests, made by a pure function; each becomes one resource. Which cluster
is meant is said by the kubeconfig in use (and the environment's `context` in it), or by the
`cluster` stack where there is one. The state keeps the cluster's UID, and the context if one is
stated.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backendctl.provision.changes import NAMESPACE_TAKEN_OVER
from backendctl.provision.connections import connections
from backendctl.provision.definition import Inputs, StackDefinition
from backendctl.provision.target import IDENTIFIER
from backendctl.shipped.stacks.inputs import FROM_STACK
from backendctl.spec.model import Environment, PlatformName, Spec

if TYPE_CHECKING:
    import pulumi

KUBERNETES_PLUGIN = "4.32.0"
"""The same as pulumi-kubernetes in pyproject.toml, which a test compares."""
Manifests = Callable[[Spec, Environment], Sequence[Mapping[str, Any]]]

PATIENCE = "3m"
"""How long an object may take to be ready; the provider's own is ten minutes."""
HOLDS_DATA = ("Namespace", "PersistentVolumeClaim")
"""Kinds whose deletion loses what cannot be made again: secrets, journals, files."""


def definition(environment: Environment, manifests: Manifests | None = None) -> StackDefinition:
    """The stack of one environment; `manifests` stands in for the platform's own in tests."""
    needs: tuple[str, ...] = ()
    if environment.platform is PlatformName.AWS:
        needs = ("data", "cluster", "addons")
    return StackDefinition(
        name="app",
        program=lambda inputs: _program(inputs, manifests or _standing()),
        needs=needs,
        plugins={"kubernetes": KUBERNETES_PLUGIN},
    )


def _standing() -> Manifests:
    from backendctl.platforms.kubernetes.standing import manifests

    return manifests


def _program(inputs: Inputs, manifests: Manifests) -> None:
    import pulumi

    objects = [*manifests(inputs.spec, inputs.environment), *connections(inputs)]
    provider = provider_of(inputs)
    namespaces: dict[str, pulumi.Resource] = {}
    home = next((m["metadata"]["name"] for m in objects if m["kind"] == "Namespace"), "")
    for manifest in sorted(objects, key=lambda each: each["kind"] != "Namespace"):
        namespace = manifest["metadata"].get("namespace", "")
        after = [namespaces[namespace]] if namespace in namespaces else []
        made = _resource(manifest, provider, after, home, inputs)
        if manifest["kind"] == "Namespace":
            namespaces[manifest["metadata"]["name"]] = made
            pulumi.export("namespace", manifest["metadata"]["name"])
    pulumi.export("objects", len(objects))


def provider_of(inputs: Inputs) -> "pulumi.ProviderResource":
    """The cluster that is meant, by what makes it that one: another context that leads to it
    replaces nothing."""
    import pulumi

    properties: dict[str, Any] = {"enableServerSideApply": True, IDENTIFIER: FROM_STACK}
    kubeconfig = inputs.upstream.get("cluster", {}).get("kubeconfig")
    if kubeconfig is not None:
        properties["kubeconfig"] = kubeconfig
    else:
        properties |= {IDENTIFIER: inputs.cluster} if inputs.cluster else {}
        properties |= {"context": inputs.environment.context} if inputs.environment.context else {}
    return pulumi.ProviderResource(
        "kubernetes",
        "cluster",
        properties,
        pulumi.ResourceOptions(version=KUBERNETES_PLUGIN),
    )


def _resource(
    manifest: Mapping[str, Any],
    provider: "pulumi.ProviderResource",
    after: "Sequence[pulumi.Resource]",
    home: str,
    inputs: Inputs,
) -> "pulumi.Resource":
    """A namespace that was there before is only labelled: it is somebody else's."""
    import pulumi

    taken_over = manifest["kind"] == "Namespace" and inputs.taken_over
    return pulumi.CustomResource(
        NAMESPACE_TAKEN_OVER if taken_over else token(manifest),
        title(manifest, home),
        dict(manifest),
        pulumi.ResourceOptions(
            provider=provider,
            version=KUBERNETES_PLUGIN,
            depends_on=list(after),
            protect=manifest["kind"] in HOLDS_DATA and not (taken_over or inputs.releasing),
            custom_timeouts=pulumi.CustomTimeouts(create=PATIENCE, update=PATIENCE),
        ),
    )


def title(manifest: Mapping[str, Any], home: str) -> str:
    """Its name in the stack: with its namespace where that is not the environment's own."""
    name: str = manifest["metadata"]["name"]
    namespace = manifest["metadata"].get("namespace", home)
    return name if namespace == home else f"{namespace}/{name}"


def token(manifest: Mapping[str, Any]) -> str:
    """Pulumi's type of an object: `v1` `Namespace` -> `kubernetes:core/v1:Namespace`."""
    version = manifest["apiVersion"]
    return f"kubernetes:{version if '/' in version else f'core/{version}'}:{manifest['kind']}"
