"""What each chart is told. Plain data: no Pulumi here."""

from collections.abc import Callable, Mapping
from typing import Any

from backendctl.shipped.stacks import versions
from backendctl.shipped.stacks.inputs import AddonsInputs

GATEWAY_NAMESPACE = "projectcontour"
GATEWAY_SERVICE = "envoy"
"""Names by which the platform finds the gateway's proxies: Contour's own."""
GATEWAY_LABEL = "backendctl.dev/gateway"
"""On that namespace: network policies of environments let requests from there in."""
BALANCER_IDLE = 60
"""Seconds after which the load balancer closes a connection that it keeps to the gateway."""
GATEWAY_IDLE = BALANCER_IDLE + 15
"""The gateway closes later than that: else a request may be sent into a connection that it is
closing, and the load balancer answers 502 (Elastic Load Balancing documentation, "Troubleshoot your
Application Load Balancers", HTTP 502)."""
SERVICE_LOGS = "service-logs"
SERVICE_METRICS = "service-metrics"
Values = dict[str, Any]

SPREAD = [
    {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "ScheduleAnyway",
    }
]


def values(chart: versions.Chart, inputs: AddonsInputs) -> Values:
    """The chart's values in this environment."""
    return _VALUES[chart.name](inputs)


def _account(name: str) -> Values:
    """A service account of a known name: its rights are tied to that."""
    return {"create": True, "name": name}


def _resources(cpu: str, memory: str) -> Values:
    """No limit on CPU: it would only slow what has room; memory is limited to what is asked."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def _gateway_api(_inputs: AddonsInputs) -> Values:
    return {
        "crds": {
            "gatewayAPI": {"enabled": True, "channel": "standard"},
            "envoyGateway": {"enabled": False},
        }
    }


def _contour(inputs: AddonsInputs) -> Values:
    """Serves the one Gateway of the service, as the conformance suite runs it. The load balancer
    is not the chart's to make: an address that outlives the cluster's objects is the stack's."""
    drain = inputs.drain_seconds
    return {
        "fullnameOverride": "contour",
        "configInline": {
            "gateway": {"gatewayRef": {"namespace": inputs.namespace, "name": inputs.gateway}},
            "accesslog-format": "json",
            # The load balancer's word on who asked, and that it was by HTTPS.
            "network": {"num-trusted-hops": 1},
            "timeouts": {"connection-idle-timeout": f"{GATEWAY_IDLE}s"},
        },
        "contour": {
            "replicaCount": 2,
            "ingressClass": {"create": False, "default": False},
            "resources": _resources("100m", "256Mi"),
        },
        "envoy": {
            "kind": "deployment",
            "replicaCount": inputs.gateway_replicas,
            "service": {
                "name": GATEWAY_SERVICE,
                "type": "ClusterIP",
                # The chart's own is "Local", which the API server takes of no ClusterIP.
                "externalTrafficPolicy": "",
            },
            "terminationGracePeriodSeconds": drain + 30,
            "topologySpreadConstraints": [
                {**each, "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "envoy"}}}
                for each in SPREAD
            ],
            "resources": _resources("250m", "512Mi"),
            "pdb": {"create": True, "maxUnavailable": 1},
        },
    }


def _load_balancer_controller(inputs: AddonsInputs) -> Values:
    """Only binds targets: what would make load balancers of its own is off."""
    return {
        "replicaCount": 2,
        "region": inputs.place.region,
        "serviceAccount": _account("aws-load-balancer-controller"),
        "createIngressClassResource": False,
        "enableServiceMutatorWebhook": False,
        "enableShield": False,
        "enableWaf": False,
        "enableWafv2": False,
        "enableEndpointSlices": True,
        "resources": _resources("50m", "128Mi"),
    }


def _autoscaler(inputs: AddonsInputs) -> Values:
    return {
        "awsRegion": inputs.place.region,
        "rbac": {"serviceAccount": _account("cluster-autoscaler")},
        "extraArgs": {"balance-similar-node-groups": True, "skip-nodes-with-system-pods": False},
        "resources": _resources("50m", "256Mi"),
    }


def _external_secrets(_inputs: AddonsInputs) -> Values:
    return {
        "installCRDs": True,
        "serviceAccount": _account("external-secrets"),
        "resources": _resources("25m", "128Mi"),
    }


def _metrics_server(_inputs: AddonsInputs) -> Values:
    return {"replicas": 2, "resources": _resources("50m", "128Mi")}


def _opentelemetry(inputs: AddonsInputs) -> Values:
    """Takes traces and metrics over OTLP, and keeps them in this account: X-Ray and CloudWatch."""
    place = inputs.place
    batched = ["memory_limiter", "batch"]
    metrics = {
        "region": place.region,
        "namespace": place.name,
        "log_group_name": f"/{place.name}/{SERVICE_METRICS}",
    }
    logs = {
        "region": place.region,
        "log_group_name": f"/{place.name}/{SERVICE_LOGS}",
        "log_stream_name": "service",
    }
    return {
        "mode": "deployment",
        "replicaCount": 2,
        "fullnameOverride": "otel-collector",
        "image": {"repository": "otel/opentelemetry-collector-contrib"},
        "serviceAccount": _account("otel-collector"),
        "resources": _resources("100m", "256Mi"),
        "config": {
            "exporters": {
                "awsxray": {"region": place.region},
                "awsemf": metrics,
                "awscloudwatchlogs": logs,
            },
            "service": {
                "pipelines": {
                    "traces": {
                        "receivers": ["otlp"],
                        "processors": batched,
                        "exporters": ["awsxray"],
                    },
                    "metrics": {
                        "receivers": ["otlp"],
                        "processors": batched,
                        "exporters": ["awsemf"],
                    },
                    "logs": {
                        "receivers": ["otlp"],
                        "processors": batched,
                        "exporters": ["awscloudwatchlogs"],
                    },
                }
            },
        },
    }


_VALUES: Mapping[str, Callable[[AddonsInputs], Values]] = {
    versions.GATEWAY_API.name: _gateway_api,
    versions.CONTOUR.name: _contour,
    versions.LOAD_BALANCER_CONTROLLER.name: _load_balancer_controller,
    versions.AUTOSCALER.name: _autoscaler,
    versions.EXTERNAL_SECRETS.name: _external_secrets,
    versions.METRICS_SERVER.name: _metrics_server,
    versions.OPENTELEMETRY.name: _opentelemetry,
}
