"""The tables, behind functions."""

from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from app.settings import settings

pool: ConnectionPool[Connection[dict[str, Any]]] = ConnectionPool(
    settings.database_url,
    min_size=1,
    max_size=settings.pool_size,
    timeout=settings.pool_timeout,
    kwargs={"row_factory": dict_row, "autocommit": True},
    open=False,
)


class MissingError(Exception):
    """There is no such row."""


def alive() -> None:
    """Raise if the database does not answer."""
    with pool.connection() as db:
        db.execute("SELECT 1")


def items(after: int, limit: int) -> list[dict[str, Any]]:
    with pool.connection() as db:
        return db.execute(
            "SELECT id, name, price FROM items WHERE id > %s ORDER BY id LIMIT %s", (after, limit)
        ).fetchall()


def item(number: int) -> dict[str, Any]:
    with pool.connection() as db:
        row = db.execute("SELECT id, name, price FROM items WHERE id = %s", (number,)).fetchone()
    if row is None:
        raise MissingError(f"item {number}")
    return row


def order(number: int) -> dict[str, Any]:
    with pool.connection() as db:
        row = db.execute(
            "SELECT id, item, quantity, total FROM orders WHERE id = %s", (number,)
        ).fetchone()
    if row is None:
        raise MissingError(f"order {number}")
    return row


def place(number: int, quantity: int) -> dict[str, Any]:
    """An order: the stock and the order change together or not at all."""
    with pool.connection() as db, db.transaction():
        row = db.execute(
            "UPDATE items SET sold = sold + %s WHERE id = %s RETURNING price", (quantity, number)
        ).fetchone()
        if row is None:
            raise MissingError(f"item {number}")
        placed = db.execute(
            "INSERT INTO orders (item, quantity, total) VALUES (%s, %s, %s)"
            " RETURNING id, item, quantity, total",
            (number, quantity, total(row["price"], quantity)),
        ).fetchone()
        assert placed is not None
        return placed


def total(price: int, quantity: int) -> int:
    """In cents."""
    return price * quantity
