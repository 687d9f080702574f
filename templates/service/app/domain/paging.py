"""Keyset pagination: a page begins after the last thing of the page before.

It costs the same at any depth, whatever was added or removed in between.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from app.domain.errors import InvalidCursorError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of the last thing seen, in an order of (created_at, id), newest first."""

    created_at: datetime
    id: UUID

    def encode(self) -> str:
        """Opaque to clients, and safe in a URL."""
        text = f"{self.created_at.isoformat()} {self.id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """The reverse of `encode`. Raises InvalidCursorError."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            created_at, _, key = raw.decode().partition(" ")
            cursor = cls(datetime.fromisoformat(created_at), UUID(key))
        except (binascii.Error, ValueError) as error:
            raise InvalidCursorError("The cursor is not one from this service.") from error
        if cursor.created_at.tzinfo is None:
            raise InvalidCursorError("The cursor is not one from this service.")
        return cursor


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some things, and where to go on; `next` is None at the end."""

    content: Sequence[T]
    next: Cursor | None
