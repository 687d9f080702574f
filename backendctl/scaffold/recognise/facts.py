"""What is known about a repository, and from where."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Found:
    """One fact, with the place that shows it; `line` 0 where no single line does."""

    value: str
    file: str = ""
    line: int = 0
    why: str = ""
    """For a person: how the place shows it."""
    certain: bool = True
    """False for a guess that somebody should look at."""

    @property
    def place(self) -> str:
        """`file:line`, `file`, or nothing."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that will not work, or not well, as it stands."""

    text: str
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """`file:line`, `file`, or nothing."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Recognition:
    """A repository's kind and what of `backend.toml` follows from it."""

    kind: Found
    start: Found
    ready: Found
    live: Found
    migrate: Found | None = None
    install: Found | None = None
    openapi: Found | None = None
    """None: it has no OpenAPI document that we know of."""
    database: Found | None = None
    cache: Found | None = None
    name: Found | None = None
    routes: tuple[Found, ...] = ()
    """Paths that answer GET and hold no parameter."""
    remarks: tuple[Remark, ...] = field(default=())
