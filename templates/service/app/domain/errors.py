"""What can go wrong, in the words of the trade. `controller.problems` gives them status codes."""


class NotFoundError(Exception):
    """There is no such thing."""

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(f"There is no {kind} with id {key}.")


class InvalidCursorError(Exception):
    """A list cursor that this service did not hand out."""


class UnavailableError(Exception):
    """Something this service needs does not answer now; the same request may work later."""
