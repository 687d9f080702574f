"""What the demo says of failures is true of users and of the release alike."""

from collections import Counter

import pytest

from backendctl.loadtest.traffic import TrafficReport, TrafficSecond
from backendctl.rollout.events import BlockObserved
from backendctl.rollout.verdict import ArmBlock, Block
from backendctl.workflows.demo.recording import ReleaseStory


def story(users_failed: int, candidate_failed: int) -> ReleaseStory:
    block = Block(0.0, 1.0, ArmBlock(500, candidate_failed), ArmBlock(1500, 0))
    return ReleaseStory(
        "A release",
        traffic=TrafficReport(
            100.0,
            count=2000,
            failed=users_failed,
            statuses=Counter({"200": 2000 - users_failed, "500": users_failed}),
        ),
        blocks=[BlockObserved(0.0, "0002", block, "", 25, None)],
    )


@pytest.mark.parametrize(
    ("users_failed", "candidate_failed", "said"),
    [
        (0, 0, "0 of 2,000 user requests failed"),
        (
            0,
            1,
            "0 of 2,000 user requests failed (the new release failed 1, of which users saw none: "
            "stable answered it)",
        ),
        (
            0,
            3,
            "0 of 2,000 user requests failed (the new release failed 3, of which users saw none: "
            "stable answered them)",
        ),
        (
            38,
            40,
            "38 of 2,000 user requests failed (38 answered 5xx; the new release failed 40, "
            "of which users saw 38: stable answered the others)",
        ),
        (40, 40, "40 of 2,000 user requests failed (40 answered 5xx)"),
    ],
)
def test_failures_that_stable_answered_are_told_as_such(
    users_failed: int, candidate_failed: int, said: str
) -> None:
    assert story(users_failed, candidate_failed).users_in_words == said


def test_slow_answers_are_told_apart_from_failed_ones() -> None:
    slow = story(0, 0)
    slow.promised = 1.0
    assert slow.traffic is not None
    slow.traffic.failed = 22
    slow.traffic.statuses = Counter({"200": 1978, "502": 20, "ConnectionResetError": 2})
    slow.traffic.seconds = {0: TrafficSecond(0.0, latencies_ms=[3.0, 1300.0, 999.0, 1301.0])}
    assert slow.users_in_words == (
        "22 of 2,000 user requests failed (20 answered 5xx, 2 not at all); 2 took longer than 1 s"
    )
