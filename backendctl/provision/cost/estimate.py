"""From resources to lines of a bill.

Only what a resource costs while it exists is priced. What depends on use (traffic, requests, log
lines, backups beyond the first copy) is named, not guessed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from backendctl.provision.cost.table import Price, Table, table
from backendctl.shipped.stacks.record import Record


@dataclass(frozen=True, slots=True)
class Item:
    """How much of what, before it is priced."""

    what: str
    group: str
    """Of the table."""
    price: str
    quantity: float
    hourly: bool
    regional: bool = True
    """Whether the price differs between regions."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the estimate."""

    subject: str
    """The resource: `data/database`."""
    monthly: float
    explanation: str
    """The sum, written out."""
    source: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What resources cost in a month, and what it does not say."""

    region: str
    read: date
    """When the prices were."""
    lines: tuple[Line, ...]
    by_use: tuple[str, ...]
    """What is billed by use besides."""
    unpriced: tuple[str, ...]
    """Resources that cost something which the table does not have."""
    too_old: str = ""
    """What to say of the prices' age, if they are old."""

    @property
    def monthly(self) -> float:
        """US dollars."""
        return round(sum(each.monthly for each in self.lines), 2)

    def data(self) -> dict[str, Any]:
        """As the JSON answer shows it."""
        return {
            "monthly_usd": self.monthly,
            "region": self.region,
            "prices_of": self.read.isoformat(),
            "prices_too_old": self.too_old,
            "lines": [
                {
                    "subject": each.subject,
                    "monthly_usd": round(each.monthly, 2),
                    "explanation": each.explanation,
                    "source": each.source,
                }
                for each in self.lines
            ],
            "billed_by_use": list(self.by_use),
            "unpriced": list(self.unpriced),
        }

    def text_lines(self) -> Iterator[str]:
        """For a person, dearest first; lines that say the same are one."""
        alike: dict[str, list[Line]] = {}
        for each in self.lines:
            alike.setdefault(each.explanation, []).append(each)
        sums = {words: sum(line.monthly for line in lines) for words, lines in alike.items()}
        for words in sorted(alike, key=lambda words: -sums[words]):
            lines = alike[words]
            more = f" and {len(lines) - 1} more, each" if len(lines) > 1 else ""
            yield f"{sums[words]:9,.2f}  {lines[0].subject}{more}: {words}"
        yield f"{self.monthly:9,.2f}  US dollars a month, while it exists"
        yield (
            f"List prices of {self.read} without tax, discount or free tier; an estimate for "
            f"{self.region}, no offer."
        )
        if self.too_old:
            yield f"warning: these are prices of {self.read}; {self.too_old}."
        if self.by_use:
            yield f"Billed by use besides: {'; '.join(self.by_use)}."
        if self.unpriced:
            yield f"Not in the table of prices: {', '.join(self.unpriced)}."


def estimate(records: Iterable[Record], region: str, today: date | None = None) -> Estimate:
    """Price resources in a region; adopted ones cost their owner. `today` is the machine's own day
    when absent: it says how old the prices are."""
    prices, own = table(), [each for each in records if not each.adopted]
    lines: list[Line] = []
    unpriced: list[str] = []
    uses: dict[str, None] = {}
    for each in own:
        for item in _ITEMS.get(each.type, _nothing)(_with_storage(each, own)):
            line = _line(each.title, item, prices, region)
            if line is None:
                unpriced.append(f"{each.title} ({item.price} in {region})")
            else:
                lines.append(line)
        if each.type in BY_USE:
            uses.setdefault(BY_USE[each.type])
    too_old = prices.too_old(today or datetime.now(UTC).date())
    return Estimate(region, prices.read, tuple(lines), tuple(uses), tuple(unpriced), too_old)


def _with_storage(record: Record, others: Sequence[Record]) -> Record:
    """A replica with the storage of its source, which it takes over without saying so."""
    source = record.properties.get("replicateSourceDb")
    if not source:
        return record
    size = next(
        (
            each.properties.get("allocatedStorage")
            for each in others
            if each.properties.get("identifier") == source
        ),
        None,
    )
    return replace(record, properties={**record.properties, "allocatedStorage": size})


def _line(subject: str, item: Item, prices: Table, region: str) -> Line | None:
    price = prices.price(item.group, item.price)
    factor = prices.factor(region) if item.regional else 1.0
    if price is None or factor is None:
        return None
    hours = prices.hours if item.hourly else 1.0
    monthly = item.quantity * price.dollars * hours * factor
    return Line(subject, monthly, _sum(item, price, prices, region, factor), price.source)


def _sum(item: Item, price: Price, prices: Table, region: str, factor: float) -> str:
    """`2 x db.m7g.large x $0.168 x 730 h x 1.2 (eu-central-1)`."""
    parts = [f"{item.quantity:g} x {item.what}", f"${price.dollars:g}"]
    if item.hourly:
        parts.append(f"{prices.hours:g} h")
    if factor != 1.0:
        parts.append(f"{factor:g} ({region} against {prices.region}, about)")
    return " x ".join(parts)


# --- what each type costs ---------------------------------------------------------------------

Items = Callable[[Record], Iterator[Item]]


def _nothing(_record: Record) -> Iterator[Item]:
    return iter(())


