"""Services on AWS for tests of stacks, rules and costs, and what their stacks would register."""

from collections.abc import Sequence
from functools import cache

from backendctl.provision.aws import AWS_STACKS
from backendctl.provision.simulate import simulate
from backendctl.shipped.stacks.record import Record
from backendctl.spec.load import read_spec
from backendctl.spec.model import Spec

ACCOUNT = "123456789012"
WHOLE = f"""\
compliance = [COMPLIANCE]
[service]
name = "shop"
start = "uvicorn app:app"
residency = "eu"
[load]
peak_rps = 200
[recovery]
rpo = "RPO"
[data]
engine = "postgresql"
size = "40 GiB"
replicas = 1
[cache]
engine = "valkey"
[on_call]
primary = "ana@example.com"
[environments.ENVIRONMENT]
platform = "aws"
account = "{ACCOUNT}"
EXTRA
"""
PUBLIC = 'host = "shop.example.com"\nzone = "Z0123"'


@cache
def whole(
    environment: str = "prod",
    extra: str = PUBLIC,
    compliance: str = "",
    rpo: str = "15m",
) -> Spec:
    """A service with everything: database, replica, cache, public address."""
    text = (
        WHOLE.replace("COMPLIANCE", f'"{compliance}"' if compliance else "")
        .replace("ENVIRONMENT", environment)
        .replace("RPO", rpo)
        .replace("EXTRA", extra)
    )
    return read_spec(text.encode(), "backend.toml")


def bare(environment: str = "prod", extra: str = "") -> Spec:
    """A service without database and cache, nowhere public."""
    text = f"""\
[service]
name = "shop"
start = "uvicorn app:app"
[load]
peak_rps = 20
[environments.{environment}]
platform = "aws"
account = "{ACCOUNT}"
region = "us-east-1"
{extra}
"""
    return read_spec(text.encode(), "backend.toml")


@cache
def registered(
    spec_of: str = "prod", extra: str = PUBLIC, compliance: str = ""
) -> Sequence[Record]:
    """What the stacks of the whole service register in an environment of that name."""
    spec = whole(spec_of, extra, compliance)
    return simulate(spec, spec.environments[spec_of], AWS_STACKS)


def one(records: Sequence[Record], title: str, kind: str = "") -> Record:
    """The resource of that title (`data/database`), and of a type ending so where titles repeat."""
    found = [each for each in records if each.title == title and each.type.endswith(kind)]
    assert len(found) == 1, [each.type for each in found] or title
    return found[0]
