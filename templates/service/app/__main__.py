"""`python -m app`: serve until SIGTERM, then drain and leave."""

import asyncio
import signal
import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError

from app.lifecycle import Lifecycle
from app.main import create_app
from app.settings import Settings
from app.telemetry.logs import configure_logs


class Server(uvicorn.Server):
    """Goes on serving for `drain_delay` after SIGTERM, while readiness already says no.

    Load balancers learn of the end from readiness; a listener that closes first fails requests.
    """

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain_delay: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain_delay = drain_delay
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, *args: object, **kwargs: object) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(*args, **kwargs)  # type: ignore[arg-type]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or self._lifecycle.draining or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._lifecycle.drain()
        leave = super().handle_exit
        loop = self._loop
        loop.call_soon_threadsafe(loop.call_later, self._drain_delay, leave, sig, frame)


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"setting {name}: {problem['msg']}\n")
        return 2
    configure_logs(settings.log_level)
    lifecycle = Lifecycle()
    config = uvicorn.Config(
        create_app(settings, lifecycle),
        host=settings.listen_address,
        port=settings.port,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=settings.shutdown_timeout,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    server = Server(config, lifecycle, settings.drain_delay)
    server.run()
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(main())
