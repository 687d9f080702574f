"""The OpenAPI 3.1 document at /openapi.json."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.controller.problems import Problem


def install_document(app: FastAPI) -> None:
    """Add the problem document to the schemas, which no operation returns by its type."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            body = get_openapi(title=app.title, version=app.version, routes=app.routes)
            schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas = body.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(schema.pop("$defs", {}))
            schemas["Problem"] = schema
            app.openapi_schema = body
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
