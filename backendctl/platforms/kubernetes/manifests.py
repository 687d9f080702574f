"""The objects of one release: derived once from it and from the promises, and then left as they
are, but for the number of replicas. Pure."""

import hashlib
import json
import math
from collections.abc import Mapping

from backendctl.platforms.base import Processes, Release
from backendctl.platforms.kubernetes import pods
from backendctl.platforms.kubernetes.naming import DOMAIN
from backendctl.platforms.kubernetes.pods import Manifest, Surroundings
from backendctl.platforms.kubernetes.routes import PREVIEW_PORT, USERS_PORT
from backendctl.spec.derive import UTILISATION

CONTAINER = "service"
"""The name of a release's container."""
DIGEST_ANNOTATION = f"{DOMAIN}/digest"
"""Tells whether what runs under a number is the release that was recorded under it."""

PRE_STOP = 3
"""Seconds between the moment a pod is to go, when its readiness ends, and its polite signal: the
gateway must have heard of it before the process stops accepting."""

_STARTUP_PERIOD = 1
_READY_PERIOD = 2
_READY_FAILURES = 3
_LIVE_PERIOD = 10
_LIVE_FAILURES = 3
_PROBE_TIMEOUT = 2
"""Seconds, and how many in a row. Readiness ends within six seconds; a process is killed only
after half a minute of silence, because a restart loses what it was doing."""


def digest(release: Release) -> str:
    """Of all that its objects follow from, but for the promises."""
    processes = release.processes
    body = [
        release.package.location,
        release.configuration.digest,
        processes.start,
        processes.ready_path,
        processes.live_path,
        processes.replicas,
        processes.stop_grace,
    ]
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]


def release_objects(release: Release, surroundings: Surroundings) -> list[Manifest]:
    """All of them, in the order in which they are to be made.

    Raises BackendctlError `release.start` for a start command that cannot be run as it is.
    """
    made = [
        config_map(release, surroundings),
        service(release, surroundings),
        disruption_budget(release, surroundings),
        deployment(release, surroundings),
    ]
    if surroundings.size.least < release.processes.replicas:
        made.append(autoscaler(release, surroundings))
    return made


def config_map(release: Release, surroundings: Surroundings) -> Manifest:
    """The release's variables that are no secrets."""
    variables = pods.clear_variables(release, surroundings.naming)
    return {
        **_head("v1", "ConfigMap", release, surroundings),
        "immutable": True,
        "data": {**variables, "PORT": str(pods.PORT)},
    }


def service(release: Release, surroundings: Surroundings) -> Manifest:
    """The address of its ready pods: one port for users and one for testers, whom the gateway
    counts apart."""
    return {
        **_head("v1", "Service", release, surroundings),
        "spec": {
            "selector": dict(surroundings.naming.pods(release.number)),
            "ports": [
                {"name": name, "port": port, "targetPort": "http", "protocol": "TCP"}
                for name, port in (("http", USERS_PORT), ("preview", PREVIEW_PORT))
            ],
        },
    }


def disruption_budget(release: Release, surroundings: Surroundings) -> Manifest:
    """Nodes are emptied one pod at a time."""
    return {
        **_head("policy/v1", "PodDisruptionBudget", release, surroundings),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": dict(surroundings.naming.pods(release.number))},
        },
    }


def autoscaler(release: Release, surroundings: Surroundings) -> Manifest:
    """Between what the usual day needs and twice the peak, at the share of a core at which a
    worker was sized. It starts pinned: a release takes part in a rollout at full size."""
    naming, most = surroundings.naming, release.processes.replicas
    return {
        **_head("autoscaling/v2", "HorizontalPodAutoscaler", release, surroundings),
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": naming.release(release.number),
            },
            "minReplicas": most,
            "maxReplicas": most,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {
                            "type": "AverageValue",
                            "averageValue": f"{round(UTILISATION * 1000)}m",
                        },
                    },
                }
            ],
        },
    }


def deployment(release: Release, surroundings: Surroundings) -> Manifest:
    """Its pods."""
    naming, processes = surroundings.naming, release.processes
    head = _head("apps/v1", "Deployment", release, surroundings)
    head["metadata"]["annotations"] = {DIGEST_ANNOTATION: digest(release)}
    labels = dict(naming.pods(release.number))
    return {
        **head,
        "spec": {
            "replicas": processes.replicas,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": math.ceil(surroundings.ready_deadline) + 60,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
            },
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**naming.release_labels(release.number), **labels}},
                "spec": pods.pod(
                    surroundings,
                    _container(release, surroundings),
                    {
                        "terminationGracePeriodSeconds": PRE_STOP + math.ceil(processes.stop_grace),
                        "topologySpreadConstraints": _spread(labels),
                    },
                ),
            },
        },
    }


def _container(release: Release, surroundings: Surroundings) -> Manifest:
    naming, processes = surroundings.naming, release.processes
    clear = {**pods.clear_variables(release, naming), "PORT": str(pods.PORT)}
    return pods.container(
        CONTAINER,
        release.package.location,
        surroundings.size,
        {
            "command": pods.command(release, processes.start, clear),
            "ports": [{"name": "http", "containerPort": pods.PORT, "protocol": "TCP"}],
            "envFrom": [
                *pods.given(surroundings),
                {"configMapRef": {"name": naming.release(release.number)}},
            ],
            "env": pods.from_secrets(release, naming),
            "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP}}},
            **_probes(processes, surroundings.ready_deadline),
        },
    )


def _probes(processes: Processes, ready_deadline: float) -> Manifest:
    """Nothing is asked whether it is alive before it has once answered."""
    alive = (
        {"httpGet": {"path": processes.live_path, "port": "http"}}
        if processes.live_path
        else {"tcpSocket": {"port": "http"}}
    )
    return {
        "startupProbe": {
            **alive,
            "periodSeconds": _STARTUP_PERIOD,
            "timeoutSeconds": _PROBE_TIMEOUT,
            "failureThreshold": max(1, math.ceil(ready_deadline / _STARTUP_PERIOD)),
        },
        "livenessProbe": {
            **alive,
            "periodSeconds": _LIVE_PERIOD,
            "timeoutSeconds": _PROBE_TIMEOUT,
            "failureThreshold": _LIVE_FAILURES,
        },
        "readinessProbe": {
            "httpGet": {"path": processes.ready_path, "port": "http"},
            "periodSeconds": _READY_PERIOD,
            "timeoutSeconds": _PROBE_TIMEOUT,
            "failureThreshold": _READY_FAILURES,
        },
    }


def _spread(labels: Mapping[str, str]) -> list[Manifest]:
    """Over zones, then nodes, as far as there are several: a release that has room starts."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(labels)},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def _head(version: str, kind: str, release: Release, surroundings: Surroundings) -> Manifest:
    naming = surroundings.naming
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {
            "name": naming.release(release.number),
            "namespace": naming.namespace,
            "labels": dict(naming.release_labels(release.number)),
        },
    }
