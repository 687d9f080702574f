"""Which cluster the stacks of an environment are meant for, and whether it has what they need."""

import shutil
from collections.abc import Sequence

from backendctl.errors import BackendctlError
from backendctl.provision.target import Target
from backendctl.spec.model import Environment, PlatformName, Spec


def look(spec: Spec, environment: Environment) -> Target:
    """Ask the cluster that the kubeconfig in use leads to who it is.

    Raises `missing.cluster`, `platform.credentials`, `platform.forbidden`.
    """
    from backendctl.platforms.kubernetes.cluster import Cluster
    from backendctl.platforms.kubernetes.connection import context_name
    from backendctl.platforms.kubernetes.naming import Naming

    namespace = Naming.of(spec, environment).namespace
    cluster = Cluster(namespace, environment.context)
    system = cluster.get("Namespace", "kube-system")
    if system is None:
        raise BackendctlError(
            "missing.cluster",
            f"{cluster.server} cannot be told from other clusters: it has no namespace kube-system",
            state="nothing was changed",
            next=("kubectl config get-contexts",),
        )
    return Target(
        system["metadata"]["uid"],
        cluster.server,
        context_name(environment.context),
        cluster.get("Namespace", namespace) is not None,
    )


def require_gateway(spec: Spec, environment: Environment) -> None:
    """What the Gateway stands on has to be there: without it nothing would ever take requests.

    Raises `platform.gateway`, `missing.gateway-api`. On AWS the stacks make it; they reach the
    cluster by a program, and raise `missing.tool` without it, before anything is made.
    """
    if environment.platform is not PlatformName.KUBERNETES:
        _require_tokens()
        return
    from backendctl.platforms.kubernetes.cluster import Cluster
    from backendctl.platforms.kubernetes.naming import STACK_GATEWAY_CLASS, Naming

    everywhere = Cluster("", environment.context)
    if environment.gateway:
        at = Naming.of(spec, environment).gateway_of(environment)
        if everywhere.get("Gateway", at.name, at.namespace) is None:
            there = [
                f"{each['metadata']['namespace']}/{each['metadata']['name']}"
                for each in everywhere.list("Gateway")
            ]
            raise _absent(environment, "Gateway", environment.gateway, "gateway", there)
        return
    name = environment.gateway_class or STACK_GATEWAY_CLASS
    if everywhere.get("GatewayClass", name) is None:
        there = [each["metadata"]["name"] for each in everywhere.list("GatewayClass")]
        raise _absent(environment, "GatewayClass", name, "gateway_class", there)


def _require_tokens() -> None:
    """See `kubeconfig` in stacks/cluster.py."""
    if shutil.which("aws") is None:
        raise BackendctlError(
            "missing.tool",
            "the program `aws` is not on the PATH",
            cause="whoever reaches the cluster on EKS is given a token by `aws eks get-token`",
            state="nothing was changed",
            next=("install the AWS CLI, version 2", "aws sts get-caller-identity"),
        )


def _absent(
    environment: Environment, kind: str, name: str, key: str, there: Sequence[str]
) -> BackendctlError:
    table = f"in [environments.{environment.name}]"
    if there:
        following = tuple(f'{table}: {key} = "{each}"' for each in there)
    else:
        following = ("install a gateway controller", f"kubectl get {kind.lower()} -A")
    return BackendctlError(
        "platform.gateway",
        f"the cluster has no {kind} {name}",
        cause=f"there are: {', '.join(there)}" if there else f"it has no {kind} at all",
        state="nothing was changed",
        next=following,
    )
