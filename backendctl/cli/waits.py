"""What a command waits for, told once it has waited for a while."""

import threading
from collections.abc import Callable

PATIENCE = 1.0
"""Seconds; a wait that is over sooner needs no words."""


class Waits:
    """Tells the newest `say`, if nothing has replaced it within `PATIENCE`; once each.

    Lines that follow each other quickly, such as an installer's, are not told: they are work that
    shows by its step. The thread that watches the time begins with the first `say`.
    """

    def __init__(self, tell: Callable[[str], None], patience: float = PATIENCE) -> None:
        self._tell = tell
        self._patience = patience
        self._changed = threading.Condition()
        self._serial = 0
        self._text = ""
        self._thread: threading.Thread | None = None

    def say(self, text: str) -> None:
        """This is waited for from now on; an empty text: nothing is."""
        with self._changed:
            self._serial += 1
            self._text = text
            self._changed.notify()
            if text and self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="waits", daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._text != "")
                serial = self._serial
                if self._changed.wait_for(lambda: self._serial != serial, self._patience):  # noqa: B023
                    continue
                text, self._text = self._text, ""
                self._tell(text)
