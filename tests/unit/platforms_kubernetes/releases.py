"""A release and its surroundings, for tests."""

from dataclasses import replace
from typing import Any

from backendctl.platforms.base import Configuration, Package, Processes, Release
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.pods import Surroundings
from backendctl.platforms.kubernetes.resources import Size

NAMING = Naming("shop", "prod", "shop-prod")
IMAGE = "registry.example/shop@sha256:" + "ab" * 32
SURROUNDINGS = Surroundings(NAMING, Size(0.3, 256 << 20, 2), 120.0, ("shop-database",))


def release(number: int = 1, replicas: int = 3, **processes: Any) -> Release:
    return Release(
        number,
        Package("c0de", IMAGE),
        Configuration({"LOG_LEVEL": "info"}, {"API_KEY": "v7"}),
        replace(Processes(("python", "-m", "app", "--port=$PORT"), replicas=replicas), **processes),
        created=0.0,
        created_by="someone",
    )
