"""The service's HTTP side."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import carrier, memory, store
from app.settings import settings

VERSION = "base"


class NewOrder(BaseModel):
    item: int
    quantity: int = Field(ge=1, le=100)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    memory.enforce(settings.memory_limit)
    store.pool.open()
    yield
    store.pool.close()


app = FastAPI(title="shop", lifespan=lifespan)


class NamedVersion:
    """Every answer says which version gave it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-version", VERSION.encode()))
            await send(message)

        await self.app(scope, receive, named)


app.add_middleware(NamedVersion)


@app.exception_handler(store.MissingError)
async def missing(_: Request, error: store.MissingError) -> Response:
    return Response(str(error), status_code=404)


@app.exception_handler(carrier.CarrierError)
async def no_carrier(_: Request, error: carrier.CarrierError) -> Response:
    return Response(str(error), status_code=502)


@app.exception_handler(Exception)
async def broken(_: Request, error: Exception) -> Response:
    return Response(type(error).__name__, status_code=500, headers={"x-version": VERSION})


@app.get("/livez")
def live() -> str:
    return "alive"


@app.get("/readyz")
def ready() -> str:
    try:
        store.alive()
    except Exception as error:
        raise HTTPException(503, "the database does not answer") from error
    return "ready"


@app.get("/items")
def items(after: int = 0, limit: int = 20) -> list[dict[str, Any]]:
    return store.items(after, limit)


@app.get("/items/{number}")
def item(number: int) -> dict[str, Any]:
    return store.item(number)


@app.get("/items/{number}/delivery")
def delivery(number: int) -> dict[str, Any]:
    return {"id": store.item(number)["id"], "delivery": carrier.quote(number)}


@app.post("/orders", status_code=201)
def place(new: NewOrder) -> dict[str, Any]:
    return store.place(new.item, new.quantity)


@app.get("/orders/{number}")
def order(number: int) -> dict[str, Any]:
    return store.order(number)
