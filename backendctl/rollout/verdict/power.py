"""How many requests a verdict takes.

With J the information of one candidate request in nats, half of all rollouts have decided after
n50 = ln(1/level) / J requests, 80 % after 1.8 n50, 95 % after 2.7 n50:

    relative certificate  J = (p/w) kl(w, theta(rho_bad)),                 level beta/2
    absolute certificate  J = kl(p, L_k),                                  level beta/2
    conviction            J = (p/w) (rho w + 1 - w) kl(theta(rho), w),     level alpha a_m

p is stable's rate, w the candidate's share. The cheaper certificate counts, times the dispersion,
over rps x w. A release without any event needs about 4.6/L_k, which is computed exactly here.
"""

import math
from functools import lru_cache

from backendctl.rollout.verdict import parameters as default
from backendctl.rollout.verdict.plan import Metric, Plan, Step, certify_rates
from backendctl.rollout.verdict.processes import absolute_gains, kl, log_mean_exp, theta


def requests_to_certify(plan: Plan, metric: Metric, step: Step, rate: float) -> tuple[float, float]:
    """Candidate requests by which 50 % and 95 % of releases with this rate are certified.

    `rate` is that of both arms; infinite where such a release cannot be certified.
    """
    limit, share = step.limits[metric.name], step.percent / 100.0
    level = -math.log(plan.beta / 2.0 if plan.has_stable else plan.beta)
    flawless = _flawless(limit, plan.beta, plan.has_stable)
    information = kl(rate, limit) if rate < limit else 0.0
    if plan.has_stable and 0.0 < share < 1.0 and rate > 0.0:
        information = max(information, rate / share * kl(share, theta(step.ratio, share)))
    if information <= 0.0:
        return math.inf, math.inf
    if rate <= 0.0:
        return flawless * metric.dispersion, flawless * metric.dispersion
    median = level / information
    return (
        max(flawless, median) * metric.dispersion,
        max(flawless, default.SPREAD_95 * median) * metric.dispersion,
    )


@lru_cache(maxsize=256)
def _flawless(limit: float, beta: float, has_stable: bool) -> float:
    """Candidate requests without any event until the certificate, exactly."""
    gains = absolute_gains(0, 1, certify_rates(limit), limit)
    target = 1.0 / beta
    if has_stable:
        target = 2.0 * target - 1.0  # the relative certificate stays at 1
    low, high = 0.0, 10.0 * math.log(target) / gains[0]
    for _ in range(60):
        middle = (low + high) / 2.0
        if log_mean_exp([middle * g for g in gains]) < math.log(target):
            low = middle
        else:
            high = middle
    return high


def information_against(metric: Metric, rate: float, bad: float, share: float) -> float:
    """Nats that one candidate request gives against a release with rate `bad`, stable at `rate`."""
    over = metric.convicts_over
    found = kl(bad, over) if over is not None and bad > over else 0.0
    if metric.relative_weight <= 0.0 or not 0.0 < share < 1.0:
        return found
    least = max(rate, bad / default.FAIL_RATIOS[-1])  # the grid looks no further than 40 times
    ratio = bad / least
    odds = ratio * share + 1.0 - share
    return max(found, least / share * odds * kl(theta(ratio, share), share))
