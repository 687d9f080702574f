"""Which stacks an environment has."""

from collections.abc import Sequence

from backendctl.provision import app
from backendctl.provision.aws import AWS_STACKS
from backendctl.provision.definition import StackDefinition
from backendctl.spec.model import Environment, PlatformName


def definitions(environment: Environment) -> Sequence[StackDefinition]:
    """Those of its platform, each after what it needs; none on `local`."""
    if environment.platform is PlatformName.LOCAL:
        return ()
    of_a_cluster = (app.definition(environment),)
    if environment.platform is PlatformName.AWS:
        return (*AWS_STACKS, *of_a_cluster)
    return of_a_cluster
