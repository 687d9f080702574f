"""Talking to supervisord: its XML-RPC interface over a Unix socket, with time-outs."""

import contextlib
import http.client
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.local.unix_http import UnixConnection

BAD_NAME = 10
ALREADY_STARTED = 60
NOT_RUNNING = 70
ALREADY_ADDED = 90
"""Fault codes of supervisord."""

_TIMEOUT = 5.0
"""Seconds; no call of ours waits for a program, so a living supervisord answers in milliseconds."""
_RUNNING = 1


class SupervisorGoneError(Exception):
    """Nobody answers on the socket."""


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:  # noqa: ARG002
        return UnixConnection(self._path, _TIMEOUT)


class SupervisorRpc:
    """One supervisord, by its socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def call(self, method: str, *arguments: Any) -> Any:
        """Call `supervisor.<method>`.

        Raises SupervisorGoneError when nobody answers, xmlrpc.client.Fault when the answer is no.
        """
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(self._path))
        try:
            with proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException) as error:
            raise SupervisorGoneError(str(error)) from error

    def answers_state(self) -> int | None:
        """supervisord's own state code; None when nobody answers."""
        if not self._path.exists():
            return None
        try:
            return int(self.call("getState")["statecode"])
        except SupervisorGoneError:
            return None

    def answers(self) -> bool:
        """Whether a supervisord that is not shutting down answers."""
        return self.answers_state() == _RUNNING


@contextlib.contextmanager
def fault_ignored(*codes: int) -> Iterator[None]:
    """Let supervisord's answers with these fault codes pass: the wanted state is there already.

    Any other refusal raises BackendctlError `missing.server`.
    """
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode in codes:
            return
        raise BackendctlError(
            "missing.server",
            "the process supervisor refused",
            cause=fault.faultString,
            state="what ran before still runs",
            next=("backendctl status",),
        ) from fault
