"""ExternalSecrets: what has the operator read user and password where AWS keeps them, and write the
Secret that pods are given. Pure; what passes through are addresses and names, no password.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.platforms.kubernetes.naming import Naming

Manifest = dict[str, Any]

REFRESH = "1m"
"""For how long at most a new pod may be given a password that was rotated away. Each reading is
one call that AWS charges for: 44,000 a month."""
TLS: Mapping[str, str] = {"PGSSLMODE": "require"}
"""Encrypted, the server's certificate not checked: docs/decisions/stacks-aws-database-access.md."""
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
    master_secret_arn: str = ""
    """Of the same for the database's master user, where it is another."""


def database_variables(reached: Reached) -> Mapping[str, str]:
    """Templates of what a process is told of its database.

    TLS is asked for by libpq's variable, which drivers that are no libpq read too (asyncpg, pgx,
    node-postgres): `sslmode` in the URL is an unknown argument to SQLAlchemy's asyncpg, and could
    not be overruled by `variables` in backend.toml.
    """
    at = f"{reached.address}:{reached.port}/{reached.database}"
    return {"DATABASE_URL": f"postgresql://{USER}:{PASSWORD}@{at}", **TLS}


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
    # User and password at once: one by one could be of two versions.
    reading = {"dataFrom": [{"extract": {"key": reached.secret_arn}}]}
    return templated(naming, part, name, reached.store, _VARIABLES[part](reached)) | reading


def templated(
    naming: Naming, part: str, name: str, store: str, variables: Mapping[str, str]
) -> Manifest:
    """What it says of the Secret that it writes; from where, is its reader's to add."""
    return {
        "refreshInterval": REFRESH,
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": store},
        "target": {
            "name": name,
            "template": {
                "engineVersion": "v2",
                "metadata": {"labels": dict(naming.labels(part))},
                "data": dict(variables),
            },
        },
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
