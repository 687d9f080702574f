"""What becomes of a resource, and why, in words. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine writes where a value is known only once something exists (pulumi's
`plugin.UnknownStringValue`)."""
UNKNOWN_TEXT = "(known once it exists)"
MASKED = "[secret]"
"""What the engine writes for a secret."""
WRAPPED = "4dabf18193072939515e22adb298388d"
"""The key by which it marks one that is wrapped."""
NAMESPACE = "kubernetes:core/v1:Namespace"
NAMESPACE_TAKEN_OVER = f"{NAMESPACE}Patch"
"""Fields of ours on a namespace that is not ours: deleting it gives up those alone."""
LONGEST = 60
"""Characters of a value that are shown."""


class Action(StrEnum):
    """What is done to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    IMPORT = "import"
    READ = "read"
    REFRESH = "refresh"
    FORGET = "forget"
    SAME = "same"


MARKS: Mapping[Action, str] = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "±",
    Action.DELETE: "-",
    Action.IMPORT: "=",
    Action.READ: ">",
    Action.REFRESH: "~",
    Action.FORGET: "x",
    Action.SAME: " ",
}

_OPERATIONS: Mapping[str, Action] = {
    "create": Action.CREATE,
    "update": Action.UPDATE,
    "replace": Action.REPLACE,
    "create-replacement": Action.REPLACE,
    "delete-replaced": Action.REPLACE,
    "delete": Action.DELETE,
    "import": Action.IMPORT,
    "import-replacement": Action.REPLACE,
    "read": Action.READ,
    "read-replacement": Action.READ,
    "refresh": Action.REFRESH,
    "discard": Action.FORGET,
    "discard-replaced": Action.FORGET,
    "remove-pending-replace": Action.FORGET,
    "same": Action.SAME,
}


def action_of(operation: str) -> Action:
    """Our word for one of the engine's step operations."""
    return _OPERATIONS[operation]


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property that differs."""

    path: str
    kind: str
    """add | delete | update"""
    before: str = ""
    after: str = ""
    replaces: bool = False
    """The resource must be made anew because of it."""

    def in_words(self) -> str:
        if self.kind == "add":
            said = f"{self.path} is set to {self.after}"
        elif self.kind == "delete":
            said = f"{self.path} is taken away (was {self.before})"
        else:
            said = f"{self.path} changes from {self.before} to {self.after}"
        return said + (", which cannot be done in place" if self.replaces else "")


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What becomes of one resource."""

    urn: str
    action: Action
    properties: tuple[PropertyChange, ...] = ()
    protected: bool = False
    retained: bool = False
    """Deleting it only forgets it."""
    inputs: Mapping[str, Any] | None = None
    """As they will be; secrets are masked."""
    former: Mapping[str, Any] | None = None
    """As they were."""

    @property
    def type(self) -> str:
        """For example `aws:ec2/vpc:Vpc`."""
        return type_of(self.urn)

    @property
    def name(self) -> str:
        return name_of(self.urn)

    @property
    def title(self) -> str:
        """The type in few words, and the name: `ec2 Vpc main`."""
        return f"{short_type(self.type)} {self.name}"

    def reason(self) -> str:
        """Why it is touched."""
        if self.action is Action.CREATE:
            if self.type == NAMESPACE_TAKEN_OVER:
                return "the namespace is there already: it is labelled, and outlives the stack"
            return "it is new"
        if self.action is Action.DELETE:
            kept = "; the thing itself stays" if self.retained else ""
            return f"it is no longer asked for{kept}"
        if self.action is Action.IMPORT:
            return "it exists, and is taken into the picture as it is"
        if not self.properties:
            return "the provider asks for it; no property of ours differs"
        return "; ".join(each.in_words() for each in self.properties)


def type_of(urn: str) -> str:
    """`urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME` -> TYPE."""
    return urn.split("::")[2].rpartition("$")[2]


def name_of(urn: str) -> str:
    return urn.split("::", 3)[3]


def short_type(token: str) -> str:
    """`aws:ec2/vpc:Vpc` -> `ec2 Vpc`; `kubernetes:apps/v1:Deployment` -> `Deployment`."""
    package, _, rest = token.partition(":")
    module, _, kind = rest.rpartition(":")
    module = module.partition("/")[0]
    if package in ("kubernetes", "pulumi") or module in ("", "index"):
        return kind or token
    return f"{module} {kind}"


def shown(value: Any) -> str:
    """A value in few characters; a secret and an unknown only by what they are."""
    if _masked(value):
        return MASKED
    if isinstance(value, str):
        return UNKNOWN_TEXT if value == UNKNOWN else _short(f'"{value}"')
    if isinstance(value, Mapping):
        return _short("{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}")
    if isinstance(value, list):
        return _short("[" + ", ".join(shown(each) for each in value) + "]")
    if value is None:
        return "nothing"
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _masked(value: Any) -> bool:
    return value == MASKED or (isinstance(value, Mapping) and WRAPPED in value)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], replacing: frozenset[str] = frozenset()
) -> Iterator[PropertyChange]:
    """Every leaf at which two sets of properties differ, in the order of their paths."""
    yield from _compared("", dict(before), dict(after), replacing)


def _compared(
    path: str, before: Any, after: Any, replacing: frozenset[str]
) -> Iterator[PropertyChange]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict) and not _masked(before):
        for key in sorted({*before, *after} - {"__defaults"}):
            below = _joined(path, key)
            if key not in before:
                yield _change(below, "add", "", shown(after[key]), replacing)
            elif key not in after:
                yield _change(below, "delete", shown(before[key]), "", replacing)
            else:
                yield from _compared(below, before[key], after[key], replacing)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _compared(f"{path}[{i}]", old, new, replacing)
    else:
        yield _change(path, "update", shown(before), shown(after), replacing)


def _change(
    path: str, kind: str, before: str, after: str, replacing: frozenset[str]
) -> PropertyChange:
    return PropertyChange(path, kind, before, after, _replaces(path, replacing))


def _replaces(path: str, replacing: frozenset[str]) -> bool:
    return any(path == each or _below(path, each) or _below(each, path) for each in replacing)


def _below(path: str, above: str) -> bool:
    return path.startswith((f"{above}.", f"{above}["))


def _joined(path: str, key: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key) is not None
    step = key if plain else f'["{key}"]'
    return f"{path}.{step}" if path and plain else f"{path}{step}"


def unknown_paths(value: Any, path: str = "") -> Iterator[str]:
    """Where in a resource's inputs a value is not known yet."""
    if value == UNKNOWN:
        yield path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from unknown_paths(each, _joined(path, str(key)))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from unknown_paths(each, f"{path}[{i}]")
