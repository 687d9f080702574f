"""Valid data for a JSON Schema, fast enough to be made for every request.

A property-testing generator looks for odd values and takes milliseconds; a load test wants
ordinary values in microseconds. The subset: types (also lists of types and `nullable`), `enum`,
`const`, `$ref` into the same document, `allOf`, the first workable of `oneOf` and `anyOf`, string
lengths, `pattern` and the common formats, numeric bounds and `multipleOf`, arrays and objects.
Not covered: `not`, `if`, `dependentRequired`, `propertyNames`, `patternProperties`. Whoever uses
a schema checks samples against a real validator first (`openapi.py` does), so that what this
subset gets wrong is left out and said, not sent.
"""

import base64
import math
import random
import string
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Make = Callable[[random.Random], Any]
Schema = Mapping[str, Any]

DEEPEST = 6
"""Below this depth only what is required is made, so that recursive schemas end."""
ENDLESS = 24
"""A schema that requires itself this deep has no finite value."""
_LETTERS = string.ascii_lowercase + string.digits
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_YEAR = 365 * 24 * 3600


class UnsupportedError(ValueError):
    """The schema asks for something this generator does not make."""


def compile_schema(schema: Schema | bool, root: Mapping[str, Any]) -> Make:
    """A function that makes values of the schema; `root` is the document that `$ref`s point into.

    Raises UnsupportedError.
    """
    return _Compiler(root).make(schema, 0)


class _Compiler:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def make(self, schema: Schema | bool, depth: int) -> Make:
        if depth > ENDLESS:
            raise UnsupportedError("a schema that requires itself without end")
        if isinstance(schema, bool):
            schema = {}
        schema = self._flat(schema)
        if "const" in schema:
            return _constant(schema["const"])
        if schema.get("enum"):
            return _choice(list(schema["enum"]))
        for key in ("oneOf", "anyOf"):
            if schema.get(key):
                return self._first_workable(schema, key, depth)
        kind = _type_of(schema)
        match kind:
            case "string":
                return _string(schema)
            case "integer":
                return _integer(schema)
            case "number":
                return _number(schema)
            case "boolean":
                return lambda rng: rng.random() < 0.5
            case "null":
                return _constant(None)
            case "array":
                return self._array(schema, depth)
            case "object":
                return self._object(schema, depth)
        raise UnsupportedError(f"type {kind!r}")

    def _flat(self, schema: Schema) -> dict[str, Any]:
        """Follow `$ref` and merge `allOf`, so that one mapping holds everything."""
        merged: dict[str, Any] = {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
        parts = [self.resolve(schema["$ref"])] if "$ref" in schema else []
        for part in [*parts, *schema.get("allOf", ())]:
            flat = self._flat(part)
            properties = {**flat.get("properties", {}), **merged.get("properties", {})}
            required = [*flat.get("required", ()), *merged.get("required", ())]
            merged = {**flat, **merged}
            if properties:
                merged["properties"] = properties
            if required:
                merged["required"] = required
        return merged

    def resolve(self, reference: str) -> Schema:
        if not reference.startswith("#/"):
            raise UnsupportedError(f"a reference into another document ({reference})")
        found: Any = self._root
        for word in reference[2:].split("/"):
            word = word.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or word not in found:
                raise UnsupportedError(f"a reference to nothing ({reference})")
            found = found[word]
        if not isinstance(found, Mapping):
            raise UnsupportedError(f"a reference to something that is no schema ({reference})")
        return found

    def _first_workable(self, schema: Schema, key: str, depth: int) -> Make:
        base = {k: v for k, v in schema.items() if k not in ("oneOf", "anyOf")}
        options = sorted(schema[key], key=_is_null)
        problem = UnsupportedError(f"an empty {key}")
        for option in options:
            try:
                return self.make({"allOf": [base, option]}, depth + 1)
            except UnsupportedError as error:
                problem = error
        raise problem

    def _array(self, schema: Schema, depth: int) -> Make:
        least = int(schema.get("minItems", 0))
        most = min(int(schema.get("maxItems", max(3, least))), max(3, least))
        if depth >= DEEPEST:
            most = least
        if most == 0:
            return lambda _: []
        item = self.make(schema.get("items", {}), depth + 1)
        unique = bool(schema.get("uniqueItems"))

        def make(rng: random.Random) -> list[Any]:
            made: list[Any] = []
            wanted = rng.randint(least, most)
            for _ in range(20 * wanted):  # enough draws for distinct items, but not for ever
                if len(made) == wanted:
                    break
                value = item(rng)
                if not unique or value not in made:
                    made.append(value)
            return made

        return make

    def _object(self, schema: Schema, depth: int) -> Make:
        required = set(schema.get("required", ()))
        always: list[tuple[str, Make]] = []
        sometimes: list[tuple[str, Make]] = []
        properties: Mapping[str, Any] = schema.get("properties", {})
        for name in sorted(required - set(properties)):
            properties = {**properties, name: schema.get("additionalProperties", {})}
        for name, part in properties.items():
            if self._read_only(part):
                continue
            if name in required:
                always.append((name, self.make(part, depth + 1)))
            elif depth < DEEPEST:
                try:
                    sometimes.append((name, self.make(part, depth + 1)))
                except UnsupportedError:
                    continue  # optional: leaving it out is valid

        def make(rng: random.Random) -> dict[str, Any]:
            made = {name: value(rng) for name, value in always}
            for name, value in sometimes:
                if rng.random() < 0.5:
                    made[name] = value(rng)
            return made

        return make

    def _read_only(self, part: Schema | bool) -> bool:
        return isinstance(part, Mapping) and bool(self._flat(part).get("readOnly"))


# --- plain values -------------------------------------------------------------------------------


def _constant(value: Any) -> Make:
    return lambda _: value


def _choice(values: Sequence[Any]) -> Make:
    return lambda rng: values[int(rng.random() * len(values))]


def _is_null(schema: Schema | bool) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind:
        return str(kind)
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema:
        return "array"
    if {"minimum", "maximum", "multipleOf"} & schema.keys():
        return "number"
    return "string"


def _string(schema: Schema) -> Make:
    if "pattern" in schema:
        return _pattern(schema)
    form = str(schema.get("format", ""))
    if form in _FORMATS:
        return _FORMATS[form]
    if form == "binary":
        raise UnsupportedError("binary content")
    least = int(schema.get("minLength", 0))
    most = schema.get("maxLength")
    # Long enough not to repeat: a load test that trips over unique constraints tests little else.
    length = max(least, 12) if most is None else max(least, min(12, int(most)))
    return lambda rng: "".join(rng.choices(_LETTERS, k=length))


def _pattern(schema: Schema) -> Make:
    import re

    import rstr

    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    pattern = str(schema["pattern"])
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UnsupportedError(f"the pattern {pattern!r} ({error})") from error

    def make(rng: random.Random) -> str:
        generator = rstr.Rstr(rng)
        value = ""
        for _ in range(50):
            value = str(generator.xeger(pattern))
            fits = len(value) >= least and (most is None or len(value) <= int(most))
            if fits and expression.search(value):
                break
        return value

    return make


def _moment(rng: random.Random) -> datetime:
    return _EPOCH + timedelta(seconds=int(rng.random() * _YEAR))


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(_LETTERS, k=12))


