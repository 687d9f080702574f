"""A sample of the crash matrix (`bench/crash_matrix`) on a cluster: the driver is killed at records
spread over the whole journal, another process recovers, and users notice nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from bench.crash_matrix.cells import Cell, play
from bench.crash_matrix.scenarios import scenarios
from tests.cluster.crash_shop import Stage, open_cluster_shop

SCENARIOS = {scenario.name: scenario for scenario in scenarios()}
CANARY = "canary, promote, migration"
SWITCH = "blue-green, promote, no migration"
SAMPLE = {
    CANARY: ((16, "before"), (12, "after"), (3, "before")),
    SWITCH: ((13, "after"), (7, "after"), (2, "after")),
}
"""Number of the record among the 18 or 14 of such a rollout, and on which side of it the driver
dies. Late ones first: the next cell shows that the environment takes another release."""

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def _cell(name: str, record: int, side: str) -> Any:
    """Those of one kind of rollout are played in one environment, beside those of the other."""
    group = pytest.mark.xdist_group(f"crash sample: {name}")
    return pytest.param(name, record, side, marks=group, id=f"{name}-{record}-{side}")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_cluster_shop(tmp_path_factory.mktemp("crash")) as found:
        yield found


@pytest.mark.parametrize(
    ("name", "record", "side"),
    [_cell(name, *place) for name, places in SAMPLE.items() for place in places],
)
def test_a_driver_killed_there_in_a_cluster_is_recovered_and_nothing_of_it_is_left(
    stage: Stage, name: str, record: int, side: str
) -> None:
    shop, crowd = stage
    cell = Cell(name, record, side)
    play(shop, SCENARIOS[name], crowd, cell, deploy_next=False)
    assert not cell.beyond
    assert cell.problems == []
