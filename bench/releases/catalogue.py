"""All releases, in the order in which they are tried."""

from bench.releases.changes import BAD, GOOD
from bench.releases.schema import SCHEMA

RELEASES = (*GOOD, *BAD, *SCHEMA)
