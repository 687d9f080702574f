"""Names of endpoints: what requests to one handler have in common.

A name is shown, journaled and compared, so what looks like an identifier or a secret becomes
`{id}`. A word is kept, also one that a user chose (`/users/anna`): the number of names is bounded.
"""

import re
from functools import lru_cache

IDENTIFIER = "{id}"
OTHER = "other"
"""Stands for all endpoints beyond the first `MOST_ENDPOINTS`."""
MOST_ENDPOINTS = 40
"""Endpoints that are told apart; a service with more has its rarest ones in `OTHER`."""
MOST_SEGMENTS = 8
"""Segments of a path that are kept; what is deeper becomes `...`."""
_LONGEST_WORD = 24
"""A path segment that is longer is taken for a token: handlers are named by shorter words."""
_METHOD = re.compile(r"[A-Z]{1,16}\Z")
_HEX = re.compile(r"[0-9a-fA-F]{8,}\Z")
_PUNCTUATION = re.compile(r"[-_.]")
_WORD = re.compile(r"(?:[a-z]+(?:[A-Z][a-z]+)*|(?:[A-Z][a-z]+)+|[A-Z]{2,5})\d?\Z|v\d{1,2}\Z")
"""`orders`, `orderItems`, `OrderItems`, `FAQ`, `oauth2`, `v12`; no digits but one at the end."""


@lru_cache(maxsize=4096)
def endpoint(method: str, path: str) -> str:
    """`GET /orders/{id}` for GET /orders/17?full=1.

    A segment is kept when it is a plain word (`orders`, `order-items`, `v1`); numbers, UUIDs,
    hexadecimal digests, tokens and anything longer than a word become `{id}`. Two different
    handlers may share a name; one handler never has a name per user.
    """
    verb = method if _METHOD.match(method) else "?"
    segments = path.partition("?")[0].split("/")[1:]
    kept = [_segment(segment) for segment in segments[:MOST_SEGMENTS]]
    if len(segments) > MOST_SEGMENTS:
        kept.append("...")
    return f"{verb} /{'/'.join(kept)}"


def _segment(segment: str) -> str:
    if not segment:
        return ""
    if len(segment) > _LONGEST_WORD or _HEX.match(segment):
        return IDENTIFIER
    words = _PUNCTUATION.split(segment)
    return segment if all(_WORD.match(word) for word in words if word) else IDENTIFIER
