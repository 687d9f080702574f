"""The stack of what was adopted: it is looked at, never brought up."""

from backendctl.provision.definition import Inputs, StackDefinition

ADOPTED = "adopted"


def adopted_stack() -> StackDefinition:
    """Its program is never run: what it holds came by import, and stays as it is."""
    from backendctl.provision.app import KUBERNETES_PLUGIN

    return StackDefinition(ADOPTED, _never, plugins={"kubernetes": KUBERNETES_PLUGIN})


def _never(_inputs: Inputs) -> None:
    raise AssertionError("what is adopted is not made by a program")
