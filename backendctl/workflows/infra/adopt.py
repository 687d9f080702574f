"""`infra adopt`: what exists is taken into the picture by its id; it is not changed by that.

In a cluster an object comes into a stack of its own, `adopted`, whose program is never run: it is
compared by `infra drift`, never changed, and only forgotten by `infra destroy`. On AWS a VPC, a
database or a cluster is named in backend.toml; the stacks then look it up instead of making one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.provision.adopted import ADOPTED, adopted_stack, identifier, targets
from backendctl.provision.app import token
from backendctl.spec.model import PlatformName
from backendctl.workflows.infra.opened import Opened
from backendctl.workflows.infra.outcomes import results
from backendctl.workflows.infra.states import held
from backendctl.workflows.infra.telling import Waiting, listener

KINDS: Mapping[str, str] = {
    "deployment": "Deployment",
    "service": "Service",
    "configmap": "ConfigMap",
}
"""What can be adopted in a cluster, and its kind there."""
API_VERSIONS: Mapping[str, str] = {"Deployment": "apps/v1", "Service": "v1", "ConfigMap": "v1"}
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
    if kind not in KINDS:
        raise _refused(opened, kind, given)
    live = _read(opened, kind, given)
    found = identifier(live)
    infrastructure = opened.infrastructure(
        listener(progress, acts=True), adopted=adopted_stack(live)
    )
    with progress.step(f"Looking at {kind} {found}"):
        states = results(infrastructure.states())
    if any((e.type, e.id) == (token(live), found) for e in held(ADOPTED, states[ADOPTED])):
        return Adoption(opened.environment.name, kind, found, already=True)
    approve(found)
    opened.confirm_target()
    backend = infrastructure.backend
    urns = targets(backend.project(ADOPTED), backend.environment, live)
    with progress.step(f"Taking {kind} {found} into the picture"):
        results(infrastructure.on_each("adopt", [ADOPTED], lambda engine: engine.adopt(urns)))
    return Adoption(opened.environment.name, kind, found)


def _read(opened: Opened, kind: str, given: str) -> Mapping[str, Any]:
    from backendctl.platforms.kubernetes.cluster import Cluster
    from backendctl.platforms.kubernetes.naming import Naming

    own = Naming.of(opened.spec, opened.environment).namespace
    namespace, _, name = given.rpartition("/")
    cluster = Cluster(namespace or own, opened.environment.context)
    live = cluster.get(KINDS[kind], name)
    if live is None:
        raise BackendctlError(
            "infra.adopt",
            f"there is no {kind} {name} in namespace {namespace or own}",
            state="nothing was changed",
            next=(f"kubectl get {kind} --namespace {namespace or own}",),
        )
    return {"apiVersion": API_VERSIONS[KINDS[kind]], "kind": KINDS[kind], **live}


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
