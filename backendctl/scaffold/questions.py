"""What `new` and `init` ask: every question once, with its default and what it accepts."""

import difflib
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from backendctl.errors import BackendctlError
from backendctl.spec.command import CommandError, parse_command, write_command
from backendctl.spec.completion import P95_SHARE, THINK_TIME
from backendctl.spec.model import Regime, Slo
from backendctl.spec.units import COUNT, DURATION, FRACTION, RATE, Unit, UnitError

Value = str | int | float | tuple[str, ...]
Answers = Mapping[str, Value]
"""By question; quantities in the units of `spec.units`, and only what was answered."""


class AnswerError(ValueError):
    """An answer that its question does not accept; the text says what it accepts."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that only a person knows."""

    key: str
    prompt: str
    parse: Callable[[object], Value]
    default: Callable[[Answers], str]
    """As it would be typed; given the answers so far."""
    show: Callable[[Value], str] = str
    """The parsed value as it would be typed."""
    applies: Callable[[Answers], bool] = lambda _: True
    """Whether it is a question at all, given the answers so far."""
    asked: bool = True
    """Whether a person at a terminal is asked, or only an answer given beforehand counts."""
    skippable: bool = False
    """Whether an empty answer means that a later question says it: then it is not recorded."""


# --- what is accepted -------------------------------------------------------------------------

NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
RESOURCE = re.compile(r"[a-z]+(_[a-z]+)*")
RESOURCE_LENGTH = 24

TEMPLATE_WORDS = frozenset(
    re.findall(
        r"\w+",
        """any app apirouter cache column cursor data database datetime depend draft error health
    index id item_id key lifecycle limit link metric name page path problem query request
    response row schema server service setting table test text tuple typeadapter uuid view
    controller domain telemetry paging openapi middleware uuids
        after annotated async_connection asynccontextmanager base_model config_dict create_app
        date_time field install_document install_problem json_dict not_found_error type_adapter
        platform""",
    )
)
"""Names that the template's own modules and classes use."""


def as_name(written: object) -> str:
    """A DNS label: it becomes a host name, a label and a folder."""
    text = str(written).strip()
    if not NAME.fullmatch(text):
        hint = slug(text)
        suggestion = f"; did you mean {hint!r}?" if NAME.fullmatch(hint) else ""
        raise AnswerError(
            f"{text!r} is not a service name (lower-case letters, digits and hyphens, beginning "
            f"with a letter, at most 40){suggestion}"
        )
    return text


