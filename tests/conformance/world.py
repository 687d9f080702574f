"""What a scenario does with an environment, in its own words."""

import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backendctl.platforms.base import (
    Condition,
    Configuration,
    Grant,
    Platform,
    Processes,
    Release,
    Routes,
)
from tests.waiting import eventually

__all__ = ["World", "eventually"]

_DEADLINE = 60.0


class World:
    """One scenario: an environment, a working tree, the right to write."""

    def __init__(
        self, platform: Platform, tree: Path, grant: Grant, command: tuple[str, ...], host: str = ""
    ) -> None:
        """`command` starts the service; `host` is the name that users know it by, if any."""
        self.platform = platform
        self.tree = tree
        self.grant = grant
        self._command = command
        self._host = {"Host": host} if host else {}
        self.started: list[int] = []

    def release(self, replicas: int = 1, grace: float = 5.0, **values: str) -> Release:
        """Package the tree as it is now and record a release of it."""
        package = self.platform.runtime.package(self.tree, lambda _line: None)
        release = Release(
            number=len(self.platform.store.releases()) + 1,
            package=package,
            configuration=Configuration(values, self.platform.secrets.current()),
            processes=Processes(self._command, (), "/readyz", replicas, grace),
            created=time.time(),
            created_by="conformance",
        )
        self.platform.store.add_release(self.grant, release)
        return release

    def start(self, release: Release) -> None:
        self.started.append(release.number)
        self.platform.runtime.start(release)

    def up(self, replicas: int = 1, **values: str) -> Release:
        """A release that is ready and that the gateway knows."""
        release = self.release(replicas, **values)
        self.start(release)
        found = self.platform.runtime.await_ready(release, _DEADLINE)
        assert found.condition is Condition.READY, found.detail
        self.platform.router.connect(release.number, _DEADLINE)
        return release

    def serve(self, **weights: int) -> None:
        """`serve(r1=90, r2=10)`"""
        numbered = {int(name[1:]): weight for name, weight in weights.items()}
        self.platform.router.apply(Routes(numbered))

    def get(self, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """What a user gets."""
        where = urlsplit(self.platform.router.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
        try:
            connection.request("GET", path, headers={**self._host, **(headers or {})})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(body) if is_json else body

    def clear(self) -> None:
        """Nothing of this scenario goes on running."""
        if self.platform.router.read() is not None:
            self.platform.router.apply(Routes({}))
        for number in self.started:
            self.platform.runtime.stop(number)
            self.platform.router.disconnect(number)
