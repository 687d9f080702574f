"""Every error answer is a problem document (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.domain.errors import InvalidCursorError, NotFoundError, UnavailableError
from app.telemetry.context import request_id

MEDIA_TYPE = "application/problem+json"


class InputError(BaseModel):
    """One thing that is wrong with a request."""

    location: str
    """`body`, `query`, `path` or `header`"""
    pointer: str
    """Which field there, as a JSON pointer."""
    detail: str


class Problem(BaseModel):
    """What went wrong, for a program and for a person."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    request_id: str | None = None
    errors: list[InputError] | None = None


def documented(status: int) -> dict[int | str, dict[str, Any]]:
    """How an error status stands in the OpenAPI document."""
    phrase = HTTPStatus(status).phrase
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "example": {"type": "about:blank", "title": phrase, "status": status},
    }
    return {status: {"description": phrase, "content": {MEDIA_TYPE: content}}}


NOT_FOUND = documented(404)
INVALID = documented(422)
UNAVAILABLE = documented(503)


def problem_response(
    status: int,
    detail: str | None = None,
    *,
    instance: str | None = None,
    errors: list[InputError] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem document as an answer."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=instance,
        request_id=request_id(),
        errors=errors,
    )
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Give every error its problem document."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(InvalidCursorError, _invalid_cursor)
    app.add_exception_handler(UnavailableError, _unavailable)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    path = request.url.path
    return problem_response(error.status_code, str(error.detail), instance=path, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = []
    for found in error.errors():
        location, *inside = found["loc"]
        pointer = "".join(f"/{part}" for part in inside)
        errors.append(InputError(location=str(location), pointer=pointer, detail=found["msg"]))
    detail = "The request is not as documented."
    return problem_response(422, detail, instance=request.url.path, errors=errors)


async def _not_found(request: Request, error: Exception) -> Response:
    return problem_response(404, str(error), instance=request.url.path)


async def _invalid_cursor(request: Request, error: Exception) -> Response:
    wrong = InputError(location="query", pointer="/cursor", detail=str(error))
    return problem_response(422, str(error), instance=request.url.path, errors=[wrong])


async def _unavailable(request: Request, error: Exception) -> Response:
    headers = {"retry-after": "1"}
    return problem_response(503, str(error), instance=request.url.path, headers=headers)
