"""The objects of an errand: backendctl's own image as a Job, with what it is given. Pure."""

import base64
import math
from collections.abc import Mapping
from typing import Any

from backendctl.platforms.base import ERRAND_FOLDER, ERRAND_SECRETS, INDEX_VARIABLE, Errand
from backendctl.platforms.kubernetes import restricted
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.resources import Size

Manifest = dict[str, Any]

CONTAINER = "backendctl"
USER = 10001
"""The image's own; files are given to it."""
KEPT = 86400
"""Seconds for which an errand that is over can still be looked at."""
_GRACE = 60
"""Seconds that a driver has to give the environment back in order."""
_SCRATCH = "256Mi"


def job(errand: Errand, naming: Naming, image: str, name: str) -> Manifest:
    """Its Job, not to begin yet: what it mounts must be there first."""
    labels = dict(naming.labels(errand.name))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": naming.namespace, "labels": labels},
        "spec": {
            "suspend": True,
            # Never twice: a driver that dies is followed by the watchdog, a load worker by nobody.
            "backoffLimit": 0,
            "completionMode": "Indexed",
            "completions": errand.copies,
            "parallelism": errand.copies,
            "activeDeadlineSeconds": math.ceil(errand.deadline),
            "ttlSecondsAfterFinished": KEPT,
            "template": {
                "metadata": {
                    "labels": labels,
                    # It must not be moved for the sake of a fuller node.
                    "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
                },
                "spec": _pod(errand, naming, image, name),
            },
        },
    }


def given(errand: Errand, naming: Naming, name: str, owner: Manifest) -> list[Manifest]:
    """What it mounts; gone with its Job."""
    metadata = {
        "name": name,
        "namespace": naming.namespace,
        "labels": dict(naming.labels(errand.name)),
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": name,
                "uid": owner["metadata"]["uid"],
            }
        ],
    }
    head = {"apiVersion": "v1", "metadata": metadata, "immutable": True}
    made: list[Manifest] = []
    if errand.files:
        made.append({"kind": "ConfigMap", **head, "binaryData": _encoded(errand.files)})
    if errand.secrets:
        made.append({"kind": "Secret", **head, "data": _encoded(errand.secrets)})
    return made


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def is_errand(job: Mapping[str, Any]) -> bool:
    """Whether a Job of the environment is an errand's, over or not."""
    containers = job["spec"]["template"]["spec"]["containers"]
    return [each["name"] for each in containers] == [CONTAINER]


def _pod(errand: Errand, naming: Naming, image: str, name: str) -> Manifest:
    mounts: list[Manifest] = [{"name": "scratch", "mountPath": "/tmp"}]  # noqa: S108
    volumes: list[Manifest] = [{"name": "scratch", "emptyDir": {"sizeLimit": _SCRATCH}}]
    if errand.files:
        mounts.append({"name": "given", "mountPath": ERRAND_FOLDER, "readOnly": True})
        volumes.append({"name": "given", "configMap": {"name": name}})
    if errand.secrets:
        mounts.append({"name": "secret", "mountPath": ERRAND_SECRETS, "readOnly": True})
        volumes.append({"name": "secret", "secret": {"secretName": name, "defaultMode": 0o440}})
    return {
        "serviceAccountName": naming.account("driver" if errand.steers else "service"),
        "automountServiceAccountToken": errand.steers,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE,
        "securityContext": restricted.pod()
        | {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER},
        "containers": [
            {
                "name": CONTAINER,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "args": list(errand.argv),
                "env": [
                    *({"name": key, "value": text} for key, text in errand.variables.items()),
                    {
                        "name": INDEX_VARIABLE,
                        "valueFrom": {
                            "fieldRef": {
                                "fieldPath": "metadata.annotations"
                                "['batch.kubernetes.io/job-completion-index']"
                            }
                        },
                    },
                ],
                "resources": Size(errand.cores, errand.memory, 1).requirements(),
                "securityContext": restricted.container(),
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