def _number(record: Record, key: str, default: float = 0.0) -> float:
    value = record.properties.get(key)
    return float(value) if isinstance(value, int | float) else default


def _nodes(record: Record) -> Iterator[Item]:
    """Those that the least replicas need; at the peak there are more, by the hour."""
    kind = str((record.properties.get("instanceTypes") or [""])[0])
    scaling = record.properties.get("scalingConfig") or {}
    count = float(scaling.get("desiredSize") or 0)
    yield Item(f"{kind} (for the least replicas)", "ec2", kind, count, hourly=True)
    disk = 50.0 + 4.0  # both disks of a Bottlerocket node, as its launch template has them
    yield Item("GiB of disk", "monthly", "disk_gib", count * disk, hourly=False)


def _database(record: Record) -> Iterator[Item]:
    kind = str(record.properties.get("instanceClass", ""))
    copies = 2.0 if record.properties.get("multiAz") is True else 1.0
    words = f"{kind}{' (it and its standby)' if copies == 2 else ''}"
    yield Item(words, "rds", kind, copies, hourly=True)
    size = _number(record, "allocatedStorage")
    if size:
        yield Item("GiB of storage", "monthly", "database_gib", size * copies, hourly=False)
    if record.properties.get("databaseInsightsMode") == "advanced":
        cpus = float(_CPUS.get(kind.rpartition(".")[2], 2)) * copies
        yield Item(
            "vCPU of Database Insights, advanced", "hourly", "insights_vcpu", cpus, hourly=True
        )


_CPUS: Mapping[str, int] = {
    "medium": 2,
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "8xlarge": 32,
}


def _cache(record: Record) -> Iterator[Item]:
    kind = str(record.properties.get("nodeType", ""))
    count = _number(record, "numCacheClusters", 1.0)
    yield Item(kind, "elasticache", kind, count, hourly=True)


def _endpoint(record: Record) -> Iterator[Item]:
    """Interface endpoints by the subnet they stand in; those of S3 and DynamoDB are free."""
    if record.properties.get("vpcEndpointType") == "Interface":
        zones = float(len(record.properties.get("subnetIds") or ()))
        yield Item("interface endpoint in a zone", "hourly", "endpoint", zones, hourly=True)


def _balancer(record: Record) -> Iterator[Item]:
    yield Item("load balancer", "hourly", "balancer", 1, hourly=True)
    if not record.properties.get("internal"):
        zones = float(len(record.properties.get("subnets") or ()))
        yield Item("public address", "hourly", "address", zones, hourly=True, regional=False)


def _alarm(record: Record) -> Iterator[Item]:
    """By the metric that it looks at."""
    queries = record.properties.get("metricQueries") or ()
    count = sum(1 for each in queries if each.get("metric")) or 1
    yield Item("metric of an alarm", "monthly", "alarm_metric", count, False, regional=False)


def _firewall(record: Record) -> Iterator[Item]:
    rules = float(len(record.properties.get("rules") or ()))
    yield Item("web ACL", "monthly", "firewall", 1, hourly=False, regional=False)
    yield Item("rule of it", "monthly", "firewall_rule", rules, hourly=False, regional=False)


def _one(what: str, price: str, *, hourly: bool, regional: bool) -> Items:
    def items(_record: Record) -> Iterator[Item]:
        group = "hourly" if hourly else "monthly"
        yield Item(what, group, price, 1, hourly, regional)

    return items


_ITEMS: Mapping[str, Items] = {
    "aws:eks/cluster:Cluster": _one("EKS cluster", "cluster", hourly=True, regional=False),
    "aws:eks/nodeGroup:NodeGroup": _nodes,
    "aws:rds/instance:Instance": _database,
    "aws:elasticache/replicationGroup:ReplicationGroup": _cache,
    "aws:ec2/natGateway:NatGateway": _one("NAT gateway", "nat", hourly=True, regional=True),
    "aws:ec2/eip:Eip": _one("public address", "address", hourly=True, regional=False),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    "aws:kms/key:Key": _one("key", "key", hourly=False, regional=False),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": _one(
        "composite alarm", "composite_alarm", hourly=False, regional=False
    ),
    "aws:cloudformation/stack:Stack": _one("secret", "secret", hourly=False, regional=False),
    "aws:secretsmanager/secret:Secret": _one("secret", "secret", hourly=False, regional=False),
    "aws:wafv2/webAcl:WebAcl": _firewall,
}

BY_USE: Mapping[str, str] = {
    "aws:ec2/natGateway:NatGateway": "data through NAT",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "data through interface endpoints",
    "aws:ec2/vpc:Vpc": "traffic between zones and out to the internet",
    "aws:lb/loadBalancer:LoadBalancer": "capacity units of the load balancer",
    "aws:cloudwatch/logGroup:LogGroup": "log lines taken in and kept",
    "aws:rds/instance:Instance": "backups beyond the database's own size, enhanced monitoring",
    "aws:s3/bucket:Bucket": "what is stored in buckets",
    "aws:eks/nodeGroup:NodeGroup": "nodes beyond the least number, while load asks for them",
    "aws:wafv2/webAcl:WebAcl": "requests that the firewall looks at",
}
"""Types of which the rest of the bill depends on use, and on what."""
