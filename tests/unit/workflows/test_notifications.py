"""People are told what becomes of rollouts, and no rollout waits for that or leaks a URL."""

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backendctl.rollout.events import Ended, Event, Held
from backendctl.rollout.states import Hold, HoldKind, Phase, Result, Why
from backendctl.spec.model import Environment, News, Notification
from backendctl.workflows.environment import Opened
from backendctl.workflows.notifications import notifying
from backendctl.workflows.notifications.message import message_of, slack
from tests.fakes.platform import fake_platform
from tests.fakes.rollouts import spec_with

UNDONE = Ended(
    1000.0, "0007", Result.RESTORED, Why("verdict", "candidate <b> failed 12 of 188 & more"), ()
)
WAITS = Held(
    1000.0,
    "0007",
    Hold(HoldKind.APPROVAL, 1.0, 2.0, Phase.PROMOTE, Why("approval", "all requests")),
)


@dataclass
class Listener:
    """A webhook's receiver; answers with the statuses given, then 200."""

    statuses: list[int] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def listener() -> Iterator[Listener]:
    heard = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(heard.statuses.pop(0) if heard.statuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.url = f"http://127.0.0.1:{server.server_port}/T0/secret-part"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield heard
    server.shutdown()
    server.server_close()


class Lines:
    """A Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def line(self, text: str) -> None:
        self.said.append(text)

    detail = line

    def emit(self, event: str, data: Any) -> None:
        raise AssertionError(event)

    def step(self, name: str) -> AbstractContextManager[Any]:
        raise AssertionError(name)


def opened(target: Notification, **secrets: str) -> Opened:
    fake = fake_platform()
    for name, value in secrets.items():
        fake.platform.secrets.set(name, value)
    spec = spec_with().model_copy(update={"notifications": (target,)})
    return Opened(Path(), spec, Environment(name="prod"), fake.platform)


def told(place: Opened, *events: Event) -> list[str]:
    lines = Lines()
    with notifying(place, lines) as tell:
        for event in events:
            tell(event)
    return lines.said


def test_slack_is_told_the_reason_and_what_to_type_with_its_control_characters_escaped(
    listener: Listener,
) -> None:
    place = opened(Notification(name="team", secret="HOOK"), HOOK=listener.url)
    assert told(place, UNDONE) == []
    (body,) = listener.bodies
    assert "candidate &lt;b&gt; failed 12 of 188 &amp; more" in body["text"]
    assert "on prod" in body["text"]
    assert "`backendctl rollout explain 0007 --env prod`" in body["text"]


def test_a_webhook_gets_every_field(listener: Listener) -> None:
    place = opened(Notification(name="bus", kind="webhook", url=listener.url))
    told(place, WAITS)
    (body,) = listener.bodies
    assert (body["news"], body["rollout"], body["environment"]) == ("waits", "0007", "prod")


def test_only_the_news_that_was_asked_for_is_told(listener: Listener) -> None:
    place = opened(Notification(name="bus", url=listener.url, on=(News.WAITS,)))
    told(place, UNDONE)
    assert listener.bodies == []


def test_what_may_pass_is_tried_again(listener: Listener) -> None:
    listener.statuses = [503, 429]
    assert told(opened(Notification(name="bus", url=listener.url)), UNDONE) == []
    assert len(listener.bodies) == 3


def test_what_will_not_pass_is_said_once_by_name_and_without_the_url(listener: Listener) -> None:
    listener.statuses = [404]
    (line,) = told(opened(Notification(name="team", secret="HOOK"), HOOK=listener.url), UNDONE)
    assert "team" in line
    assert "404" in line
    assert "secret-part" not in line


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/T0/secret-part", "nonsense://secret-part"])
def test_a_receiver_that_is_not_there_costs_the_rollout_nothing(url: str) -> None:
    (line,) = told(opened(Notification(name="team", secret="HOOK"), HOOK=url), UNDONE)
    assert "secret-part" not in line


def test_what_nobody_foresaw_is_said_by_its_kind_and_loses_no_later_message(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = opened(Notification(name="team", secret="HOOK"), HOOK=listener.url)
    reveal, asked = place.platform.secrets.reveal, []

    def once_unreadable(name: str) -> str | None:
        asked.append(name)
        if len(asked) == 1:
            raise PermissionError(13, listener.url)
        return reveal(name)

    monkeypatch.setattr(place.platform.secrets, "reveal", once_unreadable)
    (line,) = told(place, UNDONE, WAITS)
    assert line.endswith("was not delivered: PermissionError")
    assert [body["text"] for body in listener.bodies] != []


def test_a_secret_that_is_not_set_is_said_with_the_command_that_sets_it() -> None:
    (line,) = told(opened(Notification(name="team", secret="HOOK")), UNDONE)
    assert "backendctl secrets set HOOK --env prod" in line


def test_every_end_has_its_news() -> None:
    promoted = message_of(Ended(0.0, "1", Result.PROMOTED, None, ()), "shop", "local")
    assert promoted is not None
    assert promoted.news is News.PROMOTED
    assert "shop on local" in str(slack(promoted)["text"])
