"""Quantities as people write them ("300ms", "99.9%", "2 GiB", "200/s") and as they are held.

Each `Unit` is the one definition of how a kind of quantity is written: what it accepts, the
pattern by which an editor checks it, how it is parsed and how it is written back. Parsing goes
through decimal numbers, so "99.9%" is held as exactly the number that 0.999 is.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"

# Longest first where one name begins another ("m" and "ms" must not be confused when scanning).
_SECONDS: Mapping[str, Decimal] = {
    "w": Decimal(604800),
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
    "us": Decimal("0.000001"),
}
_BYTES: Mapping[str, int] = {
    "TiB": 1 << 40,
    "GiB": 1 << 30,
    "MiB": 1 << 20,
    "KiB": 1 << 10,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "kB": 10**3,
    "B": 1,
}
_PER: Mapping[str, int] = {"s": 1, "min": 60, "h": 3600, "day": 86400}
_MULTIPLES: Mapping[str, int] = {"": 1, "k": 10**3, "M": 10**6}


class UnitError(ValueError):
    """A quantity that is not written as its unit accepts."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How one kind of quantity is written and held."""

    name: str
    """What it is, with its article: "a duration"."""
    accepted: str
    """For a person: what may be written, with examples."""
    pattern: str
    """Regular expression (valid in Python and in JSON Schema) of the written form."""
    parse_text: Callable[[str], float]
    render: Callable[[float], str]
    """The shortest written form; parsing it gives the same number back."""
    plain: bool
    """Whether a bare number says unambiguously what is meant."""
    whole: bool = False
    """Held as an int."""
    most: float | None = None

    def parse(self, written: object) -> float:
        """The held number. Raises UnitError saying what is accepted."""
        if isinstance(written, bool) or not isinstance(written, str | int | float):
            raise UnitError(f"not {self.name}")
        if isinstance(written, str):
            if not re.fullmatch(self.pattern, written.strip()):
                raise UnitError(f"not {self.name}")
            value = self.parse_text(written.strip())
        elif not self.plain and written != 0:
            raise UnitError("a bare number has no unit")
        else:
            value = written
        return self.hold(value)

    def hold(self, value: float) -> float:
        """`value` checked for its range and in the type it is held in. Raises UnitError."""
        if not 0 <= value < float("inf"):
            raise UnitError("a negative or endless quantity")
        if self.most is not None and value > self.most:
            raise UnitError("out of range")
        if self.whole:
            if value != int(value):
                raise UnitError("not a whole number")
            return int(value)
        return float(value)


def _alternatives(names: Mapping[str, object]) -> str:
    return "|".join(sorted((n for n in names if n), key=len, reverse=True))


def _parse_duration(text: str) -> float:
    parts = re.findall(rf"({_NUMBER})\s*({_alternatives(_SECONDS)})(?![a-z])", text)
    return float(sum((Decimal(n) * _SECONDS[unit] for n, unit in parts), Decimal(0)))


