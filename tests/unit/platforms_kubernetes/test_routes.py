"""Routes as an HTTPRoute, and back."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.platforms.base import PREVIEW_COOKIE, PREVIEW_HEADER, Routes
from backendctl.platforms.kubernetes.naming import Naming, Reference
from backendctl.platforms.kubernetes.routes import (
    PREVIEW_PORT,
    USERS_PORT,
    Attachment,
    Served,
    http_route,
    order,
    revision_in,
    served_by,
)

NAMING = Naming("shop", "prod", "shop-prod")
AT = Attachment(Reference("gateways", "shared"), "shop.example.com")
NUMBERS = st.integers(1, 40)


@st.composite
def served(draw: st.DrawFn) -> Served:
    numbers = sorted(draw(st.sets(NUMBERS, min_size=1, max_size=4)))
    cuts = sorted(
        draw(st.lists(st.integers(0, 100), min_size=len(numbers) - 1, max_size=len(numbers) - 1))
    )
    shares = [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
    weights = dict(zip(numbers, shares, strict=True))
    routes = Routes(weights, draw(st.none() | st.sampled_from(numbers)), draw(st.none() | NUMBERS))
    idle = draw(st.sets(NUMBERS, max_size=3)) - weights.keys() - {routes.preview, routes.fallback}
    return Served(routes, frozenset(idle), draw(st.from_regex(r"[0-9a-f]{4,12}", fullmatch=True)))


@given(served())
def test_a_route_that_was_written_reads_back_as_what_was_meant(wanted: Served) -> None:
    route = json.loads(json.dumps(http_route(NAMING, AT, wanted)))
    assert served_by(NAMING, route) == wanted


@given(served())
def test_every_connected_release_is_a_backend_once_and_the_weights_sum_to_100(
    wanted: Served,
) -> None:
    route = http_route(NAMING, AT, wanted)
    users = route["spec"]["rules"][1]["backendRefs"]
    assert sum(each["weight"] for each in users) == 100
    assert {each["port"] for each in users} == {USERS_PORT}
    names = [each["name"] for each in users]
    assert sorted(names) == sorted(NAMING.release(n) for n in wanted.connected)
    assert [n for _, _, n in order(NAMING, route)] == sorted(wanted.connected, reverse=True)


def test_no_weight_at_all_serves_no_release_and_keeps_them_connected() -> None:
    wanted = Served(Routes({}), frozenset({1, 2}), "abc")
    route = http_route(NAMING, AT, wanted)
    assert served_by(NAMING, route) == wanted
    assert [each["weight"] for each in route["spec"]["rules"][1]["backendRefs"]] == [0, 0]


def test_a_tester_reaches_the_preview_by_header_or_cookie_on_a_port_of_its_own() -> None:
    route = http_route(NAMING, AT, Served(Routes({1: 100}, preview=2), revision="abc"))
    rule = route["spec"]["rules"][2]
    assert [(b["name"], b["port"]) for b in rule["backendRefs"]] == [("shop-r2", PREVIEW_PORT)]
    header, cookie = (match["headers"][0] for match in rule["matches"])
    assert header["name"] == PREVIEW_HEADER
    assert re.fullmatch(header["value"], "")
    for sent in (f"{PREVIEW_COOKIE}=1", f"a=b; {PREVIEW_COOKIE}=x; c=d", f"a=b;{PREVIEW_COOKIE}="):
        assert re.fullmatch(cookie["value"], sent), sent
    for sent in (f"no-{PREVIEW_COOKIE}=1", f"a={PREVIEW_COOKIE}", "a=b"):
        assert not re.fullmatch(cookie["value"], sent), sent


def test_the_gateway_s_own_answer_names_the_revision() -> None:
    route = http_route(NAMING, AT, Served(Routes({1: 100}), revision="abc12"))
    redirect = route["spec"]["rules"][0]["filters"][0]["requestRedirect"]
    assert revision_in(f"http://{redirect['hostname']}:8080/.well-known/x") == "abc12"
    assert "backendRefs" not in route["spec"]["rules"][0]


@pytest.mark.parametrize("location", ["", "/login", "https://shop.example.com/"])
def test_the_answer_of_a_service_is_no_revision(location: str) -> None:
    assert revision_in(location) == ""


def test_weights_that_a_person_edited_are_read_as_percent() -> None:
    route = http_route(NAMING, AT, Served(Routes({1: 90, 2: 10}), revision="abc"))
    for each, weight in zip(route["spec"]["rules"][1]["backendRefs"], (1, 2), strict=True):
        each["weight"] = weight
    assert served_by(NAMING, route).routes == Routes({2: 33, 1: 67})


def test_backends_that_are_not_ours_are_no_releases() -> None:
    route = http_route(NAMING, AT, Served(Routes({1: 100}), revision="abc"))
    route["spec"]["rules"][1]["backendRefs"].append({"name": "legacy", "port": 80, "weight": 0})
    assert served_by(NAMING, route).routes == Routes({1: 100})
