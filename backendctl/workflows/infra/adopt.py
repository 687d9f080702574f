"""`infra adopt`: what exists is taken into the picture by its id; it is not changed by that.

In a cluster an object comes into a stack of its own, `adopted`, whose program is never run: it is
compared by `infra drift`, never changed, and only forgotten by `infra destroy`. On AWS a VPC, a
database or a cluster is named in backend.toml; the stacks then look it up instead of making one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.provision.adopted import ADOPTED, adopted_stack
from backendctl.spec.model import PlatformName
from backendctl.workflows.infra.opened import Opened
from backendctl.workflows.infra.outcomes import results
from backendctl.workflows.infra.states import held
from backendctl.workflows.infra.telling import Waiting, listener

KINDS: Mapping[str, str] = {
    "deployment": "kubernetes:apps/v1:Deployment",
    "statefulset": "kubernetes:apps/v1:StatefulSet",
    "service": "kubernetes:core/v1:Service",
    "configmap": "kubernetes:core/v1:ConfigMap",
    "ingress": "kubernetes:networking.k8s.io/v1:Ingress",
}
"""Kinds in a cluster, and Pulumi's type of them."""
ON_AWS = ("vpc", "database", "cluster")
"""What an environment on AWS names in backend.toml instead."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """One thing that exists."""

    environment: str
    kind: str
    id: str
    already: bool = False

    def data(self) -> Mapping[str, Any]:
        return {
            "environment": self.environment,
            "kind": self.kind,
            "id": self.id,
            "already": self.already,
        }

    def lines(self) -> Iterator[str]:
        if self.already:
            yield f"{self.kind} {self.id} is in the picture of {self.environment} already."
            return
        yield f"{self.kind} {self.id} is in the picture of {self.environment} now, as it is."
        yield "`infra drift` compares it from now on; no command of ours changes or deletes it."


def adopt(
    opened: Opened, progress: Waiting, kind: str, given: str, approve: Callable[[str], None]
) -> Adoption:
    """Take an object of the cluster into the picture. Raises `infra.adopt`."""
    token = KINDS.get(kind)
    if token is None:
        raise _refused(opened, kind, given)
    identifier = given if "/" in given else f"{_namespace(opened)}/{given}"
    definition = adopted_stack()
    infrastructure = opened.infrastructure(listener(progress, acts=True), adopted=True)
    with progress.step(f"Looking at {kind} {identifier}"):
        states = results(infrastructure.states())
    for each in held(definition.name, states[ADOPTED]):
        if (each.type, each.id) == (token, identifier):
            return Adoption(opened.environment.name, kind, identifier, already=True)
    approve(identifier)
    resource = {
        "type": token,
        "name": identifier,
        "id": identifier,
        "version": definition.plugins["kubernetes"],
    }
    with progress.step(f"Taking {kind} {identifier} into the picture"):
        results(infrastructure.on_each("adopt", [ADOPTED], lambda engine: engine.adopt([resource])))
    return Adoption(opened.environment.name, kind, identifier)


def _namespace(opened: Opened) -> str:
    return opened.environment.namespace or f"{opened.spec.service.name}-{opened.environment.name}"


def _refused(opened: Opened, kind: str, given: str) -> BackendctlError:
    name = opened.environment.name
    if kind in ON_AWS and opened.environment.platform is PlatformName.AWS:
        return BackendctlError(
            "infra.adopt",
            f"a {kind} is adopted by its name in backend.toml",
            cause="the stacks then look it up instead of making one, and never change it",
            state="nothing was changed",
            next=(f'in [environments.{name}]: {kind} = "{given}"', "backendctl infra preview"),
        )
    return BackendctlError(
        "infra.adopt",
        f"{kind!r} cannot be adopted in {name}",
        cause=f"accepted: {', '.join(KINDS)}; on AWS also {', '.join(ON_AWS)}",
        state="nothing was changed",
    )
