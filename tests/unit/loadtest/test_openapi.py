import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from backendctl.loadtest.generate import UnsupportedError, compile_schema
from backendctl.loadtest.measurement import Outcome
from backendctl.loadtest.openapi import as_2020, from_document
from backendctl.loadtest.player import Player, outcome_of
from backendctl.loadtest.scenario import Operation, Scenario, is_described, plain_paths


def parameter(name: str, where: str = "path", **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "required": True, "schema": schema or {"type": "string"}}


def body(schema: dict[str, Any], media: str = "application/json") -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": schema}}}


def document(paths: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": paths, **rest}


OK = {"responses": {"200": {}}}
CREATED = {"responses": {"201": {}}}
NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
SHOP = document(
    {
        "/shops": {"get": OK, "post": {**CREATED, "requestBody": body(NAMED)}},
        "/shops/{shop_id}": {
            "parameters": [parameter("shop_id")],
            "get": OK,
            "put": {**OK, "requestBody": body(NAMED)},
            "delete": OK,
        },
        "/shops/{id}/orders": {"parameters": [parameter("id")], "post": CREATED, "get": OK},
        "/shops/{id}/orders/{order}": {
            "parameters": [parameter("id"), parameter("order")],
            "get": OK,
        },
        "/shops/{id}/close": {"parameters": [parameter("id")], "post": OK},
    }
)


def named(scenario: Scenario) -> dict[str, Operation]:
    return {o.name: o for o in scenario.operations}


# --- which operations are sent -------------------------------------------------------------------


def test_reads_and_changes_are_linked_to_what_creates_their_ids() -> None:
    found = named(from_document(SHOP, with_token=False))
    assert found["POST /shops"].creates == "/shops"
    assert found["GET /shops/{shop_id}"].uses == "/shops"
    assert found["GET /shops/{id}/orders/{order}"].uses == "/shops/{id}/orders"
    assert found["POST /shops/{id}/orders"].uses == "/shops"
    assert found["DELETE /shops/{shop_id}"].consumes
    for name, operation in found.items():
        changes = name.split()[0] in ("PUT", "DELETE", "PATCH") or name.endswith("close")
        assert operation.own_only or not changes


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ({"/purge": {"post": OK}}, "may do anything"),
        ({"/config": {"put": OK}}, "did not create"),
        ({"/users": {"get": OK}, "/users/{id}": {"delete": OK}}, "no POST /users"),
        ({"/users/{id}": {"get": OK}}, "valid 'id'"),
        ({"/up": {"post": {**CREATED, "requestBody": body({}, "multipart/form-data")}}}, "multi"),
        ({"/x": {"get": {**OK, "x-backendctl-weight": 0}}}, "weight"),
        ({"/x": {"get": {**OK, "security": [{"oauth": []}]}}}, "token"),
        ({"/x": {"get": {**OK, "parameters": [parameter("s", "cookie")]}}}, "cookie"),
        (
            {"/x": {"post": {**CREATED, "requestBody": body({"$ref": "#/components/schemas/No"})}}},
            "reference to nothing",
        ),
        (
            {"/x": {"post": {**CREATED, "requestBody": body({"not": {}})}}},
            "no valid body",
        ),
    ],
)
def test_what_could_do_harm_or_cannot_be_made_is_left_out_with_the_reason(
    paths: dict[str, Any], reason: str
) -> None:
    for item in paths.values():
        if "{id}" in str(paths):
            item.setdefault("parameters", [parameter("id")])
    scenario = from_document(document(paths), with_token=False)
    assert any(reason in why for why in scenario.left_out.values()), scenario.left_out
    assert len(scenario.operations) == sum(
        len([m for m in item if m != "parameters"]) for item in paths.values()
    ) - len(scenario.left_out)


def test_a_weight_sends_a_post_that_is_left_out_otherwise_but_never_a_foreign_delete() -> None:
    weighted = {**OK, "x-backendctl-weight": 5}
    paths = {"/search": {"post": weighted}, "/all": {"delete": weighted}}
    scenario = from_document(document(paths), with_token=False)
    assert [(o.name, o.weight) for o in scenario.operations] == [("POST /search", 5.0)]


