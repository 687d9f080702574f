"""What every log line and error answer of a request carries."""

from contextvars import ContextVar

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)


def request_id() -> str | None:
    """The id of the request being answered; None outside of one."""
    return REQUEST_ID.get()
