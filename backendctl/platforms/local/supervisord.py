"""What supervisord is told, and what its log says: pure text."""

import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backendctl.platforms.local import launch
from backendctl.platforms.local.layout import Layout

_START_SECONDS = 2
"""A program that ends sooner is started again only after a wait that grows."""
_RETRIES = 1_000_000_000
"""supervisord gives up after so many; what is wanted stays wanted."""


def configuration(layout: Layout, programs: Mapping[str, Mapping[str, Any]]) -> str:
    """supervisord's configuration. It holds no secret and, so far as it can, no path of the
    project: supervisord runs in the environment's folder."""
    sockets = layout.sockets
    socket = layout.supervisor_socket
    file = socket.relative_to(layout.home) if sockets == layout.run else socket
    sections = [
        "[supervisord]",
        "nodaemon = true",
        "silent = true",
        "logfile = logs/supervisord.log",
        "logfile_maxbytes = 1MB",
        "logfile_backups = 1",
        "pidfile = run/supervisord.pid",
        "minfds = 256",
        "nocleanup = true",
        "",
        "[unix_http_server]",
        f"file = {file}",
        "chmod = 0600",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "",
        "[rpcinterface:backendctl]",
        "supervisor.rpcinterface_factory = backendctl.platforms.local.supervision:make",
        "programs = supervisor/programs",
        f"requests = {layout.requests.relative_to(layout.home)}",
        "",
    ]
    launcher = shlex.join([sys.executable, "-I", "-S", launch.__file__]).replace("%", "%%")
    for name, program in programs.items():
        sections += [
            f"[program:{name}]",
            f"command = {launcher} supervisor/programs/{name}.json",
            f"autorestart = {'true' if program['restart'] else 'false'}",
            # supervisord also restarts what ends within `startsecs`, whatever `autorestart` says.
            f"startsecs = {_START_SECONDS if program['restart'] else 0}",
            f"startretries = {_RETRIES if program['restart'] else 0}",
            f"stopsignal = {signal.Signals(program['stop_signal']).name[3:]}",
            f"stopwaitsecs = {max(1, round(program['stop_grace']))}",
            "killasgroup = true",
            "redirect_stderr = true",
            "stdout_logfile = logs/launch.log",
            "stdout_logfile_maxbytes = 1MB",
            "stdout_logfile_backups = 0",
            "",
        ]
    return "\n".join(sections)


def supervisord_environment() -> dict[str, str]:
    """Little of ours: what the CLI was started with must not leak into programs."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME")
    return {name: os.environ[name] for name in kept if name in os.environ}


def last_end(log: str, name: str) -> tuple[int | None, str]:
    """How the program last ended, from supervisord's log: exit status (minus the signal), words.

    supervisord itself keeps no status of a program that ended soon after its start.
    """
    pattern = rf"(?:exited|stopped): {re.escape(name)} \((?:exit status (\d+)|terminated by (\w+))"
    found = list(re.finditer(pattern, log))
    if not found:
        return None, ""
    status, signalled = found[-1].groups()
    if status is not None:
        return int(status), f"exit status {status}"
    number = getattr(signal, signalled, None)
    return (-int(number) if number else None), f"killed by {signalled}"


def last_text(log: Path, size: int = 1 << 16) -> str:
    """The last `size` bytes of a log; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