def _plain(value: Decimal) -> str:
    """A decimal number without exponent and without idle zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _render_duration(seconds: float) -> str:
    exact = Decimal(repr(float(seconds)))
    if exact == 0:
        return "0s"
    if exact >= 60 and exact == exact.to_integral_value():
        return _compound(exact)
    unit = "us" if exact < _SECONDS["ms"] else "ms" if exact < 1 else "s"
    return f"{_plain(exact / _SECONDS[unit])}{unit}"


def _compound(seconds: Decimal) -> str:
    """Whole seconds as "1h30m"; parts that are zero are left out."""
    out, rest = "", seconds
    for name in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _SECONDS[name])
        out += f"{count}{name}" if count else ""
    return out


def _parse_fraction(text: str) -> float:
    return float(Decimal(text.removesuffix("%").strip()) / 100)


def _render_fraction(fraction: float) -> str:
    return f"{_plain(Decimal(repr(fraction)) * 100)}%"


def _parse_size(text: str) -> float:
    number, unit = _split(text)
    by_lower = {name.lower(): size for name, size in _BYTES.items()}
    by_lower |= {name.removesuffix("B").lower(): n for name, n in _BYTES.items() if "i" in name}
    return _whole(Decimal(number) * by_lower[unit.lower()])


def _whole(value: Decimal) -> float:
    return int(value) if value == value.to_integral_value() else float(value)


def _render_size(size: float) -> str:
    for name, unit in sorted(_BYTES.items(), key=lambda item: -item[1]):
        if size and size % unit == 0:
            return f"{int(size) // unit} {name}"
    return f"{int(size)} B"


def _parse_rate(text: str) -> float:
    number, per = re.split(r"\s*(?:/|rps\b)\s*", text, maxsplit=1)
    return float(_multiple(number) / _PER[per or "s"])


def _render_rate(rate: float) -> str:
    return f"{_plain(Decimal(repr(float(rate))))}/s"


def _multiple(text: str) -> Decimal:
    number, unit = _split(text.replace("_", ""))
    return Decimal(number) * _MULTIPLES[unit]


def _split(text: str) -> tuple[str, str]:
    found = re.fullmatch(rf"({_NUMBER})\s*([A-Za-z]*)", text.strip())
    if found is None:  # the unit's own pattern has let through what its parser does not know
        raise UnitError("not a number with a unit")
    return found.group(1), found.group(2)


def _parse_count(text: str) -> float:
    return _whole(_multiple(text))


def _render_count(count: float) -> str:
    return str(int(count))


def _ignoring_case(names: Mapping[str, object]) -> str:
    """Alternatives in either case, spelled out: JSON Schema's patterns have no flag for it."""
    return "|".join(
        "".join(f"[{c.upper()}{c.lower()}]" for c in name)
        for name in sorted(names, key=len, reverse=True)
    )


_DURATION_PART = rf"{_NUMBER} ?(?:{_alternatives(_SECONDS)})"
_SIZE_NAMES: Mapping[str, object] = {
    **_BYTES,
    **{name.removesuffix("B"): None for name in _BYTES if "i" in name},
}

DURATION = Unit(
    name="a duration",
    accepted='a number with a unit, such as "300ms", "5s", "5m", "1h30m" or "7d"',
    pattern=rf"^{_DURATION_PART}(?: ?{_DURATION_PART})*$",
    parse_text=_parse_duration,
    render=_render_duration,
    plain=False,
)
FRACTION = Unit(
    name="a fraction",
    accepted='a percentage such as "99.9%", or a number from 0 to 1 such as 0.999',
    pattern=rf"^{_NUMBER} ?%$",
    parse_text=_parse_fraction,
    render=_render_fraction,
    plain=True,
    most=1.0,
)
GROWTH = Unit(
    name="a yearly growth",
    accepted='a percentage such as "40%" or "250%", or a number such as 0.4',
    pattern=rf"^{_NUMBER} ?%$",
    parse_text=_parse_fraction,
    render=_render_fraction,
    plain=True,
    most=100.0,
)
SIZE = Unit(
    name="a size",
    accepted='a number with a unit of bytes, such as "500 MB", "2 GiB" or "1.5 TB"',
    pattern=rf"^{_NUMBER} ?(?:{_ignoring_case(_SIZE_NAMES)})$",
    parse_text=_parse_size,
    render=_render_size,
    plain=False,
    whole=True,
)
RATE = Unit(
    name="a rate",
    accepted='requests per second as a number, or "200/s", "200 rps", "12k/min", "500/h"',
    pattern=rf"^{_NUMBER} ?[kM]? ?(?:rps|/ ?(?:{_alternatives(_PER)}))$",
    parse_text=_parse_rate,
    render=_render_rate,
    plain=True,
)
COUNT = Unit(
    name="a whole number",
    accepted='a whole number such as 5000, 5_000 or "5k"',
    pattern=r"^[0-9][0-9_]*(?:\.[0-9]+)? ?[kM]?$",
    parse_text=_parse_count,
    render=_render_count,
    plain=True,
    whole=True,
)
PERCENT = Unit(
    name="a share of traffic",
    accepted='a whole percentage such as 25 or "25%"',
    pattern=r"^[0-9]+ ?%$",
    parse_text=lambda text: int(text.removesuffix("%")),
    render=lambda percent: f"{int(percent)}%",
    plain=True,
    whole=True,
    most=100.0,
)
UNITS: tuple[Unit, ...] = (DURATION, FRACTION, GROWTH, SIZE, RATE, COUNT, PERCENT)
