"""Every error code, the exit status it leads to, and the exception that carries it.

A code is stable: scripts match on it. The table is the only place where a code gets its exit
status; the reference page of exit codes and errors is generated from it.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """What the process says to the shell that started it."""

    OK = 0
    NO = 1
    USAGE = 2
    HELD = 3
    INVALID = 4
    MISSING = 5
    LOCKED = 6
    BUG = 70
    INTERRUPTED = 130


EXIT_MEANING: Mapping[Exit, str] = {
    Exit.OK: "done, gate passed",
    Exit.NO: "the verdict was no: SLO broken, rolled back, finding; "
    "with --detailed-exitcode also changes or drift found",
    Exit.USAGE: "usage or invalid input (with file, line and the accepted values)",
    Exit.HELD: "inconclusive or held: needs a person",
    Exit.INVALID: "the measurement was invalid (for example the load generator saturated)",
    Exit.MISSING: "something needed is missing or unreachable: tool, credential, server, database",
    Exit.LOCKED: "locked by another run (says who, since when, from where, and how to take over)",
    Exit.BUG: "a bug of ours (traceback to a file, one line on screen)",
    Exit.INTERRUPTED: "interrupted",
}

ERRORS: Mapping[str, tuple[Exit, str]] = {
    # spec
    "spec.missing": (Exit.USAGE, "there is no backend.toml where one is needed"),
    "spec.syntax": (Exit.USAGE, "backend.toml is not valid TOML"),
    "spec.invalid": (Exit.USAGE, "a key or value in backend.toml is not accepted"),
    "spec.contradiction": (Exit.USAGE, "two promises in backend.toml cannot both hold"),
    "spec.environment": (Exit.USAGE, "backend.toml has no such environment"),
    # command line
    "usage": (Exit.USAGE, "the command line is not understood"),
    "usage.confirmation": (Exit.USAGE, "a confirmation is needed and there is nobody to ask"),
    # scaffold
    "scaffold.not-empty": (Exit.USAGE, "the folder already holds files"),
    "scaffold.answer": (Exit.USAGE, "an answer is missing or not accepted"),
    "scaffold.conflicts": (Exit.HELD, "files were there already; the new ones stand beside them"),
    "scaffold.unrecognised": (Exit.USAGE, "the repository's kind was not recognised"),
    # machine and platform
    "missing.extra": (Exit.MISSING, "an optional part of backendctl is not installed"),
    "missing.check": (Exit.MISSING, "a check of `backendctl doctor` failed"),
    "missing.tool": (Exit.MISSING, "a program that is needed is not installed"),
    "missing.server": (Exit.MISSING, "a server that is needed does not start or answer"),
    "missing.database": (Exit.MISSING, "the files of a database that was there are gone"),
    "missing.environment": (Exit.MISSING, "the environment is not up"),
    "missing.release": (Exit.USAGE, "there is no such release"),
    "missing.rollout": (Exit.USAGE, "there is no such rollout"),
    "missing.data": (Exit.USAGE, "there is nothing recorded under that name"),
    "platform.unsupported": (Exit.MISSING, "this machine or platform is not supported"),
    "platform.port-taken": (Exit.MISSING, "a port that is needed is taken by another program"),
    "platform.disk-full": (Exit.MISSING, "the disk is full"),
    "platform.permission": (Exit.MISSING, "a file or folder may not be written"),
    "platform.gateway": (Exit.MISSING, "the gateway refused or did not serve a configuration"),
    # cluster
    "missing.cluster": (Exit.MISSING, "the cluster's API server cannot be reached or used"),
    "missing.gateway-api": (Exit.MISSING, "the cluster has no Gateway API"),
    "platform.credentials": (Exit.MISSING, "the cluster knows no account by these credentials"),
    "platform.forbidden": (Exit.MISSING, "the account in use may not do this in the cluster"),
    "platform.quota": (Exit.MISSING, "the namespace's quota is used up"),
    "platform.admission": (Exit.MISSING, "a policy of the cluster refused an object"),
    "platform.refused": (Exit.MISSING, "the cluster did not accept an object"),
    "platform.errand": (Exit.MISSING, "what backendctl runs in the environment did not begin"),
    "platform.leftover": (Exit.MISSING, "something that was told to end in the cluster is there"),
    "platform.conflict": (Exit.LOCKED, "an object was changed by somebody else at the same time"),
    # image
    "build.dockerfile": (Exit.USAGE, "there is no Dockerfile to build the image from"),
    "build.failed": (Exit.NO, "the image could not be built"),
    "build.push": (Exit.MISSING, "the registry did not take the image"),
    "build.registry": (Exit.USAGE, "the environment names no registry to push to"),
    "build.secret": (Exit.USAGE, "something that the build is to be given is not there"),
    "missing.registry": (Exit.MISSING, "the image registry cannot be reached"),
    "registry.credentials": (Exit.MISSING, "the image registry refuses these credentials"),
    # release
    "release.package": (Exit.NO, "the release could not be packaged or its environment installed"),
    "release.start": (Exit.NO, "the release does not start, or died"),
    "release.not-ready": (Exit.NO, "the release did not become ready in time"),
    "release.migration": (Exit.NO, "the release's migration failed"),
    "migration.hazard": (Exit.NO, "a migration would keep users waiting, or cannot be judged"),
    "migration.contract": (Exit.NO, "a migration would break the release that serves"),
    "release.schema": (Exit.NO, "the release does not work with the present schema"),
    # rollout
    "rollout.rolled-back": (Exit.NO, "the rollout was undone; the stable release serves"),
    "rollout.held": (Exit.HELD, "the rollout waits for a person"),
    "rollout.unjudgeable": (Exit.HELD, "traffic is too low for a verdict before the deadline"),
    "rollout.closed": (Exit.HELD, "deploys are closed now, by a window or a freeze"),
    "rollout.detached": (Exit.HELD, "the rollout goes on by itself; nothing is decided yet"),
    "rollout.abandoned": (Exit.HELD, "nobody drives the rollout, and nobody has ended it"),
    "rollout.state": (Exit.USAGE, "the rollout is not in a state where that can be done"),
    "rollout.locked": (Exit.LOCKED, "another run holds the environment"),
    "rollout.fenced": (Exit.LOCKED, "another run has taken over; this one's writes are refused"),
    "journal.corrupt": (Exit.MISSING, "a journal has a gap or a record that was changed"),
    "journal.differs": (Exit.NO, "a rollout's decisions come out otherwise when replayed"),
    "journal.version": (Exit.MISSING, "a journal was written by an incompatible version"),
    # load test
    "loadtest.slo": (Exit.NO, "the service broke its SLO under load"),
    "loadtest.inconclusive": (Exit.HELD, "the load test was too short to decide"),
    "loadtest.invalid": (Exit.INVALID, "the measurement itself cannot be trusted"),
    "loadtest.target": (Exit.MISSING, "the target of the load test does not answer"),
    # stacks
    "infra.failed": (Exit.NO, "a stack could not be previewed, brought up, compared or destroyed"),
    "infra.changes": (Exit.NO, "with --detailed-exitcode: `up` would change the stacks"),
    "infra.drift": (Exit.NO, "what is really there differs from what the stacks made"),
    "infra.deviated": (Exit.NO, "a stack would have done something else than its plan"),
    "infra.stale-plan": (Exit.USAGE, "a plan was made for another environment or another state"),
    "infra.protected": (Exit.NO, "what would be destroyed holds data and is protected"),
    "infra.pending": (Exit.HELD, "an operation on a stack was cut off; what it left is not known"),
    "infra.locked": (Exit.LOCKED, "another run holds a stack"),
    "infra.cluster": (Exit.USAGE, "the kubeconfig leads to another cluster than a stack's own"),
    "infra.adopt": (Exit.USAGE, "what exists cannot be adopted as it was asked for"),
    "infra.download": (Exit.MISSING, "a tool could not be downloaded, or is not what it should be"),
    # gates
    "gate.finding": (Exit.NO, "a check found something that is not as it has to be"),
    "gate.waivers": (Exit.USAGE, "the file of exceptions to findings is not accepted"),
    "gate.tool": (Exit.MISSING, "a check could not be run"),
    # process
    "interrupted": (Exit.INTERRUPTED, "stopped by a signal"),
    "bug": (Exit.BUG, "an error that backendctl did not foresee"),
}


class BackendctlError(Exception):
    """Something a user can act on.

    Says what happened (`message`), why as far as is known (`cause`), what state things are in
    now (`state`) and which commands to type next (`next`). `data` goes into the JSON answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        cause: str = "",
        state: str = "",
        next: tuple[str, ...] = (),
        data: Mapping[str, Any] | None = None,
    ) -> None:
        if code not in ERRORS:
            raise KeyError(f"error code {code!r} is not in the table of errors.py")
        super().__init__(message)
        self.code = code
        self.message = message
        self.cause = cause
        self.state = state
        self.next = next
        self.data = dict(data or {})

    @property
    def exit(self) -> Exit:
        """The exit status this error leads to."""
        return ERRORS[self.code][0]
