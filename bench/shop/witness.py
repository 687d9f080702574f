"""Looks at what the gateway serves, five times a second, whatever happens to the driver."""

import asyncio
from pathlib import Path

from backendctl.platforms.local.envoy_admin import EnvoyAdmin, GatewayGoneError
from backendctl.platforms.local.envoy_arms import Arm
from backendctl.platforms.local.envoy_routes import routes_served

GAP = 0.2


class Witness:
    """Weights sum to 100, and only healthy releases have any: or it is said."""

    def __init__(self, admin_socket: Path) -> None:
        self._admin = EnvoyAdmin(admin_socket)
        self._looks = 0
        self._broken: list[str] = []

    def told(self) -> tuple[int, list[str]]:
        """Looks and broken rules since it was asked before."""
        told = self._looks, self._broken
        self._looks, self._broken = 0, []
        return told

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(GAP)
            problem = await asyncio.to_thread(self._look)
            self._looks += 1
            if problem:
                self._broken.append(problem)

    def _look(self) -> str:
        try:
            before, hosts, after = self._admin.routes(), self._admin.hosts(), self._admin.routes()
        except GatewayGoneError as error:
            return f"the gateway does not answer: {error}"
        if before is None or before != after:
            return ""  # it changed between the two questions
        served = routes_served(before)
        if served is None:
            return ""
        weights = {number: weight for number, weight in served.weights.items() if weight}
        if weights and sum(weights.values()) != 100:
            return f"weights do not sum to 100: {weights}"
        sick = [n for n in weights if not (known := hosts.get(Arm(n).cluster)) or not all(known)]
        return f"release {sick} has weight and is not healthy: {weights}" if sick else ""
