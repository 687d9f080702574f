"""Puts the parts of a local environment together."""

from pathlib import Path

from backendctl.platforms.base import Platform
from backendctl.platforms.local.foundation import LocalFoundation
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.meter import EnvoyMeter
from backendctl.platforms.local.ports import Ports
from backendctl.platforms.local.router import EnvoyRouter
from backendctl.platforms.local.runtime import LocalRuntime
from backendctl.platforms.local.schema import LocalSchema
from backendctl.platforms.local.secrets import LocalSecrets
from backendctl.platforms.local.store import LocalStore
from backendctl.platforms.local.supervisor import Supervisor
from backendctl.platforms.own_metrics import OwnMetricsMeter
from backendctl.spec.derive import slo_edges_ms
from backendctl.spec.model import Environment, Spec


def open_local(project: Path, spec: Spec, environment: Environment) -> Platform:
    """The environment on this machine; touches nothing."""
    layout = Layout(project.resolve(), environment.name)
    supervisor = Supervisor(layout.home)
    store = LocalStore(layout)
    secrets = LocalSecrets(layout)
    foundation = LocalFoundation(layout, spec, environment, supervisor)
    runtime = LocalRuntime(
        layout, supervisor, Ports(layout), store, secrets, foundation.bindings, spec.service
    )
    router = EnvoyRouter(layout, runtime.endpoints, sticky=spec.rollout.sticky == "cookie")
    owned = spec.data.engine == "postgresql"
    schema = LocalSchema(layout, foundation.bindings, runtime.in_release) if owned else None
    return Platform(
        name=environment.name,
        foundation=foundation,
        runtime=runtime,
        router=router,
        meter=OwnMetricsMeter(EnvoyMeter(layout, slo_edges_ms(spec)), spec.metrics, runtime, store),
        store=store,
        secrets=secrets,
        schema=schema,
    )
