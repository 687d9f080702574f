"""What may become a secret: refused before anything is stored."""

from types import SimpleNamespace
from typing import cast

import pytest

from backendctl.errors import BackendctlError, Exit
from backendctl.workflows.environment import Opened
from backendctl.workflows.secrets import set_secret


def opened(stored: dict[str, str]) -> Opened:
    """An environment with a database, as far as secrets know it."""

    def keep(name: str, value: str) -> str:
        stored[name] = value
        return "v1"

    platform = SimpleNamespace(
        foundation=SimpleNamespace(bindings=lambda: {"DATABASE_URL": "postgresql://"}),
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


def test_any_other_value_is_stored() -> None:
    stored: dict[str, str] = {}
    assert set_secret(opened(stored), "STRIPE_KEY", "sk_1\udcff") == "v1"
    assert stored == {"STRIPE_KEY": "sk_1\udcff"}
