"""Become a supervised program: `python -I -S launch.py <program file>`.

supervisord starts this instead of the program itself, so that

- the environment, which may hold secrets, comes from a 0600 file and not from a configuration;
- output goes straight to the log (O_APPEND), so a dead supervisord breaks nobody's stdout;
- the process leaves a record (pid, identity, number of starts), which survives supervisord;
- a program that outlived its supervisord is adopted instead of being started twice;
- a program that refuses to run as root runs as another user who may still read our folders.

Only the standard library, and little of it: this runs before every start of every program.
"""

# ruff: noqa: PTH105, PTH110, PTH123
# pathlib alone would take longer to import than all the rest takes to run.

import json
import os
import select
import signal
import sys
import time
from typing import Any

RECORD_SUFFIX = ".record"
NOT_STARTED = 127
ADOPTED_DIED = 1

_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAPBSET_READ = 23
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522

_POLL_SECONDS = 0.2
"""How often an adopted process is looked at where the kernel cannot tell us of its end."""


# --- who is that process ----------------------------------------------------------------------


def boot() -> str:
    """A name of this boot of the machine: process ids of another boot mean nothing."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except FileNotFoundError:
        return _output(["sysctl", "-n", "kern.boottime"])


def identity(pid: int) -> str | None:
    """A name of the process that no later process with the same pid shares; None when gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        if os.path.exists("/proc/self/stat"):
            return None
        started = _output(["ps", "-o", "lstart=", "-p", str(pid)])
        return f"{boot()} {started}" if started else None
    if fields[0] in "ZX":
        return None
    return f"{boot()} {fields[19]}"


def read_record(path: str) -> dict[str, Any]:
    """The record a program left, or an empty one."""
    try:
        with open(path) as file:
            return dict(json.load(file))
    except (FileNotFoundError, ValueError):
        return {}


def lives(record: dict[str, Any]) -> bool:
    """Whether the recorded process, and not a later one with its pid, is running."""
    return bool(record) and identity(record["pid"]) == record["identity"]


def kill_left_group(record: dict[str, Any]) -> None:
    """Kill what is left of the process group of a recorded process that is gone.

    The group's number stays taken while a member lives, so with no process of that pid the group
    is the recorded one; a pid that somebody else has now is left alone.
    """
    if not record or not record["identity"].startswith(boot()):
        return
    if identity(record["pid"]) is not None:
        return
    try:
        os.killpg(record["pid"], signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _output(argv: list[str]) -> str:
    import subprocess

    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


# --- adopting ---------------------------------------------------------------------------------


def adopt(record: dict[str, Any], stop_signal: int) -> int:
    """Stand in for a process whose supervisord died: pass the stop signal on, end when it ends."""
    pid = record["pid"]

    def forward(_number: int, _frame: object) -> None:
        if lives(record):
            os.kill(pid, stop_signal)

    for number in {signal.SIGTERM, signal.SIGINT, signal.Signals(stop_signal)}:
        signal.signal(number, forward)
    print(f"adopted pid {pid}, which outlived its supervisor", flush=True)
    try:
        handle = os.pidfd_open(pid)
    except (AttributeError, OSError):
        handle = -1
    while lives(record):
        if handle >= 0:
            select.select([handle], [], [])
        else:
            time.sleep(_POLL_SECONDS)
    return ADOPTED_DIED


# --- becoming ---------------------------------------------------------------------------------


def become(program: dict[str, Any], record_path: str) -> None:
    """Replace this process by the program. Returns only by an exception."""
    os.umask(0o077)
    os.dup2(os.open(program.get("input") or os.devnull, os.O_RDONLY), 0)
    if program.get("log"):
        log = os.open(program["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
    if record_path:
        _write_record(record_path, program)
    user = program.get("user")
    if user is None:
        os.chdir(program["directory"])
    else:
        become_user(user[0], user[1])
        os.chdir(program["directory"])
    argv = program["argv"]
    os.execvpe(argv[0], argv, program["environment"])  # noqa: S606 - no shell is the point


def become_user(uid: int, gid: int) -> None:
    """Give up root for `uid`, keeping only the right to read and search folders.

    The project may lie under a folder (/root, say) that no other user can enter. The right is an
    ambient capability, so that it also holds after exec: CAP_DAC_READ_SEARCH, or where the
    container withholds it the wider CAP_DAC_OVERRIDE.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    held = [
        capability
        for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE)
        if libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1
    ]

    def checked(result: int, what: str) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")

    checked(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities")
    if held:
        # access(2) forgets capabilities of everybody but root unless this bit is set, and initdb
        # asks access(2) whether it may run the server. Without the right to set it (some
        # containers) only a server in folders open to all can be run.
        libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if not held:
        return
    bit = 1 << held[0]
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable; twice, for the low and the high 32 capabilities
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    checked(libc.capset(header, sets), "set capabilities")
    checked(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, held[0], 0, 0), "raise capability")


def _write_record(path: str, program: dict[str, Any]) -> None:
    """Say who we are (exec keeps pid and start time) and how often we were started."""
    record = {
        "pid": os.getpid(),
        "identity": identity(os.getpid()),
        "digest": program["digest"],
        "starts": _starts(path, program) + 1,
        "started": time.time(),
        "stop_grace": program["stop_grace"],
        "stop_signal": program["stop_signal"],
    }
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        json.dump(record, file)
    os.replace(temporary, path)


def _starts(path: str, program: dict[str, Any]) -> int:
    """How often it was started before; not counting those before a boot of the machine."""
    former = read_record(path)
    same = former.get("digest") == program["digest"]
    return int(former["starts"]) if same and former["identity"].startswith(boot()) else 0


def main() -> int:
    path = sys.argv[1]
    with open(path) as file:
        program = json.load(file)
    record_path = program.get("record", "")
    former = read_record(record_path) if record_path else {}
    if lives(former) and former["digest"] == program["digest"]:
        return adopt(former, program["stop_signal"])
    kill_left_group(former)
    try:
        become(program, record_path)
    except OSError as error:
        print(f"cannot start {program['argv'][0]}: {error}", file=sys.stderr, flush=True)
    return NOT_STARTED


if __name__ == "__main__":
    sys.exit(main())
