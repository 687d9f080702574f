"""The delivery partner. Its service fails now and then; a stand-in here, with the same habit."""

import random
import time

FAILS = 0.06
"""Share of calls that fail: what the partner's own status page admits."""
SECONDS = 0.01


class CarrierError(Exception):
    """The partner did not answer."""


def quote(number: int) -> int:
    """What delivery of an item costs, in cents."""
    time.sleep(SECONDS)
    if random.random() < FAILS:  # noqa: S311
        raise CarrierError("the delivery partner did not answer")
    return 390 + number % 7 * 50
