"""How everything of one environment is called in its cluster, and how it is found again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from backendctl.spec.model import Environment, PlatformName, Spec

FIELD_MANAGER = "backendctl"
"""Who owns the fields we set, in server-side apply."""
DOMAIN = "backendctl.dev"
"""Before the slash of labels and annotations that are ours alone."""

NAME_LABEL = "app.kubernetes.io/name"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
COMPONENT_LABEL = "app.kubernetes.io/component"
ENVIRONMENT_LABEL = f"{DOMAIN}/environment"
RELEASE_LABEL = f"{DOMAIN}/release"

STACK_GATEWAY_CLASS = "backendctl"
"""The GatewayClass that the `addons` stack makes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object in some namespace."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Naming:
    """The names of one environment."""

    service: str
    environment: str
    namespace: str

    @classmethod
    def of(cls, spec: Spec, environment: Environment) -> "Naming":
        """The namespace as stated, or `<service>-<environment>`."""
        service = spec.service.name
        return cls(
            service, environment.name, environment.namespace or f"{service}-{environment.name}"
        )

    # --- of a release ---

    def release(self, number: int) -> str:
        """Its Deployment, Service, ConfigMap, PodDisruptionBudget and autoscaler."""
        return f"{self.service}-r{number}"

    def number(self, name: str) -> int | None:
        """The release whose object is called that; None if it is no release's."""
        found = re.fullmatch(re.escape(self.service) + r"-r([1-9][0-9]*)", name)
        return int(found[1]) if found else None

    def job(self, number: int, name: str) -> str:
        """A one-off command's Job, before what makes each run of it unique."""
        return f"{self.release(number)}-{name}"

    # --- of traffic ---

    def gateway_of(self, environment: Environment) -> Reference:
        """The Gateway in front of it: the one that is named, or its own."""
        if not environment.gateway:
            return Reference(self.namespace, self.gateway)
        namespace, _slash, name = environment.gateway.partition("/")
        return Reference(namespace, name)

    @property
    def route(self) -> str:
        """The HTTPRoute that holds the weights."""
        return self.service

    @property
    def gateway(self) -> str:
        """The Gateway, unless the environment names another."""
        return self.service

    # --- of state ---

    @property
    def lease(self) -> str:
        """The Lease that is the environment's lock."""
        return f"{self.service}-rollout"

    @property
    def journal(self) -> str:
        """What the names of all journal objects begin with."""
        return f"{self.service}-journal"

    @property
    def recorded(self) -> str:
        """The ConfigMap with the promises as of the last `up`."""
        return f"{self.service}-recorded"

    @property
    def watchdog(self) -> str:
        """The Deployment that restores stable when nobody else does."""
        return f"{self.service}-watchdog"

    @property
    def secrets(self) -> str:
        """The ConfigMap that says which version of each secret is current."""
        return f"{self.service}-secrets"

    def secret(self, name: str, version: str) -> str:
        """The immutable Secret with one version of a value, under the key `value`.

        Names of secrets are capital letters, digits and underscores, so that no two become one.
        """
        return f"{self.service}-secret-{name.lower().replace('_', '-')}-{version}"

    # --- accounts ---

    def account(self, role: str) -> str:
        """The ServiceAccount (and Role) of `ci`, `driver`, `watchdog`, `viewer` or `service`."""
        return f"{self.service}-{role}" if role == "service" else f"backendctl-{role}"

    # --- labels ---

    def labels(self, component: str = "") -> Mapping[str, str]:
        """What every object of ours carries."""
        found = {
            NAME_LABEL: self.service,
            MANAGED_BY_LABEL: FIELD_MANAGER,
            ENVIRONMENT_LABEL: self.environment,
        }
        return {**found, COMPONENT_LABEL: component} if component else found

    def release_labels(self, number: int) -> Mapping[str, str]:
        """What every object of one release carries, and its pods."""
        return {**self.labels(), RELEASE_LABEL: str(number)}

    def pods(self, number: int) -> Mapping[str, str]:
        """What selects the pods of one release's Deployment, and nothing else: not its jobs'."""
        return {**self.selector, RELEASE_LABEL: str(number), COMPONENT_LABEL: "serve"}

    @property
    def selector(self) -> Mapping[str, str]:
        """What selects every object of this environment."""
        return {NAME_LABEL: self.service, ENVIRONMENT_LABEL: self.environment}


def bound_secrets(spec: Spec, environment: Environment) -> Mapping[str, str]:
    """What is reached through a Secret of the namespace -> that Secret's name.

    As stated, or `<service>-database` and `<service>-cache` where the service has one. All its
    keys are given to the service's processes as variables.
    """
    name = spec.service.name
    found = {}
    if spec.data.engine != "none":
        found["database"] = environment.database_secret or f"{name}-database"
    if spec.cache.engine != "none":
        found["cache"] = environment.cache_secret or f"{name}-cache"
    return found


def gateway_of_stacks(environment: Environment) -> bool:
    """Whether the stacks run the gateway, and a load balancer of AWS before it."""
    stated = environment.cluster or environment.gateway or environment.gateway_class
    return environment.platform is PlatformName.AWS and not stated


def stack_secrets(spec: Spec, environment: Environment) -> Mapping[str, str]:
    """Those of them that the stacks make: on AWS, unless the user names a Secret of their own or
    brings the cluster, in which there may be nothing to make them."""
    if environment.platform is not PlatformName.AWS or environment.cluster:
        return {}
    stated = {"database": environment.database_secret, "cache": environment.cache_secret}
    found = bound_secrets(spec, environment)
    return {part: name for part, name in found.items() if not stated[part]}


SECRET_KEY = "value"  # noqa: S105 - the key under which a Secret holds it
"""The key of a versioned Secret's data."""
