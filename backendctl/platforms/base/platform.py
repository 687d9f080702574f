"""One environment: all of its parts."""

from dataclasses import dataclass

from backendctl.platforms.base.away import Away
from backendctl.platforms.base.foundation import Foundation
from backendctl.platforms.base.meter import Meter
from backendctl.platforms.base.router import Router
from backendctl.platforms.base.runtime import Runtime
from backendctl.platforms.base.schema import Schema
from backendctl.platforms.base.secrets import Secrets
from backendctl.platforms.base.store import Store


@dataclass(frozen=True, slots=True)
class Platform:
    """One environment, ready to be worked with. Making one touches nothing outside."""

    name: str
    foundation: Foundation
    runtime: Runtime
    router: Router
    meter: Meter
    store: Store
    secrets: Secrets
    schema: Schema | None = None
    """None where the environment has no database of its own."""
    away: Away | None = None
    """None where the environment is on this machine."""
