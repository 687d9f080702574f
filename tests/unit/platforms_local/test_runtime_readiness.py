"""What one look at a release's processes means."""

import pytest

from backendctl.platforms.base import Condition
from backendctl.platforms.local.ports import _choose_free
from backendctl.platforms.local.readiness import Answer, ask, condition
from backendctl.platforms.local.supervisor import ProgramState, ProgramStatus

YES, NO = Answer(True, ""), Answer(False, "")
S = ProgramState


@pytest.mark.parametrize(
    ("states", "answers", "been_ready", "expected"),
    [
        ([], [], False, Condition.STOPPED),
        ([S.STOPPED, S.STOPPED], [NO, NO], True, Condition.STOPPED),
        ([S.STARTING, S.STARTING], [NO, NO], False, Condition.STARTING),
        ([S.STARTING, S.RUNNING], [YES, YES], False, Condition.READY),
        ([S.RUNNING, S.RUNNING], [YES, NO], False, Condition.STARTING),
        ([S.RUNNING, S.RUNNING], [YES, NO], True, Condition.UNREADY),
        ([S.RUNNING, S.BACKOFF], [YES, NO], True, Condition.CRASHING),
        ([S.RUNNING, S.EXITED], [YES, NO], True, Condition.CRASHING),
        ([S.BACKOFF, S.FATAL], [NO, NO], False, Condition.FAILED),
    ],
)
def test_the_condition_of_a_release(
    states: list[S], answers: list[Answer], been_ready: bool, expected: Condition
) -> None:
    programs = [ProgramStatus("x", state, None, None, 0, "") for state in states]
    assert condition(programs, answers, been_ready) is expected


def test_a_port_where_nothing_listens_is_said() -> None:
    answer = ask(_choose_free(set()), "/readyz")
    assert not answer.ready
    assert "nothing listens" in answer.words
