"""Standard output and error, whose reader may go away: `| head`, a closed terminal, a lost line.

What a command does must not depend on somebody reading along: a deploy whose reader leaves goes
on to its end, and its exit status still says how it ended.
"""

import errno
import os
from typing import TextIO

GONE = (errno.EPIPE, errno.EIO)
"""A pipe without a reader; a terminal that was hung up."""


class Outlet:
    """A stream that falls silent once it cannot be written any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost: OSError | None = None

    @property
    def heard(self) -> bool:
        """Whether somebody still reads it, as far as is known."""
        return self._lost is None

    @property
    def trouble(self) -> OSError | None:
        """Why a reader who is there did not get everything, such as a full disk."""
        return None if self._lost is None or self._lost.errno in GONE else self._lost

    @property
    def encoding(self) -> str:
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, if anybody listens; returns the number of characters taken."""
        if self.heard:
            try:
                self._stream.write(text)
            except OSError as error:
                self._fall_silent(error)
        return len(text)

    def flush(self) -> None:
        """Hand over what was written so far."""
        if self.heard:
            try:
                self._stream.flush()
            except OSError as error:
                self._fall_silent(error)

    def _fall_silent(self, error: OSError) -> None:
        self._lost = error
        # What is still buffered is flushed at exit, and must go somewhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
