"""The evidence of one metric, and how one usable block changes it."""

from dataclasses import dataclass, replace

from backendctl.rollout.verdict import guards
from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.blocks import ArmBlock
from backendctl.rollout.verdict.dispersion import Dispersion, unseen
from backendctl.rollout.verdict.endpoints import Endpoints
from backendctl.rollout.verdict.plan import (
    Metric,
    Plan,
    Step,
    certify_rates,
    certify_ratios,
    fail_rates,
)
from backendctl.rollout.verdict.processes import Logs, absolute_gains, relative_gains


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail evidence since the start of one step: log E for each point of the grids."""

    relative: Logs
    absolute: Logs
    relative_raw: Logs
    """Without the speed limit."""
    absolute_raw: Logs


@dataclass(frozen=True, slots=True)
class Track:
    """Evidence of one metric. All log E are tempered: divided by the dispersion."""

    candidate: int
    stable: int
    """Events that counted in this step."""
    candidate_before: int
    stable_before: int
    """Events that counted in the steps before."""
    fail: tuple[Fail, ...]
    """One entry for each step begun so far."""
    stable_absolute: Logs
    """Of stable against the limit, over the whole rollout."""
    certify_relative: Logs
    certify_absolute: Logs
    """Of this step only."""
    dispersion: Dispersion
    background: guards.Background
    relative_credit: float
    absolute_credit: float
    stable_credit: float
    """How much log E the speed limit lets evidence rise at once, saved from quiet blocks."""
    masked: int
    """Blocks of this step taken for an outage of both arms."""
    endpoints: Endpoints
    """Evidence against the candidate by endpoint; empty where events are not told apart."""


def begin_track(metric: Metric, temper: bool) -> Track:
    """Nothing seen yet."""
    return Track(
        candidate=0,
        stable=0,
        candidate_before=0,
        stable_before=0,
        fail=(),
        stable_absolute=_rates(metric),
        certify_relative=(),
        certify_absolute=(),
        dispersion=unseen(metric.dispersion if temper else 1.0),
        background=guards.Background(metric.reference_requests, metric.reference_events),
        relative_credit=0.0,
        absolute_credit=0.0,
        stable_credit=0.0,
        masked=0,
        endpoints=Endpoints(),
    )


def begin_track_step(metric: Metric, track: Track) -> Track:
    """Certificates start anew, and so does one share of the fail evidence."""
    ratios, rates = (0.0,) * len(default.FAIL_RATIOS), _rates(metric)
    return replace(
        track,
        candidate=0,
        stable=0,
        candidate_before=track.candidate_before + track.candidate,
        stable_before=track.stable_before + track.stable,
        fail=(*track.fail, Fail(ratios, rates, ratios, rates)),
        certify_relative=(0.0,) * len(default.CERTIFY_RATIOS) if metric.certified else (),
        certify_absolute=(0.0,) * len(default.CERTIFY_MULTIPLES) if metric.certified else (),
        dispersion=track.dispersion.begin_step(),
        masked=0,
        endpoints=track.endpoints.begin_step(),
    )


def _rates(metric: Metric) -> Logs:
    over = metric.convicts_over
    return (0.0,) * len(fail_rates(over)) if over is not None else ()


def update_track(
    plan: Plan,
    metric: Metric,
    track: Track,
    step: Step,
    candidate: ArmBlock,
    stable: ArmBlock,
    seconds: float,
) -> Track:
    """With one more block of `seconds`, whose counts are known to be usable."""
    hits, stable_hits = candidate.events(metric.name) or 0, stable.events(metric.name) or 0
    outage = plan.mask_outages and track.background.is_outage(
        stable.requests, stable_hits, track.dispersion.peak
    )
    dispersion = track.dispersion
    if plan.temper:
        dispersion = dispersion.after(
            hits,
            stable_hits,
            candidate.requests,
            seconds,
            plan.speed_limit or default.SLOWEST_CONVICTION,
            outage,
        )
    gains = _gains(metric, step, candidate.requests, hits, stable.requests, stable_hits)
    if outage:
        gains = gains.masked()
    gains = gains.tempered(dispersion.value)
    # What was added before a burst showed the dispersion was added too eagerly: take it back.
    rescale = track.dispersion.peak / dispersion.peak
    relative, relative_credit = guards.limit_speed(
        plan, track.relative_credit, seconds, gains.against_stable, alone=hits <= 1
    )
    absolute, absolute_credit = guards.limit_speed(
        plan, track.absolute_credit, seconds, gains.against_limit, alone=hits <= 1
    )
    # A short outage does not make stable one that breaks the limit, as it convicts no candidate.
    stable_absolute, stable_credit = guards.limit_speed(
        plan, track.stable_credit, seconds, gains.stable_absolute
    )
    fail = tuple([_added(part, rescale, gains, relative, absolute) for part in track.fail])
    background = track.background
    return replace(
        track,
        candidate=track.candidate + hits,
        stable=track.stable + stable_hits,
        fail=fail,
        stable_absolute=_add(track.stable_absolute, rescale, stable_absolute),
        certify_relative=_add(track.certify_relative, rescale, gains.certify_relative),
        certify_absolute=_add(track.certify_absolute, rescale, gains.certify_absolute),
        dispersion=dispersion,
        background=background if outage else background.after(stable.requests, stable_hits),
        relative_credit=relative_credit,
        absolute_credit=absolute_credit,
        stable_credit=stable_credit,
        masked=track.masked + (1 if outage else 0),
        endpoints=_endpoints(
            plan, metric, track, candidate, stable, seconds, dispersion.value, rescale
        ),
    )


def _added(part: Fail, rescale: float, gains: "_Gains", relative: Logs, absolute: Logs) -> Fail:
    """With a block's gains, as the speed limit lets them pass and as they are."""
    relative_raw = _add(part.relative_raw, rescale, gains.against_stable)
    absolute_raw = _add(part.absolute_raw, rescale, gains.against_limit)
    same = relative is gains.against_stable and part.relative == part.relative_raw
    alike = absolute is gains.against_limit and part.absolute == part.absolute_raw
    return Fail(
        relative=relative_raw if same else _add(part.relative, rescale, relative),
        absolute=absolute_raw if alike else _add(part.absolute, rescale, absolute),
        relative_raw=relative_raw,
        absolute_raw=absolute_raw,
    )


