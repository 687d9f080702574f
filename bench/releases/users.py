"""The shop's users: requests at a constant rate, each sent when it is due, whatever became of those
before, and every answer checked. Nothing is ever repeated.

`python -m bench.releases.users URL RATE LOG` runs until its standard input closes and writes a line
of JSON for each request: what a user saw, and which release (if any) had answered.
"""

import asyncio
import json
import random
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.releases.http import Answer, BrokenError, Client

PATIENCE = 30.0
"""Seconds until a user gives up."""
ITEMS = 2000
MIX = {"list": 40.0, "item": 36.0, "order": 15.0, "order status": 5.5, "delivery": 3.5}
"""Percent of the requests."""
KEPT_ORDERS = 500
SEED = 20260401


@dataclass(frozen=True)
class Seen:
    """One request, as its user saw it."""

    due: float
    """Seconds since the epoch."""
    kind: str
    seconds: float
    """From when it was due to its whole answer."""
    problem: str
    """Empty when the answer was right."""
    version: str
    """Of the release that answered; empty when none did."""


class WrongAnswerError(Exception):
    """The answer came, with a good status, and is not true."""


class RefusedError(Exception):
    """The status is not the one that this request deserves."""


def price(item: int) -> int:
    """In cents, as the catalogue was filled."""
    return 100 + item * 7 % 5000


def delivery(item: int) -> int:
    """In cents, as the partner's price list says."""
    return 390 + item % 7 * 50


class Users:
    """All of them, over kept connections."""

    def __init__(self, url: str, log: Path) -> None:
        self._client = Client(url)
        self._log = log.open("a")
        self._dice = random.Random(SEED)  # noqa: S311
        self._orders: deque[dict[str, Any]] = deque(maxlen=KEPT_ORDERS)

    async def come(self, rate: float, leave: asyncio.Event) -> None:
        """Until they shall leave; those in flight are answered first. A mistake of ours ends it."""
        due = time.time()
        async with asyncio.TaskGroup() as running:
            while not leave.is_set():
                await asyncio.sleep(max(0.0, due - time.time()))
                kind = self._dice.choices(list(MIX), list(MIX.values()))[0]
                running.create_task(self._one(due, kind))
                due += 1 / rate
        self._client.close()
        self._log.close()

    async def _one(self, due: float, kind: str) -> None:
        version: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ask(kind, version)
            problem = ""
        except TimeoutError:
            problem = f"no answer in {PATIENCE:g} s"
        except (BrokenError, WrongAnswerError, RefusedError) as error:
            problem = f"{type(error).__name__}: {error}"
        seen = Seen(due, kind, round(time.time() - due, 4), problem, "".join(version))
        self._log.write(json.dumps(asdict(seen)) + "\n")
        self._log.flush()

    async def _ask(self, kind: str, version: list[str]) -> None:
        item = self._dice.randint(1, ITEMS)
        if kind == "order status" and not self._orders:
            kind = "item"
        if kind == "list":
            after = item - 21 if item > 21 else 0
            body = await self._get(f"/items?after={after}", version)
            truth: Any = [(n, price(n)) for n in range(after + 1, after + 21)]
            _same([(each["id"], each["price"]) for each in body], truth)
        elif kind == "item":
            body = await self._get(f"/items/{item}", version)
            _same((body["id"], body["price"]), (item, price(item)))
        elif kind == "delivery":
            body = await self._get(f"/items/{item}/delivery", version)
            _same((body["id"], body["delivery"]), (item, delivery(item)))
        elif kind == "order status":
            order = self._dice.choice(self._orders)
            body = await self._get(f"/orders/{order['id']}", version)
            _same({key: body[key] for key in order}, order)
        else:
            await self._order(item, version)

    async def _order(self, item: int, version: list[str]) -> None:
        quantity = self._dice.randint(1, 20)
        answer = await self._client.post("/orders", {"item": item, "quantity": quantity})
        body = _read(answer, 201, version)
        truth = {"item": item, "quantity": quantity, "total": price(item) * quantity}
        # What was sold at a wrong price is not asked for again: each mistake counts once.
        _same({key: body[key] for key in truth}, truth)
        self._orders.append({"id": body["id"], **truth})

    async def _get(self, path: str, version: list[str]) -> Any:
        return _read(await self._client.get(path), 200, version)


def _read(answer: Answer, deserved: int, version: list[str]) -> Any:
    version.append(answer.version)
    if answer.status != deserved:
        raise RefusedError(f"{answer.status}: {answer.body[:120].decode(errors='replace')}")
    return json.loads(answer.body)


def _same(said: object, true: object) -> None:
    if said != true:
        raise WrongAnswerError(f"{said!r} is not {true!r}"[:200])


async def _main(url: str, rate: float, log: Path) -> None:
    leave = asyncio.Event()
    coming = asyncio.create_task(Users(url, log).come(rate, leave))
    reading = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait({coming, reading}, return_when=asyncio.FIRST_COMPLETED)
    leave.set()
    await coming


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])))
