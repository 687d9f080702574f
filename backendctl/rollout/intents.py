"""What the machine wants done: one effect each, named by release numbers, all idempotent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Inspect:
    """Look once at a release's processes."""

    number: int
    kind: Literal["inspect"] = "inspect"


@dataclass(frozen=True, slots=True)
class Migrate:
    """Run the release's migration to its end."""

    number: int
    deadline: float
    kind: Literal["migrate"] = "migrate"


@dataclass(frozen=True, slots=True)
class Contract:
    """Apply the release's migrations that had to wait until the former release was gone."""

    number: int
    deadline: float
    kind: Literal["contract"] = "contract"


@dataclass(frozen=True, slots=True)
class EnsureReady:
    """Start the release if it is not ready, and wait until it is."""

    number: int
    deadline: float
    kind: Literal["ensure-ready"] = "ensure-ready"


@dataclass(frozen=True, slots=True)
class Connect:
    """Make the release known to the gateway, at no weight."""

    number: int
    deadline: float
    kind: Literal["connect"] = "connect"


@dataclass(frozen=True, slots=True)
class Apply:
    """Serve these routes on the gateway and read them back."""

    weights: Mapping[int, int]
    preview: int | None = None
    fallback: int | None = None
    kind: Literal["apply"] = "apply"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Copy a share of the read-only requests, all of which stable answers; ended by any `Apply`."""

    number: int
    """Release that gets the copies, on the preview route too."""
    stable: int
    percent: int
    kind: Literal["mirror"] = "mirror"


@dataclass(frozen=True, slots=True)
class Smoke:
    """Send a few requests through the gateway's preview route and look at the answers."""

    number: int
    kind: Literal["smoke"] = "smoke"


@dataclass(frozen=True, slots=True)
class Drain:
    """Wait until no request is in flight to a release that has no weight."""

    number: int
    deadline: float
    kind: Literal["drain"] = "drain"


@dataclass(frozen=True, slots=True)
class Stop:
    """End the release's processes."""

    number: int
    kind: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Make the gateway forget the release."""

    number: int
    kind: Literal["disconnect"] = "disconnect"


Intent = (
    Inspect
    | Migrate
    | Contract
    | EnsureReady
    | Connect
    | Apply
    | Mirror
    | Smoke
    | Drain
    | Stop
    | Disconnect
)


def in_words(intent: Intent) -> str:
    """The intent as a person would say it, for events and messages."""
    match intent:
        case Inspect():
            return f"look at release {intent.number}"
        case Migrate():
            return f"run the migration of release {intent.number}"
        case Contract():
            return f"run the contract migration of release {intent.number}"
        case EnsureReady():
            return f"start release {intent.number} and wait until it is ready"
        case Connect():
            return f"connect release {intent.number} to the gateway"
        case Apply():
            return f"route {weights_in_words(intent.weights)}"
        case Mirror():
            return f"copy {intent.percent} % of read-only requests to release {intent.number}"
        case Smoke():
            return f"send test requests to release {intent.number} on the preview route"
        case Drain():
            return f"wait for the requests in flight to release {intent.number}"
        case Stop():
            return f"stop release {intent.number}"
        case Disconnect():
            return f"disconnect release {intent.number} from the gateway"


def weights_in_words(weights: Mapping[int, int]) -> str:
    """`release 3: 90 %, release 4: 10 %`."""
    if not weights:
        return "no release"
    return ", ".join(f"release {number}: {share} %" for number, share in sorted(weights.items()))
