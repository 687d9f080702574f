"""Log lines that go into a journal carry no secret."""

import pytest

from backendctl.errors import BackendctlError
from backendctl.rollout.redact import MAX_LINE, redact, without_secrets
from tests.fakes.platform import fake_platform

BINDINGS = {"DATABASE_URL": "postgresql://app:s3cretpw@127.0.0.1:5432/app", "HOST": "127.0.0.1"}


@pytest.mark.parametrize(
    "line",
    [
        "cannot connect to postgresql://app:s3cretpw@127.0.0.1:5432/app",
        "redis://:s3cretpw@localhost timed out",
        "password=s3cretpw rejected",
        '{"api_key": "s3cretpw", "user": 1}',
        "Authorization: Bearer s3cretpw",
        "MY_TOKEN=s3cretpw",
    ],
)
def test_a_secret_is_hidden(line: str) -> None:
    (shown,) = redact([line], BINDINGS)
    assert "s3cretpw" not in shown
    assert "***" in shown


def test_ordinary_lines_are_kept_but_not_without_end() -> None:
    lines = ["GET /users 200 in 12 ms from 127.0.0.1", "Traceback" + "x" * 1000 + "KeyError: 'id'"]
    kept = redact(lines, BINDINGS)
    assert kept[0] == lines[0]
    assert len(kept[1]) == MAX_LINE
    assert kept[1].startswith("Traceback")
    assert kept[1].endswith("KeyError: 'id'")


def test_a_value_that_somebody_set_is_hidden_whatever_it_is_called() -> None:
    platform = fake_platform().platform
    platform.secrets.set("PARTNER", "hunter2-hunter2")
    platform.secrets.set("MODE", "on")
    (shown,) = without_secrets(platform, ["signed by hunter2-hunter2, mode on"])
    assert shown == "signed by ***, mode on"


def test_where_what_is_secret_cannot_be_had_nothing_is_shown_and_nothing_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = fake_platform().platform

    def gone() -> None:
        raise BackendctlError("missing.environment", "the Secret is not there")

    monkeypatch.setattr(platform.foundation, "bindings", gone)
    (shown,) = without_secrets(platform, ["signed by hunter2-hunter2", "password is swordfish"])
    assert shown == "(withheld: what is secret in it cannot be had: the Secret is not there)"
