"""An environment on the test cluster, worked with as a pipeline does: by its own account."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backendctl.platforms.kubernetes import access
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.spec.model import Environment, Spec
from tests.cluster.standing import account, kubeconfig, standing


@contextmanager
def prepared(project: Path, spec: Spec, environment: Environment) -> Iterator[None]:
    """What `infra up` would have made is there, and whoever works meanwhile is `backendctl-ci`."""
    with standing(spec, environment):
        pipeline = account(Naming.of(spec, environment), access.CI, project / "ci.kubeconfig")
        with kubeconfig(pipeline):
            yield
