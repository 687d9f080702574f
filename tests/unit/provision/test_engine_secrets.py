"""What an engine learns to keep quiet about."""

import json
from pathlib import Path

from backendctl.provision.changes import WRAPPED
from backendctl.provision.definition import StackDefinition
from backendctl.provision.engine import StackEngine
from backendctl.provision.tool import Tool
from backendctl.provision.workspace import backend
from tests.aws_environments import bare


def test_a_secret_that_only_the_state_holds_by_now_is_taken_out_of_messages(
    tmp_path: Path,
) -> None:
    """A provider may quote the former value of what is changed or deleted."""
    spec = bare()
    engine = StackEngine(
        backend(tmp_path, "shop", "prod"),
        Tool(tmp_path / "pulumi", "3.259.0"),
        StackDefinition("data", lambda _inputs: None),
        spec,
        spec.environments["prod"],
    )
    secret = {WRAPPED: "sealed", "plaintext": json.dumps("the-former-one")}
    state = {"resources": [{"inputs": {"list": [{"password": secret}]}}]}
    assert engine._learned(state) == state
    assert "the-former-one" not in engine._scrub("password 'the-former-one' is in use")
