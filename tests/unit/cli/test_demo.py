"""A demo that is stopped proposes nothing about the project that it has removed."""

from pathlib import Path

import pytest

from backendctl.cli.contract import Output
from backendctl.cli.demo import demo
from backendctl.errors import BackendctlError
from backendctl.workflows.demo import story


@pytest.mark.parametrize(
    "stopped",
    [
        KeyboardInterrupt(),
        BackendctlError("interrupted", "the load test", next=("backendctl loadtest report 1",)),
    ],
)
def test_a_stopped_demo_proposes_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: BaseException
) -> None:
    def tell(*_: object) -> None:
        raise stopped

    monkeypatch.setattr(story, "tell", tell)
    with pytest.raises(BackendctlError) as caught:
        demo(  # type: ignore[call-arg]
            report=Path("demo.html"),
            environment=None,
            output=Output.TEXT,
            yes=False,
            verbose=False,
            directory=tmp_path,
        )
    assert caught.value.code == "interrupted"
    assert caught.value.next == (f"backendctl demo --directory {tmp_path}",)
