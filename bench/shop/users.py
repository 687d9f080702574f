"""Users of the shop: requests at a constant rate, however slowly they are answered.

A process of its own, so that nothing the bench does delays a request. Each request is sent when it
is due, on a kept or a new connection, and counts as failed unless its whole answer came: status
below 500, all bytes, the right digest. Nothing is ever repeated. An error that the release itself
makes and marks is counted apart.

`python -m bench.shop.users PORT RATE MIX ADMIN_SOCKET`; a line on its standard input asks for a
report. A witness looks at the gateway all the while.
"""

import asyncio
import hashlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import h11

from bench.shop.witness import Witness

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds for one request; far beyond what any of them takes."""
BIG = 5_000_000
READ = 1 << 16


@dataclass(frozen=True)
class Kind:
    """One kind of request."""

    name: str
    target: str = "/"
    upload: int | None = None
    """Bytes sent; None for a GET."""
    kept: bool = True
    """On a connection that is kept and used again."""


KEPT, NEW = Kind("keep-alive"), Kind("new connection", kept=False)
SMALL_POST = Kind("post", upload=1000)
NEW_POST = Kind("post, new connection", upload=1000, kept=False)
MIXES: dict[str, tuple[Kind, ...]] = {
    "light": (
        *(KEPT, NEW, KEPT, SMALL_POST) * 3,
        Kind("slow", "/?sleep=0.4"),
        Kind("stream", "/stream?parts=4&gap=0.05&idle=0.2", kept=False),
    ),
    "full": (
        *(KEPT, NEW, KEPT, SMALL_POST, KEPT, NEW_POST, NEW) * 3,
        Kind("slow, 1 s", "/?sleep=1.0"),
        *(KEPT, NEW, KEPT, SMALL_POST, KEPT, NEW_POST, NEW) * 2,
        Kind("slow, 2 s, new connection", "/?sleep=2.0", kept=False),
        *(KEPT, NEW, KEPT, SMALL_POST, KEPT, NEW_POST, NEW) * 2,
        Kind("download of 5 MB", f"/big?bytes={BIG}"),
        Kind("upload of 5 MB", upload=BIG, kept=False),
        Kind("stream, 3 s with a silent second", "/stream?parts=10&gap=0.2&idle=1.0"),
    ),
}


@dataclass(frozen=True)
class Failure:
    """A request that a user would call failed."""

    at: float
    """Seconds since the epoch, when it was sent."""
    kind: str
    problem: str
    release: str
    """Which release had answered, where that is known."""
    seconds: float


@dataclass
class Report:
    """What became of the requests that were due since the report before."""

    requests: int = 0
    failed: list[Failure] = field(default_factory=list)
    own_errors: int = 0
    """Errors that a release made itself and marked: no fault of the rollout."""
    closes: int = 0
    """Answers on kept connections that told the user to close."""
    kinds: dict[str, int] = field(default_factory=dict)
    """Requests by kind."""
    latest: float = 0.0
    """The longest delay, in seconds, between when a request was due and when it was sent."""
    looks: int = 0
    """How often the witness looked at what the gateway serves."""
    broken: list[str] = field(default_factory=list)
    """What it saw that must never be."""


class FailedError(Exception):
    """The answer is not what it should be."""


class _Connection:
    """One HTTP/1.1 connection, used for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT)
        self.release = ""

    async def ask(self, kind: Kind, body: bytes) -> tuple[int, bool]:
        """Status, and whether the error was of the release's own making."""
        self.release = ""
        close = [] if kind.kept else [("connection", "close")]
        sizes = [] if kind.upload is None else [("content-length", str(len(body)))]
        method = "GET" if kind.upload is None else "POST"
        headers = [("host", HOST), *sizes, *close]
        self._write(h11.Request(method=method, target=kind.target, headers=headers))
        if body:
            self._write(h11.Data(data=body))
        self._write(h11.EndOfMessage())
        await self._writer.drain()
        head = await self._event()
        if not isinstance(head, h11.Response):
            raise FailedError(f"no answer, but {type(head).__name__}")
        named = {name.decode(): value.decode() for name, value in head.headers}
        self.release = named.get("x-release", "")
        parts = []
        while isinstance(event := await self._event(), h11.Data):
            parts.append(bytes(event.data))
        if head.status_code >= 500 and "x-own-error" in named:
            return head.status_code, True
        if head.status_code >= 500:
            raise FailedError(f"status {head.status_code}: {b''.join(parts)[:200]!r}")
        _check(kind, body, named, parts)
        return head.status_code, False

    def _write(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def _event(self) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(READ))
        if isinstance(event, h11.ConnectionClosed) or not isinstance(event, h11.Event):
            raise FailedError("the connection was closed without an answer")
        return event

    def again(self) -> bool:
        """Whether it can carry another request."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    def close(self) -> None:
        self._writer.close()


def _check(kind: Kind, sent: bytes, headers: dict[str, str], parts: list[bytes]) -> None:
    body = b"".join(parts)
    if "transfer-encoding" in headers:
        body, claimed = body[:-64], body[-64:].decode(errors="replace")
    else:
        claimed = headers.get("x-digest", "")
    if hashlib.sha256(body).hexdigest() != claimed:
        raise FailedError(f"{len(body)} bytes came, and not those that were sent")
    if kind.upload is not None and body != hashlib.sha256(sent).hexdigest().encode():
        raise FailedError("the upload arrived changed")


class _Crowd:
    def __init__(self, port: int, rate: float, mix: tuple[Kind, ...]) -> None:
        self._port, self._gap, self._mix = port, 1 / rate, itertools.cycle(mix)
        self._idle: list[_Connection] = []
        self._running: set[asyncio.Task[None]] = set()
        self._bodies = {kind.upload: b"u" * (kind.upload or 0) for kind in mix}
        self._report = Report()

    async def come(self) -> None:
        """Send for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            late = loop.time() - due
            self._report.latest = max(self._report.latest, late)
            task = asyncio.create_task(self._one(next(self._mix)))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            due += self._gap

    async def report(self) -> Report:
        """Of all requests sent so far; those to come belong to the next report."""
        if self._running:
            await asyncio.wait(set(self._running))
        report, self._report = self._report, Report()
        return report

    async def _one(self, kind: Kind) -> None:
        at, began = time.time(), time.monotonic()
        release = ""
        connection = None
        own = False
        try:
            async with asyncio.timeout(PATIENCE):
                connection = self._idle.pop() if kind.kept and self._idle else await self._open()
                _, own = await connection.ask(kind, self._bodies[kind.upload])
            problem = ""
        except TimeoutError:
            problem = f"no whole answer in {PATIENCE:g} s"
        except (OSError, FailedError, h11.ProtocolError) as error:
            problem = f"{type(error).__name__}: {error}"
        if connection is not None:
            release = connection.release
            again = not problem and connection.again()
            self._report.closes += kind.kept and not again and not problem and not own
            if kind.kept and again:
                self._idle.append(connection)
            else:
                connection.close()
        self._report.requests += 1
        self._report.own_errors += own
        self._report.kinds[kind.name] = self._report.kinds.get(kind.name, 0) + 1
        if problem:
            seconds = round(time.monotonic() - began, 3)
            self._report.failed.append(Failure(at, kind.name, problem, release, seconds))

    async def _open(self) -> _Connection:
        return _Connection(*await asyncio.open_connection(HOST, self._port, limit=4 * READ))


async def _main(port: int, rate: float, mix: str, admin_socket: Path) -> None:
    crowd, witness = _Crowd(port, rate, MIXES[mix]), Witness(admin_socket)
    tasks = [asyncio.create_task(crowd.come()), asyncio.create_task(witness.watch())]
    while await asyncio.to_thread(sys.stdin.readline):
        for task in tasks:
            if task.done():
                task.result()  # neither ever ends by itself: raise what ended it
        report = await crowd.report()
        report.looks, report.broken = witness.told()
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
        sys.stdout.flush()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Users:
    """The process, as the bench speaks to it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def report(self) -> Report:
        """Of all requests sent since the report before; waits for those in flight."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the users have no pipes")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        failed = [Failure(**each) for each in said.pop("failed")]
        return Report(failed=failed, **said)


@contextmanager
def users(port: int, rate: float, mix: str, admin_socket: Path) -> Iterator[Users]:
    """Users of the gateway at that port for as long as the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.shop.users", str(port), str(rate), mix, str(admin_socket)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    crowd = Users(process)
    try:
        crowd.report()  # once it answers, requests are on their way
        yield crowd
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], Path(sys.argv[4])))
