"""Every default of the verdict, once, with where it comes from.

Unless a line says otherwise the source is a simulation of 1,000-10,000 rollouts a cell at 1, 10,
100 and 1,000 requests per second (stable errors 0.5 %, limit 1 %), with independent errors,
clusters, retries, outages and warm-up. `bench/verdict` measures the rule again.
"""

from collections.abc import Mapping

ERRORS = "errors"
STABLE_P99 = "stable_p99"
REFUSALS = "refusals"
SLO_P99 = "slo_p99"
SLO_P95 = "slo_p95"

ALPHA = 0.01
"""Most chance, over a whole rollout, that a release no worse than stable is convicted."""
BETA = 0.05
"""Most chance, at each step, that a release as bad as the step's bound is certified."""

FAIL_WEIGHTS: Mapping[str, tuple[float, float]] = {
    ERRORS: (0.40, 0.10),
    STABLE_P99: (0.25, 0.0),
    SLO_P99: (0.10, 0.05),
    SLO_P95: (0.05, 0.05),
    REFUSALS: (0.05, 0.0),
}
"""Metric -> shares of `ALPHA` for its relative and absolute test, divided by the sum of those that
are watched; a weighted sum of e-processes dominates Bonferroni. Refusals (4xx) are most often the
client's doing, so no limit judges them, and a release that only refuses far more than stable is
found in seconds with the smallest share too."""

OWN_WEIGHT = (0.10, 0.05)
"""The same for each metric that the service counts itself; then all are scaled to sum to 1."""

FAIL_RATIOS = (2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 40.0)
"""Ratios candidate / stable that the relative test looks for, against a ratio of 1. It starts at
2, not at 1.1, so that a 10 % miscount of one arm does not convict."""
FAIL_MULTIPLES = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 90.0)
"""Multiples of the limit that the absolute test looks for."""
CERTIFY_RATIOS = (0.05, 0.25, 0.4, 0.5, 0.625)
"""Fractions of the step's bad ratio that the relative certificate looks for."""
CERTIFY_MULTIPLES = (0.0, 0.1, 0.25, 0.5, 0.7)
"""Fractions of the step's limit that the absolute certificate looks for."""
HIGHEST_RATE = 0.95
"""Grid points of the absolute test are kept below this rate of events."""

STICKY_FAIL_WEIGHTS: Mapping[str, tuple[float, float]] = {
    ERRORS: (0.40, 0.10),
    SLO_P99: (0.0, 0.05),
    SLO_P95: (0.0, 0.05),
}
"""The same where sessions stay with a release. A handful of heavy users is then on one arm by
chance and their slow requests with them, which no comparison of the arms can tell from a slow
release; only the limits judge latency. Of errors the worst client is left out."""

STEP_SHARES: Mapping[int, tuple[float, ...]] = {1: (1.0,), 2: (0.7, 0.3), 3: (0.6, 0.25, 0.15)}
"""Number of steps -> shares of the fail evidence that start anew with each step, so that a
regression which appears late is not outweighed by the good evidence before it."""

MAX_RATIO = 2.0
"""A release this many times worse than stable must not be certified at the last step."""
STABLE_MARGIN = 10.0
"""The absolute certificate asks for no less than this multiple of stable's own rate ..."""
LIMIT_FLOOR = 0.1
"""... nor than this fraction of the limit (under which, after a switch, no release is convicted of
being worse than its predecessor either: a multiple of next to nothing is not worth it) ..."""
CERTIFY_BUDGET = 1.0 / 12.0
"""... nor than what a release without any error can show within this part of a step's deadline
(300 s by default). A project with short deadlines is held to less."""
FLAWLESS = 3.8
"""Requests x limit that a release without any error needs; see `CERTIFY_BUDGET`."""

MATERIAL_LATENCY = 0.1
"""Stable's own p99 is taken for at least this part of the SLO's: from 3 ms to 4 ms is no regression
where 300 ms are promised. (A judgement of ours: the simulation knows no milliseconds.)"""

