"""Posting messages beside a rollout: never in its way, never silently lost.

One thread posts, in order. A rollout neither waits for it nor fails by it; only the command's end
waits, a few seconds at most. What could not be delivered is said by name and never with its URL,
which may be a secret.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from backendctl.rollout.events import Event
from backendctl.spec.model import Notification
from backendctl.workflows.environment import Opened
from backendctl.workflows.notifications.message import Message, message_of, slack, webhook
from backendctl.workflows.progress import Progress

TRIES = 3
TIMEOUT = 5.0
"""Seconds one attempt may take."""
PATIENCE = 10.0
"""Seconds the end of a command waits for what is still to be posted."""
FORMS: Mapping[str, Callable[[Message], Mapping[str, Any]]] = {"slack": slack, "webhook": webhook}

OnEvent = Callable[[Event], None]


@contextmanager
def notifying(opened: Opened, progress: Progress) -> Iterator[OnEvent]:
    """Something to be told each event, which tells those named in backend.toml."""
    if not opened.spec.notifications:
        yield lambda _: None
        return
    post = _Post(opened, progress)

    def tell(event: Event) -> None:
        message = message_of(event, opened.spec.service.name, opened.environment.name)
        if message is not None:
            post.put(message)

    try:
        yield tell
    finally:
        post.finish()


class _Post:
    """A thread with a queue; a daemon, so that a dead network cannot keep the process."""

    def __init__(self, opened: Opened, progress: Progress) -> None:
        self._opened = opened
        self._progress = progress
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        self._messages.put(message)

    def finish(self) -> None:
        self._messages.put(None)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._progress.line(f"Notifications were not all delivered within {PATIENCE:.0f} s")

    def _work(self) -> None:
        while (message := self._messages.get()) is not None:
            for target in self._opened.spec.notifications:
                if message.news in target.on:
                    problem = self._attempt(target, message)
                    if problem:
                        self._progress.line(
                            f"Notification {target.name!r} was not delivered: {problem}"
                        )

    def _attempt(self, target: Notification, message: Message) -> str:
        """`_deliver`, whatever it raises: the messages after it must not be lost with this one."""
        try:
            return self._deliver(target, message)
        except Exception as error:  # said by its kind: its text may hold the URL
            return type(error).__name__

    def _deliver(self, target: Notification, message: Message) -> str:
        """Post one message; returns what went wrong, "" for nothing."""
        url = target.url or self._opened.platform.secrets.reveal(target.secret)
        if not url:
            return f"backendctl secrets set {target.secret} --env {message.environment}"
        return posted(url, FORMS[target.kind](message))


class PassingError(Exception):
    """A failure that may be gone at the next try. Its text names no URL."""


def posted(url: str, body: Mapping[str, Any]) -> str:
    """POST JSON, trying again what may pass; returns what went wrong, "" for nothing."""
    from tenacity import (
        Retrying,
        retry_if_exception_type,
        stop_after_attempt,
        wait_random_exponential,
    )

    trying = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(max=2.0),
        retry=retry_if_exception_type(PassingError),
        reraise=True,
    )
    try:
        return trying(_post_once, url, body)
    except PassingError as error:
        return f"{error}, {TRIES} times"


def _post_once(url: str, body: Mapping[str, Any]) -> str:
    import httpx

    try:
        answer = httpx.post(url, json=body, timeout=TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Its text may hold the URL: only its kind is said, and no chain leads to it.
        raise PassingError(type(error).__name__) from None
    if answer.is_success:
        return ""
    if answer.status_code >= 500 or answer.status_code == 429:
        raise PassingError(f"HTTP {answer.status_code}")
    return f"HTTP {answer.status_code}"
