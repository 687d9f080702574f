"""The role that a service logs in as to a database the stacks made, and the Job that makes it.

RDS gives its master user nearly all rights and changes its password every seven days; a pod that
runs keeps the password it began with. So the service has a role of its own: it may create and use
its own tables and nothing else, and its password changes only when somebody changes it on purpose.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from backendctl.platforms.kubernetes import access, restricted
from backendctl.platforms.kubernetes.naming import DOMAIN, Naming
from backendctl.provision.external import TLS, Manifest, Reached, external_secret, templated
from backendctl.shipped.stacks.inputs import MASTER, ROLE
from backendctl.shipped.stacks.versions import POSTGRES_CLIENT

if TYPE_CHECKING:
    import pulumi

COMPONENT = "database-role"
MADE_FOR = f"{DOMAIN}/made-for"
"""Annotation of the Job's pod: the database and the secret. When either is another, Pulumi runs
the Job anew."""

STATEMENTS = r"""
SELECT format('CREATE ROLE %I', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN NOCREATEDB NOCREATEROLE;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE :"DBNAME" TO :"role";
GRANT USAGE, CREATE ON SCHEMA public TO :"role";
"""
"""For psql, as the master user; any number of times. CREATE on the database is for schemas and
trusted extensions."""

SCRIPT = f"""\
set -eu
psql="psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1"
printf '%s' "$STATEMENTS" | $psql --set=role={ROLE}
printf '%s\\n%s\\n' "$SERVICE_PASSWORD" "$SERVICE_PASSWORD" | $psql --command='\\password {ROLE}'
"""
r"""`\password` asks twice, of standard input where there is no terminal, and sends the server only
what SCRAM keeps of a password: one in a statement would be in the server's log, which holds DDL."""

_USER = 70
"""`postgres` in the image."""


def manifests(naming: Naming, name: str, reached: "pulumi.Output[Reached]") -> list[Manifest]:
    """What makes the role behind the Secret of that name, once it is known how both the database
    and its secrets are reached."""
    master = f"{name}-master"
    given = reached.apply(partial(specification, naming, master))
    made_for = reached.apply(lambda known: f"{known.address} {known.secret_arn}")
    return [
        external_secret(naming, COMPONENT, master, given),
        job(naming, f"{name}-role", master, made_for),
    ]


def specification(naming: Naming, name: str, reached: Reached) -> Manifest:
    """The master user's connection and the role's password, for the Job alone."""
    variables = {
        "PGHOST": reached.address,
        "PGPORT": str(reached.port),
        "PGDATABASE": reached.database,
        "PGUSER": MASTER,
        "PGPASSWORD": "{{ .master }}",
        **TLS,
        "SERVICE_PASSWORD": "{{ .service }}",
    }
    reading = [
        _property("master", reached.master_secret_arn),
        _property("service", reached.secret_arn),
    ]
    return templated(naming, COMPONENT, name, reached.store, variables) | {"data": reading}


def _property(name: str, secret: str) -> Mapping[str, Any]:
    return {"secretKey": name, "remoteRef": {"key": secret, "property": "password"}}


def job(naming: Naming, name: str, secret: str, made_for: Any) -> Manifest:
    """Its pod waits until the operator has written the Secret; Pulumi waits until it is done."""
    labels = dict(naming.labels(COMPONENT))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": naming.namespace,
            "labels": labels,
            # One that failed is made anew by the next `up`, not waited for once more.
            "annotations": {"pulumi.com/replaceUnready": "true"},
        },
        "spec": {
            "backoffLimit": 4,
            "activeDeadlineSeconds": 170,
            "template": {
                "metadata": {"labels": labels, "annotations": {MADE_FOR: made_for}},
                "spec": _pod(naming, secret),
            },
        },
    }


def _pod(naming: Naming, secret: str) -> Manifest:
    return {
        "restartPolicy": "Never",
        "serviceAccountName": naming.account(access.SERVICE),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": restricted.pod() | {"runAsUser": _USER},
        "containers": [
            {
                "name": "psql",
                "image": POSTGRES_CLIENT,
                "command": ["sh", "-c", SCRIPT],
                "env": [{"name": "STATEMENTS", "value": STATEMENTS}],
                "envFrom": [{"secretRef": {"name": secret}}],
                "resources": {
                    "requests": {"cpu": "50m", "memory": "64Mi"},
                    "limits": {"memory": "64Mi"},
                },
                "securityContext": restricted.container(),
            }
        ],
    }
