"""What may become a secret: refused before anything is stored."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from backendctl.cli import secrets
from backendctl.cli.contract import COMMON, Session
from backendctl.errors import BackendctlError, Exit
from backendctl.workflows.environment import Opened
from backendctl.workflows.secrets import set_secret, unset_secret


def opened(stored: dict[str, str]) -> Opened:
    """An environment with a database, as far as secrets know it."""

    def keep(name: str, value: str) -> str:
        stored[name] = value
        return "v1"

    platform = SimpleNamespace(
        foundation=SimpleNamespace(variables=lambda: {"DATABASE_URL"}),
        secrets=SimpleNamespace(set=keep),
    )
    return cast(Opened, SimpleNamespace(platform=platform))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lower", "x"),
        ("A B", "x"),
        ("KEY", ""),
        ("KEY", "a\0b"),
        ("DATABASE_URL", "x"),
        ("PATH", "x"),
        ("HOST", "x"),
        ("PORT", "80"),
    ],
)
def test_what_no_process_can_hold_or_the_platform_sets_is_refused(name: str, value: str) -> None:
    stored: dict[str, str] = {}
    with pytest.raises(BackendctlError) as raised:
        set_secret(opened(stored), name, value)
    assert raised.value.exit == Exit.USAGE
    assert stored == {}


@pytest.mark.parametrize("name", ["lower", "PATH", "DATABASE_URL", "STRIPE_KEY=sk_live_1"])
def test_a_wrong_name_is_refused_before_the_value_is_asked_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object, **__: object) -> str:
        raise AssertionError("the value was asked for")

    monkeypatch.setattr(Session, "open", lambda *_, **__: opened({}))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("typer.prompt", asked)
    with pytest.raises(BackendctlError) as raised:
        secrets.set_(name=name, **{key: default for key, (_, default) in COMMON.items()})  # type: ignore[call-arg]
    assert raised.value.exit == Exit.USAGE


@pytest.mark.parametrize("change", [lambda o, n: set_secret(o, n, "x"), unset_secret])
def test_a_value_behind_the_name_is_called_exposed_and_not_repeated(
    change: Callable[[Opened, str], object],
) -> None:
    with pytest.raises(BackendctlError) as raised:
        change(opened({}), "STRIPE_KEY=sk_live_1")
    error = raised.value
    assert "history" in error.cause
    assert error.next == (
        "backendctl secrets set STRIPE_KEY  # asks for the value, without echo",
        "backendctl secrets set STRIPE_KEY < FILE",
    )
    assert "sk_live_1" not in "".join((error.message, error.cause, error.state, *error.next))


def test_any_other_value_is_stored() -> None:
    stored: dict[str, str] = {}
    assert set_secret(opened(stored), "STRIPE_KEY", "sk_1\udcff") == "v1"
    assert stored == {"STRIPE_KEY": "sk_1\udcff"}
