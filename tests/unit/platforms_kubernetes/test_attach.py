"""A command in a pod: what is asked of the API server, and what its answer means."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.attach import exit_status, path


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5))
def test_a_command_is_passed_on_word_by_word(argv: list[str]) -> None:
    asked = urlsplit(path("shop-prod", "shop-r1-x", "service", argv, terminal=False))
    assert asked.path == "/api/v1/namespaces/shop-prod/pods/shop-r1-x/exec"
    words = parse_qsl(asked.query, keep_blank_values=True)
    assert [word for name, word in words if name == "command"] == argv


def test_a_terminal_has_one_stream_for_both_kinds_of_output() -> None:
    assert "tty=true" in path("n", "p", "c", ("sh",), terminal=True)
    assert "stderr=false" in path("n", "p", "c", ("sh",), terminal=True)
    assert "stderr=true" in path("n", "p", "c", ("sh",), terminal=False)


def test_success_and_any_other_status_are_passed_on() -> None:
    assert exit_status(b'{"status": "Success"}') == 0
    failed = {
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
    }
    assert exit_status(json.dumps(failed).encode()) == 7


@pytest.mark.parametrize(
    "body", [b"", b'{"status": "Failure", "message": "container not found"}'], ids=["cut", "told"]
)
def test_a_command_that_was_not_run_has_no_status(body: bytes) -> None:
    with pytest.raises(BackendctlError, match="could not be run"):
        exit_status(body)
