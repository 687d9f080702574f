"""The users of `backendctl loadtest`: open and closed loop, driven by `environment.generator`.

Each worker process has one `OpenLoop` user (its `fixed_count` is the number of workers). It sends
every request when it is due, whatever became of those before it, and every latency counts from
that due time: a service that stalls cannot slow the test down and hide its own stall.

A project's own locustfile replaces `ClosedLoop`; see the guide on load tests.
"""

import time
from typing import Any

import gevent
from locust import FastHttpUser, task

from backendctl.loadtest.generator import Generator
from backendctl.loadtest.measurement import Outcome

NO_REDIRECTS: frozenset[int] = frozenset()
NO_RETRIES = -1
CATCH_UP = 20
"""When behind, so many requests are started before those already started get their turn."""


class _Sender(FastHttpUser):
    abstract = True

    @property
    def generator(self) -> Generator:
        found: Generator = vars(self.environment)["generator"]
        return found

    def on_start(self) -> None:
        # A redirect is an answer; following it would measure two requests as one. Set once here:
        # Locust's allow_redirects=False changes the client under all requests in flight.
        agent: Any = self.client.client
        agent.redirect_response_codes = NO_REDIRECTS
        # geventhttpclient sends an idempotent request again, up to `size + 1` times, when the
        # connection closes without an answer. To a user that is a failed request. (A kept-alive
        # connection that the server closed while idle is noticed before it is used.)
        agent.clientpool.get_client(self.host)._connection_pool.size = NO_RETRIES

    def send(self, stage: int, second: int, due: float) -> None:
        taken = self.generator.take_off(stage, second, due)
        if taken is None:
            return
        number, flight = taken
        request = flight.request
        response = self.client.request(
            request.operation.method,
            request.url,
            name=request.operation.name,
            data=request.body,
            headers=dict(request.headers),
            catch_response=True,  # nothing is reported to Locust's own, rounded statistics
        )
        status = response.status_code
        failure = None if status else _failure(response)
        self.generator.land(number, status, response.content if status else None, failure)


class OpenLoop(_Sender):
    """One per worker: sends on schedule."""

    concurrency = 1_000_000  # connections; the generator itself limits what is in flight

    @task
    def obey(self) -> None:
        order = vars(self.environment)["orders"].get()
        behind = 0
        for second, due in self.generator.moments(order):
            wait = due - time.monotonic()
            if wait > 0:
                behind = 0
                gevent.sleep(wait)
            else:
                behind += 1
                if behind % CATCH_UP == 0:
                    gevent.sleep(0)
            gevent.spawn(self.send, order.stage, second, due)


class ClosedLoop(_Sender):
    """A user who waits for each answer, then thinks."""

    concurrency = 1

    @task
    def act(self) -> None:
        due = time.monotonic() + self.generator.think()
        gevent.sleep(max(0.0, due - time.monotonic()))
        now = self.generator.closed_at(due)
        if now is None:
            gevent.sleep(0.05)  # before the stage begins, or after it has ended
            return
        stage, second = now
        self.generator.recorder.scheduled(stage)
        self.send(stage, second, due)


def _failure(response: Any) -> Outcome:
    error = response.request_meta["exception"] or getattr(response, "error", None)
    error = getattr(error, "original", error)
    timed_out = isinstance(error, gevent.Timeout | TimeoutError)
    return Outcome.TIME_OUT if timed_out else Outcome.TRANSPORT
