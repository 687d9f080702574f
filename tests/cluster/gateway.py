"""The gateway: Gateway API, Contour's provisioner, and one Gateway that every namespace may use."""

import json
from collections.abc import Callable
from typing import Any

from tests.cluster import toolchain
from tests.cluster.images import CONTOUR_IMAGE, ENVOY_IMAGE

GATEWAY_CLASS = "contour"
NAMESPACE = "gateways"
GATEWAY = "shared"
REPLICAS = 2
PROVISIONER_NAMESPACE = "projectcontour"

Kubectl = Callable[..., str]


def install(kubectl: Kubectl) -> None:
    """Everything but waiting: the kinds, the provisioner, the class and the shared Gateway."""
    contour = toolchain.module_folder(toolchain.CONTOUR, "github.com/projectcontour/contour")
    examples = contour / "examples"
    kinds = [
        # The Gateway API of the version that this Contour is built against, and its own kinds.
        examples / "gateway" / "00-crds.yaml",
        examples / "contour" / "01-crds.yaml",
    ]
    flags = [word for file in kinds for word in ("--filename", str(file))]
    kubectl("apply", "--server-side", *flags)
    kubectl("wait", "--for=condition=Established", "--timeout=60s", *flags)
    provisioner = examples / "gateway-provisioner"
    for file in ("00-common.yaml", "01-roles.yaml", "02-rolebindings.yaml"):
        kubectl("apply", "--server-side", "--filename", str(provisioner / file))
    kubectl("apply", "--server-side", "--filename", "-", given=json.dumps(_objects()))


def _objects() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            _provisioner(),
            _parameters(),
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "GatewayClass",
                "metadata": {"name": GATEWAY_CLASS},
                "spec": {
                    "controllerName": "projectcontour.io/gateway-controller",
                    "parametersRef": {
                        "group": "projectcontour.io",
                        "kind": "ContourDeployment",
                        "namespace": PROVISIONER_NAMESPACE,
                        "name": "small",
                    },
                },
            },
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": {"name": GATEWAY, "namespace": NAMESPACE},
                "spec": {
                    "gatewayClassName": GATEWAY_CLASS,
                    "listeners": [
                        {
                            "name": "http",
                            "port": 80,
                            "protocol": "HTTP",
                            "allowedRoutes": {"namespaces": {"from": "All"}},
                        }
                    ],
                },
            },
        ],
    }


def _provisioner() -> dict[str, Any]:
    labels = {"control-plane": "contour-gateway-provisioner"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "contour-gateway-provisioner",
            "namespace": PROVISIONER_NAMESPACE,
            "labels": labels,
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": "contour-gateway-provisioner",
                    "containers": [
                        {
                            "name": "contour-gateway-provisioner",
                            "image": CONTOUR_IMAGE,
                            "imagePullPolicy": "Never",
                            "command": ["/bin/contour"],
                            "args": [
                                "gateway-provisioner",
                                "--metrics-addr=127.0.0.1:8080",
                                f"--contour-image={CONTOUR_IMAGE}",
                                f"--envoy-image={ENVOY_IMAGE}",
                            ],
                            "env": [
                                {
                                    "name": "CONTOUR_PROVISIONER_NAMESPACE",
                                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
                                }
                            ],
                        }
                    ],
                },
            },
        },
    }


def _parameters() -> dict[str, Any]:
    return {
        "apiVersion": "projectcontour.io/v1alpha1",
        "kind": "ContourDeployment",
        "metadata": {"name": "small", "namespace": PROVISIONER_NAMESPACE},
        "spec": {
            "contour": {"replicas": 1},
            "envoy": {
                "workloadType": "Deployment",
                # Two, so that a shift has to reach both before it counts.
                "replicas": REPLICAS,
                "logLevel": "warn",
                "networkPublishing": {
                    "type": "LoadBalancerService",
                    "externalTrafficPolicy": "Cluster",
                },
                "podAnnotations": {
                    "prometheus.io/scrape": "true",
                    "prometheus.io/port": "8002",
                    "prometheus.io/path": "/stats/prometheus",
                },
            },
        },
    }
