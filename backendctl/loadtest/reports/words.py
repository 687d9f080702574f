"""How numbers and verdicts of a load test are said, alike in every report."""

from backendctl.loadtest.results import LoadTestResult
from backendctl.loadtest.verdict import Check, Result
from backendctl.report.plot import Tone

TONES: dict[Result, Tone] = {
    Result.PASS: "good",
    Result.FAIL: "bad",
    Result.INCONCLUSIVE: "unsure",
    Result.INVALID: "plain",
}
HEADLINES = {
    Result.PASS: "Passed: the promises hold at twice the expected peak",
    Result.FAIL: "Failed: a promise is broken at twice the expected peak",
    Result.INCONCLUSIVE: "Inconclusive: the test was too short to decide",
    Result.INVALID: "Invalid: the measurement cannot be trusted; the service was not judged",
}
NAMES = {"p95": "95th percentile", "p99": "99th percentile", "errors": "error rate"}


def milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    ms = seconds * 1000
    digits = 2 if abs(ms) < 10 else 1 if abs(ms) < 100 else 0
    return f"{ms:,.{digits}f} ms"


def percent(fraction: float | None) -> str:
    return "?" if fraction is None else f"{fraction * 100:.2f} %"


def quantity(check: Check, value: float | None) -> str:
    """A value of the check's kind: a time, or a share."""
    return percent(value) if check.name == "errors" else milliseconds(value)


def interval(check: Check) -> str:
    """`12.1 ms (11.8 to 12.6), limit 300 ms`, with `?` for an end that could not be told."""
    return (
        f"{quantity(check, check.value)} ({quantity(check, check.low)} to "
        f"{quantity(check, check.high)})"
    )


def headline(result: LoadTestResult) -> str:
    if result.interrupted:
        return "Interrupted: what was measured until then"
    return HEADLINES[result.result]


def extensions(result: LoadTestResult) -> list[str]:
    """A sentence for each hold that went on because its own time had decided nothing."""
    return [
        f"{stage.name}: undecided after {stage.duration - stage.extended:.1f} s, so it went on for "
        f"{stage.extended:.1f} s more"
        for stage in result.profile.stages
        if stage.extended
    ]


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
