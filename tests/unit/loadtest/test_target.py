import pytest

from backendctl.errors import BackendctlError
from backendctl.loadtest.target import checked, is_this_machine


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:8000", "http://127.9.9.9", "http://localhost:1/x", "http://[::1]:80"],
)
def test_loopback_targets_are_this_machine(target: str) -> None:
    assert is_this_machine(checked(target))


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1",
        "https://shop.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://0.0.0.0:80",
        "http://[2001:db8::1]",
        "http://0x7f000001",
    ],
)
def test_anything_else_is_not(target: str) -> None:
    assert not is_this_machine(checked(target))


@pytest.mark.parametrize(
    "target",
    [
        "http://[::1",
        "127.0.0.1:80",
        "ftp://x",
        "http://",
        "http://u:p@x",
        "http://x:99999",
        "http://x?a",
    ],
)
def test_what_is_no_plain_url_of_a_service_is_refused(target: str) -> None:
    with pytest.raises(BackendctlError) as caught:
        checked(target)
    assert caught.value.exit == 2


def test_a_trailing_slash_is_dropped() -> None:
    assert checked("http://127.0.0.1:1/") == "http://127.0.0.1:1"
