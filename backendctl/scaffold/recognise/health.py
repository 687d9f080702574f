"""Which of a service's paths tells whether it is ready."""

import re
from collections.abc import Sequence
from dataclasses import replace

from backendctl.scaffold.recognise.facts import Found

_BEST_FIRST = (
    r"readyz?|readiness|health/ready",
    r"healthz?|health-?check|_health|health/?live",
    r"livez?|alive|liveness|up|ping|status|heartbeat",
)


_LIVE = r"livez?|alive|liveness"


def live_path(routes: Sequence[Found], ready: Found) -> Found:
    """The path that by its name tells only that the process lives; else the readiness check."""
    for route in routes:
        if re.search(rf"(^|/)({_LIVE})/?$", route.value, re.IGNORECASE):
            return replace(route, why="a liveness check by its name")
    return ready


def ready_path(routes: Sequence[Found], otherwise: Found) -> Found:
    """The path whose last parts read most like a readiness check; else `/`; else `otherwise`.

    `routes` are the paths that answer GET without a parameter.
    """
    for words in _BEST_FIRST:
        for route in routes:
            if re.search(rf"(^|/)({words})/?$", route.value, re.IGNORECASE):
                return replace(route, why="a health check by its name")
    for route in routes:
        if route.value == "/":
            return replace(route, why="no health check found; this path answers", certain=False)
    return otherwise
