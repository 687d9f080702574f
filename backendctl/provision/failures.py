"""What went wrong with a stack, grouped by cause, with what to type next.

The engine reports in words only, so causes are recognised by words: the table CAUSES.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from backendctl.errors import BackendctlError
from backendctl.provision.changes import name_of, short_type, type_of
from backendctl.provision.events import STACK_TYPE, Problem, Record
from backendctl.provision.locks import locked

MOST = 5
"""Resources named per cause."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A kind of failure."""

    name: str
    pattern: str
    meaning: str
    next: tuple[str, ...]


DEVIATION = Cause(
    "plan",
    r"violates plan|not allowed by the plan|expected resource operations",
    "it would have done something else than the plan that was approved",
    ("backendctl infra preview",),
)
PROTECTED = Cause(
    "protected",
    r"cannot be deleted\s+because it is protected|protected from deletion|is protected|"
    r"marked for protection",
    "it holds data and is protected",
    ("backendctl infra destroy --help",),
)

PROGRAM = Cause(
    "program",
    r"python inline source runtime error",
    "the stack's own program failed",
    ("backendctl check infra",),
)

CAUSES: tuple[Cause, ...] = (
    PROGRAM,
    DEVIATION,
    PROTECTED,
    Cause(
        "credentials",
        r"ExpiredToken|InvalidClientTokenId|NoCredentialProviders|no valid credential|"
        r"failed to refresh cached credentials|Unauthorized|the server has asked for the client to "
        r"provide credentials|No valid credential sources",
        "the credentials in use are missing, expired or unknown",
        ("aws sts get-caller-identity", "kubectl auth whoami"),
    ),
    Cause(
        "quota",
        r"LimitExceeded|QuotaExceeded|ServiceQuota|exceeded quota|TooMany\w+Exceeded|"
        r"InsufficientInstanceCapacity",
        "a limit of the account or the namespace is reached",
        ("aws service-quotas list-service-quotas --service-code ec2",),
    ),
    Cause(
        "permission",
        r"AccessDenied|UnauthorizedOperation|not authorized to perform|is forbidden|Forbidden",
        "the account in use may not do this",
        ("backendctl infra up",),
    ),
    Cause(
        "exists",
        r"AlreadyExists|already exists|EntityAlreadyExists|BucketAlreadyOwnedByYou|DuplicateName",
        "something of that name is there already, and this stack did not make it",
        ("backendctl infra adopt --help",),
    ),
    Cause(
        "unreachable",
        r"connection refused|no such host|i/o timeout|unreachable|TLS handshake timeout|"
        r"configured Kubernetes cluster is unreachable|dial tcp",
        "the cloud or the cluster cannot be reached",
        ("backendctl doctor",),
    ),
    Cause(
        "timeout",
        r"timed out|timeout while waiting|context deadline exceeded|Resource operation was "
        r"aborted|failed to become (available|ready)",
        "it did not become ready in time",
        ("backendctl infra up",),
    ),
    Cause(
        "in-use",
        r"DependencyViolation|has dependent object|is in use|currently in use",
        "something else still uses it",
        ("backendctl infra drift",),
    ),
    Cause(
        "refused",
        r"InvalidParameter|ValidationException|ValidationError|is invalid|denied the request|"
        r"admission webhook",
        "its settings were refused",
        ("backendctl infra preview",),
    ),
)
OTHER = Cause("other", "", "the provider said no", ("backendctl infra up",))
_SUMMARIES = (
    r"^(error: )?(update|preview|destroy|refresh|import) failed$|^\d+ errors? occurred|"
    r"was successfully created, but the Kubernetes API server reported"
)
"""Lines that only say that something failed."""


@dataclass(frozen=True, slots=True)
class Group:
    """Failures with one cause."""

    cause: Cause
    problems: tuple[Problem, ...]

    def in_words(self) -> str:
        """For a person: what it means, which resources, and the first message whole."""
        who = [title(each.urn) for each in self.problems if each.urn]
        named = ", ".join(dict.fromkeys(who[:MOST]))
        more = len(who) - MOST
        of = f" ({named}{f' and {more} more' if more > 0 else ''})" if named else ""
        return f"{self.cause.meaning}{of}: {first_lines(self.problems[0].message)}"


def title(urn: str) -> str:
    """`ec2 Vpc main`, from its URN."""
    kind = type_of(urn)
    return "the stack itself" if kind == STACK_TYPE else f"{short_type(kind)} {name_of(urn)}"


