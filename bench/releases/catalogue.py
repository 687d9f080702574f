"""All releases, in the order in which they are tried."""

from collections.abc import Iterator

from bench.releases.change import Change
from bench.releases.changes import BAD, GOOD
from bench.releases.schema import SCHEMA


def _interleaved() -> Iterator[Change]:
    """A good one before every few bad ones: what came before must not matter."""
    every = -(-len(BAD) // len(GOOD))
    for number, good in enumerate(GOOD):
        yield good
        yield from BAD[number * every : (number + 1) * every]


RELEASES = (*_interleaved(), *SCHEMA)
