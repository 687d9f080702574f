"""HTTP/1.1 on kept connections, cheaply: the client must not become the limit on a busy machine."""

import asyncio
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

READ = 1 << 16


class BrokenError(Exception):
    """The connection ended, or said something that is not HTTP, before the whole answer came."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    version: str
    """Its header `x-version`."""
    body: bytes


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT)

    async def ask(self, request: h11.Request, body: bytes) -> Answer:
        sent = [request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()]
        self._writer.write(b"".join(self._http.send(event) or b"" for event in sent))
        head = await self._event()
        if not isinstance(head, h11.Response):
            raise BrokenError("the connection was closed without an answer")
        parts = []
        while isinstance(event := await self._event(), h11.Data):
            parts.append(bytes(event.data))
        if not isinstance(event, h11.EndOfMessage):
            raise BrokenError("the connection was closed within an answer")
        version = next((value.decode() for name, value in head.headers if name == b"x-version"), "")
        return Answer(head.status_code, version, b"".join(parts))

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(READ))
        return event

    def again(self) -> bool:
        """Whether it can carry another request."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    def close(self) -> None:
        self._writer.close()


class Client:
    """As many kept connections to one address as are needed at a time."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._address = (where.hostname or "", where.port or 80)
        self._headers = [("host", where.netloc)]
        self._idle: list[_Connection] = []

    async def get(self, path: str) -> Answer:
        return await self._ask(h11.Request(method="GET", target=path, headers=self._headers), b"")

    async def post(self, path: str, said: object) -> Answer:
        body = json.dumps(said).encode()
        kind = [("content-type", "application/json"), ("content-length", str(len(body)))]
        headers = [*self._headers, *kind]
        return await self._ask(h11.Request(method="POST", target=path, headers=headers), body)

    async def _ask(self, request: h11.Request, body: bytes) -> Answer:
        """Raises BrokenError when there is no whole answer."""
        connection = None
        try:
            connection = self._idle.pop() if self._idle else await self._open()
            answer = await connection.ask(request, body)
        except (OSError, h11.ProtocolError) as error:
            raise BrokenError(f"{type(error).__name__}: {error}") from error
        finally:
            if connection is not None:
                self._keep(connection)
        return answer

    def _keep(self, connection: _Connection) -> None:
        if connection.again():
            self._idle.append(connection)
        else:
            connection.close()

    async def _open(self) -> _Connection:
        return _Connection(*await asyncio.open_connection(*self._address))

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
