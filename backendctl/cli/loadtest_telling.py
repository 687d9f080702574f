"""What `backendctl loadtest run` says on its way, and why it ends as it does."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from backendctl.cli.contract import Output, Session
from backendctl.errors import BackendctlError

if TYPE_CHECKING:
    from backendctl.loadtest.conductor import Progress
    from backendctl.loadtest.results import LoadTestResult
    from backendctl.spec.model import Slo


class Teller:
    """Tells once a second how it goes, and once that a hold goes on."""

    def __init__(self, session: Session, say: Callable[[str], None]) -> None:
        self._session = session
        self._say = say
        self._told: set[str] = set()

    def __call__(self, progress: "Progress") -> None:
        self._session.emit("loadtest.progress", progress.to_data())
        if self._session.output is Output.JSONL:
            return
        if progress.extended_s and progress.stage not in self._told:
            self._told.add(progress.stage)
            self._session.line(
                f"{progress.stage}: undecided, goes on for {progress.extended_s:.1f} s more"
            )
        p95 = "-" if progress.p95_ms is None else f"{progress.p95_ms:,.1f} ms"
        self._say(
            f"{progress.stage}, {progress.remaining:.0f} s left: {progress.rps:,.0f}/s, "
            f"{progress.errors} errors, p95 {p95}, {progress.in_flight} in flight"
        )


def limits_of_errors(slo: "Slo") -> str:
    """Which of the two shares of errors in backend.toml was the measure."""
    from backendctl.spec.units import FRACTION

    return (
        f"Errors: release limit {FRACTION.render(slo.error_rate)} (rollout and load test; "
        f"slo.error_rate), promise {FRACTION.render(slo.availability)}."
    )


def refusal(result: "LoadTestResult", *, tabled: bool) -> BackendctlError | None:
    """Why the exit status is not 0; the reasons only where no text above has `tabled` them."""
    from backendctl.loadtest.verdict import Result

    if result.result is Result.PASS:
        return None
    if result.result is Result.INCONCLUSIVE:
        return _undecided(result, tabled=tabled)
    reasons = "" if tabled else "; ".join(result.verdict.reasons)
    look = f"backendctl loadtest report {result.id}"
    if result.result is Result.FAIL:
        return BackendctlError(
            "loadtest.slo",
            "the service broke a promise at twice its expected peak",
            cause=reasons,
            next=("backendctl logs",) if tabled else (look, "backendctl logs"),
        )
    return BackendctlError(
        "loadtest.invalid",
        "the load test's measurement cannot be trusted",
        cause=reasons,
        next=(look,),
    )


def _undecided(result: "LoadTestResult", *, tabled: bool) -> BackendctlError:
    from backendctl.loadtest.enough import hold_needed
    from backendctl.spec.units import DURATION

    needed = hold_needed(result.profile.stages, result.measurement, result.verdict)
    if needed is None:
        estimate = "the numbers lie so near the promise that no hold of up to an hour decides"
        following = ("backendctl advise",)
    else:
        written = DURATION.render(needed)
        estimate = f"a hold of {written} decides, if the rest goes as these requests did"
        following = (f"--hold {written}",)
    return BackendctlError(
        "loadtest.inconclusive",
        "the load test was too short to decide",
        cause="; ".join([*(() if tabled else result.verdict.reasons), estimate]),
        next=following,
    )
