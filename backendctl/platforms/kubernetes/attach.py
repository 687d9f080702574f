"""Run a command in a pod, on this terminal: `python -m ... --pod=NAME ... -- COMMAND`.

A program of its own, so that whoever runs commands of people (`backendctl exec`) treats this one
like any other. It needs no `kubectl`. What the command is given stays in the pod: nothing secret is
an argument or a variable here.
"""

import argparse
import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes import words
from backendctl.platforms.kubernetes.errors import Asked, refused

_NOT_RUN = 125
"""Exit status when the command was never run, as container tools have it."""
_CHUNK = 1 << 16
_STDIN, _STDOUT, _STDERR, _END, _SIZE = 0, 1, 2, 3, 4
"""Channels of the `channel.k8s.io` protocols."""


def exit_status(body: bytes) -> int:
    """What the command ended with, from the `Status` that the API server sends in the end. Pure.

    Raises BackendctlError `release.start` if the command was never run.
    """
    said = json.loads(body or b"{}")
    if said.get("status") == "Success":
        return 0
    causes = said.get("details", {}).get("causes", ())
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise BackendctlError(
        "release.start",
        "the command could not be run in the pod",
        cause=words.without_runtime(str(said.get("message", "the connection was cut"))),
        state="nothing was run, as far as is known",
    )


def path(namespace: str, pod: str, container: str, argv: Sequence[str], *, terminal: bool) -> str:
    """Where the API server takes the request. Pure."""
    query = [
        ("container", container),
        ("stdin", "true"),
        ("stdout", "true"),
        ("stderr", str(not terminal).lower()),
        ("tty", str(terminal).lower()),
        *(("command", word) for word in argv),
    ]
    where = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/exec"
    return f"{where}?{urlencode(query)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: the command's own; 125 if it was not run."""
    parser = argparse.ArgumentParser(prog="attach")
    for name in ("namespace", "pod", "container"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--context", default="")
    parser.add_argument("argv", nargs="+")
    given = parser.parse_args(arguments)
    terminal = os.isatty(0) and os.isatty(1)
    where = path(given.namespace, given.pod, given.container, given.argv, terminal=terminal)
    try:
        client = _connect(given.context, where, given.namespace, given.pod)
        with _raw_terminal(terminal):
            return exit_status(_converse(client, terminal))
    except BackendctlError as error:
        print(f"{error.message}: {error.cause}", file=sys.stderr)
        return _NOT_RUN


def _connect(context: str, where: str, namespace: str, pod: str) -> Any:
    from kubernetes.client.exceptions import ApiException
    from kubernetes.stream.ws_client import WSClient
    from websocket import WebSocketBadStatusException, WebSocketException

    from backendctl.platforms.kubernetes.connection import account

    configuration = account(context)
    headers = {
        "sec-websocket-protocol": "v5.channel.k8s.io,v4.channel.k8s.io",
        "user-agent": "backendctl",
    }
    token = configuration.get_api_key_with_prefix("BearerToken")
    if token:
        headers["authorization"] = token
    try:
        return WSClient(  # type: ignore[no-untyped-call]
            configuration,
            f"{configuration.host.replace('http', 'ws', 1)}{where}",
            headers,
            capture_all=False,
            binary=True,
        )
    except WebSocketBadStatusException as error:
        asked = Asked("run a command in", "Pod", pod, namespace, configuration.host)
        raise refused(asked, error.status_code, error.resp_body or b"") from error
    except (ApiException, WebSocketException, OSError) as error:
        raise BackendctlError(
            "platform.refused",
            "the cluster does not let a command be run in the pod",
            cause=str(getattr(error, "reason", "") or error),
            state="nothing was run",
            next=("kubectl auth can-i create pods --subresource=exec",),
        ) from error


def _converse(client: Any, terminal: bool) -> bytes:
    """Pass on both ways until it has ended; what the server says of the end."""
    if terminal:
        _tell_size(client)
        signal.signal(signal.SIGWINCH, lambda *_: _tell_size(client))
    said, typing = b"", True
    while client.is_open():
        if _waited(client, typing):
            typing = _fed(client)
        client.update(timeout=0)
        for channel, target in ((_STDOUT, sys.stdout), (_STDERR, sys.stderr)):
            target.buffer.write(client.read_channel(channel))
            target.buffer.flush()
        said += client.read_channel(_END)
    return said


def _waited(client: Any, typing: bool) -> bool:
    """Wait until either side has something to say; whether it is ours."""
    connection = client.sock.sock
    # TLS may have read more than was asked for: then there is nothing to wait for.
    patience = 0.0 if getattr(connection, "pending", int)() else 1.0
    readable, _, _ = select.select([connection, *([0] if typing else [])], [], [], patience)
    return 0 in readable


def _fed(client: Any) -> bool:
    """Pass on what was typed; False at its end, of which the command hears."""
    data = os.read(0, _CHUNK)
    if data:
        client.write_channel(_STDIN, data)
    else:
        client.close_channel(_STDIN)
    return bool(data)


def _tell_size(client: Any) -> None:
    columns, rows = os.get_terminal_size(1)
    client.write_channel(_SIZE, json.dumps({"Width": columns, "Height": rows}).encode())


class _raw_terminal:  # noqa: N801 - used like a function
    """Keys go to the command as they are typed, Ctrl-C too; as before afterwards."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal

    def __enter__(self) -> None:
        if self._terminal:
            import termios
            import tty

            self._former = termios.tcgetattr(0)
            tty.setraw(0)

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            import termios

            termios.tcsetattr(0, termios.TCSADRAIN, self._former)


if __name__ == "__main__":
    sys.exit(main())
