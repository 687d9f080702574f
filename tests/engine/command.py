"""The real command, with one small stack in the place of its environment's own.

`python -m tests.engine.command WORDS...`
"""

from collections.abc import Sequence

from backendctl.cli.main import main
from backendctl.provision import registry
from backendctl.provision.definition import StackDefinition
from backendctl.spec.model import Environment
from backendctl.workflows.infra import meant


def _stacks(_environment: Environment) -> Sequence[StackDefinition]:
    from tests.engine.test_engine import STACKS

    return STACKS[:1]


if __name__ == "__main__":
    registry.definitions = _stacks
    meant._require_tokens = lambda: None  # no cluster is reached
    main()
