"""What follows from the promises."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.errors import BackendctlError
from backendctl.spec import derive
from backendctl.spec.load import read_spec
from backendctl.spec.model import Environment, PlatformName, Spec

LOCAL = Environment(name="local")
CLUSTER = Environment(name="prod", platform=PlatformName.KUBERNETES)


def spec(load: str = "peak_rps = 50", rest: str = "") -> Spec:
    text = f'[service]\nname = "shop"\nstart = "x"\n{rest}\n[load]\n{load}\n'
    return read_spec(text.encode(), "backend.toml")


def with_database(load: str = "peak_rps = 50", keys: str = "") -> Spec:
    return spec(load, f'[data]\nengine = "postgresql"\n{keys}')


@given(st.floats(0.1, 1e5), st.floats(0.01, 600), st.floats(0, 10))
def test_users_and_rate_are_two_sides_of_littles_law(
    rate: float, think: float, response: float
) -> None:
    users = derive.users(rate, think, response)
    made = derive.rate(users, think, response)
    assert made >= rate * (1 - 1e-4)
    assert made <= rate + 1.001 / (think + response)


@given(st.floats(0.1, 1e4), st.integers(1, 10**6))
def test_whatever_peak_is_stated_the_other_follows_and_agrees(rate: float, users: int) -> None:
    from_rate = spec(f"peak_rps = {rate}").load
    assert from_rate.peak_users == max(1, math.ceil(round(rate * 7.3, 6)))
    from_users = spec(f"peak_users = {users}\nthink_time = '2s'").load
    assert from_users.peak_rps == users / 2
    assert 1 <= from_users.sustained_users <= users


def test_a_stated_pair_says_how_long_users_think() -> None:
    assert spec("peak_rps = 50\npeak_users = 500").load.think_time == 10.0


def test_the_load_test_offers_twice_the_peak_both_ways() -> None:
    twice = derive.demand(spec("peak_users = 500\nthink_time = '5s'"))
    assert (twice.rps, twice.users, twice.think_time) == (200.0, 1000, 5.0)
    assert derive.demand(spec("peak_rps = 50"), 3).rps == 150.0


def test_growth_compounds() -> None:
    growing = spec("peak_rps = 100\ngrowth = '100%'")
    assert derive.peak_in(growing, 3) == pytest.approx(800)
    assert derive.years_until(growing, 2) == pytest.approx(1)
    assert derive.years_until(spec(), 2) == math.inf


def test_the_error_budget_of_three_nines_is_43_minutes() -> None:
    assert derive.error_budget(spec()) == pytest.approx(43.2 * 60)
    assert derive.burn_rate(spec()) == pytest.approx(10)


def test_the_thresholds_of_the_slo_are_given_in_milliseconds() -> None:
    promised = spec(rest="[slo]\np95 = '250.5ms'\np99 = '1.1s'")
    assert derive.slo_edges_ms(promised) == (250.5, 1100.0)


@pytest.mark.parametrize(
    ("rps", "local", "cluster"),
    [(1, 1, 2), (17.5, 1, 2), (17.6, 2, 2), (35, 2, 2), (35.1, 2, 3), (1000, 2, 58)],
)
def test_replicas_carry_twice_the_peak_at_70_percent(rps: float, local: int, cluster: int) -> None:
    promised = spec(f"peak_rps = {rps}")
    assert derive.replicas(promised, LOCAL) == local
    assert derive.replicas(promised, CLUSTER) == cluster


def test_replicas_are_as_stated_and_one_per_zone_from_99_95_on() -> None:
    assert derive.replicas(spec(), Environment(name="x", replicas=7)) == 7
    zoned = "[slo]\navailability = '{}'"
    assert derive.replicas(spec("peak_rps = 1", zoned.format("99.94%")), CLUSTER) == 2
    assert derive.replicas(spec("peak_rps = 1", zoned.format("99.95%")), CLUSTER) == 3


@given(st.floats(0.1, 3000), st.integers(10, 5000), st.integers(1, 60))
def test_a_pool_never_asks_for_more_connections_than_there_are(
    rps: float, most: int, replicas: int
) -> None:
    promised = spec(f"peak_rps = {rps}").model_copy(
        update={"data": with_database().data.model_copy(update={"max_connections": most})}
    )
    environment = Environment(name="prod", replicas=replicas)
    if most < derive.least_connections(promised, environment):
        with pytest.raises(BackendctlError, match="max_connections"):
            derive.sizing(promised, environment)
        return
    sized = derive.sizing(promised, environment)
    assert sized.connections <= most
    assert sized.pool >= derive.LEAST_POOL
    assert sized.replicas == replicas


def test_a_pool_holds_what_is_in_use_at_twice_the_peak() -> None:
    sized = derive.sizing(with_database(), CLUSTER)
    # 100 rps over 3 replicas, each connection held for 300 ms: 33.3 x 0.3 = 10.
    assert (sized.replicas, sized.pool, sized.overflow, sized.connections) == (3, 10, 5, 100)
    assert derive.sizing(spec(), CLUSTER).pool == 0


@given(st.floats(1, 5000), st.floats(1, 2000), st.booleans())
def test_a_release_never_shrinks_below_what_the_usual_day_and_a_lost_replica_need(
    peak: float, capacity: float, zoned: bool
) -> None:
    availability = "99.95%" if zoned else "99.9%"
    shop = spec(
        f"peak_rps = {peak}", f"rps_per_worker = {capacity}\n[slo]\navailability = '{availability}'"
    )
    least, most = derive.least_replicas(shop, CLUSTER), derive.replicas(shop, CLUSTER)
    assert (3 if zoned else 2) <= least <= most
    assert least * capacity * derive.UTILISATION >= derive.sustained_rps(shop) - 1e-3


def test_a_stated_number_of_replicas_neither_grows_nor_shrinks() -> None:
    fixed = CLUSTER.model_copy(update={"replicas": 5})
    assert derive.least_replicas(spec(), fixed) == derive.replicas(spec(), fixed) == 5


def test_a_replica_uses_its_share_of_the_peak_and_never_more_than_a_core() -> None:
    shop = spec("peak_rps = 70", "rps_per_worker = 50")
    assert derive.cores(shop, CLUSTER) == pytest.approx(70 / (derive.replicas(shop, CLUSTER) * 50))
    crowded = CLUSTER.model_copy(update={"replicas": 1})
    assert derive.cores(shop, crowded) == 1.0
