"""`check infra`: the rules over what the stacks of each environment would register."""

from collections.abc import Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.gates.infra.gate import GATE, NAMES, judge
from backendctl.gates.results import Answer
from backendctl.gates.waivers import load_waivers
from backendctl.provision.simulate import simulate
from backendctl.shipped.stacks.record import Record
from backendctl.spec.load import find_project, load_spec
from backendctl.spec.model import Environment, PlatformName, Spec


def check_infra(directory: Path, name: str | None, today: date) -> Answer:
    """Judge one environment's stacks, or those of every environment on AWS.

    Nothing is asked of AWS: the programs are run, and what they would register is judged. Raises
    `spec.*`, `gate.waivers`, `missing.extra`; a program that fails is a `tool-error`.
    """
    project = find_project(directory)
    spec = load_spec(project)
    chosen = _chosen(spec, name)
    waivers = load_waivers(project, NAMES)
    _require_programs()
    found: dict[str, Sequence[Record]] = {}
    for environment in chosen:
        try:
            found[environment.name] = records_of(spec, environment)
        except Exception as error:
            said = f"the stacks of {environment.name!r} fail: {type(error).__name__}: {error}"
            return Answer(gate=GATE, error=said)
    return judge(spec, found, waivers, today)


def records_of(spec: Spec, environment: Environment) -> Sequence[Record]:
    """Everything the stacks of an environment on AWS would register."""
    from backendctl.provision.aws import AWS_STACKS

    return simulate(spec, environment, AWS_STACKS)


def _chosen(spec: Spec, name: str | None) -> Sequence[Environment]:
    on_aws = [e for e in spec.environments.values() if e.platform is PlatformName.AWS]
    if name is None and on_aws:
        return on_aws
    if name in spec.environments and spec.environments[str(name)] in on_aws:
        return (spec.environments[str(name)],)
    known = ", ".join(sorted(each.name for each in on_aws)) or "none"
    if name is not None and name not in spec.environments:
        problem = f"backend.toml has no environment {name!r}"
    elif name is not None:
        platform = spec.environments[name].platform
        problem = f"{name!r} runs on {platform}, where the stacks make nothing that has rules"
    else:
        problem = "no environment in backend.toml runs on AWS"
    raise BackendctlError(
        "spec.environment",
        problem,
        cause="check infra judges databases, networks, clusters and rights that the stacks would "
        f"make on AWS; environments there: {known}",
        state="nothing was checked",
        next=tuple(f"backendctl check infra --env {each.name}" for each in on_aws),
    )


def _require_programs() -> None:
    missing = [
        each for each in ("pulumi", "pulumi_aws", "pulumi_kubernetes") if not find_spec(each)
    ]
    if missing:
        raise BackendctlError(
            "missing.extra",
            "the programs of the stacks cannot be run",
            cause=f"not found: {', '.join(missing)}",
            state="nothing was checked",
            next=("pip install 'backendctl[aws]'",),
        )
