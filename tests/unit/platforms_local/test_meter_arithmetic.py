from hypothesis import given
from hypothesis import strategies as st

from backendctl.platforms.base import ArmSample
from backendctl.platforms.envoy_times import Bin, edges, latencies, resolvable
from backendctl.platforms.local.envoy_arms import Arm
from backendctl.platforms.local.meter import (
    Counters,
    arm_samples,
    bins_of,
    counters_of,
    never_unmasked,
)

FRONT, OWN = Arm(2, fallback=1), Arm(2)


def sample(front: dict[str, int], own: dict[str, int]) -> ArmSample:
    """Release 2, from the counters of the cluster in front of it and its own."""
    counters = {
        FRONT: Counters({f"upstream_{k}": v for k, v in front.items()}),
        OWN: Counters({f"upstream_{k}": v for k, v in own.items()}),
        Arm(1): Counters(),
    }
    return arm_samples(counters, {}, (1.0,))[2]


def test_a_healthy_candidate_has_nothing_masked() -> None:
    found = sample({"rq_completed": 100, "rq_5xx": 3}, {"rq_total": 100})
    assert (found.requests, found.errors, found.masked) == (100, 3, 0)


def test_requests_in_flight_are_not_masked() -> None:
    assert sample({"rq_completed": 90}, {"rq_total": 100, "rq_active": 10}).masked == 0


def test_answers_that_have_begun_and_go_on_are_not_masked() -> None:
    assert sample({"rq_completed": 100}, {"rq_total": 100, "rq_active": 10}).masked == 0


def test_a_refused_connection_answered_by_the_fallback_is_masked() -> None:
    front = {"rq_completed": 10, "rq_retry": 10, "rq_retry_success": 10}
    assert sample(front, {"rq_pending_failure_eject": 10}).masked == 10


def test_a_request_cut_and_repeated_elsewhere_is_masked_and_no_error() -> None:
    front = {"rq_completed": 10, "rq_retry": 2, "rq_retry_success": 2}
    own = {"rq_total": 10, "cx_destroy_remote_with_active_rq": 2}
    found = sample(front, own)
    assert (found.errors, found.masked) == (0, 2)


def test_what_goes_to_the_fallback_after_ejection_is_masked() -> None:
    assert sample({"rq_completed": 50}, {"rq_total": 20}).masked == 30


def test_answers_with_no_healthy_release_at_all_are_errors_only() -> None:
    found = sample({"rq_completed": 7, "rq_5xx": 7, "rq_503": 7, "cx_none_healthy": 7}, {})
    assert (found.errors, found.masked) == (7, 0)


def test_a_request_for_which_every_attempt_failed_is_not_masked() -> None:
    front = {
        "rq_completed": 1,
        "rq_5xx": 1,
        "rq_503": 1,
        "rq_retry": 2,
        "rq_retry_limit_exceeded": 1,
    }
    found = sample(front, {"rq_pending_failure_eject": 2})
    assert (found.errors, found.masked) == (1, 0)


def test_a_response_that_breaks_off_is_an_error_though_it_began_with_200() -> None:
    own = {"rq_total": 10, "cx_destroy_remote_with_active_rq": 4}
    assert sample({"rq_completed": 10}, own).errors == 4


def test_a_cut_request_answered_503_is_counted_once() -> None:
    own = {"rq_total": 10, "cx_destroy_remote_with_active_rq": 4}
    assert sample({"rq_completed": 10, "rq_5xx": 4, "rq_503": 4}, own).errors == 4


def test_preview_requests_belong_to_no_arm() -> None:
    counters = {
        OWN: Counters({"upstream_rq_total": 5}),
        Arm(2, preview=True): Counters({"upstream_rq_completed": 5, "upstream_rq_5xx": 5}),
    }
    found = arm_samples(counters, {}, (1.0,))[2]
    assert (found.requests, found.errors, found.masked) == (0, 0, 0)


def test_masked_never_falls_within_a_series_but_does_with_a_new_one() -> None:
    high = sample({"rq_completed": 50}, {"rq_total": 20})
    low = sample({"rq_completed": 60}, {"rq_total": 35})
    new = sample({"rq_completed": 5}, {"rq_total": 5})
    assert never_unmasked(low, high).masked == 30
    assert never_unmasked(new, high).masked == 0


# --- histograms -------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 40_000), max_size=60), st.floats(1, 40_000))
def test_what_is_slower_than_an_edge_is_told_exactly(times: list[int], wanted: float) -> None:
    """Times in whole milliseconds, as Envoy records them: 7 stands for 7.0 to 7.99."""
    edge = resolvable(wanted)
    found = latencies([bin_of(ms) for ms in times], edges([wanted]))
    assert edge <= wanted
    assert edge in found.edges_ms
    assert found.slower_than(edge) == sum(ms >= edge for ms in times)
    assert found.total == len(times)


def bin_of(ms: int) -> Bin:
    """The bin Envoy puts a time in: two significant digits."""
    step = 10 ** max(0, len(str(ms)) - 2)
    return Bin(ms - ms % step + step, 1)


def test_thresholds_of_two_digits_are_kept_and_others_rounded_down() -> None:
    assert [resolvable(ms) for ms in (0.2, 1, 9.9, 85, 300, 333, 1500, 1555)] == [
        *(1, 1, 9, 85, 300, 330, 1500, 1500)
    ]


def test_envoys_answer_is_taken_apart_by_arm() -> None:
    stats = {
        "stats": [
            {"name": "cluster.rel-2-fb-1.upstream_rq_completed", "value": 4},
            {"name": "cluster.other.upstream_rq_completed", "value": 9},
            {
                "histograms": {
                    "details": [
                        {
                            "name": "cluster.rel-2-fb-1.upstream_rq_time",
                            "totals": [
                                {"lower_bound": 0, "width": 0, "count": 1},
                                {"lower_bound": 7, "width": 0.1, "count": 1},
                                {"lower_bound": 290, "width": 10, "count": 2},
                            ],
                        }
                    ]
                }
            },
        ]
    }
    assert {arm: dict(c.values) for arm, c in counters_of(stats).items()} == {
        FRONT: {"upstream_rq_completed": 4}
    }
    assert bins_of(stats) == {FRONT: (Bin(1, 1), Bin(8, 1), Bin(300, 2))}
