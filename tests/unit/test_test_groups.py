"""Tests that share a server or a file run one after the other, also when several run at once."""

import pytest


@pytest.mark.xdist_group("together")
def test_groups_are_heeded(request: pytest.FixtureRequest) -> None:
    if not hasattr(request.config, "workerinput"):
        pytest.skip("one at a time anyway")
    # pytest-xdist hands out tests by this name; pytest 9.2 no longer let it.
    assert request.node.nodeid.endswith("@together")
