"""The pods of a release and of its jobs: what they run, with what, and what they may do. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backendctl.platforms import variables
from backendctl.platforms.base import Release
from backendctl.platforms.kubernetes import restricted
from backendctl.platforms.kubernetes.naming import SECRET_KEY, Naming, bound_secrets
from backendctl.platforms.kubernetes.resources import Size
from backendctl.spec.model import Environment, Spec

Manifest = dict[str, Any]

PORT = 8000
"""Where the service listens in its pod, as $PORT; each pod has an address of its own."""

DEFAULTS = {
    # Pods are reached by their own address; only the gateway may, by the network policy.
    "HOST": "0.0.0.0",  # noqa: S104
    "PYTHONUNBUFFERED": "1",
    # The only folder that may be written, and the user may be one without a home.
    "HOME": "/tmp",  # noqa: S108
    # The pod's own preStop waits until no request is sent to it any more.
    "DRAIN_DELAY": "0",
}
"""What a process is given unless its configuration says otherwise."""

_SCRATCH = "256Mi"
"""Of /tmp, the one folder that may be written; gone with the pod."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all releases of an environment run with."""

    naming: Naming
    size: Size
    ready_deadline: float
    """Seconds that a process may take until it answers at all."""
    given: tuple[str, ...] = ()
    """Secrets whose keys are environment variables: the database's and the cache's."""

    @classmethod
    def of(cls, spec: Spec, environment: Environment, naming: Naming) -> "Surroundings":
        secrets = bound_secrets(spec, environment)
        return cls(
            naming,
            Size.of(spec, environment),
            spec.rollout.ready_deadline,
            tuple(dict.fromkeys(secrets.values())),
        )


def clear_variables(release: Release, naming: Naming) -> dict[str, str]:
    """What a release's processes are given that is no secret; what comes later wins."""
    return {
        **DEFAULTS,
        **release.configuration.values,
        "BACKENDCTL_RELEASE": str(release.number),
        "BACKENDCTL_ENVIRONMENT": naming.environment,
    }


def command(
    release: Release, argv: Sequence[str], clear: Mapping[str, str], *, literal: bool = False
) -> list[str]:
    """argv as a container states it, with variables in the place of `$NAME`.

    Raises BackendctlError `release.start` for a name that is not set, and for a secret.
    """
    bound = (name for names in variables.BOUND.values() for name in names)
    secret = {*release.configuration.secrets, *variables.sensitive(clear), *bound}
    known = {**dict.fromkeys(secret, ""), **clear}
    words = argv if literal else variables.expand(argv, known, secret)
    return [escaped(word) for word in words]


def escaped(text: str) -> str:
    """Text in which the kubelet finds nothing to replace: it takes `$(NAME)` for a variable, and
    `$$` for one dollar sign, wherever they stand."""
    return text.replace("$", "$$")


def from_secrets(release: Release, naming: Naming) -> list[Manifest]:
    """The release's own secrets, each in the version it was made with."""
    return [
        {
            "name": name,
            "valueFrom": {
                "secretKeyRef": {"name": naming.secret(name, version), "key": SECRET_KEY}
            },
        }
        for name, version in sorted(release.configuration.secrets.items())
    ]


def given(surroundings: Surroundings) -> list[Manifest]:
    """The environment's own secrets, whole."""
    return [{"secretRef": {"name": name}} for name in surroundings.given]


def container(name: str, image: str, size: Size, rest: Manifest) -> Manifest:
    """One that may do as little as the restricted pod security standard allows."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "resources": size.requirements(),
        "securityContext": restricted.container(),
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108
        **rest,
    }


def pod(surroundings: Surroundings, holds: Manifest, rest: Manifest) -> Manifest:
    """The spec of a pod with that container, and no access to the cluster."""
    return {
        "serviceAccountName": surroundings.naming.account("service"),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": restricted.pod(),
        "containers": [holds],
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": _SCRATCH}}],
        **rest,
    }
