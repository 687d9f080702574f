"""Chooses the next request of a scenario and learns from the answers which ids exist.

Runs in a worker. Ids are kept per collection as the values of all path parameters up to and
including it, so that `/shops/{a}/orders/{b}` is only ever asked for an order of that shop.
"""

import json
import random
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from urllib.parse import quote, urlencode

from backendctl.loadtest.generate import Make, compile_schema
from backendctl.loadtest.measurement import Outcome
from backendctl.loadtest.scenario import Operation, Scenario, is_described

KEPT_IDS = 2000
"""Per collection; older ones are forgotten."""
RESERVED = 4
"""Every so many created ids one is set aside for operations that consume it, so that a deletion
never takes away what a read is about to ask for."""
_PLACE = re.compile(r"\{[^{}]+\}")
_ID_NAMES = ("id", "uuid", "key", "slug", "name")

Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent."""

    operation: Operation
    url: str
    """Path and query."""
    headers: Mapping[str, str]
    body: str | None
    ids: Ids


class Player:
    """Makes the requests of one worker; the same seed makes the same requests."""

    def __init__(self, scenario: Scenario, rng: random.Random) -> None:
        self._rng = rng
        self._operations = scenario.operations
        self._weights = list(accumulate(o.weight for o in scenario.operations))
        self._makers = {o.name: _Maker(o, scenario.components) for o in scenario.operations}
        self._sources = {o.creates: o for o in scenario.operations if o.creates}
        for operation in scenario.operations:
            if operation.lists:
                self._sources.setdefault(operation.lists, operation)
        self._consumed = {o.uses for o in scenario.operations if o.consumes}
        self._own: dict[str, deque[Ids]] = {}
        self._seen: dict[str, deque[Ids]] = {}
        self._reserve: dict[str, deque[Ids]] = {}
        self._created = 0

    def next(self, headers: Mapping[str, str]) -> Request:
        """The next request; `headers` are added to those the operation itself needs."""
        operation = self._rng.choices(self._operations, cum_weights=self._weights)[0]
        ids: Ids = ()
        while operation.uses:
            found = self._pick(operation)
            if found is not None:
                ids = found
                break
            # Nothing there yet: do what brings it about, and count that as what it is.
            operation = self._sources[operation.uses]
        return self._makers[operation.name].request(operation, ids, headers, self._rng)

    def _pick(self, operation: Operation) -> Ids | None:
        if operation.consumes:
            reserve = self._reserve.get(operation.uses)
            return reserve.popleft() if reserve else None
        known = self._own.get(operation.uses)
        if not known and not operation.own_only:
            known = self._seen.get(operation.uses)
        return known[int(self._rng.random() * len(known))] if known else None

    def learn(self, request: Request, status: int, body: bytes | str | None) -> None:
        """Remember the ids that an answer shows."""
        operation = request.operation
        if not 200 <= status < 300 or not body or not (operation.creates or operation.lists):
            return
        try:
            answer = json.loads(body)
        except ValueError:
            return
        if operation.creates:
            created = _id_of(answer)
            if created is not None:
                self._add_created(operation.creates, (*request.ids, created))
        else:
            seen = self._seen.setdefault(operation.lists, deque(maxlen=KEPT_IDS))
            if len(seen) < 100:
                seen.extend((*request.ids, found) for found in _ids_in(answer))

    def _add_created(self, collection: str, ids: Ids) -> None:
        self._created += 1
        aside = collection in self._consumed and self._created % RESERVED == 0
        pool = self._reserve if aside else self._own
        pool.setdefault(collection, deque(maxlen=KEPT_IDS)).append(ids)


class _Maker:
    """The compiled schemas of one operation."""

    def __init__(self, operation: Operation, components: Mapping[str, Any]) -> None:
        self._made: dict[str, list[tuple[str, Make]]] = {"path": [], "query": [], "header": []}
        for p in operation.parameters:
            self._made[p.where].append((p.name, compile_schema(p.schema, components)))
        self._body: Make | None = None
        if operation.body is not None:
            self._body = compile_schema(operation.body, components)

    def request(
        self, operation: Operation, ids: Ids, headers: Mapping[str, str], rng: random.Random
    ) -> Request:
        values = {name: make(rng) for name, make in self._made["path"]}
        parts = iter(ids)

        def fill(place: re.Match[str]) -> str:
            name = place.group()[1:-1]
            value = values[name] if name in values else next(parts)
            return quote(str(value), safe="")

        url = _PLACE.sub(fill, operation.path)
        query = [(name, _plain(make(rng))) for name, make in self._made["query"]]
        if query:
            url += "?" + urlencode(query, doseq=True)
        sent = {name: str(make(rng)) for name, make in self._made["header"]}
        sent.update(headers)
        body = None
        if self._body is not None:
            value = self._body(rng)
            sent["Content-Type"] = operation.media_type
            if operation.media_type.endswith("json"):
                body = json.dumps(value)
            else:
                body = urlencode({k: _plain(v) for k, v in value.items()}, doseq=True)
        return Request(operation, url, sent, body, ids)


def outcome_of(status: int, expected: Sequence[str]) -> Outcome:
    """What a status means for the service, given what its document describes."""
    if status >= 500:
        return Outcome.SERVER_ERROR
    if not is_described(status, expected):
        return Outcome.UNDOCUMENTED
    return Outcome.REFUSED if status >= 400 else Outcome.OK


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _id_of(answer: Any) -> str | None:
    """The id in a created thing: its own `id`, a key that ends so, or one level down."""
    if not isinstance(answer, Mapping):
        return None
    for name in _ID_NAMES:
        if isinstance(answer.get(name), str | int):
            return str(answer[name])
    for name, value in answer.items():
        if name.lower().endswith("id") and isinstance(value, str | int):
            return str(value)
    for value in answer.values():
        if isinstance(value, Mapping) and isinstance(value.get("id"), str | int):
            return str(value["id"])
    return None


def _ids_in(answer: Any) -> list[str]:
    """The ids in a list, or in the first list one level down (`items`, `data`, `results`)."""
    if isinstance(answer, Mapping):
        answer = next((v for v in answer.values() if isinstance(v, list)), [])
    if not isinstance(answer, list):
        return []
    return [found for found in map(_id_of, answer) if found is not None]
