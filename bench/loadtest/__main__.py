"""Print how exact the load test's numbers are and how much load a worker can offer.

`python -m bench.loadtest [--rates 500 1000 2000] [--seconds 4]`. Everything stays on 127.0.0.1.
"""

import argparse
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from backendctl.loadtest.histogram import Histogram
from backendctl.loadtest.profile import Durations, Loop, derive
from backendctl.loadtest.results import LoadTestResult
from backendctl.loadtest.runner import run_load_test
from backendctl.spec.model import Load, Service, Slo, Spec
from tests.fakes.http_service import http_service

SLO = Slo(p95=0.1, p99=10.0, error_rate=0.5)


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--rates", type=float, nargs="*", default=[200, 500, 1000, 1500, 2000])
    parse.add_argument("--seconds", type=float, default=4.0)
    options = parse.parse_args()
    _histogram()
    _stall()
    _knee(options.rates, options.seconds)


def _say(line: str) -> None:
    print(line, flush=True)


def _histogram() -> None:
    rng = random.Random(1)  # noqa: S311 - reproducible
    _say("histogram: largest error of p50, p95, p99 against the exact order statistic")
    for centre in (0.0005, 0.002, 0.06, 1.0, 30.0):
        values = sorted(rng.lognormvariate(0, 0.5) * centre for _ in range(20_000))
        histogram = Histogram()
        began = time.perf_counter()
        for value in values:
            histogram.record(value)
        each = (time.perf_counter() - began) / len(values)
        worst = max(
            abs(histogram.quantile(q) - values[round(q * len(values)) - 1])
            / values[round(q * len(values)) - 1]
            for q in (0.5, 0.95, 0.99)
        )
        _say(f"  around {centre * 1000:8.1f} ms: {worst:7.3%}   {each * 1e6:.2f} us to record")


def _run(url: str, peak: float, durations: Durations, loops: frozenset[Loop]) -> LoadTestResult:
    spec = Spec(
        service=Service(name="s", start=("s",), openapi=""),
        load=Load(peak_rps=peak, peak_users=round(peak), sustained_users=1, think_time=1.0),
        slo=SLO,
        environments={},
    )
    profile = derive(spec.load, SLO, durations, loops=loops)
    with tempfile.TemporaryDirectory() as folder:
        alone = replace(profile, workers=1)
        return run_load_test(url, spec, alone, None, lambda _: None, Path(folder) / "t")


def _short(hold: float) -> Durations:
    return Durations(
        preflight=0.5,
        warm_up_least=1,
        warm_up_most=1,
        ramp=0.5,
        hold=hold,
        closed_ramp=0.5,
        closed=hold,
    )


def _stall() -> None:
    stall, hold, rate = 1.5, 10.0, 200.0
    theory = stall - 0.01 * hold
    for loop in Loop:
        with http_service(stall_after=600, stall=stall) as service:
            result = _run(service.url, rate / 2, _short(hold), frozenset({loop}))
        found = result.stage("hold") or result.stage("closed hold")
        if found is None or not found[1].response.count:
            raise SystemExit("nothing was measured")
        p99 = found[1].response.quantile(0.99)
        _say(
            f"{stall:g} s stall in {hold:g} s at {rate:g}/s, {loop} loop: p99 {p99 * 1000:,.0f} ms "
            f"(open loop in theory {theory * 1000:,.0f} ms)"
        )


def _knee(rates: list[float], seconds: float) -> None:
    _say("one worker, open loop, the server on the same machine:")
    _say("  rate/s   sent/s  sent late p50     p95      p99   worker CPU  result")
    for rate in rates:
        with http_service() as service:
            result = _run(service.url, rate / 2, _short(seconds), frozenset({Loop.OPEN}))
        found = result.stage("hold")
        if found is None:
            _say(f"  {rate:6.0f}  nothing was measured")
            continue
        late = [found[1].lag.quantile(q) * 1000 for q in (0.5, 0.95, 0.99)]
        index = next(i for i, s in enumerate(result.profile.stages) if s.name == "hold")
        used = max((max(s, default=0) for _, s in result.measurement.cpu_during(index)), default=0)
        _say(
            f"  {rate:6.0f}  {result.achieved_rps:7.1f}  {late[0]:10.2f} ms {late[1]:6.2f} "
            f"{late[2]:8.2f}   {used:8.0f} %  {result.result.value}"
        )


if __name__ == "__main__":
    main()
