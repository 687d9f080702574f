from hypothesis import given
from hypothesis import strategies as st

from backendctl.platforms.base import ArmSample, Latencies, Mirrored
from backendctl.platforms.local.copies import COPY_COUNTERS, mirrored, originals_of
from backendctl.platforms.local.meter import never_unmasked


def copies(**counted: int) -> Mirrored:
    return mirrored({f"upstream_{name}": n for name, n in counted.items()}, {"completed": 500})


def test_answers_count_by_their_status() -> None:
    found = copies(rq_total=50, rq_completed=50, rq_5xx=4, rq_4xx=3)
    assert found == Mirrored(50, 4, 3, 0, 0, 500, 0)


def test_a_copy_cut_off_before_its_answer_is_one_that_was_not_answered() -> None:
    found = copies(rq_total=37, rq_completed=34)
    assert (found.copies, found.unanswered, found.failures) == (37, 3, 0)


def test_copies_under_way_are_not_counted_yet() -> None:
    found = copies(rq_total=40, rq_completed=34, rq_active=6)
    assert (found.copies, found.unanswered) == (34, 0)


def test_copies_that_could_not_be_sent_are_lost_and_no_failures() -> None:
    found = copies(
        rq_total=20,
        rq_completed=35,
        rq_5xx=15,
        rq_pending_failure_eject=10,
        rq_pending_overflow=5,
    )
    assert found == Mirrored(20, 0, 0, 0, 15, 500, 0)


def test_a_copy_whose_connection_broke_is_lost_and_no_failure() -> None:
    found = copies(rq_total=20, rq_completed=20, rq_5xx=6, cx_destroy_remote_with_active_rq=2)
    assert found == Mirrored(18, 4, 0, 0, 2, 500, 0)


@given(st.dictionaries(st.sampled_from(COPY_COUNTERS), st.integers(0, 1000)))
def test_counters_read_at_different_instants_never_make_nonsense(counters: dict[str, int]) -> None:
    found = mirrored(counters, {})
    assert min(found.copies, found.failures, found.unanswered, found.lost) >= 0
    assert found.unanswered <= found.copies


def test_the_originals_are_those_of_the_release_that_gets_the_copies() -> None:
    prefix = "vhost.all.route.originals"
    stats = {
        "stats": [
            {"name": f"{prefix}-12.upstream_rq_completed", "value": 9},
            {"name": f"{prefix}-12.upstream_rq_5xx", "value": 1},
            {"name": f"{prefix}-3.upstream_rq_completed", "value": 7},
            {"name": "cluster.rel-3.upstream_rq_completed", "value": 100},
            {"histograms": {}},
        ]
    }
    assert originals_of(stats) == {12: {"completed": 9, "5xx": 1}, 3: {"completed": 7}}


def test_a_stream_under_way_does_not_take_back_what_was_counted() -> None:
    def arm(found: Mirrored) -> ArmSample:
        return ArmSample(2, 0, 0, 0, Latencies((), (), 0), 1, mirrored=found)

    before = arm(Mirrored(10, 1, 0, 5, 0, 100, 0))
    after = never_unmasked(arm(Mirrored(8, 1, 0, 2, 0, 120, 0)), before)
    assert after.mirrored == Mirrored(10, 1, 0, 5, 0, 120, 0)
    anew = arm(Mirrored(1, 0, 0, 0, 0, 3, 0))
    assert never_unmasked(anew, before) == anew
