"""What a stack is: the agreement between `stacks/` and the engine that runs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backendctl.spec.model import Environment, Spec

if TYPE_CHECKING:
    import pulumi


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a stack's program may look at."""

    spec: Spec
    environment: Environment
    upstream: "Mapping[str, Mapping[str, pulumi.Output[Any]]]" = field(default_factory=dict)
    """Stack name -> output name -> value, of the stacks it needs. A secret stays one; in a preview
    a value that will exist only once the other stack is up is an unknown output. An output that
    the other stack does not export is absent."""
    cluster: str = ""
    """UID of the cluster that the kubeconfig in use leads to; see target.py."""
    taken_over: bool = False
    """Whether the environment's namespace was there before the stack."""
    releasing: bool = False
    """Whether protection is taken off what holds data, for `destroy` after its confirmation."""


@dataclass(frozen=True, slots=True)
class StackDefinition:
    """One Pulumi stack of an environment."""

    name: str
    """`network`, `data`, `cluster`, `addons`, `app`."""
    program: Callable[[Inputs], None]
    """Registers resources and calls `pulumi.export`; imports pulumi only when called. It is run
    several times and must register the same resources for the same inputs."""
    needs: tuple[str, ...] = ()
    """Stacks that must be up before, and are destroyed after."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """Resource plugin -> version, e.g. {"aws": "7.51.1"}."""
