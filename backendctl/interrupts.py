"""Being told to stop, by a signal: an exception, and a count for where the exception gets lost.

Python raises KeyboardInterrupt in whatever runs when the signal comes. In a finalizer or a callback
(a connection being collected, say) it is printed and forgotten there, and the command would go on
as if nobody had spoken. Loops that go on for long therefore ask `unheeded` as well.
"""

import signal
from types import FrameType

_received = 0
_heeded = 0


def listen() -> None:
    """Let SIGINT, SIGTERM and the end of the terminal take one way: all stop cleanly.

    What the caller had ignored stays ignored, as `nohup` and background jobs want it.
    """
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, receive)


def receive(_signum: int, _frame: FrameType | None) -> None:
    """The handler. Raises KeyboardInterrupt."""
    global _received
    _received += 1
    raise KeyboardInterrupt


def heed() -> None:
    """For whoever caught the exception and acts on it."""
    global _heeded
    _heeded = _received


def unheeded() -> bool:
    """Whether a signal came that nobody has acted on."""
    return _received > _heeded