def slug(text: str) -> str:
    """The nearest thing to a service name, possibly empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-0123456789")[:40].rstrip("-")


def as_resource(written: object) -> str:
    """A noun that can stand in Python, SQL and a URL."""
    text = str(written).strip()
    if not RESOURCE.fullmatch(text) or len(text) > RESOURCE_LENGTH:
        hint = re.sub(r"[^a-z]+", "_", text.lower()).strip("_")
        suggestion = f"; did you mean {hint!r}?" if hint and hint != text else ""
        raise AnswerError(
            f"{text!r} is not a noun that can name a table (lower-case letters and underscores, "
            f"at most {RESOURCE_LENGTH}){suggestion}"
        )
    if any(keyword.iskeyword(word) or word in TEMPLATE_WORDS for word in (text, singular_of(text))):
        raise AnswerError(
            f"{text!r} is a word that the generated code needs itself; say it more exactly, "
            f"such as {f'customer_{text}'[:RESOURCE_LENGTH]!r}"
        )
    return text


def singular_of(plural: str) -> str:
    """The singular of a regular English plural; the word itself where there is none to see."""
    for ending, replacement in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch")):
        if plural.endswith(ending) and len(plural) > len(ending):
            return plural.removesuffix(ending) + replacement
    if plural.endswith("shes"):
        return plural.removesuffix("es")
    if plural.endswith("s") and not plural.endswith("ss") and len(plural) > 1:
        return plural.removesuffix("s")
    return plural


def as_quantity(
    unit: Unit, above: float = 0.0, below: float = float("inf")
) -> Callable[[object], Value]:
    """An answer in a unit, between two bounds that do not belong to it."""

    def parse(written: object) -> Value:
        try:
            value = unit.parse(_number_if_one(written))
        except UnitError as error:
            raise AnswerError(f"{written!r} is {error}; accepted: {unit.accepted}") from error
        if not above < value < below:
            raise AnswerError(f"{written!r} is out of range; accepted: {unit.accepted}")
        return value

    return parse


def _number_if_one(written: object) -> object:
    if isinstance(written, str) and re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?\s*", written):
        return float(written) if "." in written else int(written)
    return written


def as_regimes(written: object) -> tuple[str, ...]:
    """A list, or words with commas between them."""
    words = written if isinstance(written, list | tuple) else re.split(r"[,\s]+", str(written))
    found = []
    for word in (str(w).strip().lower().replace("_", "-") for w in words):
        if word in ("", "none"):
            continue
        if word not in list(Regime):
            raise AnswerError(_unknown(word, [str(r) for r in Regime], "compliance regime"))
        found.append(word)
    return tuple(dict.fromkeys(found))


def as_place(written: object) -> str:
    """Where data must stay: a word such as a region or a union of states; empty: anywhere."""
    text = str(written).strip().lower()
    if text and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", text):
        raise AnswerError(
            f"{written!r} is not a place; accepted: a word such as 'eu' or 'us-east-1'"
        )
    return text


def as_command(written: object) -> str:
    """One line as a shell would split it; empty: none."""
    text = str(written).strip()
    try:
        return text and write_command(parse_command(text))
    except CommandError as error:
        raise AnswerError(f"{text!r}: {error}; accepted: {error.accepted}") from error


def as_paths(written: object) -> tuple[str, ...]:
    """A list of paths, or paths with commas or blanks between them."""
    words = written if isinstance(written, list | tuple) else re.split(r"[,\s]+", str(written))
    return tuple(as_path(word) for word in words if word)


def as_path(written: object) -> str:
    """A path of the service; empty: none."""
    text = str(written).strip()
    if text and not re.fullmatch(r"/[^\s\"\\]*", text):
        raise AnswerError(f"{text!r} is not a path; accepted: one that begins with /")
    return text


def one_of(*accepted: str) -> Callable[[object], str]:
    """A choice."""

    def parse(written: object) -> str:
        text = str(written).strip().lower()
        if text not in accepted:
            raise AnswerError(_unknown(text, accepted, "choice"))
        return text

    return parse


# --- the table --------------------------------------------------------------------------------


def _always(text: str) -> Callable[[Answers], str]:
    return lambda _: text


PROMISES: tuple[Question, ...] = (
    Question(
        "peak_users",
        "Users at once at the expected peak (empty: state requests per second instead)",
        lambda w: "" if w == "" else as_quantity(COUNT)(w),
        _always(""),
        lambda v: v if isinstance(v, str) else COUNT.render(float(str(v))),
        applies=lambda a: "peak_rps" not in a,
        skippable=True,
    ),
    Question(
        "think_time",
        "How long a user waits between two requests",
        as_quantity(DURATION),
        _always(DURATION.render(THINK_TIME)),
        lambda v: DURATION.render(float(str(v))),
        applies=lambda a: bool(a.get("peak_users")),
    ),
    Question(
        "peak_rps",
        "Requests per second at the expected peak",
        as_quantity(RATE),
        _always("200/s"),
        lambda v: RATE.render(float(str(v))),
        applies=lambda a: not a.get("peak_users"),
    ),
    Question(
        "p95",
        "95 of 100 requests are answered within",
        as_quantity(DURATION),
        lambda a: DURATION.render(round(P95_SHARE * float(str(a.get("p99", Slo().p99))), 6)),
        lambda v: DURATION.render(float(str(v))),
    ),
    Question(
        "p99",
        "99 of 100 requests are answered within",
        as_quantity(DURATION),
        lambda a: DURATION.render(round(float(str(a["p95"])) / P95_SHARE, 6)),
        lambda v: DURATION.render(float(str(v))),
    ),
    Question(
        "availability",
        "Share of requests answered without an error, over 30 days",
        as_quantity(FRACTION, below=1.0),
        _always("99.9%"),
        lambda v: FRACTION.render(float(str(v))),
    ),
    Question(
        "team_size",
        "People who work on it",
        as_quantity(COUNT),
        _always("5"),
    ),
    Question(
        "compliance",
        f"Compliance regimes, any of {', '.join(Regime)} (empty: none)",
        as_regimes,
        _always(""),
        lambda v: ",".join(v) if isinstance(v, tuple) else str(v),
    ),
    Question("residency", "Where data must stay (empty: anywhere)", as_place, _always("")),
)
"""What a repository does not show."""

SERVICE: tuple[Question, ...] = (
    Question("name", "Name of the service", as_name, _always("service")),
    Question("resource", "What it keeps, as a plural noun", as_resource, _always("items")),
    Question(
        "singular",
        "One of them",
        as_resource,
        lambda a: singular_of(str(a["resource"])),
        asked=False,
    ),
)

NEW_QUESTIONS = (*SERVICE, *PROMISES)

FACTS: tuple[Question, ...] = (
    Question("start", "Start command", as_command, _always(""), asked=False),
    Question("ready", "Path of the readiness check", as_path, _always("/"), asked=False),
    Question("live", "Path of the liveness check", as_path, lambda a: str(a["ready"]), asked=False),
    Question("migrate", "Command that migrates", as_command, _always(""), asked=False),
    Question("install", "Command that installs", as_command, _always(""), asked=False),
    Question("openapi", "Path of the OpenAPI document", as_path, _always(""), asked=False),
    Question(
        "paths",
        "Paths that the load test GETs, where there is no OpenAPI document",
        as_paths,
        _always(""),
        lambda v: ",".join(v) if isinstance(v, tuple) else str(v),
        asked=False,
    ),
    Question("database", "Database", one_of("postgresql", "none"), _always("none"), asked=False),
    Question("cache", "Cache", one_of("valkey", "none"), _always("none"), asked=False),
)
"""What a repository usually shows; an answer given beforehand goes before what it shows."""

INIT_QUESTIONS = (SERVICE[0], *FACTS, *PROMISES)


def _unknown(word: str, known: Sequence[str], kind: str) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    suggestion = f"did you mean {near[0]!r}? " if near else ""
    return f"{word!r} is not a {kind}; {suggestion}accepted: {', '.join(known)}"


# --- answering --------------------------------------------------------------------------------

Ask = Callable[[Question, str], object]
"""Asks a person: the question and the default as typed; returns what was typed."""


def resolve(
    questions: Sequence[Question],
    given: Mapping[str, object],
    *,
    where: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
    ask: Ask | None = None,
    use_defaults: bool = False,
) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Every question's answer: given beforehand, asked for, or its default.

    `where` says where each of `given` was written; `defaults` go before the questions' own.
    Returns the answers and the keys that were assumed. Raises `scaffold.answer` naming every
    answer that is unknown or not accepted, or, when there is nobody to ask, missing.
    """
    answers = _parse_given(questions, given, where or {})
    assumed: list[str] = []
    for question in questions:
        if question.key in answers or not question.applies(answers):
            continue
        default = (defaults or {}).get(question.key) or question.default(answers)
        if ask is not None and question.asked and not use_defaults:
            answers[question.key] = question.parse(ask(question, default))
        elif not question.skippable:
            answers[question.key] = question.parse(default)
            assumed += [question.key] if question.asked else []
    if assumed and not use_defaults:
        raise _nobody_to_ask(assumed)
    recorded = [q for q in questions if not (q.skippable and answers.get(q.key) == "")]
    return {q.key: answers[q.key] for q in recorded if q.key in answers}, tuple(assumed)


def _parse_given(
    questions: Sequence[Question], given: Mapping[str, object], where: Mapping[str, str]
) -> dict[str, Value]:
    by_key = {q.key: q for q in questions}
    answers: dict[str, Value] = {}
    problems = []
    for key, written in given.items():
        source = f"{where.get(key, '')} {key}".strip()
        try:
            if key not in by_key:
                raise AnswerError(_unknown(key, list(by_key), "question"))
            answers[key] = by_key[key].parse(written)
        except AnswerError as error:
            problems.append(f"{source}: {error}")
    _refuse(problems)
    return answers


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise BackendctlError(
            "scaffold.answer", problems[0], cause="\n".join(problems[1:]), state=UNCHANGED
        )


UNCHANGED = "nothing was written"


def _nobody_to_ask(missing: Sequence[str]) -> BackendctlError:
    return BackendctlError(
        "scaffold.answer",
        f"nobody is there to answer: {', '.join(missing)}",
        cause="there is no terminal to ask at",
        state=UNCHANGED,
        next=(
            "add --yes to take the default of each",
            f"add --set {missing[0]}=VALUE for each",
            "add --answers FILE, with a line KEY = VALUE for each (TOML or JSON)",
        ),
    )
