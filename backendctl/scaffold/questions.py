"""What `new` and `init` ask: every question once, with its default and what it accepts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from backendctl.errors import BackendctlError
from backendctl.scaffold.accepted import (
    A_COMMAND,
    A_NAME,
    A_NOUN,
    A_PATH,
    A_PLACE,
    AnswerError,
    Value,
    as_command,
    as_name,
    as_path,
    as_paths,
    as_place,
    as_quantity,
    as_regimes,
    as_resource,
    one_of,
    singular_of,
    unknown,
)
from backendctl.spec.completion import P95_SHARE, THINK_TIME
from backendctl.spec.model import Regime, Slo
from backendctl.spec.units import COUNT, DURATION, FRACTION, RATE

Answers = Mapping[str, Value]
"""By question; quantities in the units of `spec.units`, and only what was answered."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that only a person knows."""

    key: str
    prompt: str
    parse: Callable[[object], Value]
    accepted: str
    """In words, for a person."""
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


# --- the table --------------------------------------------------------------------------------


def _always(text: str) -> Callable[[Answers], str]:
    return lambda _: text


PROMISES: tuple[Question, ...] = (
    Question(
        "peak_users",
        "Users at once at the expected peak (empty: state requests per second instead)",
        lambda w: "" if w == "" else as_quantity(COUNT)(w),
        COUNT.accepted,
        _always(""),
        lambda v: v if isinstance(v, str) else COUNT.render(float(str(v))),
        applies=lambda a: "peak_rps" not in a,
        skippable=True,
    ),
    Question(
        "think_time",
        "How long a user waits between two requests",
        as_quantity(DURATION),
        DURATION.accepted,
        _always(DURATION.render(THINK_TIME)),
        lambda v: DURATION.render(float(str(v))),
        applies=lambda a: bool(a.get("peak_users")),
    ),
    Question(
        "peak_rps",
        "Requests per second at the expected peak",
        as_quantity(RATE),
        RATE.accepted,
        _always("200/s"),
        lambda v: RATE.render(float(str(v))),
        applies=lambda a: not a.get("peak_users"),
    ),
    Question(
        "p95",
        "95 of 100 requests are answered within",
        as_quantity(DURATION),
        DURATION.accepted,
        lambda a: DURATION.render(round(P95_SHARE * float(str(a.get("p99", Slo().p99))), 6)),
        lambda v: DURATION.render(float(str(v))),
    ),
    Question(
        "p99",
        "99 of 100 requests are answered within",
        as_quantity(DURATION),
        DURATION.accepted,
        lambda a: DURATION.render(round(float(str(a["p95"])) / P95_SHARE, 6)),
        lambda v: DURATION.render(float(str(v))),
    ),
    Question(
        "availability",
        "Share of requests answered without an error, over 30 days (the promise; "
        "rollouts and load tests hold a release to slo.error_rate, at most ten times what this "
        "leaves)",
        as_quantity(FRACTION, below=1.0),
        FRACTION.accepted,
        _always("99.9%"),
        lambda v: FRACTION.render(float(str(v))),
    ),
    Question(
        "team_size",
        "People who work on it",
        as_quantity(COUNT),
        COUNT.accepted,
        _always("5"),
    ),
    Question(
        "compliance",
        f"Compliance regimes, any of {', '.join(Regime)} (empty: none)",
        as_regimes,
        f"any of {', '.join(Regime)}, with commas between them",
        _always(""),
        lambda v: ",".join(v) if isinstance(v, tuple) else str(v),
    ),
    Question("residency", "Where data must stay (empty: anywhere)", as_place, A_PLACE, _always("")),
)
"""What a repository does not show."""

SERVICE: tuple[Question, ...] = (
    Question("name", "Name of the service", as_name, A_NAME, _always("service")),
    Question("resource", "What it keeps, as a plural noun", as_resource, A_NOUN, _always("items")),
    Question(
        "singular",
        "One of them",
        as_resource,
        A_NOUN,
        lambda a: singular_of(str(a["resource"])),
        asked=False,
    ),
)

NEW_QUESTIONS = (*SERVICE, *PROMISES)

FACTS: tuple[Question, ...] = (
    Question("start", "Start command", as_command, A_COMMAND, _always(""), asked=False),
    Question("ready", "Path of the readiness check", as_path, A_PATH, _always("/"), asked=False),
    Question(
        "live",
        "Path of the liveness check",
        as_path,
        A_PATH,
        lambda a: str(a["ready"]),
        asked=False,
    ),
    Question("migrate", "Command that migrates", as_command, A_COMMAND, _always(""), asked=False),
    Question("install", "Command that installs", as_command, A_COMMAND, _always(""), asked=False),
    Question("openapi", "Path of the OpenAPI document", as_path, A_PATH, _always(""), asked=False),
    Question(
        "paths",
        "Paths that the load test GETs, where there is no OpenAPI document",
        as_paths,
        "paths with commas between them",
        _always(""),
        lambda v: ",".join(v) if isinstance(v, tuple) else str(v),
        asked=False,
    ),
    Question(
        "database",
        "Database",
        one_of("postgresql", "none"),
        "postgresql or none",
        _always("none"),
        asked=False,
    ),
    Question(
        "cache", "Cache", one_of("valkey", "none"), "valkey or none", _always("none"), asked=False
    ),
)
"""What a repository usually shows; an answer given beforehand goes before what it shows."""

INIT_QUESTIONS = (SERVICE[0], *FACTS, *PROMISES)


def defaults_of(questions: Sequence[Question]) -> dict[str, str]:
    """Every question's default as it would be typed, if nothing at all is answered."""
    answers, _ = resolve(questions, {}, use_defaults=True)
    return {question.key: question.default(answers) for question in questions}


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
                raise AnswerError(unknown(key, list(by_key), "question"))
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
