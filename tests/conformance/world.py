"""What a scenario does with an environment, in its own words."""

import http.client
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
from tests.open_loop import OpenLoop
from tests.waiting import eventually

from .platforms import Target

__all__ = ["World", "eventually"]

SERVICE = Path(__file__).parent / "service"

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

    @property
    def python(self) -> str:
        """The interpreter that runs the service."""
        return self._command[0]

    @classmethod
    @contextmanager
    def of(cls, platform: Platform, target: Target, folder: Path) -> Iterator["World"]:
        """One that is cleared in the end; its working tree is made in the folder."""
        tree = Path(shutil.copytree(SERVICE, folder / "tree"))
        for name, text in target.files().items():
            (tree / name).write_text(text)
        grant = platform.store.acquire("conformance", "test", lease=300, take_over=True)
        found = cls(platform, tree, grant, target.command, target.host)
        try:
            yield found
        finally:
            found.clear()
            platform.store.release(grant)

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

    def up(self, replicas: int = 1, grace: float = 5.0, **values: str) -> Release:
        """A release that is ready and that the gateway knows."""
        release = self.release(replicas, grace, **values)
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
        connection = self.connection()
        try:
            self.ask(connection, path, **(headers or {}))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(body) if is_json else body

    def users(self, rps: float, *mix: tuple[str, str]) -> OpenLoop:
        """Users who ask for these, or for a bit of everything, at a constant rate."""
        return OpenLoop(self.platform.router.url, rps, *([mix] if mix else []), headers=self._host)

    def connection(self) -> http.client.HTTPConnection:
        """A user's connection, for whoever looks at more than one answer on it."""
        where = urlsplit(self.platform.router.url)
        return http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)

    def ask(self, connection: http.client.HTTPConnection, path: str, **headers: str) -> None:
        """Send one request on it; the answer is the caller's to read."""
        connection.request("GET", path, headers={**self._host, **headers})

    def clear(self) -> None:
        """Nothing of this scenario goes on running."""
        if self.platform.router.read() is not None:
            self.platform.router.apply(Routes({}))
        with ThreadPoolExecutor() as pool:  # each takes its time to end
            list(pool.map(self.platform.runtime.stop, self.started))
        for number in self.started:
            self.platform.router.disconnect(number)
