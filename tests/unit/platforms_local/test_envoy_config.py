from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backendctl.platforms.base import PREVIEW_HEADER, Routes
from backendctl.platforms.local.envoy_arms import Arm, Endpoints, arms_of
from backendctl.platforms.local.envoy_bootstrap import bootstrap
from backendctl.platforms.local.envoy_clusters import clusters
from backendctl.platforms.local.envoy_routes import route_table, routes_served

numbers = st.integers(1, 10_000)


@st.composite
def any_routes(draw: st.DrawFn) -> Routes:
    arms = draw(st.lists(numbers, min_size=1, max_size=4, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(arms) - 1, max_size=3)))
    cuts = [0, *cuts[: len(arms) - 1], 100]
    weights = {n: b - a for n, a, b in zip(arms, cuts, cuts[1:], strict=False)}
    others = st.none() | numbers
    preview = draw(others)
    mirror = draw(st.none() | st.integers(1, 100)) if preview is not None else None
    return Routes(weights, preview=preview, fallback=draw(others), mirror=mirror)


def table_of(routes: Routes | None) -> dict[str, Any]:
    return dict(route_table(routes, "1")["resources"][0])


@given(any_routes())
def test_whatever_is_written_is_read_back_the_same(routes: Routes) -> None:
    assert routes_served(table_of(routes)) == routes


@given(any_routes())
def test_sticky_routes_are_read_back_the_same_too(routes: Routes) -> None:
    table = route_table(routes, "1", sticky=True)["resources"][0]
    assert routes_served(table) == routes


@given(any_routes())
def test_every_cluster_that_a_route_names_is_one_of_its_arms(routes: Routes) -> None:
    named = set()
    for entry in table_of(routes)["virtual_hosts"][0]["routes"]:
        route = entry["route"]
        named |= {route["cluster"]} if "cluster" in route else set()
        named |= {c["name"] for c in route.get("weighted_clusters", {}).get("clusters", ())}
        named |= {policy["cluster"] for policy in route.get("request_mirror_policies", ())}
    assert named == {arm.cluster for arm in arms_of(routes)}


@given(numbers, st.none() | numbers, st.sampled_from(["", "preview", "mirror"]))
def test_a_cluster_name_says_which_arm_it_is(
    number: int, fallback: int | None, purpose: str
) -> None:
    arm = Arm(number, fallback)
    if purpose and fallback is None:
        arm = Arm(number, preview=purpose == "preview", mirror=purpose == "mirror")
    assert Arm.parse(arm.cluster) == arm


def test_other_clusters_are_no_arms() -> None:
    assert [Arm.parse(name) for name in ("rel-", "rel-1-fb", "rel-x", "web", "rel-1-fb-2-x")] == [
        None
    ] * 5


def test_a_candidate_stands_behind_its_fallback_and_the_fallback_alone() -> None:
    assert arms_of(Routes({1: 90, 2: 10}, fallback=1)) == (Arm(1), Arm(2, fallback=1))


def test_a_promoted_release_has_no_fallback() -> None:
    assert arms_of(Routes({1: 0, 2: 100})) == (Arm(1), Arm(2))


def test_the_fallback_of_a_release_comes_after_the_release_itself() -> None:
    made = clusters({1: Endpoints((1,), "/"), 2: Endpoints((2,), "/")}, [Arm(2, fallback=1)], "1")
    aggregate = next(c for c in made["resources"] if c["name"] == "rel-2-fb-1")
    assert aggregate["cluster_type"]["typed_config"]["clusters"] == ["rel-2", "rel-1"]


def test_no_routes_means_that_the_gateway_answers_itself() -> None:
    for nothing in (None, Routes({})):
        (entry,) = table_of(nothing)["virtual_hosts"][0]["routes"]
        assert entry["direct_response"]["status"] == 503
        assert routes_served(table_of(nothing)) is None


def test_the_preview_routes_come_first_and_only_for_their_header_or_cookie() -> None:
    entries = table_of(Routes({1: 100}, preview=2))["virtual_hosts"][0]["routes"]
    names = [[header["name"] for header in entry["match"]["headers"]] for entry in entries]
    header, cookie = [PREVIEW_HEADER], ["cookie"]
    assert names == [[*header, ":method"], header, [*cookie, ":method"], cookie, [":method"], []]


def test_only_reads_that_end_with_their_answer_are_copied_and_their_retries_stay_the_same() -> None:
    entries = table_of(Routes({1: 100}, preview=2, mirror=10))["virtual_hosts"][0]["routes"]
    plain = table_of(Routes({1: 100}, preview=2))["virtual_hosts"][0]["routes"]
    (copied,) = [each for each in entries if "request_mirror_policies" in each["route"]]
    assert [each for each in entries if each is not copied] == plain
    method, upgrade = copied["match"]["headers"]
    assert method["string_match"]["safe_regex"]["regex"] == "GET|HEAD"
    assert (upgrade["name"], upgrade["invert_match"]) == ("upgrade", True)
    (policy,) = copied["route"].pop("request_mirror_policies")
    assert policy["cluster"] == "rel-2-mirror"
    assert copied["route"] == plain[-2]["route"]


def test_copies_go_to_a_cluster_of_their_own_that_ends_them_in_time() -> None:
    at = {2: Endpoints((7, 8), "/")}
    made = {each["name"]: each for each in clusters(at, [Arm(2, mirror=True)], "1")["resources"]}
    copies, release = made["rel-2-mirror"], made["rel-2"]
    hosts = [each["load_assignment"]["endpoints"][0]["lb_endpoints"] for each in made.values()]
    assert hosts[0] == hosts[1]
    assert "health_checks" not in copies
    (options,) = copies["typed_extension_protocol_options"].values()
    assert options["common_http_protocol_options"]["max_stream_duration"] == "10s"
    (users,) = release["typed_extension_protocol_options"].values()
    assert "max_stream_duration" not in users["common_http_protocol_options"]
    assert copies["circuit_breakers"]["thresholds"][0]["max_requests"] < 1000


def test_only_reading_requests_are_repeated_after_they_were_cut() -> None:
    entries = table_of(Routes({1: 100}))["virtual_hosts"][0]["routes"]
    policies = [entry["route"]["retry_policy"]["retry_on"].split(",") for entry in entries]
    assert ["reset" in policy for policy in policies] == [True, False]


def test_nothing_listens_beyond_this_machine() -> None:
    made = bootstrap(
        port=8080,
        admin_socket=Path("/run/envoy.sock"),
        clusters_file=Path("/c.json"),
        routes_file=Path("/r.json"),
        node="local",
        access_log={},
    )
    (listener,) = made["static_resources"]["listeners"]
    assert listener["address"]["socket_address"]["address"] == "127.0.0.1"
    assert made["admin"]["address"]["pipe"]["mode"] == 0o600
