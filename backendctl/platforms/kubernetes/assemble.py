"""Puts the parts of an environment in a cluster together."""

from pathlib import Path

from backendctl.platforms.base import Platform
from backendctl.platforms.images.builder import image_builder
from backendctl.platforms.kubernetes.away import ClusterAway
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.foundation import KubernetesFoundation
from backendctl.platforms.kubernetes.gateway import Gateway
from backendctl.platforms.kubernetes.meter import GatewayMeter, gateway_meter
from backendctl.platforms.kubernetes.naming import Naming, gateway_of_stacks
from backendctl.platforms.kubernetes.pods import Surroundings
from backendctl.platforms.kubernetes.router import KubernetesRouter
from backendctl.platforms.kubernetes.runtime import KubernetesRuntime
from backendctl.platforms.kubernetes.schema import KubernetesSchema
from backendctl.platforms.kubernetes.secrets import KubernetesSecrets
from backendctl.platforms.kubernetes.store import KubernetesStore
from backendctl.platforms.own_metrics import OwnMetricsMeter
from backendctl.spec.derive import slo_edges_ms
from backendctl.spec.model import Environment, Spec


def open_kubernetes(project: Path, spec: Spec, environment: Environment) -> Platform:
    """The environment in its cluster; touches nothing, and does not look for the cluster yet."""
    naming = Naming.of(spec, environment)
    cluster = Cluster(naming.namespace, environment.context)
    gateway = Gateway(cluster, naming.gateway_of(environment), _url(environment))
    store = KubernetesStore(cluster, naming)
    surroundings = Surroundings.of(spec, environment, naming)
    runtime = KubernetesRuntime(
        cluster,
        surroundings,
        image_builder(project, spec, environment),
        context=environment.context,
    )
    counted = _counted(cluster, gateway, spec, environment)
    owned = spec.data.engine == "postgresql"
    return Platform(
        name=environment.name,
        foundation=KubernetesFoundation(cluster, naming, gateway, spec, environment),
        runtime=runtime,
        router=KubernetesRouter(cluster, naming, gateway, environment.host),
        meter=OwnMetricsMeter(counted, spec.metrics, runtime, store),
        store=store,
        secrets=KubernetesSecrets(cluster, naming),
        schema=KubernetesSchema(cluster, surroundings, store) if owned else None,
        away=ClusterAway(cluster, naming, environment.driver_image),
    )


def _url(environment: Environment) -> str:
    """As stated. The load balancer of the stacks answers users by HTTPS, which the Gateway behind
    it cannot say of itself."""
    if environment.host and not environment.url and gateway_of_stacks(environment):
        return f"https://{environment.host}"
    return environment.url


def recording_meter(spec: Spec, environment: Environment) -> GatewayMeter:
    """What the environment's watchdog samples and writes down; touches nothing yet."""
    naming = Naming.of(spec, environment)
    cluster = Cluster(naming.namespace, environment.context)
    gateway = Gateway(cluster, naming.gateway_of(environment), _url(environment))
    return _counted(cluster, gateway, spec, environment)


def _counted(
    cluster: Cluster, gateway: Gateway, spec: Spec, environment: Environment
) -> GatewayMeter:
    return gateway_meter(
        cluster,
        Naming.of(spec, environment),
        gateway,
        prometheus=environment.prometheus,
        edges_ms=slo_edges_ms(spec),
    )
