"""A gateway for all tests of a file, and two releases that share its traffic."""

from collections.abc import Iterator

import pytest

from tests.local_platform.servers import HALF, Stand, stand


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with stand(tmp_path_factory.mktemp("gateway")) as found:
        yield found


@pytest.fixture
def halves(gateway: Stand) -> Iterator[Stand]:
    """Releases 1 and 2 share the traffic; 2 stays dead when killed."""
    gateway.up(1)
    gateway.up(2, restart=False)
    gateway.router.apply(HALF)
    yield gateway
    gateway.clear()
