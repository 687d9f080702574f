"""What a release is: code, configuration and schema range under one number, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backendctl.migrations.revisions import Effect, Revision, Tool


@dataclass(frozen=True, slots=True)
class SchemaRange:
    """The schema versions a release works with, both ends included, and how they follow.

    Versions are the migration tool's own revision names. A release also works with later ones that
    only add to its newest: what each revision does is recorded by the release that brought it.
    """

    oldest: str
    """The last revision that must be applied before it starts; "" for none."""
    newest: str
    tool: Tool
    revisions: tuple[Revision, ...]
    """All that came with its code, in the order in which they apply."""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "SchemaRange":
        """What `dataclasses.asdict` and JSON made of one."""
        revisions = (
            Revision(
                **{
                    **each,
                    "after": tuple(each["after"]),
                    "effect": Effect(each["effect"]) if each["effect"] else None,
                }
            )
            for each in body["revisions"]
        )
        return cls(body["oldest"], body["newest"], Tool(body["tool"]), tuple(revisions))


@dataclass(frozen=True, slots=True)
class Package:
    """Code made immutable: what a release runs, under the digest of its contents."""

    code_digest: str
    location: str
    """Where the platform keeps it: a folder on `local`, an image reference on Kubernetes."""
    environment_digest: str = ""
    """Digest of the lock file whose installed dependencies it shares with other releases."""
    schema: SchemaRange | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a release runs with: values in clear, secrets only by name and version."""

    values: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret name -> version. The value stays in the platform's secret store."""

    @property
    def digest(self) -> str:
        """SHA-256 over names, values and secret versions, first 16 hex digits."""
        import hashlib
        import json

        body = json.dumps([dict(self.values), dict(self.secrets)], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Processes:
    """How a release's processes are run, fixed at the time it was made.

    Commands are argv lists; `$NAME` in an argument stands for the variable of that name in the
    process's environment (`PORT` above all).
    """

    start: tuple[str, ...]
    migrate: tuple[str, ...] = ()
    """Brings the schema up to what the release needs to start."""
    ready_path: str = "/"
    replicas: int = 1
    stop_grace: float = 30.0
    """Seconds a process has, after the polite signal, to finish what is in flight."""
    contract: tuple[str, ...] = ()
    """Applies the migrations that wait until the former release is gone."""
    live_path: str = ""
    """Answers 2xx while the process is alive; "" where nobody has said that there is such a path:
    then a process is alive while it accepts connections."""


@dataclass(frozen=True, slots=True)
class Release:
    """Code, configuration and schema range under one number; never changed once recorded."""

    number: int
    package: Package
    configuration: Configuration
    processes: Processes
    created: float
    """Seconds since the epoch."""
    created_by: str
    note: str = ""
