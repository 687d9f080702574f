"""What one metric's processes say together at this moment."""

import math
from dataclasses import dataclass

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.evidence import Evidence
from backendctl.rollout.verdict.guards import has_aged
from backendctl.rollout.verdict.plan import Metric, Plan
from backendctl.rollout.verdict.power import requests_to_certify
from backendctl.rollout.verdict.processes import NEVER, log, log_mean_exp, log_sum_exp
from backendctl.rollout.verdict.track import Fail, Track


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric's evidence, read off the processes. Logs are natural."""

    metric: Metric
    track: Track
    fail_relative: float
    """log of the weighted evidence against the candidate from the comparison with stable."""
    fail_absolute: float
    """The same from the comparison with the limit; nothing while stable breaks the limit too."""
    fail_raw: float
    """Both together, without the speed limit."""
    stable_breaks: bool
    certificate: float
    """log of the certificate; passes at log(1/beta). 0 where none is asked for."""
    certificate_relative: float
    certificate_absolute: float
    relative_suspended: str
    """Why the relative certificate does not count now; empty when it does."""

    @property
    def fail(self) -> float:
        return log_sum_exp((self.fail_relative, self.fail_absolute))

    @property
    def endpoint(self) -> int | None:
        """The endpoint that is the trouble: one that says about as much against the candidate as
        the whole service's sums do, or more; None where failures are all over the service."""
        place = self.track.endpoints.worst()
        if place is None:
            return None
        alone = log_mean_exp(self.track.endpoints.parts[0].raw[place])
        whole = log_mean_exp(self.track.fail[0].relative_raw)
        return place if alone >= default.CONCENTRATED * whole else None


def read(plan: Plan, metric: Metric, track: Track) -> Reading:
    """Combine one metric's processes."""
    stable_log = log_mean_exp(track.stable_absolute) if track.stable_absolute else 0.0
    seen_stable = plan.has_stable and track.background.requests > 0
    stable_breaks = seen_stable and stable_log > math.log(default.STABLE_BREAKS)
    shares = plan.shares[: len(track.fail)]
    unspent = math.fsum(plan.shares[len(track.fail) :])

    def mixed(relative: bool, raw: bool) -> float:
        weight = metric.relative_weight if relative else metric.absolute_weight
        if weight <= 0.0:
            return NEVER
        logs = [
            log(share) + _part(metric, track, place, relative, raw)
            for place, share in enumerate(shares)
        ]
        return log(weight) + log_sum_exp([*logs, log(unspent)])

    fail_relative = mixed(relative=True, raw=False)
    fail_absolute = NEVER if stable_breaks else mixed(relative=False, raw=False)
    if _unlimited(track):
        fail_raw = log_sum_exp((fail_relative, fail_absolute))
    else:
        fail_raw = log_sum_exp(
            (
                mixed(relative=True, raw=True),
                NEVER if stable_breaks else mixed(relative=False, raw=True),
            )
        )
    if not metric.certified:
        return Reading(
            metric, track, fail_relative, fail_absolute, fail_raw, stable_breaks, 0.0, 0.0, 0.0, ""
        )
    absolute = log_mean_exp(track.certify_absolute)
    relative = log_mean_exp(track.certify_relative)
    suspended = _suspended(plan, metric, track, stable_log)
    if not plan.has_stable:
        certificate = absolute
    else:
        certificate = log_sum_exp((absolute, NEVER if suspended else relative)) - math.log(2.0)
    return Reading(
        metric,
        track,
        fail_relative,
        fail_absolute,
        fail_raw,
        stable_breaks,
        certificate,
        relative,
        absolute,
        suspended,
    )


def _unlimited(track: Track) -> bool:
    """Whether the speed limit has never held anything back."""
    return all(
        part.relative == part.relative_raw and part.absolute == part.absolute_raw
        for part in track.fail
    ) and all(part.logs == part.raw for part in track.endpoints.parts)


def _part(metric: Metric, track: Track, place: int, relative: bool, raw: bool) -> float:
    """log E against the candidate since the start of one step."""
    whole = log_mean_exp(_grid(track.fail[place], relative, raw))
    if not relative or not metric.by_endpoint:
        return whole
    share = default.ENDPOINT_SHARE
    return log_sum_exp(
        (log(1.0 - share) + whole, log(share) + track.endpoints.evidence(place, raw))
    )


def _grid(part: Fail, relative: bool, raw: bool) -> tuple[float, ...]:
    if relative:
        return part.relative_raw if raw else part.relative
    return part.absolute_raw if raw else part.absolute


def _suspended(plan: Plan, metric: Metric, track: Track, stable_log: float) -> str:
    """Why the comparison with stable cannot certify now; empty if it can."""
    if stable_log >= -math.log(plan.alpha):
        return "stable itself breaks the limit"
    own = track.fail[-1].absolute_raw
    if own and log_mean_exp(own) >= 0.0 and any(x != 0.0 for x in own):
        return "the candidate may be over the limit"
    requests = track.background.requests - metric.reference_requests
    events = track.background.events - metric.reference_events
    if has_aged(events, requests, metric.reference_upper):
        return "stable is worse than before the rollout"
    return ""


def needed(plan: Plan, evidence: Evidence, reading: Reading) -> int | None:
    """Candidate requests until the metric's certificate; None if unknown.

    At the pace so far where there is one, else what a release with stable's rate takes.
    """
    missing = -math.log(plan.beta) - reading.certificate
    if missing <= 0.0:
        return 0
    if reading.certificate > 0.0 and evidence.candidate > 0:
        return math.ceil(missing * evidence.candidate / reading.certificate)
    background = reading.track.background
    if background.requests == 0 or reading.metric.own:
        return None
    median, _ = requests_to_certify(
        plan,
        reading.metric,
        plan.steps[evidence.step],
        background.events / background.requests,
    )
    return None if math.isinf(median) else math.ceil(median)
