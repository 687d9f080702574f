import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.loadtest.profile import (
    QUICK,
    Durations,
    Extra,
    Loop,
    Profile,
    Stage,
    derive,
    profile_from_data,
)
from backendctl.spec.model import Load, Slo

SLO = Slo(p95=0.3, p99=1.0)


def load(rps: float = 100, users: int = 1000, think: float = 10) -> Load:
    return Load(peak_rps=rps, peak_users=users, sustained_users=1, think_time=think)


def stage(profile: Profile, name: str) -> Stage:
    return next(s for s in profile.stages if s.name == name)


def test_the_hold_offers_twice_the_peak_and_the_closed_loop_twice_the_users() -> None:
    profile = derive(load(), SLO, cores=4)
    assert profile.offered_rps == 200
    assert (stage(profile, "hold").from_rate, stage(profile, "hold").to_rate) == (200, 200)
    assert stage(profile, "closed hold").users == profile.users == 2000
    assert stage(profile, "closed hold").to_rate == pytest.approx(200)
    assert [s.name for s in profile.stages if s.judged] == ["hold", "closed hold"]


def test_the_stages_come_in_their_order_with_the_preflight_at_5_percent() -> None:
    profile = derive(load(), SLO, extras=frozenset(Extra), cores=4)
    names = [s.name for s in profile.stages]
    assert names[:8] == [
        "preflight",
        "warm-up",
        "ramp",
        "hold",
        "closed ramp",
        "closed hold",
        "spike",
        "soak",
    ]
    assert stage(profile, "preflight").to_rate == pytest.approx(10)
    assert stage(profile, "warm-up").most > stage(profile, "warm-up").duration
    assert (stage(profile, "ramp").from_rate, stage(profile, "ramp").to_rate) == (100, 200)
    assert stage(profile, "spike").to_rate == pytest.approx(300)
    assert stage(profile, "soak").to_rate == pytest.approx(100)
    stress = [s.to_rate for s in profile.stages if s.name.startswith("stress")]
    assert stress[0] == pytest.approx(250)
    assert stress == sorted(stress)
    assert stress[-1] <= 1600


@given(
    st.floats(min_value=0.05, max_value=3000),
    st.floats(min_value=0.5, max_value=600),
)
def test_every_held_stage_offers_its_rate_exactly(rps: float, hold: float) -> None:
    profile = derive(load(rps=rps), SLO, Durations(hold=hold), cores=64)
    for each in profile.stages:
        if each.loop is Loop.OPEN and each.from_rate == each.to_rate:
            assert each.arrivals / each.duration == pytest.approx(each.to_rate)


@given(st.floats(min_value=1, max_value=3000))
def test_arrivals_over_duration_is_the_promised_rate_within_1_percent(rps: float) -> None:
    hold = stage(derive(load(rps=rps), SLO, cores=64), "hold")
    assert hold.arrivals / hold.duration == pytest.approx(2 * rps, rel=0.01)


def test_the_default_hold_is_a_minute_or_as_long_as_the_99th_percentile_needs() -> None:
    assert stage(derive(load(rps=100), SLO), "hold").duration == pytest.approx(60)
    slow = stage(derive(load(rps=1), SLO), "hold")
    assert slow.duration * 2 >= 2 * 368
    assert stage(derive(load(rps=0.1), SLO), "hold").duration <= 900


def test_only_the_two_holds_may_go_on_for_as_long_again_and_at_most_a_minute() -> None:
    profile = derive(load(), SLO, Durations(hold=100.0, closed=6.0), frozenset(Extra), cores=4)
    spare = {s.name: s.spare for s in profile.stages if s.spare}
    assert spare == {"hold": 60.0, "closed hold": 6.0}


def test_a_hold_too_short_for_a_verdict_is_said_beforehand() -> None:
    notes = derive(load(rps=5, users=50), SLO, QUICK).notes
    assert any("hold" in note and "420" in note for note in notes)
    assert not any("420" in note for note in derive(load(), SLO, cores=4).notes)


def test_users_that_do_not_make_the_stated_rate_are_said() -> None:
    assert any("users who think" in n for n in derive(load(rps=100, users=10), SLO).notes)
    assert not any("users who think" in n for n in derive(load(), SLO, cores=4).notes)


def test_more_users_than_this_machine_holds_think_shorter_for_the_same_rate() -> None:
    profile = derive(load(rps=1000, users=50_000, think=50), SLO, cores=2)
    assert profile.users < 100_000
    assert profile.users / profile.think_time == pytest.approx(100_000 / 50)
    assert any("the same rate" in note for note in profile.notes)


def test_workers_follow_from_the_rate_and_are_no_more_than_the_cores() -> None:
    assert derive(load(rps=100), SLO, cores=8).workers == 1
    assert derive(load(rps=1100, users=1100, think=1), SLO, cores=8).workers == 3
    many = derive(load(rps=9000, users=9000, think=1), SLO, cores=2)
    assert many.workers == 2
    assert any("invalid" in note for note in many.notes)


def test_one_loop_alone_can_be_asked_for() -> None:
    only_open = derive(load(), SLO, loops=frozenset({Loop.OPEN}))
    assert {s.loop for s in only_open.stages} == {Loop.OPEN}
    only_closed = derive(load(), SLO, loops=frozenset({Loop.CLOSED}))
    assert [s.name for s in only_closed.stages if s.judged] == ["closed hold"]


def test_a_profile_survives_being_kept() -> None:
    profile = derive(load(), SLO, extras=frozenset(Extra))
    assert profile_from_data(profile.to_data()) == profile


def test_the_quick_profile_takes_about_fifteen_seconds() -> None:
    assert 10 <= derive(load(), SLO, QUICK, cores=4).seconds <= 16
