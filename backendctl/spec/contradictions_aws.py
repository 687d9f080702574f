"""Promises about an environment on AWS that cannot hold together."""

from collections.abc import Iterator

from backendctl.spec.contradiction import Contradiction, Rule
from backendctl.spec.model import Environment, PlatformName, Spec

OF_AWS = (
    "size",
    "account",
    "vpc",
    "database",
    "cluster",
    "api_access",
    "admins",
    "zone",
    "certificate",
)


LONGEST_DRAIN = 3600.0
"""Seconds that a load balancer of AWS waits at most for requests to a target that goes."""


def _on_aws(spec: Spec) -> Iterator[tuple[str, Environment]]:
    for name, environment in spec.environments.items():
        if environment.platform is PlatformName.AWS:
            yield f"environments.{name}", environment


def aws_without_account(spec: Spec) -> Iterator[Contradiction]:
    for key, environment in _on_aws(spec):
        if not environment.account:
            yield Contradiction(
                (f"{key}.platform", f"{key}.account"),
                f"{environment.name!r} is on AWS, and nothing says in which account: with other "
                "credentials at hand its stacks would be made in another",
                'account = "..." (`aws sts get-caller-identity` shows it)',
            )


def aws_without_place(spec: Spec) -> Iterator[Contradiction]:
    for key, environment in _on_aws(spec):
        if not environment.region and not spec.service.residency:
            yield Contradiction(
                (f"{key}.platform", f"{key}.region"),
                f"{environment.name!r} is on AWS, and nothing says where",
                'region = "..." here, or service.residency, from which a region follows',
            )


def aws_settings_elsewhere(spec: Spec) -> Iterator[Contradiction]:
    for name, environment in spec.environments.items():
        if environment.platform is PlatformName.AWS:
            continue
        for setting in OF_AWS:
            if f"environments.{name}.{setting}" in spec.stated:
                yield Contradiction(
                    (f"environments.{name}.{setting}", f"environments.{name}.platform"),
                    f"`{setting}` has no effect on {environment.platform}",
                    'platform = "aws", or no such key',
                )


def host_without_certificate(spec: Spec) -> Iterator[Contradiction]:
    for key, environment in _on_aws(spec):
        proven = environment.zone or environment.certificate
        if environment.host and not proven and not environment.cluster:
            yield Contradiction(
                (f"{key}.host", f"{key}.zone"),
                f"users reach {environment.name!r} at {environment.host}, and there is neither a "
                "certificate for that name nor a zone to prove one in",
                'zone = "Z..." (Route 53), or certificate = "arn:aws:acm:..."',
            )
        elif proven and not environment.host:
            given = "zone" if environment.zone else "certificate"
            yield Contradiction(
                (f"{key}.{given}", f"{key}.host"),
                f"`{given}` is about a host name that is not stated",
                'host = "..."',
            )


def adopted_without_its_surroundings(spec: Spec) -> Iterator[Contradiction]:
    for key, environment in _on_aws(spec):
        if environment.cluster and not environment.vpc:
            yield Contradiction(
                (f"{key}.cluster", f"{key}.vpc"),
                f"the cluster {environment.cluster!r} exists, and with it its VPC, which is not "
                "named",
                'vpc = "vpc-..." (`aws eks describe-cluster` shows it)',
            )
        if environment.cluster and not environment.gateway and not environment.gateway_class:
            yield Contradiction(
                (f"{key}.cluster", f"{key}.gateway"),
                f"nothing is installed into the existing cluster {environment.cluster!r}, and "
                "nothing says which Gateway there leads users to the service",
                'gateway = "namespace/name", or gateway_class = "..."',
            )
        if environment.database and spec.data.engine == "none":
            yield Contradiction(
                (f"{key}.database", "data.engine"),
                "an existing database is named, but the service has none",
                'data.engine = "postgresql", or no such key',
            )


def drained_longer_than_a_balancer_waits(spec: Spec) -> Iterator[Contradiction]:
    for key, environment in _on_aws(spec):
        if spec.rollout.drain_deadline > LONGEST_DRAIN:
            yield Contradiction(
                ("rollout.drain_deadline", f"{key}.platform"),
                f"the load balancer of {environment.name!r} waits for requests under way for "
                f"{LONGEST_DRAIN / 3600:g} h at most",
                'drain_deadline = "1h" or less',
            )


def named_as_no_database_may_be(spec: Spec) -> Iterator[Contradiction]:
    for key, environment in _on_aws(spec):
        made = spec.data.engine != "none" and not environment.database
        if made and "--" in f"{spec.service.name}-{environment.name}":
            yield Contradiction(
                ("service.name", f"{key}.platform"),
                "the name of a database on AWS may not hold two hyphens in a row, and it is made "
                f"of {spec.service.name!r} and {environment.name!r}",
                "a name with single hyphens",
            )


RULES: tuple[Rule, ...] = (
    aws_without_account,
    aws_without_place,
    aws_settings_elsewhere,
    host_without_certificate,
    adopted_without_its_surroundings,
    drained_longer_than_a_balancer_waits,
    named_as_no_database_may_be,
)
