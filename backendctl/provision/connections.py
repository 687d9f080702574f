"""How a service on AWS is given its database and cache: one ExternalSecret each, and the database's
role, in the `app` stack."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from backendctl.platforms.kubernetes.naming import Naming, stack_secrets
from backendctl.provision import database_role
from backendctl.provision.definition import Inputs
from backendctl.provision.external import Manifest, Reached, external_secret, lacking, specified
from backendctl.spec.model import Environment, Spec

if TYPE_CHECKING:
    import pulumi


def connections(inputs: Inputs) -> list[Manifest]:
    """The manifests of an environment, parts of them outputs: some of it exists only once the
    other stacks are up. None where the environment's user makes the Secrets."""
    naming = Naming.of(inputs.spec, inputs.environment)
    made: list[Manifest] = []
    for part, name in stack_secrets(inputs.spec, inputs.environment).items():
        known = _known(inputs, part)
        settled = known.apply(partial(_settled, inputs, part, name))
        made.append(external_secret(naming, part, name, settled))
        if part == "database" and inputs.environment.database:
            _warn_of_rotation(inputs.environment)
        elif part == "database":
            made += database_role.manifests(naming, name, known)
    return made


def _warn_of_rotation(environment: Environment) -> None:
    """An adopted database has no role of ours: its master user is all that is known."""
    import pulumi

    pulumi.warn(
        f"the service would log in to {environment.database} as its master user, whose password "
        "RDS changes every seven days: after that, pods that run cannot open new connections "
        "until they are started anew. Make a role for the service, and a Secret that leads to it, "
        f'and name that in backend.toml: [environments.{environment.name}] database_secret = "NAME"'
    )


def _known(inputs: Inputs, part: str) -> "pulumi.Output[Reached]":
    import pulumi

    data, addons = inputs.upstream.get("data", {}), inputs.upstream.get("addons", {})
    found = pulumi.Output.all(
        store=addons.get("secret_store"),
        secret_arn=data.get(f"{part}_secret_arn"),
        address=data.get(f"{part}_address"),
        port=data.get(f"{part}_port"),
        database=data.get("database_name"),
        master_secret_arn=data.get(f"{part}_master_secret_arn"),
    )
    return found.apply(_reached)


def _reached(given: Mapping[str, Any]) -> Reached:
    """What a stack does not say is nothing; numbers come back as the engine keeps them."""
    text = {name: str(value or "") for name, value in given.items() if name != "port"}
    return Reached(**text, port=int(given["port"] or 0))


def _settled(inputs: Inputs, part: str, name: str, reached: Reached) -> Manifest:
    import pulumi

    lacks = lacking(reached, part)
    if lacks:
        raise pulumi.RunError(refusal(inputs.spec, inputs.environment, part, lacks))
    return specified(Naming.of(inputs.spec, inputs.environment), part, name, reached)


def refusal(spec: Spec, environment: Environment, part: str, lacks: tuple[str, ...]) -> str:
    """What the user has to make when ours cannot be made."""
    namespace = Naming.of(spec, environment).namespace
    adopted = environment.database if part == "database" else ""
    whose = f"the adopted database {adopted}" if adopted else f"the {part}"
    return (
        f"{whose} has not: {', '.join(lacks)}. Make a Secret in namespace {namespace} that leads "
        f'to it, and name it in backend.toml: {part}_secret = "NAME"'
    )
