"""Keeping secrets out of what providers say.

The engine masks secrets in its events, plans and state. What it cannot mask is a provider's own
message that quotes a value ("password 'x' is too short"). We run the program, so we see each secret
that it hands to a resource, and take those values out of every text.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

MASK = "[secret]"
SHORTEST = 4
"""Characters; anything shorter would blot out ordinary words."""


class Scrubber:
    """Knows secret values, and takes them out of text. Called with a text, returns it clean."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._tasks: set[asyncio.Future[None]] = set()

    def add(self, value: Any) -> None:
        """Every string in a secret value is secret, in the ways it may be quoted too."""
        if isinstance(value, str):
            if len(value) >= SHORTEST:
                self._values |= {value, json.dumps(value)[1:-1], repr(value)[1:-1]}
        elif isinstance(value, Mapping):
            for each in value.values():
                self.add(each)
        elif isinstance(value, list | tuple):
            for each in value:
                self.add(each)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self.add(str(value))

    def __call__(self, text: str) -> str:
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, MASK)
        return text

    def listen(self) -> None:
        """From now on, learn each secret that the program running here gives to a resource."""
        import pulumi

        def look(given: pulumi.ResourceTransformationArgs) -> None:
            self._look(given.props)

        pulumi.runtime.register_stack_transformation(look)

    def _look(self, value: Any) -> None:
        import pulumi

        if isinstance(value, pulumi.Output):
            task = asyncio.ensure_future(self._learn(value))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif isinstance(value, Mapping):
            for each in value.values():
                self._look(each)
        elif isinstance(value, list | tuple):
            for each in value:
                self._look(each)
        elif hasattr(value, "__dict__"):
            self._look(vars(value))

    async def _learn(self, output: Any) -> None:
        if await output.is_secret() and await output.is_known():
            self.add(await output.future())
