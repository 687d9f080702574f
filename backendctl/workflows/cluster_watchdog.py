"""The watchdog of an environment in a cluster: `python -m backendctl.workflows.cluster_watchdog
FILE`, a Deployment of one pod. FILE is what the last `up` wrote down, mounted from its ConfigMap.

It works with the pod's own account, from what is recorded alone. It can be killed at any moment:
the cluster starts it anew, and what it did can be done again.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from backendctl import interrupts
from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.assemble import open_kubernetes, recording_meter
from backendctl.platforms.kubernetes.recorded import parse
from backendctl.rollout.deadman import Orphan
from backendctl.spec.model import Spec
from backendctl.workflows.environment import Opened
from backendctl.workflows.notifications import notifying
from backendctl.workflows.rollouts import Means
from backendctl.workflows.watching import (
    Log,
    Recorder,
    Say,
    log_line,
    pause_after,
    restore,
    watch,
)

POLL = 2.0
"""Seconds between two looks: each asks the API server twice."""
NOWHERE = Path("/nonexistent")
"""It has no working tree and packages nothing."""


class Changed(Exception):  # noqa: N818 - no error: it begins anew with what is written down now
    """Something else is recorded now."""


def main(arguments: list[str]) -> NoReturn:
    """Watch until told to stop, or until something else is recorded: then the cluster starts
    another one, which works from that."""
    interrupts.listen()  # the first process of a pod hears no signal it has not asked for
    clock = SystemClock()
    say = log_line(clock)
    (file,) = arguments
    try:
        _watch(Path(file), clock, say)
    except Changed:
        say("something else is recorded: beginning anew")
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(0)
    except BackendctlError as error:
        say(f"{error.message} ({error.cause})")
        sys.exit(1)


def _watch(file: Path, clock: Clock, say: Say) -> NoReturn:
    recorded = file.read_text()
    spec, name = parse(recorded)
    opened = _opened(spec, name)
    meter = recording_meter(spec, spec.environments[name])
    recorder = Recorder(meter.counters, meter.recorded.append, clock, say)
    turn = _each_time(recorder.turn, file, recorded)
    failures = 0
    say(f"watching {spec.service.name} in {name}")
    while True:
        store = opened.platform.store
        orphan = watch(store, turn, clock, say, pause_after(failures), POLL)
        say(f"rollout {orphan.rollout}: {orphan.reason}")
        failures = 0 if _restored(opened, orphan, say) else failures + 1


def _restored(opened: Opened, orphan: Orphan, say: Say) -> bool:
    """`restore`; whoever `backend.toml` named is told."""
    with notifying(opened, Log(say)) as notify:
        return restore(opened.platform, orphan, say, Means(notify=notify))


def _opened(spec: Spec, name: str) -> Opened:
    environment = spec.environments[name]
    return Opened(NOWHERE, spec, environment, open_kubernetes(NOWHERE, spec, environment))


def _each_time(record: Callable[[], None], file: Path, recorded: str) -> Callable[[], None]:
    """Record, and look whether what is written down is still what we work from."""

    def turn() -> None:
        record()
        now = recorded
        with suppress(OSError):  # while it is being replaced
            now = file.read_text()
        if now != recorded:
            raise Changed

    return turn


if __name__ == "__main__":
    main(sys.argv[1:])
