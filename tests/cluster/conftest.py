"""What several files of cluster tests need."""

import os

import pytest
from filelock import FileLock

from backendctl.platforms.images.driver import build_driver
from backendctl.platforms.images.produce import Wishes


@pytest.fixture(scope="session")
def driver_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """backendctl's own image, as `build --driver` makes it."""
    given = os.environ.get("BACKENDCTL_TEST_DRIVER_IMAGE")
    if given:
        return given
    # Whoever comes second waits, and finds it in the registry.
    with FileLock(tmp_path_factory.getbasetemp().parent / "driver-image.lock"):
        image = build_driver(
            os.environ["BACKENDCTL_TEST_REGISTRY"],
            tmp_path_factory.mktemp("driver"),
            print,
            Wishes(),
            os.environ["BACKENDCTL_TEST_BASE_IMAGE"],
        )
    return f"{image.name}@{image.digest}"