_FORMATS: Mapping[str, Make] = {
    "date": lambda rng: _moment(rng).date().isoformat(),
    "date-time": lambda rng: _moment(rng).isoformat().replace("+00:00", "Z"),
    "time": lambda rng: _moment(rng).strftime("%H:%M:%SZ"),
    "duration": lambda rng: f"PT{rng.randint(1, 3600)}S",
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "email": lambda rng: f"{_word(rng)}@example.com",
    "idn-email": lambda rng: f"{_word(rng)}@example.com",
    "hostname": lambda rng: f"{_word(rng)}.example.com",
    "uri": lambda rng: f"https://example.com/{_word(rng)}",
    "url": lambda rng: f"https://example.com/{_word(rng)}",
    "uri-reference": lambda rng: f"/{_word(rng)}",
    "ipv4": lambda rng: f"192.0.2.{rng.randint(1, 254)}",
    "ipv6": lambda rng: f"2001:db8::{rng.randint(1, 0xFFFF):x}",
    "byte": lambda rng: base64.b64encode(_word(rng).encode()).decode(),
}


def _bounds(schema: Schema, step: float) -> tuple[float | None, float | None]:
    """Both ends, included; `exclusive...` as OpenAPI 3.0 (a flag) or 3.1 (a number) writes it."""
    low, high = schema.get("minimum"), schema.get("maximum")
    for key, sign in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)):
        value = schema.get(key)
        if value is True:
            value = low if sign > 0 else high
        if isinstance(value, bool) or value is None:
            continue
        inside = value + sign * step
        if sign > 0:
            low = inside if low is None else max(low, inside)
        else:
            high = inside if high is None else min(high, inside)
    return low, high


def _span(low: float | None, high: float | None, width: float) -> tuple[float, float]:
    if low is None and high is None:
        return 1, width
    if low is not None:
        return low, low + width if high is None else high
    high = high or 0
    return high - width, high


def _multiple(rng: random.Random, first: int, last: int, multiple: float) -> float:
    """A multiple that binary fractions also hold to be one: 932.55 / 0.05 is no whole number."""
    value = 0.0
    for _ in range(20):
        value = round(rng.randint(first, last) * multiple, 9)
        if (value / multiple).is_integer():
            break
    return value


def _integer(schema: Schema) -> Make:
    low, high = _span(*_bounds(schema, 1), 1000)
    multiple = schema.get("multipleOf", 1)
    if multiple != int(multiple):
        raise UnsupportedError(f"an integer that is a multiple of {multiple}")
    first, last = math.ceil(low / multiple), math.floor(high / multiple)
    if first > last:
        raise UnsupportedError("bounds that no integer meets")
    return lambda rng: rng.randint(first, last) * int(multiple)


def _number(schema: Schema) -> Make:
    low, high = _span(*_bounds(schema, 1e-3), 1000)
    multiple = schema.get("multipleOf")
    if low > high:
        raise UnsupportedError("bounds that no number meets")
    if multiple:
        first, last = math.ceil(low / multiple), math.floor(high / multiple)
        return lambda rng: _multiple(rng, first, last, multiple)
    # Two decimals where the bounds leave room: amounts of money are the common case.
    digits = 2 if high - low >= 1 else 9
    return lambda rng: min(high, max(low, round(rng.uniform(low, high), digits)))
