"""What the platform asks: alive, ready, and how are you doing."""

from fastapi import APIRouter, Response

from app.controller.problems import problem_response
from app.data.database import Database
from app.lifecycle import Lifecycle
from app.telemetry.metrics import Metrics


def router(lifecycle: Lifecycle, database: Database, metrics: Metrics) -> APIRouter:
    """Not part of the documented API. UnavailableError becomes a 503 like everywhere."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/livez")
    async def livez() -> dict[str, str]:
        """The event loop turns. Looks at nothing else: a restart would not mend a database."""
        return {"status": "alive"}

    @routes.get("/readyz")
    async def readyz() -> Response:
        """Requests can be answered: not draining, and the database is there."""
        if lifecycle.draining:
            return problem_response(503, "This process is about to end.")
        await database.ping()
        return Response('{"status":"ready"}', media_type="application/json")

    @routes.get("/metrics")
    async def read_metrics() -> Response:
        """Prometheus text format."""
        return Response(metrics.text(), media_type=metrics.media_type)

    return routes
