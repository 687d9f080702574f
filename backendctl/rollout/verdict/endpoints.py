"""Evidence by endpoint: a release that breaks one endpoint in fifty drowns in the whole service's
errors long before it stops hurting those who need that endpoint.

The relative test conditions on events: given a failed request, its arm is a draw with the
candidate's share of requests. Where requests are routed at random that share is the same for every
endpoint, so the test needs each endpoint's events by arm and no count of its requests.

The evidence is a weighted sum over endpoints in the order in which their first event was seen (an
order that does not depend on the event's arm), with weights fixed beforehand, so that it is an
e-process whatever endpoints there turn out to be:

    E = sum_k v_k E_k,   v_k ~ 1 / (k + 3) for k = 1 ... 41, an endpoint not seen yet counting as 1
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from backendctl.rollout.verdict import guards
from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.plan import Plan
from backendctl.rollout.verdict.processes import (
    Logs,
    exp,
    log,
    log_mean_exp,
    log_sum_exp,
    relative_gains,
)

_NOTHING: Logs = (0.0,) * len(default.FAIL_RATIOS)


@dataclass(frozen=True, slots=True)
class Part:
    """Since the start of one step: for each endpoint, log E at each ratio of the grid."""

    logs: tuple[Logs, ...] = ()
    raw: tuple[Logs, ...] = ()
    """Without the speed limit."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """One metric's evidence, endpoint by endpoint, in the order of their first events."""

    names: tuple[str, ...] = ()
    candidate: tuple[int, ...] = ()
    stable: tuple[int, ...] = ()
    """Events that counted in the whole rollout."""
    parts: tuple[Part, ...] = ()
    """One for each step begun so far."""
    credit: float = 0.0
    """Of the speed limit."""

    def begin_step(self) -> "Endpoints":
        """One share of the evidence starts anew."""
        fresh = (_NOTHING,) * len(self.names)
        return replace(self, parts=(*self.parts, Part(fresh, fresh)))

    def after(
        self,
        plan: Plan,
        candidate: Mapping[str, int],
        stable: Mapping[str, int],
        share: float,
        dispersion: float,
        rescale: float,
        seconds: float,
    ) -> "Endpoints":
        """With one more block: events by endpoint of both arms, the candidate's share of all
        requests, what gains are divided by, and what was gained before is multiplied with."""
        known = self._named(candidate, stable)
        events = [(candidate.get(name, 0), stable.get(name, 0)) for name in known.names]
        active = [place for place, pair in enumerate(events) if any(pair)]
        gains = {
            place: tuple(
                gain / dispersion
                for gain in relative_gains(*events[place], share, default.FAIL_RATIOS, 1.0)
            )
            for place in active
        }
        flat, credit = guards.limit_speed(
            plan,
            self.credit,
            seconds,
            tuple(gain for place in active for gain in gains[place]),
            alone=sum(candidate.values()) <= 1,
        )
        width = len(_NOTHING)
        limited = {
            place: flat[index * width : (index + 1) * width] for index, place in enumerate(active)
        }
        return replace(
            known,
            candidate=tuple(n + c for n, (c, _) in zip(known.candidate, events, strict=True)),
            stable=tuple(n + s for n, (_, s) in zip(known.stable, events, strict=True)),
            parts=tuple(
                Part(_added(part.logs, rescale, limited), _added(part.raw, rescale, gains))
                for part in known.parts
            ),
            credit=credit,
        )

    def evidence(self, part: int, raw: bool) -> float:
        """log E of one part, all endpoints together."""
        return _evidence(self.parts[part].raw if raw else self.parts[part].logs)

    def worst(self) -> int | None:
        """The endpoint with the most evidence against the candidate since the rollout began; None
        if no endpoint speaks against it."""
        if not self.names:
            return None
        evidence = [log_mean_exp(each) for each in self.parts[0].raw]
        place = max(range(len(evidence)), key=evidence.__getitem__)
        return place if evidence[place] > 0.0 else None

    def numbers(self) -> Mapping[str, Any]:
        """Those that speak most against the candidate, by name: for people, and short."""
        evidence = [log_mean_exp(each) for each in self.parts[0].raw] if self.parts else []
        places = sorted(range(len(evidence)), key=lambda place: (-evidence[place], place))
        return {
            self.names[place]: {
                "candidate_events": self.candidate[place],
                "stable_events": self.stable[place],
                "evidence": exp(evidence[place]),
            }
            for place in places[: default.TOLD_ENDPOINTS]
            if evidence[place] > 0.0
        }

    def _named(self, candidate: Mapping[str, int], stable: Mapping[str, int]) -> "Endpoints":
        """With a place for each endpoint that had an event; those beyond the last are left out."""
        total = {
            name: candidate.get(name, 0) + stable.get(name, 0)
            for name in {*candidate, *stable}.difference(self.names)
        }
        fresh = sorted((name for name in total if total[name]), key=lambda n: (-total[n], n))
        fresh = fresh[: max(0, default.MOST_ENDPOINTS - len(self.names))]
        if not fresh:
            return self
        nothing, none = (_NOTHING,) * len(fresh), (0,) * len(fresh)
        return replace(
            self,
            names=(*self.names, *fresh),
            candidate=self.candidate + none,
            stable=self.stable + none,
            parts=tuple(Part(part.logs + nothing, part.raw + nothing) for part in self.parts),
        )


@lru_cache(maxsize=1024)
def _evidence(logs: tuple[Logs, ...]) -> float:
    """Asked for again after each block, with and without the speed limit: often the same."""
    known, unseen = _log_weights(), math.fsum(_weights()[len(logs) :])
    return log_sum_exp(
        [*[v + log_mean_exp(each) for v, each in zip(known, logs, strict=False)], log(unseen)]
    )


@cache
def _log_weights() -> tuple[float, ...]:
    return tuple(log(v) for v in _weights())


@cache
def _weights() -> tuple[float, ...]:
    plain = [1.0 / (k + 3) for k in range(1, default.MOST_ENDPOINTS + 1)]
    whole = math.fsum(plain)
    return tuple(x / whole for x in plain)


def _added(logs: tuple[Logs, ...], rescale: float, gains: Mapping[int, Logs]) -> tuple[Logs, ...]:
    if rescale == 1.0:
        return tuple(
            tuple(x + gain for x, gain in zip(each, gains[place], strict=True))
            if place in gains
            else each
            for place, each in enumerate(logs)
        )
    return tuple(
        tuple(x * rescale + gain for x, gain in zip(each, gains.get(place, _NOTHING), strict=True))
        for place, each in enumerate(logs)
    )
