"""Scenarios played several at a time, each in an environment and a process of its own."""

import itertools
import multiprocessing
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import httpx  # noqa: F401 - so that forked drivers need not import it

from bench.crash_matrix.cells import SIDES, Cell, play
from bench.crash_matrix.scenarios import Scenario, must_end, scenarios
from bench.shop.drivers import run
from bench.shop.environment import Pace, Shop, open_shop
from bench.shop.users import Users, users

RATE = 50.0
"""Users' requests per second."""

MOST = 5
"""Failed cells after which the rest of a scenario is given up."""

Place = tuple[int, str]


def in_lanes(names: Sequence[str], every: int, lanes: int) -> Iterator[tuple[str, list[Cell]]]:
    """Each scenario's name and cells, as they are done."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(lanes, mp_context=context) as pool:
        futures = {pool.submit(play_scenario, name, every): name for name in names}
        for done in as_completed(futures):
            yield futures[done], done.result()


def play_scenario(name: str, every: int = 1) -> list[Cell]:
    """The cells of one scenario, from the first record on, until its driver ends unkilled."""
    (scenario,) = (each for each in scenarios() if each.name == name)
    places = ((record, side) for record in itertools.count(1, every) for side in SIDES)
    cells: list[Cell] = []
    while not _over(cells):
        try:
            cells += _in_one_environment(scenario, places)
        except Exception:  # of the environment itself; its text crosses processes, it may not
            cells.append(Cell(name, 0, "", problems=[traceback.format_exc()]))
    return [cell for cell in cells if not cell.beyond or cell.problems]


def _over(cells: Sequence[Cell]) -> bool:
    return bool(cells) and (cells[-1].beyond or sum(bool(c.problems) for c in cells) > MOST)


def _in_one_environment(scenario: Scenario, places: Iterator[Place]) -> Iterator[Cell]:
    """Cells until the last, or until one leaves an environment that the next cannot be played in:
    a failed one, or any of a scenario that needs an environment that never served."""
    with _environment(scenario) as (shop, crowd):
        for record, side in places:
            cell = Cell(scenario.name, record, side)
            try:
                play(shop, scenario, crowd, cell)
            except Exception:
                cell.problems.append(traceback.format_exc())
            yield cell
            if cell.problems or cell.beyond or scenario.first:
                return


@contextmanager
def _environment(scenario: Scenario) -> Iterator[tuple[Shop, Users | None]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_shop(Path(folder), Pace(), lambda _: None) as shop,
    ):
        if scenario.first:
            yield shop, None
            return
        must_end("promoted", run(shop.deploy))
        with users(shop.port, RATE, "light", shop.admin_socket) as crowd:
            yield shop, crowd
