"""A command that goes on when the terminal is gone: it runs apart, and is listened to until its
rollout has begun. Where it runs is the platform's matter: see `detach_here` and `detach_away`."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from backendctl.errors import ERRORS, BackendctlError


class Apart(Protocol):
    """`backendctl` at work apart from this terminal, with `--output jsonl`."""

    @property
    def where(self) -> str:
        """Where it runs, in words."""
        ...

    @property
    def log(self) -> str:
        """Where what it says is found later: a file, or a command."""
        ...

    @property
    def data(self) -> Mapping[str, Any]:
        """The same for programs."""
        ...

    def lines(self) -> Iterator[str]:
        """What it says, as it comes, until it has ended."""
        ...

    def stop(self) -> None:
        """End it; gone on return."""
        ...


@dataclass(frozen=True, slots=True)
class Detached:
    """A command that goes on by itself."""

    rollout: str
    where: str
    log: str
    data: Mapping[str, Any] = field(default_factory=dict)


def until_begun(apart: Apart, on_event: Callable[[Mapping[str, Any]], None]) -> Detached:
    """Pass on what it says until its rollout has begun.

    Raises the error with which the command ended before that, and ends it when this process is
    told to stop before that.
    """
    try:
        for document in documents(apart.lines()):
            if document.get("event") == "rollout.began":
                rollout = str(document["data"]["rollout"])
                return Detached(rollout, apart.where, apart.log, apart.data)
            if "ok" in document:
                raise _ended(document, apart.log)
            on_event(document)
    except KeyboardInterrupt:
        apart.stop()
        raise
    raise BackendctlError(
        "bug",
        f"the detached command ended without an answer ({apart.where})",
        cause=f"what it wrote: {apart.log}",
        state="`backendctl rollout status` tells whether a rollout began",
        next=("backendctl rollout status",),
    )


def documents(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Each line's document; what is not a JSON object is passed over."""
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            yield document


def _ended(envelope: Mapping[str, Any], log: str) -> BackendctlError:
    """The answer of a command that ended before its rollout had begun, as the error it is."""
    error = envelope.get("error") or {}
    code = str(error.get("code", "bug"))
    return BackendctlError(
        code if code in ERRORS else "bug",
        str(error.get("message", f"it ended without a rollout; what it wrote: {log}")),
        cause=str(error.get("cause", "")),
        state=str(error.get("state", "")),
        next=tuple(error.get("next", ())),
        data=envelope.get("data"),
    )
