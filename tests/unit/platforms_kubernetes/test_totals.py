"""Counters of several proxies as one total: exact, or visibly begun anew, and never a jump."""

from hypothesis import given
from hypothesis import strategies as st

from backendctl.platforms.base import ArmSample
from backendctl.platforms.counters import began_anew
from backendctl.platforms.kubernetes.gateway_stats import Cluster
from backendctl.platforms.kubernetes.totals import Counts, Totals, arm_sample

NAME = "ns_shop-r7_80"
RELEASES = {NAME: 7}


def cluster(requests: int, errors: int = 0, slow: int = 0) -> Cluster:
    return Cluster(
        {"completed": requests, "failed": errors},
        {100.0: requests - slow, 1000.0: requests},
        requests,
    )


def sample(counts: Counts) -> ArmSample:
    return arm_sample(7, counts, 1)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("served"), st.sampled_from("abc"), st.integers(0, 50)),
        st.tuples(st.just("restarted"), st.sampled_from("abc"), st.integers(0, 50)),
        st.tuples(st.just("gone"), st.sampled_from("abc"), st.just(0)),
    ),
    max_size=25,
)


@given(STEPS)
def test_two_totals_differ_by_what_was_served_between_them_or_one_began_anew(
    steps: list[tuple[str, str, int]],
) -> None:
    totals, proxies = Totals(), {"a": 5, "b": 0}
    former = totals.add(_reading(proxies), RELEASES).get(7)
    for what, proxy, count in steps:
        served, lost = 0, False
        if what == "served":
            lost = proxy not in proxies  # a proxy that nobody has seen begin
            proxies[proxy] = proxies.get(proxy, 0) + count
            served = count
        elif what == "restarted" and proxy in proxies:
            lost = count < proxies[proxy]
            served = count - proxies[proxy]
            proxies[proxy] = count
        elif what == "gone" and len(proxies) > 1 and proxy in proxies:
            lost = True
            del proxies[proxy]
        now = totals.add(_reading(proxies), RELEASES).get(7)
        if former is None or now is None:
            assert lost or former is None
        elif lost:
            assert began_anew(sample(former), sample(now))
        else:
            assert now.requests - former.requests == served
            assert not began_anew(sample(former), sample(now))
        former = now


def _reading(proxies: dict[str, int]) -> dict[str, dict[str, Cluster]]:
    return {name: {NAME: cluster(count, count // 3, count // 2)} for name, count in proxies.items()}


def test_the_first_total_is_what_the_proxies_say() -> None:
    found = Totals().add({"a": {NAME: cluster(4, 1)}, "b": {NAME: cluster(6, 2)}}, RELEASES)[7]
    assert (found.requests, found.errors, found.edges, found.at_most) == (
        10,
        3,
        (100.0, 1000.0),
        (10, 10),
    )


def test_a_proxy_that_learns_of_a_release_later_adds_all_that_it_counted() -> None:
    totals = Totals()
    totals.add({"a": {NAME: cluster(4)}, "b": {}}, RELEASES)
    assert totals.add({"a": {NAME: cluster(5)}, "b": {NAME: cluster(3)}}, RELEASES)[7].requests == 8


def test_a_release_that_is_counted_under_another_name_begins_anew() -> None:
    totals = Totals()
    totals.add({"a": {"rule/1/backend/1": cluster(9)}}, {"rule/1/backend/1": 7})
    found = totals.add({"a": {"rule/1/backend/0": cluster(40)}}, {"rule/1/backend/0": 7})
    assert found[7].requests == 0


def test_a_release_that_is_no_longer_counted_is_not_in_the_total() -> None:
    totals = Totals()
    totals.add({"a": {NAME: cluster(9)}}, RELEASES)
    assert totals.add({"a": {}}, {}) == {}