ENDPOINT_SHARE = 0.5
"""Part of a comparison with stable that goes to the evidence by endpoint, where there is one; the
other part stays with the service as a whole."""
MOST_ENDPOINTS = 41
"""Endpoints with evidence of their own: 40 by name, and the rest together."""
CONCENTRATED = 0.9
"""An endpoint is named as the trouble when the log of its own evidence is at least this part of
the whole service's."""
TOLD_ENDPOINTS = 3
"""Endpoints that a judgement's numbers name."""
MOST_CLIENTS = 16
"""Clients whose failures are added up, to find the worst."""
MOST_MIXED = 1024
"""Clients remembered as seen on both arms."""

WARM_UP = 30.0
"""Seconds after each rise of the weight in which blocks do not count."""
STEP_TIME = 60.0
"""Seconds of counted time a step lasts at least."""
DEADLINE = 3600.0
"""Seconds a step lasts at most."""
MIN_REQUESTS = 30
"""Requests of the candidate that a step needs at least."""
SLOWEST_CONVICTION = 60.0
"""T of the speed limit is the step time, at most this many seconds."""
NO_STEP_UP = 10.0
"""While the evidence without speed limit is this high, no step is passed."""

DISPERSION_WINDOWS = (1.0 / 6.0, 1.0 / 2.0, 1.0)
"""Lengths of time over which bursts are looked for, in multiples of T of the speed limit (10, 30
and 60 s by default)."""
DISPERSION_TRIM = 0.05
"""Share of the largest windows left out of it."""
DISPERSION_CAP = 50.0
"""Most that bursts of the candidate's own rate count for, so that a release which turns bad at
high traffic is still convicted within two or three T."""
DISPERSION_SIGMAS = 2.0
"""Dispersion in stable's history counts once it is this many standard errors above 1 ..."""
RUNNING_SIGMAS = 4.0
"""... and that in the rollout once it is this many: it is looked at again with every window."""

MASK_FACTOR, MASK_SIGMAS, MASK_EVENTS = 3.0, 5.0, 3.0
"""A block is an outage of both arms when stable has more events than
factor x mu + sigmas x sqrt(mu x dispersion) + events."""

HISTORY_CONFIDENCE = 0.95
"""Confidence of the upper bound on stable's rate that is taken from its history."""
AGEING_CONFIDENCE = 0.999
"""Confidence with which stable must have left its history for relative certificates to stop."""

SHARE_TOLERANCE = 0.10
"""Relative error of the candidate's share of requests that is still taken for correct."""
SHARE_LEVEL = 1e-4
"""Chance of calling a correct share wrong."""
SHARE_MULTIPLES = (1.05, 1.25, 2.0, 5.0)
"""How far beyond the tolerance the check of the share looks, in both directions."""
MIN_DISTRUST_BLOCKS = 3
"""So many blocks in a row, over a step time, must be unusable for `invalid`."""

STEPS_BY_RPS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (50.0, (5, 25, 50)),
    (2.0, (10, 50)),
    (0.0, (50,)),
)
"""From this many requests per second on, these percentages. Judging ends at 50 %: where the
candidate has all requests, the relative test has no information."""

SPREAD_80, SPREAD_95 = 1.8, 2.7
"""Requests by which 80 % and 95 % of rollouts have decided, in multiples of the median."""
FLAWLESS_MEDIAN = 4.6
"""Requests x limit by which a release without any error is certified, with the grid's cost."""
STABLE_BREAKS = 1.0
"""Evidence that stable breaks a limit from which the limit no longer convicts the candidate."""
STALE_BLOCKS = 3.0
"""A pass needs data no older than this many blocks (or half a step time, if that is more)."""
LEAST_MEASURED = 0.5
"""Share of a step's time that must have been measured for its deadline to be `inconclusive`
rather than `invalid`."""
SPEED_CREDIT = 1.0 / 3.0
"""Most that one block may add under the speed limit, saved credit included, as a fraction of
log(1/alpha); a single event is exempt. Blocks longer than T/3 slow a conviction down."""
