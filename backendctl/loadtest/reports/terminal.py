"""The result on a terminal."""

from typing import TYPE_CHECKING

from backendctl.loadtest.profile import Loop
from backendctl.loadtest.reports.words import (
    NAMES,
    extensions,
    headline,
    milliseconds,
    plural,
    quantity,
)
from backendctl.loadtest.results import HTML_FILE, LoadTestResult
from backendctl.loadtest.verdict import Result, lag_limit

if TYPE_CHECKING:
    from rich.console import Console

_STYLE = {
    Result.PASS: "green",
    Result.FAIL: "red",
    Result.INCONCLUSIVE: "yellow",
    Result.INVALID: "yellow",
}


def show(result: LoadTestResult, console: "Console") -> None:
    """Verdict, promises, stages and the slowest operations."""
    from rich.text import Text

    console.print(Text(headline(result), style=f"bold {_STYLE[result.result]}"))
    for said in (*result.verdict.reasons, *extensions(result)):
        console.print(f"  {said}", markup=False)
    console.print(_promises(result))
    console.print(_stages(result))
    console.print(_lateness(result))
    operations = _operations(result)
    if operations is not None:
        console.print(operations)
    for name, reason in sorted(result.left_out.items()):
        console.print(f"  not sent: {name}: {reason}", markup=False)
    if result.knee_rps is not None:
        console.print(f"The promises held up to {result.knee_rps:,.0f} requests/s.")
    console.print(f"Report: {result.folder / HTML_FILE}", markup=False, soft_wrap=True)


def _table(title: str, *columns: str):  # type: ignore[no-untyped-def]
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _promises(result: LoadTestResult):  # type: ignore[no-untyped-def]
    table = _table("Promises", "stage", "", "measured", "from", "to", "limit", "result")
    for check in result.verdict.checks:
        style = _STYLE[check.result]
        table.add_row(
            check.stage,
            NAMES[check.name],
            quantity(check, check.value),
            quantity(check, check.low),
            quantity(check, check.high),
            quantity(check, check.limit),
            f"[{style}]{check.result.value}[/]",
        )
    return table


def _stages(result: LoadTestResult):  # type: ignore[no-untyped-def]
    columns = ("stage", "load", "seconds", "sent/s", "errors", "p50", "p95", "p99")
    table = _table("Stages", *columns)
    for index, stage in enumerate(result.profile.stages):
        found = result.measurement.stages.get(index)
        if found is None:
            continue
        response = found.response
        seconds = result.measurement.seconds_of(index, stage.duration)
        load = (
            f"{stage.to_rate:,.0f}/s"
            if stage.loop is Loop.OPEN
            else f"{plural(stage.users, 'user')}"
        )
        quantiles = [
            milliseconds(response.quantile(q)) if response.count else "-" for q in (0.5, 0.95, 0.99)
        ]
        table.add_row(
            stage.name,
            load,
            f"{seconds:.1f}",
            f"{found.started / seconds:,.1f}",
            f"{found.errors:,}",
            *quantiles,
        )
    return table


def _lateness(result: LoadTestResult) -> str:
    """How well the generator kept its schedule; it bounds how far the numbers can be off."""
    allowed = milliseconds(lag_limit(result.profile.limits))
    said = [
        f"{stage.name} {milliseconds(found.lag.quantile(0.99))}"
        for index, stage in enumerate(result.profile.stages)
        if stage.judged
        and (found := result.measurement.stages.get(index)) is not None
        and found.lag.count
    ]
    return f"The generator sent 99 % no later than: {', '.join(said)} (allowed {allowed})."


def _operations(result: LoadTestResult):  # type: ignore[no-untyped-def]
    found = result.stage("hold") or result.stage("closed hold")
    if found is None:
        return None
    table = _table(f"Operations in the {found[0].name}", "operation", "requests", "errors", "p95")
    for name, operation in sorted(found[1].operations.items()):
        p95 = operation.response.quantile(0.95) if operation.response.count else None
        table.add_row(name, f"{operation.count:,}", f"{operation.errors:,}", milliseconds(p95))
    return table
