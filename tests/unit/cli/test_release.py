"""What `deploy` asks and says before a rollout begins, also where the rollout is another's."""

import pytest
import typer

from backendctl.cli import release
from backendctl.cli.contract import Output, Session
from backendctl.errors import BackendctlError
from backendctl.workflows.detach import Detached

FORECAST = {
    "event": "rollout.forecasted",
    "data": {"forecast": {"advice": ["passes in about 7 min (95 of 100 within 18 min)"]}},
}


class Terminal(Session):
    """A session with somebody there who answers everything, and who is written down."""

    def __init__(self, output: Output = Output.TEXT, interactive: bool = True) -> None:
        super().__init__("deploy", output=output)
        self.there = interactive
        self.said: list[str] = []

    @property
    def interactive(self) -> bool:
        return self.there

    def line(self, text: str) -> None:
        self.said.append(text)

    def confirm(self, question: str) -> None:
        self.said.append(question)


def test_a_detached_deploy_says_what_the_command_itself_would_have_said() -> None:
    terminal = Terminal()
    step = {"event": "step", "data": {"name": "Packaging", "state": "begun"}}
    done = {"event": "step", "data": {"name": "Packaging", "state": "done", "seconds": 1.23}}
    word = {"event": "progress", "data": {"text": "Release 2: code abc"}}
    other = {"event": "rollout.judged", "data": {}}
    for document in (step, done, word, FORECAST, other):
        release.tell_of_child(terminal, document)
    assert terminal.said == [
        "Packaging ...",
        "Packaging: ok (1.2 s)",
        "Release 2: code abc",
        "  passes in about 7 min (95 of 100 within 18 min)",
    ]


def test_a_detached_deploy_passes_events_on_to_a_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    release.tell_of_child(Terminal(Output.JSONL), FORECAST)
    assert '"event": "rollout.forecasted"' in capsys.readouterr().out


@pytest.mark.parametrize("output", [Output.TEXT, Output.JSON])
def test_a_detached_rollout_is_an_error_to_programs_only(output: Output) -> None:
    answer = release._goes_on(Terminal(output), Detached("0006", "process 123", "x.jsonl"))
    assert int(answer.exit) == 3
    assert answer.data["rollout"] == "0006"
    assert isinstance(answer.text, str)
    assert "follow it: backendctl rollout watch 0006" in answer.text
    code = answer.error.code if answer.error is not None else None
    assert code == (None if output is Output.TEXT else "rollout.detached")


def test_what_is_undone_is_confirmed_before_its_reason_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()

    def ask(question: str, **_: object) -> str:
        terminal.said.append(question)
        return "a hotfix"

    monkeypatch.setattr(typer, "prompt", ask)
    assert release._asked_to_supersede(terminal, "0006", "") == "a hotfix"
    assert [each.split()[0] for each in terminal.said] == ["This", "Why"]


def test_where_nobody_can_be_asked_a_reason_is_needed_first() -> None:
    terminal = Terminal(interactive=False)
    with pytest.raises(BackendctlError, match="needs a reason") as caught:
        release._asked_to_supersede(terminal, "0006", "")
    assert caught.value.next == ("backendctl deploy --supersede --reason WHY --yes",)
    assert terminal.said == []
