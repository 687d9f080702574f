"""What to type next can be pasted as it stands."""

import shlex
from pathlib import Path

import pytest

from backendctl.cli.typed import completed


@pytest.mark.parametrize(
    ("typed", "option", "whole"),
    [
        ("down --purge", "--confirm local", "backendctl down --purge --confirm local"),
        ("deploy --note 'a b' -o json", "--yes", "backendctl deploy --note 'a b' -o json --yes"),
        ("exec -- sh -c 'a b'", "--env x", "backendctl exec --env x -- sh -c 'a b'"),
        ("loadtest run --hold 6s -y", "--hold 10s", "backendctl loadtest run -y --hold 10s"),
        ("loadtest run --hold=6s", "--hold 10s", "backendctl loadtest run --hold 10s"),
    ],
)
def test_an_option_alone_is_added_to_the_command_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, typed: str, option: str, whole: str
) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/backendctl", *shlex.split(typed)])
    assert completed([option]) == (whole,)


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("backendctl rollout abort", "backendctl rollout abort --env prod"),
        ("backendctl logs --release 3", "backendctl logs --env prod --release 3"),
        ("backendctl rollout recover  # later", "backendctl rollout recover --env prod  # later"),
        ("backendctl up --env staging", "backendctl up --env staging"),
        ("backendctl init", "backendctl init"),
        ("backendctl secrets set on_call", "backendctl secrets set on_call --env prod"),
        ("backendctl --version", "backendctl --version"),
        ("df -h /", "df -h /"),
    ],
)
def test_the_next_command_is_about_the_same_environment(line: str, whole: str) -> None:
    assert completed([line], "prod") == (whole,)


def test_the_next_command_is_about_the_same_folder() -> None:
    (line,) = completed(["backendctl init"], "prod", Path("a b"))
    assert line == "backendctl init --directory 'a b'"