def test_secured_operations_are_sent_with_a_token_and_public_ones_without_need() -> None:
    paths = {"/open": {"get": {**OK, "security": []}}, "/mine": {"get": OK}}
    doc = document(paths, security=[{"bearer": []}])
    assert named(from_document(doc, with_token=True))["GET /mine"].secured
    assert list(named(from_document(doc, with_token=False))) == ["GET /open"]


def test_what_depends_on_an_operation_that_is_left_out_is_left_out_too() -> None:
    paths = {
        "/a": {"post": {**CREATED, "requestBody": body({"not": {}})}},
        "/a/{id}": {"parameters": [parameter("id")], "get": OK},
    }
    scenario = from_document(document(paths), with_token=False)
    assert not scenario.operations
    assert "itself left out" in scenario.left_out["GET /a/{id}"]


def test_probe_and_documentation_paths_are_not_load() -> None:
    scenario = from_document(
        document({"/livez": {"get": OK}, "/x": {"get": OK}}), with_token=False, skip={"/livez"}
    )
    assert list(named(scenario)) == ["GET /x"]


def test_references_to_parameters_and_bodies_are_followed() -> None:
    doc = document(
        {
            "/x": {
                "post": {
                    **CREATED,
                    "parameters": [{"$ref": "#/components/parameters/K"}],
                    "requestBody": {"$ref": "#/components/requestBodies/B"},
                }
            }
        },
        components={
            "parameters": {"K": parameter("Idempotency-Key", "header")},
            "requestBodies": {"B": body({"$ref": "#/components/schemas/N"})},
            "schemas": {"N": NAMED},
        },
    )
    request = Player(from_document(doc, with_token=False), random.Random(1)).next({})
    assert len(request.headers["Idempotency-Key"]) >= 12
    assert "name" in (request.body or "")


# --- playing -------------------------------------------------------------------------------------


