"""What tells dev, staging and prod on AWS apart, and what a small environment gives up. Pure.

They are the same programs with the values of `DIFFERENCES`, and a small environment is a standard
one without what `GIVEN_UP` lists; nothing else tells them apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from backendctl.spec.model import Environment, Regime, Spec


class Tier(StrEnum):
    """What an environment is for, told by its name."""

    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


def tier_of(environment: Environment) -> Tier:
    """`prod...` and `live...` are production; `stag...` and `preprod...` rehearse it; the rest is
    for developing."""
    if environment.name.startswith(("prod", "live")):
        return Tier.PROD
    return Tier.STAGING if environment.name.startswith(("stag", "preprod")) else Tier.DEV


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs between dev, staging and prod, and why."""

    dev: int
    staging: int
    prod: int
    reason: str

    def at(self, tier: Tier) -> int:
        """The value there."""
        return {Tier.DEV: self.dev, Tier.STAGING: self.staging, Tier.PROD: self.prod}[tier]


DIFFERENCES: Mapping[str, Difference] = {
    "nat_gateways": Difference(
        1,
        1,
        3,
        "prod keeps its way out when a zone is lost; the others may go without",
    ),
    "interface_endpoints": Difference(
        0, 1, 1, "staging proves the way prod reaches AWS; dev's few calls go through NAT"
    ),
    "multi_az": Difference(
        0, 0, 1, "prod fails over by itself; elsewhere a restore is fast enough, and rehearses one"
    ),
    "backup_days": Difference(
        1,
        7,
        14,
        "two weeks to notice that prod's data went wrong; elsewhere it is made anew",
    ),
    "cache_replicas": Difference(
        0, 1, 1, "staging rehearses prod's failover; a cold cache in dev hurts nobody"
    ),
    "burstable": Difference(
        1, 1, 0, "CPU credits run out under load, which only prod has for long"
    ),
    "log_days": Difference(
        14, 30, 90, "an intrusion is found after weeks; regimes may ask for more"
    ),
    "monitoring_seconds": Difference(
        0, 60, 15, "seconds matter while an outage of prod is looked into"
    ),
    "insights_days": Difference(
        7, 7, 465, "an outage of prod is compared with last year's; seven days are free"
    ),
    "snapshot_days": Difference(
        0, 1, 1, "a warm cache after a restore spares the database; dev's may be cold"
    ),
}
"""All that dev, staging and prod differ by. Yes and no are 1 and 0."""


@dataclass(frozen=True, slots=True)
class Sacrifice:
    """What a small environment does without, and what that costs when it is needed."""

    value: int
    meaning: str


GIVEN_UP: Mapping[str, Sacrifice] = {
    "zones": Sacrifice(2, "two zones instead of three: half of the nodes are gone with one"),
    "nat_gateways": Sacrifice(
        1, "one NAT gateway: while its zone is lost, nothing reaches the services it calls"
    ),
    "interface_endpoints": Sacrifice(
        0, "no interface endpoints: calls to AWS leave the network through NAT (encrypted)"
    ),
    "burstable": Sacrifice(1, "burstable machines: they slow down when high load lasts for hours"),
    "insights_days": Sacrifice(7, "seven days of the database's history instead of 15 months"),
    "gateway_replicas": Sacrifice(2, "two gateway pods instead of one in each zone"),
}
"""All that `size = "small"` differs by from `standard`."""

EVERYWHERE: Mapping[str, int] = {"zones": 3, "gateway_replicas": 3}
"""What every tier of a standard environment has: one gateway pod in each of three zones."""
REGULATED_BACKUP_DAYS = 35
"""As long as RDS keeps automated backups."""
LOG_DAYS: Mapping[Regime, tuple[int, str]] = {
    Regime.PCI_DSS: (400, "PCI DSS v4.0.1, requirement 10.5.1: twelve months"),
    Regime.HIPAA: (2192, "45 CFR 164.316(b)(2)(i): six years"),
}
"""Days among those that CloudWatch accepts, and who asks for them."""
REGULATED_DATA = (Regime.HIPAA, Regime.PCI_DSS)


def value(name: str, environment: Environment) -> int:
    """A value of the tables above."""
    if environment.size == "small" and name in GIVEN_UP:
        return GIVEN_UP[name].value
    if name in DIFFERENCES:
        return DIFFERENCES[name].at(tier_of(environment))
    return EVERYWHERE[name]


def why(name: str, environment: Environment) -> str:
    """Why such a value is what it is there."""
    if environment.size == "small" and name in GIVEN_UP:
        return f'size = "small": {GIVEN_UP[name].meaning}'
    if name in DIFFERENCES:
        return DIFFERENCES[name].reason
    return "one in each of three zones, so that two thirds are left when one is lost"


def given_up(environment: Environment) -> tuple[str, ...]:
    """What this environment does without, in words; nothing for `standard`."""
    if environment.size == "standard":
        return ()
    return tuple(each.meaning for each in GIVEN_UP.values())


def log_days(spec: Spec, environment: Environment) -> int:
    """As the tier asks, or the strictest regime: what they say of records is said of all."""
    asked = [LOG_DAYS[regime][0] for regime in spec.compliance if regime in LOG_DAYS]
    return max([value("log_days", environment), *asked])


def backup_days(spec: Spec, environment: Environment) -> int:
    """As the tier asks; with regulated data as long as RDS can, outside dev."""
    if spec.compliance & set(REGULATED_DATA) and tier_of(environment) is not Tier.DEV:
        return REGULATED_BACKUP_DAYS
    return value("backup_days", environment)