def _endpoints(
    plan: Plan,
    metric: Metric,
    track: Track,
    candidate: ArmBlock,
    stable: ArmBlock,
    seconds: float,
    dispersion: float,
    rescale: float,
) -> Endpoints:
    both = candidate.requests + stable.requests
    if not metric.by_endpoint or not both:
        return track.endpoints
    return track.endpoints.after(
        plan,
        candidate.endpoints.get(metric.name, {}),
        stable.endpoints.get(metric.name, {}),
        candidate.requests / both,
        dispersion,
        rescale,
        seconds,
    )


@dataclass(frozen=True, slots=True)
class _Gains:
    """What one block adds to each process."""

    against_stable: Logs
    against_limit: Logs
    stable_absolute: Logs
    certify_relative: Logs
    certify_absolute: Logs

    def masked(self) -> "_Gains":
        """In an outage of both arms the candidate is neither over the limit by its own doing nor
        shown to be as good as stable; that it does worse than stable counts even then."""
        return replace(
            self,
            against_limit=(0.0,) * len(self.against_limit),
            certify_relative=(0.0,) * len(self.certify_relative),
        )

    def tempered(self, dispersion: float) -> "_Gains":
        if dispersion == 1.0:
            return self
        return _Gains(
            tuple(x / dispersion for x in self.against_stable),
            tuple(x / dispersion for x in self.against_limit),
            tuple(x / dispersion for x in self.stable_absolute),
            tuple(x / dispersion for x in self.certify_relative),
            tuple(x / dispersion for x in self.certify_absolute),
        )


def _gains(
    metric: Metric, step: Step, requests: int, hits: int, stable_requests: int, stable_hits: int
) -> _Gains:
    both = requests + stable_requests
    share = requests / both if both else 0.0
    against_stable = relative_gains(hits, stable_hits, share, default.FAIL_RATIOS, 1.0)
    over = metric.convicts_over
    if metric.limit is None or over is None:
        return _Gains(against_stable, (), (), (), ())
    rates = fail_rates(over)
    against_limit = absolute_gains(hits, requests, rates, over)
    stable_absolute = absolute_gains(stable_hits, stable_requests, rates, over)
    if not metric.certified:
        return _Gains(against_stable, against_limit, stable_absolute, (), ())
    limit = step.limits[metric.name]
    return _Gains(
        against_stable,
        against_limit,
        stable_absolute,
        relative_gains(hits, stable_hits, share, certify_ratios(step.ratio), step.ratio),
        absolute_gains(hits, requests, certify_rates(limit), limit),
    )


def _add(logs: Logs, rescale: float, gains: Logs) -> Logs:
    if rescale == 1.0:
        return tuple([x + gain for x, gain in zip(logs, gains, strict=True)])
    return tuple([x * rescale + gain for x, gain in zip(logs, gains, strict=True)])