def first_lines(message: str, most: int = 5) -> str:
    """The part of a message that says something, on one line."""
    lines = [line.strip().removeprefix("* ").strip() for line in message.splitlines()]
    return " ".join([line for line in lines if line and not re.search(_SUMMARIES, line)][:most])


def grouped(problems: Sequence[Problem]) -> tuple[Group, ...]:
    """By cause, in the order of the table; the engine's own summaries left out where there is
    anything better."""
    telling = [each for each in problems if first_lines(each.message)]
    found: dict[str, list[Problem]] = {}
    causes = {each.name: each for each in (*CAUSES, OTHER)}
    for problem in telling or problems:
        found.setdefault(_cause(problem.message).name, []).append(problem)
    return tuple(Group(causes[name], tuple(found[name])) for name in causes if name in found)


def _cause(message: str) -> Cause:
    for cause in CAUSES:
        if re.search(cause.pattern, message):
            return cause
    return OTHER


@dataclass(frozen=True, slots=True)
class Context:
    """Which operation fails, and how far it has come."""

    stack: str
    doing: str
    """A participle: previewed, brought up, destroyed."""
    record: Record
    scrub: Callable[[str], str]
    stop: Callable[[], "Stop | None"]
    """How it was stopped; None if nobody asked for that."""


@dataclass(frozen=True, slots=True)
class Stop:
    """How an operation ended that was asked to."""

    asked: int
    """How often; from the second time on what is in flight is given up. Once only, where the
    operation was only looking: nothing was in flight."""
    locked: bool | None
    """Whether the lock is still there; None where that cannot be seen."""

    def in_words(self) -> str:
        given_up = "what was in flight was given up, and whether it was done is not known"
        lock = {
            False: "it is not locked",
            True: "its LOCK IS STILL THERE",
            None: "whether its lock was given back is not known",
        }[self.locked]
        return f"{given_up}; {lock}" if self.asked > 1 else lock

    @property
    def next(self) -> tuple[str, ...]:
        whole = self.locked is False and self.asked == 1
        return ("backendctl infra preview",) if whole else ("backendctl infra unlock",)


@contextmanager
def failed(context: Context) -> Iterator[None]:
    """Turn the Automation API's errors into ours, with what was already applied."""
    from pulumi.automation import CommandError, ConcurrentUpdateError, StackNotFoundError

    try:
        yield
    except StackNotFoundError:
        raise
    except ConcurrentUpdateError as error:
        raise locked(context.stack, str(error)) from None
    except CommandError as error:
        raise _failure(context, str(error)) from None


def _failure(context: Context, text: str) -> BackendctlError:
    """The secrets that a message may quote are taken out; the API's error, which holds the whole
    output, is not kept as its cause."""
    problems = [Problem(context.scrub(p.message), p.urn) for p in context.record.problems]
    if not problems:
        problems = [Problem(context.scrub(_last_words(text)))]
    groups = grouped(problems)
    applied = context.record.applied()
    done = ", ".join(f"{title(urn)} ({action.value})" for urn, action in applied)
    state = f"already applied: {done}" if applied else "nothing in it was changed"
    data = {
        "stack": context.stack,
        "applied": [{"urn": urn, "action": action.value} for urn, action in applied],
        "causes": [
            {
                "cause": group.cause.name,
                "meaning": group.cause.meaning,
                "resources": [p.urn for p in group.problems],
                "message": group.problems[0].message,
            }
            for group in groups
        ],
    }
    stop = context.stop()
    if stop is not None and stop.asked > 1 and not applied:
        state = "nothing that is known was changed"
    if stop is not None:
        return BackendctlError(
            "interrupted",
            f"stack {context.stack} was stopped before it was {context.doing}",
            state=f"{state}; {stop.in_words()}",
            next=stop.next,
            data=data,
        )
    deviates = any(group.cause is DEVIATION for group in groups)
    return BackendctlError(
        "infra.deviated" if deviates else "infra.failed",
        f"stack {context.stack} could not be {context.doing}",
        cause="\n".join(group.in_words() for group in groups),
        state=state,
        next=tuple(dict.fromkeys(line for group in groups for line in group.cause.next)),
        data=data,
    )


def _last_words(text: str) -> str:
    """Of the output of a command that sent no event."""
    said = text.partition("stderr:")[2] or text
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("error:")]
    return " ".join(told or lines[-3:]).removeprefix("error:").strip() or "the engine said nothing"
