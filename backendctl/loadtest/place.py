"""Where the load comes from. A place sends what it is told and gives back what was counted."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backendctl.loadtest.conductor import Conductor, OnEvent
from backendctl.loadtest.generator import GeneratorPlan
from backendctl.loadtest.measurement import Measurement
from backendctl.loadtest.private import write_private
from backendctl.loadtest.processes import Processes
from backendctl.loadtest.profile import Profile

TOKEN_FILE = "token"  # noqa: S105 - a file's name

Token = Callable[[], str]
"""Gives a fresh bearer token each time it is called."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is to be sent."""

    plan: GeneratorPlan
    profile: Profile
    token: Token | None
    folder: Path
    """Of this test, on this machine."""
    project: Path
    """Where the project's own users find what they import."""


class Place(Protocol):
    """Somewhere that the generator's processes run."""

    def carry_out(self, offer: Offer, measurement: Measurement, on_event: OnEvent) -> Profile:
        """Send it and count it in `measurement`, to its end or to Ctrl-C; what was counted by then
        is in it however it ends. No process is left behind.

        Returns the profile as it was carried out. Raises as `run_load_test`.
        """
        ...


class Here:
    """On this machine: a process for each worker."""

    def carry_out(self, offer: Offer, measurement: Measurement, on_event: OnEvent) -> Profile:
        """See Place."""
        offer.plan.write(offer.folder)
        with _token_file(offer.folder, offer.token) as token_file:
            processes = Processes(offer.folder, offer.profile.workers, token_file, offer.project)
            renew = _renewal(offer.token, token_file)
            conductor = Conductor(processes, offer.profile, measurement, on_event, renew)
            try:
                conductor.conduct()
            except KeyboardInterrupt:
                measurement.interrupted = True
            finally:
                processes.end()
        return conductor.profile


@contextlib.contextmanager
def _token_file(folder: Path, token: Token | None) -> Iterator[Path | None]:
    """A file with the token for the workers, gone afterwards."""
    if token is None:
        yield None
        return
    path = folder / TOKEN_FILE
    write_private(path, token())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _renewal(token: Token | None, path: Path | None) -> Callable[[], None]:
    if token is None or path is None:
        return lambda: None
    return lambda: write_private(path, token())
