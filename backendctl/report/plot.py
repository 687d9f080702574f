"""SVG plots: lines over time, and measured intervals against their limits.

Colours are classes (`c1` ... `c6`, `good`, `bad`, `unsure`) of the page's style sheet. Each plot
carries its title and a description for those who cannot see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from backendctl.report.scale import Scale, extent, log_ticks, nice_ticks, number

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 26, 40
LETTER = 6.8
"""Width of an average letter at the plots' font size."""

Tone = Literal["good", "bad", "unsure", "plain"]
Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One line. A point without a value is a gap."""

    name: str
    points: Sequence[Point]
    colour: int = 1
    """1 to 6."""
    dashed: bool = False
    step: bool = False
    """Hold each value until the next, as weights and offered rates do."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit, drawn across."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time with a name."""

    start: float
    end: float
    label: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with a name, drawn as an upright line."""

    at: float
    label: str
    tone: Tone = "plain"


def line_plot(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    rules: Sequence[Rule] = (),
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
    log_y: bool = False,
    x_ticks: Sequence[tuple[float, str]] | None = None,
    y_high: float | None = None,
    describe: str = "",
) -> Markup:
    """Lines over a common axis. `x_ticks` gives positions and labels where even steps do not do."""
    xs = [x for s in series for x, _ in s.points]
    ys = [y for s in series for _, y in s.points if y is not None]
    ys += [r.value for r in rules]
    if log_y:
        ys = [y for y in ys if y > 0] or [1.0]
        y_ticks = log_ticks(*extent(ys))
    else:
        y_ticks = nice_ticks(0.0, y_high if y_high is not None else extent(ys)[1] * 1.05)
    x_low, x_high = extent(xs)
    shown = list(x_ticks or [(t, number(t)) for t in nice_ticks(x_low, x_high, 8) if t <= x_high])
    legend_rows = _legend_rows(series)
    top = TOP + 18 * legend_rows + 14
    height = HEIGHT + 18 * legend_rows
    x = Scale(x_low, max(x_high, x_low + 1e-9), LEFT, WIDTH - RIGHT)
    y = Scale(y_ticks[0], y_ticks[-1], height - BOTTOM, top, log_y)
    parts = [_bands(bands, x, y), _y_axis(y_ticks, y, y_label, top), _x_axis(shown, x, y, x_label)]
    parts += [_line(s, x, y) for s in series]
    parts += [_rule(r, y) for r in rules]
    parts += [_mark(m, x, y) for m in marks]
    parts.append(_legend(series))
    return _figure(title, describe or _summary(series, y_label), height, parts)


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """A measured value with its interval, and the limit it is held to."""

    label: str
    low: float | None
    value: float | None
    high: float | None
    limit: float
    text: str
    """The numbers in words, shown at the end of the row."""
    tone: Tone = "plain"


def interval_plot(title: str, rows: Sequence[IntervalRow]) -> Markup:
    """Each interval as a share of its limit; the limit is the same upright line for all."""
    row_height, label_width, text_width = 30, 150, 210
    height = 44 + row_height * len(rows)
    shares = [v / r.limit for r in rows for v in (r.low, r.value, r.high) if v is not None]
    most = min(3.0, max([1.25, *(s * 1.08 for s in shares)]))
    x = Scale(0.0, most, label_width, WIDTH - text_width)
    bottom = height - 22
    parts = [
        Markup('<line class="grid" x1="{0}" x2="{0}" y1="8" y2="{1}"/>').format(x.at(0), bottom),
        Markup('<line class="rule" x1="{0}" x2="{0}" y1="8" y2="{1}"/>').format(x.at(1), bottom),
        _text(x.at(1), height - 7, "limit", "middle", "tick"),
        _text(x.at(0), height - 7, "0", "middle", "tick"),
    ]
    for i, row in enumerate(rows):
        middle = 8 + row_height * (i + 0.5)
        parts.append(_text(label_width - 12, middle + 4, row.label, "end", "label"))
        parts.append(_text(WIDTH - text_width + 12, middle + 4, row.text, "start", "tick"))
        if row.value is None:
            continue
        low = x.at((row.low if row.low is not None else 0.0) / row.limit)
        high = x.at(row.high / row.limit if row.high is not None else most)
        parts.append(
            Markup('<line class="whisker {}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                row.tone, low, max(high, low + 0.5), middle, middle
            )
        )
        parts.append(
            Markup('<circle class="dot {}" cx="{}" cy="{}" r="4.5"/>').format(
                row.tone, x.at(row.value / row.limit), middle
            )
        )
    describe = "; ".join(f"{row.label}: {row.text}" for row in rows)
    return _figure(title, describe, height, parts)


