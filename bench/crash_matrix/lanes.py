"""Scenarios played several at a time, each in an environment and a process of its own."""

import itertools
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import httpx  # noqa: F401 - so that forked drivers need not import it

from bench.crash_matrix.cells import SIDES, Cell, play
from bench.crash_matrix.scenarios import Scenario, must_end, scenarios
from bench.shop.drivers import run
from bench.shop.environment import Pace, open_shop
from bench.shop.users import users

RATE = 60.0
"""Users' requests per second."""


def in_lanes(names: Sequence[str], every: int, lanes: int) -> Iterator[tuple[str, list[Cell]]]:
    """Each scenario's name and cells, as they are done."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(lanes, mp_context=context) as pool:
        futures = {pool.submit(play_scenario, name, every): name for name in names}
        for done in as_completed(futures):
            yield futures[done], done.result()


def play_scenario(name: str, every: int = 1) -> list[Cell]:
    """All cells of one scenario, in an environment of its own."""
    (scenario,) = (each for each in scenarios() if each.name == name)
    return list(_cells(scenario, every))


def _cells(scenario: Scenario, every: int) -> Iterator[Cell]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if scenario.first:  # each needs an environment in which nothing has ever served
            yield from _walk(lambda *at: _play_first(folder, scenario, *at), every)
            return
        with open_shop(folder, Pace(), lambda _: None) as shop:
            must_end("promoted", run(shop.deploy))
            with users(shop.port, RATE, "light", shop.admin_socket) as crowd:
                yield from _walk(lambda *at: play(shop, scenario, crowd, *at), every)


def _play_first(folder: Path, scenario: Scenario, record: int, side: str) -> Cell | None:
    with open_shop(folder / f"{record}-{side}", Pace(), lambda _: None) as shop:
        return play(shop, scenario, None, record, side)


def _walk(play_at: Callable[[int, str], Cell | None], every: int) -> Iterator[Cell]:
    """From the first record on, until the driver ends without being killed."""
    for record in itertools.count(1, every):
        for side in SIDES:
            cell = play_at(record, side)
            if cell is None:
                return
            yield cell