class ShopServer:
    """Knows what exists, and notes every request for something that does not."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.bad: list[str] = []
        self.count = 0
        self.foreign = "/shops/foreign"

    def answer(self, method: str, url: str) -> tuple[int, str]:
        parts = url.strip("/").split("/")
        unit = "/" + "/".join(parts[: 2 * (len(parts) // 2)]) if len(parts) > 1 else ""
        if unit and unit not in self.alive and unit != self.foreign:
            self.bad.append(f"{method} {url}")
            return 404, "{}"
        if unit == self.foreign and method not in ("GET", "POST"):
            self.bad.append(f"{method} {url}")
        if method == "POST" and parts[-1] in ("shops", "orders"):
            self.count += 1
            self.alive.add(f"/{'/'.join(parts)}/{self.count}")
            return 201, f'{{"id": {self.count}}}'
        if method == "DELETE":
            self.alive.remove(url)
        return 200, '{"items": [{"id": "foreign"}]}' if url == "/shops" else "{}"


@given(st.integers())
@settings(max_examples=20)
def test_only_existing_things_are_asked_for_and_only_own_things_are_changed(seed: int) -> None:
    player = Player(from_document(SHOP, with_token=False), random.Random(seed))
    server = ShopServer()
    names = set()
    in_flight = []
    for _ in range(1500):  # so many that chance leaves out no operation
        request = player.next({})
        names.add(request.operation.name)
        in_flight.append(request)
        if len(in_flight) > 20:  # answers come late, as under load
            sent = in_flight.pop(0)
            status, answer = server.answer(sent.operation.method, sent.url)
            player.learn(sent, status, answer)
    assert not server.bad
    assert "DELETE /shops/{shop_id}" in names
    assert "GET /shops/{id}/orders/{order}" in names


def test_the_same_seed_sends_the_same_requests() -> None:
    scenario = from_document(SHOP, with_token=False)

    def first() -> list[tuple[str, str | None]]:
        player = Player(scenario, random.Random(9))
        return [(r.url, r.body) for r in (player.next({}) for _ in range(50))]

    assert first() == first()


def test_a_scenario_survives_the_way_to_the_workers() -> None:
    import json

    scenario = from_document(SHOP, with_token=False)
    assert Scenario.from_data(json.loads(json.dumps(scenario.to_data()))) == scenario


@pytest.mark.parametrize(
    ("status", "expected", "outcome"),
    [
        (200, ("200",), Outcome.OK),
        (201, ("200",), Outcome.UNDOCUMENTED),
        (204, ("2XX",), Outcome.OK),
        (404, ("200", "404"), Outcome.REFUSED),
        (404, ("200",), Outcome.UNDOCUMENTED),
        (422, ("200", "default"), Outcome.REFUSED),
        (500, ("200", "500", "default"), Outcome.SERVER_ERROR),
        (307, ("2XX", "3XX"), Outcome.OK),
    ],
)
def test_a_status_means_what_the_document_says(
    status: int, expected: tuple[str, ...], outcome: Outcome
) -> None:
    assert outcome_of(status, expected) is outcome
    assert is_described(299, ("2xx",))


def test_plain_paths_are_read_alike_and_once() -> None:
    scenario = plain_paths(["/a", "/b", "/a"], "given")
    assert [(o.name, o.weight) for o in scenario.operations] == [("GET /a", 1.0), ("GET /b", 1.0)]


# --- generated data ------------------------------------------------------------------------------

SCHEMAS: list[dict[str, Any]] = [
    {"type": "string", "minLength": 3, "maxLength": 5},
    {"type": "string", "minLength": 40},
    {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
    {"type": "string", "enum": ["a", "b"]},
    {"const": 3},
    {"type": "integer", "minimum": 5, "maximum": 5},
    {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2},
    {"type": "integer", "multipleOf": 7, "maximum": -3},
    {"type": "number", "minimum": 0.001, "maximum": 0.002},
    {"type": "number", "multipleOf": 0.05, "minimum": 0},
    {"type": ["string", "null"]},
    {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 9}]},
    {"oneOf": [{"type": "string", "format": "binary"}, {"type": "boolean"}]},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
    {"type": "array", "maxItems": 0},
    {"allOf": [NAMED, {"type": "object", "required": ["n"], "properties": {"n": {"const": 1}}}]},
    {"$ref": "#/components/schemas/Node"},
    {"type": "object", "required": ["undescribed"]},
    *(
        {"type": "string", "format": f}
        for f in ("date", "date-time", "time", "uuid", "email", "ipv4", "ipv6", "uri", "hostname")
    ),
]
ROOT = {
    "components": {
        "schemas": {
            "Node": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "id": {"type": "string", "readOnly": True},
                    "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
                },
            }
        }
    }
}


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_generated_values_satisfy_an_independent_validator(schema: dict[str, Any]) -> None:
    make = compile_schema(schema, ROOT)
    checker = Draft202012Validator.FORMAT_CHECKER
    validator = Draft202012Validator({**schema, **ROOT}, format_checker=checker)
    rng = random.Random(1)
    for _ in range(100):
        validator.validate(make(rng))


def test_fields_only_the_server_sets_are_not_sent() -> None:
    make = compile_schema({"$ref": "#/components/schemas/Node"}, ROOT)
    assert all("id" not in make(random.Random(seed)) for seed in range(50))


def test_free_strings_do_not_repeat_so_that_unique_names_stay_unique() -> None:
    make = compile_schema({"type": "string"}, {})
    rng = random.Random(1)
    assert len({make(rng) for _ in range(20_000)}) == 20_000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "binary"},
        {"$ref": "https://example.com/other.json"},
        {"$ref": "#/components/schemas/Endless"},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "string", "pattern": "("},
    ],
    ids=str,
)
def test_what_cannot_be_made_is_refused_and_not_guessed(schema: dict[str, Any]) -> None:
    endless = {
        "type": "object",
        "required": ["next"],
        "properties": {"next": {"$ref": "#/components/schemas/Endless"}},
    }
    with pytest.raises(UnsupportedError):
        compile_schema(schema, {"components": {"schemas": {"Endless": endless}}})


def test_the_words_of_openapi_3_0_become_those_of_json_schema() -> None:
    old = {"type": "integer", "nullable": True, "minimum": 0, "exclusiveMinimum": True}
    assert as_2020(old) == {"type": ["integer", "null"], "exclusiveMinimum": 0}
    assert as_2020({"properties": {"nullable": {"type": "string"}}}) == {
        "properties": {"nullable": {"type": "string"}}
    }
    make = compile_schema(old, {})
    assert all(make(random.Random(s)) > 0 for s in range(100))
