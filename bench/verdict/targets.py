"""What the judge must reach on traces it was not tuned on, and whether it does."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.verdict.engines import NATIVE, Ending
from bench.verdict.simulate import Cell
from bench.verdict.table import percent
from bench.verdict.traces import EVALUATION, INDEPENDENT

OURS, BARE = "backendctl", "backendctl, bare test"
DISTURBED = tuple(t.name for t in EVALUATION if t.good and t.name not in INDEPENDENT)


@dataclass(frozen=True)
class Checked:
    """A target and what was measured."""

    target: str
    met: bool
    figure: str


def check(cells: Sequence[Cell]) -> list[Checked]:
    """Every target, on our native schedule."""
    ours = {(c.trace.name, c.rps): c for c in cells if c.engine == OURS and c.schedule == NATIVE}
    bare = {c.trace.name: c for c in cells if c.engine == BARE}
    fast = (10.0, 100.0, 1000.0)
    every = (1.0, *fast)

    def among(names: Iterable[str], rates: Sequence[float]) -> list[Cell]:
        return [ours[(name, rps)] for name in names for rps in rates]

    checked = [
        _share(
            f"false rollback <= 1 %, independent errors, {rps:g} rps",
            among(INDEPENDENT, (rps,)),
            Ending.ROLLED_BACK,
            most=1.0,
        )
        for rps in every
    ]
    checked += [
        _share(
            f"false rollback <= 2 %: {name}", among((name,), every), Ending.ROLLED_BACK, most=2.0
        )
        for name in DISTURBED
    ]
    checked += [
        _share(
            "good releases promoted >= 98 % at >= 10 rps, independent errors",
            among(INDEPENDENT, fast),
            Ending.PROMOTED,
            least=98.0,
        )
    ]
    checked += [
        _share(
            f"good releases promoted >= 98 % at >= 10 rps: {name}",
            among((name,), fast),
            Ending.PROMOTED,
            least=98.0,
        )
        for name in DISTURBED
    ]
    checked += [
        _share(
            "2x of 0.5 % caught >= 90 % at 10 rps",
            among(("errors 2x",), (10.0,)),
            Ending.ROLLED_BACK,
            least=90.0,
        ),
        _share(
            "2x of 0.5 % caught >= 98 % at >= 100 rps",
            among(("errors 2x",), (100.0, 1000.0)),
            Ending.ROLLED_BACK,
            least=98.0,
        ),
        _share(
            "2x of 0.5 % promoted <= 3 %", among(("errors 2x",), every), Ending.PROMOTED, most=3.0
        ),
        _share(
            "all latencies doubled caught >= 98 %",
            among(("all latencies doubled",), every),
            Ending.ROLLED_BACK,
            least=98.0,
        ),
        _share(
            "nothing promoted without data", among(("no data",), every), Ending.PROMOTED, most=0.0
        ),
        *(_bare(bare, name, most) for name, most in (("errors 2x", 3500.0), ("errors 10x", 120.0))),
        *(_ten(ours[("errors 10x", rps)]) for rps in every),
        _bare(bare, "broken endpoint", 300.0),
        *(_endpoint(ours[("broken endpoint", rps)]) for rps in every),
    ]
    return checked


def _share(
    target: str,
    cells: Sequence[Cell],
    ending: Ending,
    most: float | None = None,
    least: float | None = None,
) -> Checked:
    """The worst of the cells decides."""
    key: Callable[[Cell], float] = lambda c: 100.0 * c.count(ending) / len(c.outcomes)  # noqa: E731
    worst = max(cells, key=key) if most is not None else min(cells, key=key)
    met = key(worst) <= most if most is not None else key(worst) >= (least or 0.0)
    where = f"{worst.trace.name}, {worst.rps:g} rps"
    return Checked(target, met, f"{percent(worst.count(ending), len(worst.outcomes))} ({where})")


def _bare(cells: dict[str, Cell], name: str, most: float) -> Checked:
    made = cells[name]
    requests = made.median("requests", Ending.ROLLED_BACK) or float("inf")
    caught = made.count(Ending.ROLLED_BACK)
    return Checked(
        f"{name} without guards, w = .1: median <= {most:,.0f} candidate requests",
        requests <= most and 2 * caught > len(made.outcomes),
        f"{requests:,.0f} ({caught} of {len(made.outcomes)} caught)",
    )


def _ten(made: Cell) -> Checked:
    requests = made.median("requests", Ending.ROLLED_BACK) or float("inf")
    seconds = made.median("seconds", Ending.ROLLED_BACK) or float("inf")
    return Checked(
        f"errors 10x within 350 candidate requests or 150 s, {made.rps:g} rps",
        requests <= 350.0 or seconds <= 150.0,
        f"median {requests:,.0f} requests, {seconds:,.0f} s",
    )


def _endpoint(made: Cell) -> Checked:
    requests = made.median("requests", Ending.ROLLED_BACK) or float("inf")
    caught = made.count(Ending.ROLLED_BACK)
    return Checked(
        f"broken endpoint of 2 % with guards within 300 candidate requests, {made.rps:g} rps",
        requests <= 300.0,
        f"median {requests:,.0f} requests ({caught} of {len(made.outcomes)} caught)",
    )


def lines(checked: Sequence[Checked]) -> list[str]:
    made = [f"{'target':76} {'met':4} figure"]
    made += [f"{c.target:76} {'yes' if c.met else 'NO':4} {c.figure}" for c in checked]
    return made
