"""A deploy handed over to a driver in its environment."""

from pathlib import Path
from typing import Any, cast

import pytest

from backendctl.cli.contract import Session
from backendctl.errors import BackendctlError
from backendctl.spec.model import Environment, Load, Service, Spec, Strategy
from backendctl.workflows.deploy import Changes
from backendctl.workflows.detach import until_begun
from backendctl.workflows.detach_away import arguments, depart, longest
from backendctl.workflows.environment import Opened
from tests.fakes.platform import fake_platform


def opened(tmp_path: Path) -> Opened:
    environment = Environment(name="prod")
    spec = Spec(
        service=Service(name="shop", start=("serve",)),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={"prod": environment},
    )
    return Opened(tmp_path, spec, environment, fake_platform().platform)


def test_the_deploy_is_typed_there_as_it_was_meant_here(tmp_path: Path) -> None:
    changes = Changes(
        strategy=Strategy.BLUE_GREEN, bake=90.0, warm_up=1.5, unjudged="nobody uses it", note="-n"
    )
    words = arguments(opened(tmp_path), changes)
    assert words[:3] == ("deploy", "--env", "prod")
    assert "--yes" in words
    assert words[words.index("--output") + 1] == "jsonl"
    assert set(words[-5:]) == {
        "--strategy=blue-green",
        "--bake=1m30s",
        "--warm-up=1.5s",
        "--unjudged=nobody uses it",
        "--note=-n",
    }
    assert "--supersede" not in words


def test_superseding_keeps_its_reason(tmp_path: Path) -> None:
    words = arguments(opened(tmp_path), Changes(supersede="a hotfix"))
    assert "--supersede" in words
    assert "--reason=a hotfix" in words


def test_a_driver_may_wait_out_every_hold(tmp_path: Path) -> None:
    place = opened(tmp_path)
    rollout = place.spec.rollout
    assert longest(place, Changes()) > rollout.hold + rollout.deadline + rollout.bake


def test_where_nothing_of_ours_runs_in_the_environment_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(BackendctlError) as caught:
        depart(opened(tmp_path), Changes(), Session("deploy"))
    assert caught.value.code == "platform.unsupported"


class Speaking:
    """detach.Apart that says what it is told to."""

    where, log = "Job x", "kubectl logs"
    data: dict[str, Any] = {"driver": "Job x"}  # noqa: RUF012 - never changed

    def __init__(self, *lines: str) -> None:
        self.said = lines
        self.stopped = False

    def lines(self) -> Any:
        return iter(self.said)

    def stop(self) -> None:
        self.stopped = True


def test_it_is_listened_to_until_its_rollout_has_begun() -> None:
    heard: list[Any] = []
    apart = Speaking(
        '{"event": "progress", "data": {"text": "hello"}}',
        '{"event": "rollout.began", "data": {"rollout": "0002"}}',
        '{"event": "progress", "data": {"text": "later"}}',
    )
    found = until_begun(apart, heard.append)
    assert (found.rollout, found.where) == ("0002", "Job x")
    assert [each["data"]["text"] for each in heard] == ["hello"]


def test_what_ends_before_that_ends_with_its_own_error() -> None:
    body = '{"ok": false, "error": {"code": "rollout.locked", "message": "ana has it"}, "data": {}}'
    with pytest.raises(BackendctlError, match="ana has it") as caught:
        until_begun(Speaking(body), lambda _: None)
    assert caught.value.code == "rollout.locked"
    with pytest.raises(BackendctlError, match="without an answer"):
        until_begun(Speaking("Traceback"), lambda _: None)


def test_told_to_stop_before_that_it_is_stopped() -> None:
    apart = Speaking('{"event": "progress", "data": {}}')

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        until_begun(cast(Any, apart), interrupt)
    assert apart.stopped
