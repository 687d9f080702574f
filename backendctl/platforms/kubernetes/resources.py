"""What one replica asks of the cluster, from the numbers of the load. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.spec import derive
from backendctl.spec.model import Environment, Spec

_LEAST_MILLICORES = 50
"""A process that does nothing but answer its probes uses about this much."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a replica needs, and how far the number of replicas may fall."""

    cores: float
    """Used at the expected peak."""
    memory: int
    """Bytes; it is killed when it takes more."""
    least: int
    """Replicas that are kept outside rollouts when little is asked."""

    @classmethod
    def of(cls, spec: Spec, environment: Environment) -> "Size":
        """There is one worker process in a replica (see `derive.sizing`)."""
        return cls(
            derive.cores(spec, environment),
            spec.service.memory,
            derive.least_replicas(spec, environment),
        )

    def requirements(self) -> Mapping[str, Any]:
        """As a container states them. Memory's limit is what was asked for, so that a node never
        promises more than it has; there is no limit of CPU, because its throttling shows as
        latency while cores are idle."""
        memory = f"{math.ceil(self.memory / 2**20)}Mi"
        return {
            "requests": {"cpu": f"{self.millicores}m", "memory": memory},
            "limits": {"memory": memory},
        }

    @property
    def millicores(self) -> int:
        """Thousandths of a core, as Kubernetes counts."""
        return max(_LEAST_MILLICORES, math.ceil(self.cores * 1000))
