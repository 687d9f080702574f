"""The result as one self-contained page."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from backendctl.loadtest.intervals import LOOK_RISK
from backendctl.loadtest.measurement import StageMeasurement
from backendctl.loadtest.profile import Loop, Stage
from backendctl.loadtest.reports.words import (
    NAMES,
    TONES,
    extensions,
    headline,
    interval,
    milliseconds,
    percent,
    plural,
    quantity,
)
from backendctl.loadtest.results import LoadTestResult
from backendctl.loadtest.verdict import CPU_LIMIT, Check, Result, lag_limit
from backendctl.report.page import Cell, Fact, Page, Section, Table, render
from backendctl.report.plot import (
    Band,
    IntervalRow,
    Rule,
    Series,
    interval_plot,
    line_plot,
)

TICKS = (0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
QUANTILES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999)


def html(result: LoadTestResult) -> str:
    """The page of one load test."""
    return render(
        Page(
            title=f"Load test of {result.environment}, {_date(result.began)}",
            verdict=headline(result),
            tone="unsure" if result.result is Result.INVALID else TONES[result.result],
            summary=_summary(result),
            facts=_facts(result),
            sections=[_promises(result), _over_time(result), _distribution(result)]
            + [_operations(result), _generator(result)]
            + ([_left_out(result)] if result.left_out else []),
            details=_details(result),
        )
    )


def _date(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _summary(result: LoadTestResult) -> list[str]:
    load = (
        f"Offered {result.offered_rps:,.1f} requests/s, twice the expected peak of "
        f"{result.profile.peak_rps:,.1f}; {plural(result.requests, 'request')} in all."
    )
    return [load, *(reason[:1].upper() + reason[1:] + "." for reason in result.verdict.reasons)]


def _facts(result: LoadTestResult) -> list[Fact]:
    limits = result.profile.limits
    facts = []
    found = result.stage("hold") or result.stage("closed hold")
    by_name = {c.name: c for c in result.verdict.checks if found and c.stage == found[0].name}
    for name, label in (("p95", "95th percentile"), ("p99", "99th percentile")):
        check = by_name.get(name)
        if check is not None:
            limit = limits.p95 if name == "p95" else limits.p99
            note = f"limit {milliseconds(limit)}"
            facts.append(Fact(label, milliseconds(check.value), note, TONES[check.result]))
    check = by_name.get("errors")
    if check is not None:
        note = f"limit {percent(limits.error_rate)}"
        facts.append(Fact("Errors", percent(check.value), note, TONES[check.result]))
    facts.append(
        Fact("Sent", f"{result.achieved_rps:,.1f}/s", f"of {result.offered_rps:,.1f}/s meant to be")
    )
    if result.knee_rps is not None:
        facts.append(Fact("Held up to", f"{result.knee_rps:,.0f}/s", "stress test"))
    return facts


def _promises(result: LoadTestResult) -> Section:
    checks = result.verdict.checks
    rows = [
        IntervalRow(
            f"{c.stage}: {c.name}", c.low, c.value, c.high, c.limit, _short(c), TONES[c.result]
        )
        for c in checks
    ]
    table = Table(
        f"The true value lies under the interval's upper end with {1 - LOOK_RISK:.1%} certainty; "
        "? marks an end that needs more requests to be told.",
        ("stage", "promise", "measured", "from", "to", "limit", "requests", "result"),
        [
            [
                c.stage,
                NAMES[c.name],
                *(Cell(quantity(c, v), numeric=True) for v in (c.value, c.low, c.high, c.limit)),
                Cell(f"{c.requests:,}", numeric=True),
                Cell(c.result.value, TONES[c.result]),
            ]
            for c in checks
        ],
    )
    plots = [interval_plot("Measured interval as a share of its limit", rows)] if rows else []
    tables = [table] if checks else []
    return Section("Promises", text=extensions(result), plots=plots, tables=tables)


def _short(check: Check) -> str:
    return f"{interval(check)}"


# --- over time -----------------------------------------------------------------------------------


def _begun(result: LoadTestResult) -> Iterator[tuple[int, Stage, StageMeasurement, float, float]]:
    """Stages that ran, with their beginning and end in seconds since the first."""
    spans = result.measurement.spans
    first = min((began for began, _ in spans.values()), default=0.0)
    for index, stage in enumerate(result.profile.stages):
        found = result.measurement.stages.get(index)
        if found is not None and index in spans:
            began, ended = spans[index]
            yield index, stage, found, began - first, ended - first


def _over_time(result: LoadTestResult) -> Section:
    quantiles: dict[float, list[tuple[float, float | None]]] = {0.5: [], 0.95: [], 0.99: []}
    offered: list[tuple[float, float | None]] = []
    answered: list[tuple[float, float | None]] = []
    failed: list[tuple[float, float | None]] = []
    bands = []
    for _, stage, found, began, ended in _begun(result):
        bands.append(Band(began, ended, stage.name, strong=stage.judged))
        if stage.loop is Loop.OPEN:
            offered += [(began, stage.from_rate), (ended, stage.to_rate)]
        else:
            offered.append((began, None))
        for number in sorted(found.seconds):
            width = min(1.0, ended - began - number)
            if width < 0.3:
                continue  # too short a piece of a second to be a rate
            at = began + number + width / 2
            second = found.seconds[number]
            response = second.response
            for q, points in quantiles.items():
                points.append((at, response.quantile(q) * 1000 if response.count else None))
            answered.append((at, (second.count - second.errors) / width))
            failed.append((at, second.errors / width))
    rates = [
        Series("meant to be sent", offered, colour=5, dashed=True),
        Series("answered well", answered, colour=1),
        Series("failed", failed, colour=6),
    ]
    limits = result.profile.limits
    latencies = [
        Series(name, quantiles[q], colour=c)
        for q, name, c in ((0.5, "p50", 3), (0.95, "p95", 1), (0.99, "p99", 2))
    ]
    plots = [
        line_plot(
            "Response time, from the moment each request was due",
            latencies,
            x_label="seconds",
            y_label="ms",
            log_y=True,
            bands=bands,
            rules=[
                Rule(limits.p95 * 1000, f"p95 limit {milliseconds(limits.p95)}"),
                Rule(limits.p99 * 1000, f"p99 limit {milliseconds(limits.p99)}"),
            ],
        ),
        line_plot(
            "Requests per second", rates, x_label="seconds", y_label="requests/s", bands=bands
        ),
    ]
    text = ["Shaded stages are the ones that are judged."]
    return Section("Over time", text=text, plots=plots if answered else [])


def _distribution(result: LoadTestResult) -> Section:
    """Latency by percentile; even steps of `one in 10, 100, 1000`."""
    series = []
    shown = {"hold": 1, "closed hold": 3, "soak": 4, "spike": 2}
    for _, stage, found, _, _ in _begun(result):
        if stage.name not in shown:
            continue
        colour = shown[stage.name]
        for kind, histogram, dashed in (
            (stage.name, found.response, False),
            (f"{stage.name}: from the moment sent", found.service, True),
        ):
            if histogram.count:
                series.append(
                    Series(
                        kind,
                        [
                            (_nines(q), histogram.quantile(q) * 1000)
                            for q in QUANTILES
                            if (1 - q) * histogram.count >= 0.99  # rarer than one is not seen
                        ],
                        colour,
                        dashed,
                    )
                )
    rarest = max((x for each in series for x, _ in each.points), default=0.0)
    ticks = [(_nines(q), f"{q * 100:g} %") for q in TICKS if _nines(q) <= rarest]
    text = [
        "Dashed lines count from the moment a request was really sent. Where they lie far below "
        "the full lines, the generator sent late."
    ]
    plot = line_plot(
        "Response time by percentile",
        series,
        x_label="share of requests at most this slow",
        y_label="ms",
        log_y=True,
        x_ticks=ticks,
    )
    return Section("Distribution", text=text, plots=[plot] if series else [])


def _nines(q: float) -> float:
    """0.9 -> 1, 0.99 -> 2: each step to the right is ten times as rare."""
    return -math.log10(1 - q)


# --- details -------------------------------------------------------------------------------------


def _operations(result: LoadTestResult) -> Section:
    tables = []
    for _, stage, found, _, _ in _begun(result):
        if not stage.judged:
            continue
        rows: list[Sequence[Cell | str]] = []
        for name, operation in sorted(found.operations.items()):
            response = operation.response
            quantiles = [
                milliseconds(response.quantile(q)) if response.count else "-"
                for q in (0.5, 0.95, 0.99)
            ]
            statuses = ", ".join(f"{k}: {v:,}" for k, v in sorted(operation.statuses.items()))
            rows.append(
                [
                    name,
                    Cell(f"{operation.count:,}", numeric=True),
                    Cell(
                        f"{operation.errors:,}",
                        "bad" if operation.errors else "plain",
                        numeric=True,
                    ),
                    *(Cell(q, numeric=True) for q in quantiles),
                    statuses,
                ]
            )
        head = ("operation", "requests", "errors", "p50", "p95", "p99", "statuses")
        tables.append(Table(f"In the {stage.name}", head, rows))
    return Section("Operations", tables=tables)


def _generator(result: LoadTestResult) -> Section:
    limits = result.profile.limits
    rows: list[Sequence[Cell | str]] = []
    for _, stage, found, _, _ in _begun(result):
        lag = found.lag.quantile(0.99) if found.lag.count else None
        late = lag is not None and lag > lag_limit(limits)
        rows.append(
            [
                stage.name,
                Cell(f"{found.scheduled:,}", numeric=True),
                Cell(f"{found.started:,}", numeric=True),
                Cell(milliseconds(lag), "bad" if late and stage.judged else "plain", numeric=True),
            ]
        )
    tables = [Table("Requests meant to be sent", ("stage", "due", "sent", "late, p99"), rows)]
    plots: list[Markup] = []
    first = min((began for began, _ in result.measurement.spans.values()), default=0.0)
    series = [
        Series(name, [(at - first, used) for at, used in samples if at >= first], 1 + i % 6)
        for i, (name, samples) in enumerate(sorted(result.measurement.cpu.items()))
    ]
    if any(s.points for s in series):
        plots.append(
            line_plot(
                "Processor use of the generator",
                series,
                x_label="seconds",
                y_label="% of one core",
                rules=[Rule(CPU_LIMIT, f"limit {CPU_LIMIT:.0f} %")],
                y_high=100,
            )
        )
    text = [
        "A generator that cannot keep its own schedule measures itself. It may send 1 % of "
        f"requests at most {milliseconds(lag_limit(limits))} late, must send 99 % of those due, "
        f"and may use {CPU_LIMIT:.0f} % of a core."
    ]
    return Section("Generator", text=text, plots=plots, tables=tables, folded=True)


def _left_out(result: LoadTestResult) -> Section:
    rows = [[name, reason] for name, reason in sorted(result.left_out.items())]
    table = Table("Operations of the OpenAPI document", ("operation", "why not"), rows)
    return Section("Not sent", tables=[table], folded=True)


def _details(result: LoadTestResult) -> list[tuple[str, str]]:
    profile = result.profile
    return [
        ("Test", result.id),
        ("Environment", result.environment),
        ("Target", result.target),
        ("Began", _date(result.began)),
        ("Took", f"{result.seconds:.1f} s"),
        ("Requests from", result.source),
        ("Open loop", f"Poisson arrivals at {profile.offered_rps:,.1f} requests/s"),
        (
            "Closed loop",
            f"{plural(profile.users, 'user')} who think {profile.think_time:g} s on average",
        ),
        ("Time-out", f"{profile.request_timeout:g} s"),
        ("Workers", str(profile.workers)),
        ("Seed", str(profile.seed)),
        *(("Note", note) for note in profile.notes),
    ]
