"""How a service on AWS is given its database and cache: one ExternalSecret each.

The external-secrets operator reads user and password where AWS keeps them and writes the Secret
that releases are given. What passes through here, and so through the stack's state, are addresses
and names; passwords never do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from backendctl.platforms.kubernetes.naming import Naming, stack_secrets
from backendctl.provision.definition import Inputs
from backendctl.spec.model import Environment, Spec

if TYPE_CHECKING:
    import pulumi

Manifest = dict[str, Any]

REFRESH = "1m"
"""For how long at most a new pod may be given a password that was rotated away. Each reading is
one call that AWS charges for: 44,000 a month."""
USER = '{{ .username | urlquery | replace "+" "%20" }}'
PASSWORD = '{{ .password | urlquery | replace "+" "%20" }}'  # noqa: S105 - no password
"""Go templates. urlquery writes a space as a plus, which is one only in a query; a plus itself it
has written as %2B by then."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How a database or cache is reached, as the stacks say. None of it is secret."""

    store: str
    """The ClusterSecretStore that reads the secret."""
    secret_arn: str
    """Of a secret with `username` and `password`."""
    address: str
    port: int
    database: str = ""


def database_variables(reached: Reached) -> Mapping[str, str]:
    """Templates of what a process is told of its database.

    The connection is encrypted, but whose it is is not verified: RDS's certificates are signed by
    authorities of its own, which the image does not hold.
    """
    at = f"{reached.address}:{reached.port}/{reached.database}"
    return {"DATABASE_URL": f"postgresql://{USER}:{PASSWORD}@{at}?sslmode=require"}


def cache_variables(reached: Reached) -> Mapping[str, str]:
    """Templates of what a process is told of its cache, under both usual names.

    ElastiCache's certificates are signed by a public authority, so clients verify them.
    """
    url = f"rediss://{USER}:{PASSWORD}@{reached.address}:{reached.port}/0"
    return {"CACHE_URL": url, "REDIS_URL": url}


_VARIABLES: Mapping[str, Callable[[Reached], Mapping[str, str]]] = {
    "database": database_variables,
    "cache": cache_variables,
}


def external_secret(naming: Naming, part: str, name: str, specification: Any) -> Manifest:
    """The ExternalSecret that writes the Secret of that name, for the `database` or `cache`; its
    specification, or the output that it will be."""
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {
            "name": name,
            "namespace": naming.namespace,
            "labels": dict(naming.labels(part)),
        },
        "spec": specification,
    }


def specified(naming: Naming, part: str, name: str, reached: Reached) -> Manifest:
    """What an ExternalSecret says of how to reach its part."""
    return {
        "refreshInterval": REFRESH,
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": reached.store},
        "target": {
            "name": name,
            "template": {
                "engineVersion": "v2",
                "metadata": {"labels": dict(naming.labels(part))},
                "data": dict(_VARIABLES[part](reached)),
            },
        },
        # Both at once: one by one could be of two versions.
        "dataFrom": [{"extract": {"key": reached.secret_arn}}],
    }


def lacking(reached: Reached, part: str) -> tuple[str, ...]:
    """What is not known of it and has to be, in words: of an adopted database it may be so."""
    known = {
        "a secret store in the cluster": reached.store,
        "a password in Secrets Manager that RDS manages": reached.secret_arn,
        "an address": reached.address,
        "a port": reached.port,
        "the name of a database": reached.database or part != "database",
    }
    return tuple(what for what, there in known.items() if not there)


def refusal(spec: Spec, environment: Environment, part: str, lacks: tuple[str, ...]) -> str:
    """What the user has to make when ours cannot be made."""
    namespace = Naming.of(spec, environment).namespace
    adopted = environment.database if part == "database" else ""
    whose = f"the adopted database {adopted}" if adopted else f"the {part}"
    return (
        f"{whose} has not: {', '.join(lacks)}. Make a Secret in namespace {namespace} that leads "
        f'to it, and name it in backend.toml: {part}_secret = "NAME"'
    )


# --- in the stack -----------------------------------------------------------------------------


def connections(inputs: Inputs) -> list[Manifest]:
    """The manifests of an environment, their `spec` an output: some of it exists only once the
    other stacks are up. None where the environment's user makes the Secrets."""
    naming = Naming.of(inputs.spec, inputs.environment)
    return [
        external_secret(
            naming, part, name, _known(inputs, part).apply(partial(_settled, inputs, part, name))
        )
        for part, name in stack_secrets(inputs.spec, inputs.environment).items()
    ]


def _known(inputs: Inputs, part: str) -> "pulumi.Output[Reached]":
    import pulumi

    data, addons = inputs.upstream.get("data", {}), inputs.upstream.get("addons", {})
    found = pulumi.Output.all(
        store=addons.get("secret_store"),
        secret_arn=data.get(f"{part}_secret_arn"),
        address=data.get(f"{part}_address"),
        port=data.get(f"{part}_port"),
        database=data.get("database_name"),
    )
    return found.apply(_reached)


def _reached(given: Mapping[str, Any]) -> Reached:
    """What a stack does not say is nothing; numbers come back as the engine keeps them."""
    text = {name: given[name] or "" for name in ("store", "secret_arn", "address", "database")}
    return Reached(**text, port=int(given["port"] or 0))


def _settled(inputs: Inputs, part: str, name: str, reached: Reached) -> Manifest:
    import pulumi

    lacks = lacking(reached, part)
    if lacks:
        raise pulumi.RunError(refusal(inputs.spec, inputs.environment, part, lacks))
    return specified(Naming.of(inputs.spec, inputs.environment), part, name, reached)
