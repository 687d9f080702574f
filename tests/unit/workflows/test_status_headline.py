"""The one line that somebody on call reads first must not claim what is not so."""

from types import SimpleNamespace
from typing import cast

import pytest

from backendctl.platforms.base import Condition, Router, ServiceStatus
from backendctl.workflows.status import address_of, headline

URL = "http://127.0.0.1:1"
STOPPED = ServiceStatus("postgres", False, "")


def test_a_whole_environment_serves() -> None:
    assert headline(3, Condition.READY, [], [], 3, URL) == (f"release 3 serves at {URL}", [])


@pytest.mark.parametrize(
    ("url", "host", "said"),
    [
        ("http://192.0.2.1:8080", "", "http://192.0.2.1:8080"),
        ("https://shop.example.com", "shop.example.com", "https://shop.example.com"),
        ("http://192.0.2.1", "shop.example.com", "http://192.0.2.1 (Host: shop.example.com)"),
    ],
)
def test_an_address_that_answers_to_another_name_is_told_with_it(
    url: str, host: str, said: str
) -> None:
    """A request without it would be somebody else's, or nobody's."""
    assert address_of(cast(Router, SimpleNamespace(url=url, host=host))) == said


@pytest.mark.parametrize("condition", [each for each in Condition if each is not Condition.READY])
def test_a_release_that_is_not_ready_is_not_said_to_serve(condition: Condition) -> None:
    said, following = headline(3, condition, [], [], 3, URL)
    assert said.startswith("NOT whole")
    assert condition in said
    assert ("backendctl logs --release 3" in following) is (condition is not Condition.STOPPED)
    assert ("backendctl up" in following) is (condition in (Condition.STOPPED, Condition.FAILED))


def test_stopped_servers_come_first() -> None:
    said, following = headline(3, Condition.STOPPED, [STOPPED], [], 3, URL)
    assert "postgres" in said
    assert following == ["backendctl up"]


@pytest.mark.parametrize("stable", [None, 3])
def test_what_a_server_lacks_is_to_be_given_before_an_up(stable: int | None) -> None:
    lacking = ServiceStatus("database", False, "", "no Secret", next=("kubectl create secret",))
    _, following = headline(stable, Condition.READY, [lacking], [], 3, URL)
    assert following == ["kubectl create secret", "backendctl up"]


def test_an_environment_that_a_down_has_stopped_is_no_broken_one() -> None:
    said, following = headline(3, Condition.STOPPED, [], [], 3, URL, routed=False)
    assert said == "stopped; release 3 served last"
    assert following == ["backendctl up"]


def test_a_server_that_runs_and_does_not_answer_is_not_said_to_be_stopped() -> None:
    hung = ServiceStatus("postgres", False, "", alive=True, next=("kill -CONT 4711",))
    said, following = headline(3, Condition.READY, [], [hung], 3, URL)
    assert said.startswith("NOT whole")
    assert "postgres" in said
    assert "stopped" not in said
    assert following == ["kill -CONT 4711"]


def test_a_ready_release_that_the_gateway_sends_nothing_to_is_not_said_to_serve() -> None:
    said, following = headline(3, Condition.READY, [], [], 3, URL, routed=False)
    assert said == "NOT whole: the gateway does not serve release 3"
    assert following == ["backendctl up"]
