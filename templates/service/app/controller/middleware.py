"""Around every request: its id, its metrics, its log line, and a 500 when nobody caught it."""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.controller.problems import problem_response
from app.lifecycle import Lifecycle
from app.telemetry.context import REQUEST_ID
from app.telemetry.metrics import Metrics

log = logging.getLogger("app.access")

ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
QUIET = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every second by machines: counted, not logged."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLIENT_LEFT = 499


class Telemetry:
    """Pure ASGI: it adds no task and no buffer to a request."""

    def __init__(self, app: ASGIApp, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._app = app
        self._metrics = metrics
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if ACCEPTED_ID.fullmatch(given) else uuid.uuid4().hex
        token = REQUEST_ID.set(request_id)
        began = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if self._lifecycle.draining:
                    headers["connection"] = "close"
            await send(message)

        self._metrics.in_progress.inc()
        try:
            await self._app(scope, receive, send_marked)
        except Exception:
            log.exception("unexpected error", extra={"path": scope["path"]})
            if status:
                raise
            answer = problem_response(500, "An unexpected error; it was logged under request_id.")
            await answer(scope, receive, send_marked)
        finally:
            self._metrics.in_progress.dec()
            self._record(scope, status or CLIENT_LEFT, time.perf_counter() - began)
            REQUEST_ID.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.durations.labels(method, route).observe(seconds)
        if scope["path"] not in QUIET:
            fields = {
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "milliseconds": round(seconds * 1000, 2),
            }
            log.info("request", extra=fields)
