"""Moves traffic."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Routes:
    """Everything the gateway is told about one environment, as one value."""

    weights: Mapping[int, int]
    """Release number -> percent of requests. Sums to 100; zero entries stay connected."""
    preview: int | None = None
    """Release served to requests with the preview header, whatever the weights."""
    fallback: int | None = None
    """Release that takes over a request its own arm could not even accept."""
    mirror: int | None = None
    """Percent of users' read-only requests (GET and HEAD) that are copied to the release under
    preview as well. Nobody waits for a copy or sees its answer."""

    def __post_init__(self) -> None:
        if self.weights and sum(self.weights.values()) != 100:
            raise ValueError(f"weights must sum to 100: {dict(self.weights)}")
        if any(w < 0 for w in self.weights.values()):
            raise ValueError(f"a weight is negative: {dict(self.weights)}")
        if self.mirror is not None and (self.preview is None or not 1 <= self.mirror <= 100):
            raise ValueError(f"{self.mirror} % cannot be copied to release {self.preview}")


MIRROR_HEADER = "x-backendctl-mirrored"
"""What a copy carries (value `1`) and its original does not."""
MIRROR_PATIENCE = 10.0
"""Seconds after which a copy that has not ended is cut off, so that a candidate which hangs holds
on to few of them."""

PREVIEW_HEADER = "x-backendctl-preview"
"""A request that carries this header (any value) goes to the release under preview."""
PREVIEW_COOKIE = "backendctl-preview"
"""So does one with this cookie (any value): for testers with a browser."""


class Router(Protocol):
    """Moves traffic. `apply` is atomic and counts only once the gateway serves it."""

    @property
    def url(self) -> str:
        """Where users reach the service, without a trailing slash."""
        ...

    @property
    def host(self) -> str:
        """The name that requests sent to `url` must bear as their Host; empty: that of `url`."""
        ...

    def connect(self, number: int, deadline: float) -> None:
        """Make a running release known to the gateway, at no weight, and wait until it is healthy.

        Raises BackendctlError `platform.gateway` at the deadline.
        """
        ...

    def apply(self, routes: Routes, fence: Callable[[], None] = lambda: None) -> None:
        """Serve `routes` on every gateway replica; returns once that has been read back.

        `fence` is called right before the change, when nobody else can make one, and raises if
        whoever asked may make none any more: then nothing is changed.

        Raises BackendctlError `platform.gateway` if the gateway refuses or does not serve it; the
        former routes then still hold.
        """
        ...

    def read(self) -> Routes | None:
        """What the gateway really serves now; None if it serves no release (or is not up)."""
        ...

    def drain(self, number: int, deadline: float) -> bool:
        """Wait until no request is in flight to that release; False if some were at the deadline.

        The release must have no weight.
        """
        ...

    def dismiss(self) -> None:
        """Tell each user's connection to close with its next answer: the gateway is about to stop.

        Requests in flight and new connections are still served. Nothing happens where no gateway
        of ours runs.
        """
        ...

    def disconnect(self, number: int) -> None:
        """Forget a release that has no weight, after its processes are gone."""
        ...
