"""Whether this process wants traffic."""


class Lifecycle:
    """Serving from the start; draining from the first SIGTERM on, and never back."""

    def __init__(self) -> None:
        self.draining = False

    def drain(self) -> None:
        """Say no to readiness checks and hang up after each answer, but answer everything."""
        self.draining = True
