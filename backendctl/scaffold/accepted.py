"""What an answer may be: from what was typed to the value, or why not."""

import difflib
import keyword
import re
from collections.abc import Callable, Sequence

from backendctl.spec.command import ONE_COMMAND, CommandError, parse_command, write_command
from backendctl.spec.model import Regime
from backendctl.spec.units import Unit, UnitError

Value = str | int | float | tuple[str, ...]


class AnswerError(ValueError):
    """An answer that its question does not accept; the text says what it accepts."""


NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
RESOURCE = re.compile(r"[a-z]+(_[a-z]+)*")
RESOURCE_LENGTH = 24

A_NAME = "lower-case letters, digits and hyphens, beginning with a letter, at most 40 of them"
A_NOUN = f"a noun in lower-case letters and underscores, at most {RESOURCE_LENGTH} of them"
A_PLACE = "a word such as 'eu' or 'us-east-1'"
A_COMMAND = ONE_COMMAND
A_PATH = "a path that begins with /"

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
        raise AnswerError(f"{text!r} is not a service name; accepted: {A_NAME}{suggestion}")
    return text


def slug(text: str) -> str:
    """The nearest thing to a service name, possibly empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")[:40].rstrip("-")


def as_resource(written: object) -> str:
    """A noun that can stand in Python, SQL and a URL."""
    text = str(written).strip()
    if not RESOURCE.fullmatch(text) or len(text) > RESOURCE_LENGTH:
        hint = re.sub(r"[^a-z]+", "_", text.lower()).strip("_")
        suggestion = f"; did you mean {hint!r}?" if hint and hint != text else ""
        raise AnswerError(f"{text!r} cannot name a table; accepted: {A_NOUN}{suggestion}")
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
            raise AnswerError(unknown(word, [str(r) for r in Regime], "compliance regime"))
        found.append(word)
    return tuple(dict.fromkeys(found))


def as_place(written: object) -> str:
    """Where data must stay: a word such as a region or a union of states; empty: anywhere."""
    text = str(written).strip().lower()
    if text and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", text):
        raise AnswerError(f"{written!r} is not a place; accepted: {A_PLACE}")
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
        raise AnswerError(f"{text!r} is not a path; accepted: {A_PATH}")
    return text


def one_of(*accepted: str) -> Callable[[object], str]:
    """A choice."""

    def parse(written: object) -> str:
        text = str(written).strip().lower()
        if text not in accepted:
            raise AnswerError(unknown(text, accepted, "choice"))
        return text

    return parse


def unknown(word: str, known: Sequence[str], kind: str) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    suggestion = f"did you mean {near[0]!r}? " if near else ""
    return f"{word!r} is not a {kind}; {suggestion}accepted: {', '.join(known)}"