# --- parts --------------------------------------------------------------------------------------


def _figure(title: str, describe: str, height: float, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<figure class="plot"><figcaption>{}</figcaption>'
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg></figure>'
    ).format(title, WIDTH, height, f"{title}. {describe}", Markup("").join(parts))


def _text(x: float, y: float, words: str, anchor: str, kind: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>').format(
        round(x, 1), round(y, 1), anchor, kind, words
    )


def _y_axis(ticks: Sequence[float], y: Scale, label: str, top: float) -> Markup:
    parts = [_text(6, top - 22, label, "start", "tick")]
    for tick in ticks:
        at = y.at(tick)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                LEFT, WIDTH - RIGHT, at, at
            )
        )
        parts.append(_text(LEFT - 8, at + 4, number(tick), "end", "tick"))
    return Markup("").join(parts)


def _x_axis(ticks: Sequence[tuple[float, str]], x: Scale, y: Scale, label: str) -> Markup:
    parts = []
    for at, words in ticks:
        half = LETTER * len(words) / 2
        anchor = "end" if x.at(at) + half > WIDTH else "middle"
        parts.append(_text(x.at(at), y.start + 17, words, anchor, "tick"))
    parts.append(_text(WIDTH - RIGHT, y.start + 34, label, "end", "tick"))
    return Markup("").join(parts)


def _line(series: Series, x: Scale, y: Scale) -> Markup:
    path: list[str] = []
    pen = "M"
    last = 0.0
    for at, value in series.points:
        if value is None:
            pen = "M"
            continue
        if series.step and pen == "L":
            path.append(f"L{x.at(at)} {last}")
        last = y.at(value)
        path.append(f"{pen}{x.at(at)} {last}")
        pen = "L"
    kind = f"line c{series.colour}" + (" dashed" if series.dashed else "")
    return Markup('<path class="{}" d="{}"/>').format(kind, " ".join(path))


def _rule(rule: Rule, y: Scale) -> Markup:
    at = y.at(rule.value)
    line = Markup('<line class="rule" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        LEFT, WIDTH - RIGHT, at, at
    )
    # Above the line, unless that is where the names of the bands stand.
    below = at - y.end < 14
    return line + _text(
        WIDTH - RIGHT - 4, at + (13 if below else -5), rule.label, "end", "rule-label"
    )


def _bands(bands: Sequence[Band], x: Scale, y: Scale) -> Markup:
    parts = []
    free_from = 0.0
    for band in bands:
        start, end = x.at(band.start), x.at(band.end)
        shade = "strong" if band.strong else ""
        parts.append(
            Markup('<rect class="band {}" x="{}" y="{}" width="{}" height="{}"/>').format(
                shade, start, y.end, round(max(0.0, end - start), 2), round(y.start - y.end, 2)
            )
        )
        width = LETTER * len(band.label)
        middle = (start + end) / 2
        if middle - width / 2 >= free_from:
            parts.append(_text(middle, y.end - 5, band.label, "middle", "band-label"))
            free_from = middle + width / 2 + 6
    return Markup("").join(parts)


def _mark(mark: Mark, x: Scale, y: Scale) -> Markup:
    at = x.at(mark.at)
    line = Markup('<line class="mark {}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        mark.tone, at, at, y.end, y.start
    )
    anchor = "end" if at > WIDTH * 0.8 else "start"
    return line + _text(at + (-4 if anchor == "end" else 4), y.end - 5, mark.label, anchor, "tick")


def _legend_rows(series: Sequence[Series]) -> int:
    return 1 + int(sum(34 + LETTER * len(s.name) for s in series) // (WIDTH - LEFT - RIGHT))


def _legend(series: Sequence[Series]) -> Markup:
    parts = []
    at, row = float(LEFT), 0
    for each in series:
        width = 34 + LETTER * len(each.name)
        if at + width > WIDTH - RIGHT and at > LEFT:
            at, row = float(LEFT), row + 1
        height = 12 + 18 * row
        kind = f"line c{each.colour}" + (" dashed" if each.dashed else "")
        parts.append(
            Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                kind, at, at + 18, height, height
            )
        )
        parts.append(_text(at + 23, height + 4, each.name, "start", "label"))
        at += width
    return Markup("").join(parts)


def _summary(series: Sequence[Series], unit: str) -> str:
    said = []
    for each in series:
        values = [v for _, v in each.points if v is not None]
        if values:
            said.append(f"{each.name} from {number(min(values))} to {number(max(values))}")
    return "; ".join(said) + f" ({unit})"
