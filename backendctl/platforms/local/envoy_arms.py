"""The vocabulary between us and Envoy: releases' processes, the arms they serve as, and the names
that both sides know. Pure."""

import re
from dataclasses import dataclass

from backendctl.platforms.base import Routes

ROUTES_NAME = "release"
STAT_PREFIX = "gateway"
VIRTUAL_HOST = "all"
ORIGINALS = "originals"
"""Prefix of the route whose requests are copied, in Envoy's statistics; the release follows."""
ATTEMPTS_HEADER = "x-envoy-attempt-count"
"""What Envoy itself sets on a request to the service, whatever the client sent."""
METADATA = "backendctl"
RELEASE = "release"
"""Our name space in Envoy's metadata, and its key on each process: the release that it is of."""
TYPE = "type.googleapis.com/"
REQUEST_IDLE = "60s"
"""A request on which nothing moved for so long is answered 504. There is no limit on its whole
length: streams and uploads may take as long as they move."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a release's processes listen on 127.0.0.1, and the path that says they are ready."""

    ports: tuple[int, ...]
    ready_path: str


@dataclass(frozen=True, slots=True)
class Arm:
    """A cluster's name, taken apart: the release, its fallback if it has one, its purpose."""

    number: int
    fallback: int | None = None
    preview: bool = False
    mirror: bool = False

    @property
    def cluster(self) -> str:
        """`rel-7`; `rel-7-fb-6` when 6 takes over what 7 cannot accept; `rel-7-preview`;
        `rel-7-mirror` for copies of requests."""
        name = f"rel-{self.number}"
        if self.fallback is not None:
            return f"{name}-fb-{self.fallback}"
        if self.mirror:
            return f"{name}-mirror"
        return f"{name}-preview" if self.preview else name

    @property
    def serves_users(self) -> bool:
        """Whether what it answers is for users, by their weights."""
        return not self.preview and not self.mirror

    @classmethod
    def parse(cls, cluster: str) -> "Arm | None":
        """The arm a cluster name stands for; None for other clusters."""
        found = re.fullmatch(r"rel-(\d+)(?:-fb-(\d+)|-(preview|mirror))?", cluster)
        if found is None:
            return None
        number, fallback, purpose = found.groups()
        return cls(
            int(number),
            int(fallback) if fallback else None,
            preview=purpose == "preview",
            mirror=purpose == "mirror",
        )


def arms_of(routes: Routes) -> tuple[Arm, ...]:
    """The arms that serve these routes, each behind its fallback if it has one."""
    weighted = tuple(
        Arm(number, routes.fallback if routes.fallback != number and weight else None)
        for number, weight in sorted(routes.weights.items())
    )
    if routes.preview is None:
        return weighted
    preview = Arm(routes.preview, preview=True)
    if routes.mirror is None:
        return (*weighted, preview)
    return (*weighted, preview, Arm(routes.preview, mirror=True))
