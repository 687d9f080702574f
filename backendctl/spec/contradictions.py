"""Promises that cannot hold together.

Each rule is a function from a valid `Spec` to the contradictions it finds, and names the keys on
both sides. What a rule leans on that the file does not state (a default) is named too.
"""

from collections.abc import Iterator
from itertools import pairwise

from backendctl.spec import contradictions_aws, derive
from backendctl.spec.contradiction import Contradiction, Rule
from backendctl.spec.model import PlatformName, Regime, Spec, Strategy
from backendctl.spec.places import ADEQUATE, AWS_REGION, EEA, zone_of
from backendctl.spec.units import DURATION, FRACTION

RATE_TOLERANCE = 0.10
"""Stated pairs are rounded; beyond this they contradict."""
SHORTEST_CYCLE = 0.001
"""Seconds from one request of a user to the next; less is no answer over a network."""
LONGEST_CYCLE = 1800.0
"""Seconds; a user idle for longer has left (30 minutes end a session in Google Analytics)."""
PAGE_BURN = 14.4
"""Times the error budget: 2 % of a month's in an hour, which wakes someone (Google, The Site
Reliability Workbook, chapter 5, "Alerting on SLOs")."""
SYNCHRONOUS_RPO = 1.0
"""Seconds; less cannot be kept by an asynchronous copy."""


def contradictions(spec: Spec) -> list[Contradiction]:
    """Everything in the file that cannot hold together."""
    return [found for rule in RULES for found in rule(spec)]


def _seconds(value: float) -> str:
    return DURATION.render(value)


def _number(value: float) -> str:
    return f"{value:.4g}"


# --- load -------------------------------------------------------------------------------------


def peak_that_no_rate_explains(spec: Spec) -> Iterator[Contradiction]:
    """N users waiting Z between requests make between N / (Z + p99) and N / Z a second."""
    load, stated = spec.load, spec.stated
    pair = ("load.peak_rps", "load.peak_users")
    if not stated.issuperset(pair):
        return
    if "load.think_time" not in stated:
        cycle = load.peak_users / load.peak_rps
        if not SHORTEST_CYCLE <= cycle <= LONGEST_CYCLE:
            yield Contradiction(
                pair,
                f"a peak that no rate explains: {load.peak_users} users who make "
                f"{_number(load.peak_rps)} requests/s send one every {_number(cycle)} s each",
                f"users at the same time (not per day or month), each sending a request every "
                f"{_seconds(SHORTEST_CYCLE)} to {_seconds(LONGEST_CYCLE)}",
            )
        return
    most = derive.rate(load.peak_users, load.think_time)
    least = derive.rate(load.peak_users, load.think_time, spec.slo.p99)
    if not least * (1 - RATE_TOLERANCE) <= load.peak_rps <= most * (1 + RATE_TOLERANCE):
        yield Contradiction(
            (*pair, "load.think_time"),
            f"a peak that no rate explains: {load.peak_users} users waiting "
            f"{_seconds(load.think_time)} between requests make {_number(least)} to "
            f"{_number(most)} requests/s, not {_number(load.peak_rps)}",
            "two of the three; the third follows by Little's law, N = X (R + Z)",
        )


def sustained_over_peak(spec: Spec) -> Iterator[Contradiction]:
    load = spec.load
    if load.sustained_users > load.peak_users:
        yield Contradiction(
            ("load.sustained_users", "load.peak_users"),
            f"{load.sustained_users} sustained users are more than the peak's {load.peak_users}",
            f"at most {load.peak_users}",
        )


def more_at_once_than_in_a_month(spec: Spec) -> Iterator[Contradiction]:
    monthly = spec.product.monthly_users
    if 0 < monthly < spec.load.peak_users and "web" in [str(c) for c in spec.product.clients]:
        yield Contradiction(
            ("product.monthly_users", "load.peak_users"),
            f"{spec.load.peak_users} users at the same time are more than the "
            f"{monthly} there are in a month",
            f"at least {spec.load.peak_users}",
        )


def notified_nowhere_or_twice(spec: Spec) -> Iterator[Contradiction]:
    for each in spec.notifications:
        if bool(each.secret) != bool(each.url):
            continue
        keys = tuple(f"notifications.{each.name}.{key}" for key in ("secret", "url"))
        said = "say both" if each.secret else "say nothing"
        yield Contradiction(
            keys, f"`secret` and `url` of {each.name} {said} about where to post", "one of the two"
        )


def measured_in_no_way_or_two(spec: Spec) -> Iterator[Contradiction]:
    for each in spec.metrics:
        queries = [bool(each.prometheus), bool(each.requests), bool(each.events)]
        keys = tuple(f"metrics.{each.name}.{key}" for key in ("command", "prometheus"))
        if each.command and not any(queries):
            continue
        if not each.command and all(queries):
            continue
        yield Contradiction(
            keys,
            f"{each.name} is measured by both or by neither of the two ways",
            "`command`; or `prometheus`, `requests` and `events`, all three",
        )


def a_metric_named_like_one_of_ours(spec: Spec) -> Iterator[Contradiction]:
    for each in spec.metrics:
        if each.name == "errors":
            yield Contradiction(
                (f"metrics.{each.name}.limit",),
                "`errors` is what the gateway counts itself",
                "another name",
            )


# --- promises ---------------------------------------------------------------------------------


def p95_over_p99(spec: Spec) -> Iterator[Contradiction]:
    slo = spec.slo
    if slo.p95 > slo.p99:
        yield Contradiction(
            ("slo.p95", "slo.p99"),
            f"p95 of {_seconds(slo.p95)} is slower than p99 of {_seconds(slo.p99)}: the 99th "
            "percentile can never be faster than the 95th",
            f"p95 of at most {_seconds(slo.p99)}, or p99 of at least {_seconds(slo.p95)}",
        )


def error_rate_over_availability(spec: Spec) -> Iterator[Contradiction]:
    slo = spec.slo
    most = round(PAGE_BURN * (1 - slo.availability), 9)
    if slo.error_rate > most:
        yield Contradiction(
            ("slo.error_rate", "slo.availability"),
            f"a release that fails {FRACTION.render(slo.error_rate)} would pass, but uses up the "
            f"error budget of {FRACTION.render(slo.availability)} "
            f"{_number(derive.burn_rate(spec))} times too fast; {PAGE_BURN} times "
            "already wakes someone",
            f"error_rate of at most {FRACTION.render(most)}, or a lower availability",
        )


def rpo_the_backups_cannot_meet(spec: Spec) -> Iterator[Contradiction]:
    data, rpo = spec.data, spec.recovery.rpo
    if data.engine == "none":
        return
    if rpo < SYNCHRONOUS_RPO and not data.standby:
        yield Contradiction(
            ("recovery.rpo", "data.standby"),
            f"an RPO of {_seconds(rpo)} loses nothing that was acknowledged, which only a "
            "synchronous copy can do",
            "data.standby = true, or an RPO of at least 1s with data.replicas",
        )
    elif rpo < derive.PITR_LAG and not data.standby and data.replicas == 0:
        yield Contradiction(
            ("recovery.rpo", "data.replicas"),
            f"an RPO of {_seconds(rpo)} cannot be met by backups: point-in-time recovery trails "
            f"by about {_seconds(derive.PITR_LAG)}",
            f"data.standby = true, data.replicas of at least 1, or an RPO of at least "
            f"{_seconds(derive.PITR_LAG)}",
        )


def on_call_with_nobody(spec: Spec) -> Iterator[Contradiction]:
    if spec.team.on_call and not spec.on_call.primary:
        yield Contradiction(
            ("team.on_call", "on_call.primary"),
            "someone is to be woken, but nobody is named",
            'on_call.primary = "..." (an address, a number or a rota), or team.on_call = false',
        )


# --- law --------------------------------------------------------------------------------------


def region_outside_residency(spec: Spec) -> Iterator[Contradiction]:
    residency = spec.service.residency
    zone = zone_of(residency) if residency else None
    for name, environment in spec.environments.items():
        region = environment.region
        if not region or not residency or region == residency:
            continue
        actual = zone_of(region)
        exact = residency != zone
        if (exact and zone is not None) or (actual is not None and actual != zone):
            example = residency if exact else AWS_REGION.get(str(zone), residency)
            yield Contradiction(
                (f"environments.{name}.region", "service.residency"),
                f'data must stay in "{residency}", and "{region}" is not in it',
                f'a region in "{residency}", such as "{example}"',
            )


def gdpr_outside_the_union(spec: Spec) -> Iterator[Contradiction]:
    zone = zone_of(spec.service.residency) if spec.service.residency else None
    if Regime.GDPR not in spec.compliance or zone is None or zone in (*EEA, *ADEQUATE):
        return
    if spec.product.transfer_basis == "none":
        yield Contradiction(
            ("service.residency", "compliance"),
            f'under GDPR personal data may be kept in "{spec.service.residency}" only with a '
            "safeguard (Chapter V, Articles 44-49), and none is stated",
            f'residency in one of {", ".join((*EEA, *ADEQUATE))}, or product.transfer_basis = "scc"'
            ' or "bcr"',
        )


# --- keys that have no effect without another -------------------------------------------------


def migration_without_database(spec: Spec) -> Iterator[Contradiction]:
    if spec.service.migrate and spec.data.engine == "none":
        yield Contradiction(
            ("service.migrate", "data.engine"),
            "there is a command to migrate a database, but no database",
            'data.engine = "postgresql", or no migrate command',
        )


def database_settings_without_database(spec: Spec) -> Iterator[Contradiction]:
    for key in ("replicas", "standby", "max_connections"):
        if f"data.{key}" in spec.stated and spec.data.engine == "none":
            yield Contradiction(
                (f"data.{key}", "data.engine"),
                f"data.{key} is stated, but there is no database",
                'data.engine = "postgresql", or no such key',
            )


def lifetimes_without_cache(spec: Spec) -> Iterator[Contradiction]:
    stated = next((key for key in sorted(spec.stated) if key.startswith("cache.ttl")), None)
    if stated and spec.cache.engine == "none":
        yield Contradiction(
            (stated, "cache.engine"),
            "a time to live is stated, but there is no cache",
            'cache.engine = "valkey", or no time to live',
        )


def audience_without_issuer(spec: Spec) -> Iterator[Contradiction]:
    issuer, audience = spec.auth.issuer, spec.auth.audience
    if bool(issuer) != bool(audience):
        there, absent = ("issuer", "audience") if issuer else ("audience", "issuer")
        yield Contradiction(
            (f"auth.{there}", f"auth.{absent}"),
            f"auth.{there} without auth.{absent}: a token would be accepted that was made for "
            "somebody else"
            if issuer
            else "auth.audience without auth.issuer: there is nobody whose tokens to accept",
            f'auth.{absent} = "...", or no [auth]',
        )


_OF_A_CLUSTER = (
    "context",
    "namespace",
    "registry",
    "gateway",
    "gateway_class",
    "host",
    "url",
    "prometheus",
    "database_secret",
    "cache_secret",
    "driver_image",
)


def cluster_settings_without_cluster(spec: Spec) -> Iterator[Contradiction]:
    for name, environment in spec.environments.items():
        local = environment.platform is PlatformName.LOCAL
        for key in _OF_A_CLUSTER if local else ("port",):
            if f"environments.{name}.{key}" in spec.stated:
                yield Contradiction(
                    (f"environments.{name}.{key}", f"environments.{name}.platform"),
                    f"`{key}` has no effect on {environment.platform}",
                    'platform = "kubernetes" or "aws", or no such key' if local else "no such key",
                )


def no_gateway_or_two(spec: Spec) -> Iterator[Contradiction]:
    for name, environment in spec.environments.items():
        keys = (f"environments.{name}.gateway", f"environments.{name}.gateway_class")
        if environment.gateway and environment.gateway_class:
            yield Contradiction(
                keys,
                "an existing Gateway has its class already",
                "`gateway` for an existing one, or `gateway_class` for one of the service's own",
            )
        elif (
            environment.platform is PlatformName.KUBERNETES
            and not environment.gateway
            and not environment.gateway_class
        ):
            yield Contradiction(
                (f"environments.{name}.platform", keys[0]),
                f"nothing says which Gateway leads users to {name!r}",
                'gateway = "namespace/name" of an existing one, or gateway_class = "..." for one '
                "of the service's own (kubectl get gatewayclass)",
            )


def sticky_in_a_cluster(spec: Spec) -> Iterator[Contradiction]:
    """What the Gateway API calls session persistence keeps a user with a pod, not with a release,
    and no implementation moves them on."""
    for name, environment in spec.environments.items():
        if spec.rollout.sticky != "none" and environment.platform is not PlatformName.LOCAL:
            yield Contradiction(
                ("rollout.sticky", f"environments.{name}.platform"),
                f"no Gateway keeps a user with one release, as {name!r} would need",
                'sticky = "none"',
            )


def mirror_in_a_cluster(spec: Spec) -> Iterator[Contradiction]:
    """The Gateway API can copy requests, but no gateway counts the copies apart from users'."""
    for name, environment in spec.environments.items():
        if spec.rollout.mirror is not None and environment.platform is not PlatformName.LOCAL:
            yield Contradiction(
                ("rollout.mirror", f"environments.{name}.platform"),
                f"what becomes of copied requests cannot be counted where {name!r} is",
                "no rollout.mirror",
            )


def cluster_secrets_of_nothing(spec: Spec) -> Iterator[Contradiction]:
    for name in spec.environments:
        for key, part, engine in (
            ("database_secret", "data", spec.data.engine),
            ("cache_secret", "cache", spec.cache.engine),
        ):
            if f"environments.{name}.{key}" in spec.stated and engine == "none":
                yield Contradiction(
                    (f"environments.{name}.{key}", f"{part}.engine"),
                    f"`{key}` says how to reach something that the service does not have",
                    f"{part}.engine, or no such key",
                )


# --- rollout ----------------------------------------------------------------------------------


def steps_not_rising(spec: Spec) -> Iterator[Contradiction]:
    steps = spec.rollout.steps or ()
    if any(later <= earlier for earlier, later in pairwise(steps)):
        yield Contradiction(
            ("rollout.steps",),
            f"the steps {list(steps)} do not rise",
            f"each step more than the one before, such as {sorted(set(steps))}",
        )


def steps_of_a_switch(spec: Spec) -> Iterator[Contradiction]:
    if spec.rollout.strategy is Strategy.BLUE_GREEN and spec.rollout.steps is not None:
        yield Contradiction(
            ("rollout.steps", "rollout.strategy"),
            "blue-green moves all traffic at once and has no steps",
            'no steps, or strategy = "canary"',
        )


def step_longer_than_its_deadline(spec: Spec) -> Iterator[Contradiction]:
    rollout = spec.rollout
    least = rollout.warm_up + rollout.step_time
    if rollout.deadline < least:
        yield Contradiction(
            ("rollout.deadline", "rollout.step_time", "rollout.warm_up"),
            f"a step takes at least {_seconds(least)} (warm-up and step time), longer than its "
            f"deadline of {_seconds(rollout.deadline)}",
            f"a deadline of at least {_seconds(least)}",
        )


def more_processes_than_connections(spec: Spec) -> Iterator[Contradiction]:
    if spec.data.engine == "none":
        return
    for name, environment in spec.environments.items():
        if derive.connection_share(spec, environment) < derive.LEAST_POOL:
            count = derive.replicas(spec, environment)
            cause = "replicas" if environment.replicas is not None else "platform"
            yield Contradiction(
                ("data.max_connections", f"environments.{name}.{cause}"),
                f"{count} processes per release in {name!r} need more connections than "
                f"{spec.data.max_connections} (two releases at once, {derive.LEAST_POOL} each, "
                f"{derive.RESERVED_CONNECTIONS} kept free)",
                f"max_connections of at least {derive.least_connections(spec, environment)} (a "
                "pooler such as PgBouncer makes room), or fewer replicas",
            )


RULES: tuple[Rule, ...] = (
    peak_that_no_rate_explains,
    sustained_over_peak,
    more_at_once_than_in_a_month,
    p95_over_p99,
    error_rate_over_availability,
    rpo_the_backups_cannot_meet,
    on_call_with_nobody,
    notified_nowhere_or_twice,
    measured_in_no_way_or_two,
    a_metric_named_like_one_of_ours,
    region_outside_residency,
    gdpr_outside_the_union,
    migration_without_database,
    database_settings_without_database,
    lifetimes_without_cache,
    audience_without_issuer,
    cluster_settings_without_cluster,
    no_gateway_or_two,
    sticky_in_a_cluster,
    mirror_in_a_cluster,
    cluster_secrets_of_nothing,
    steps_not_rising,
    steps_of_a_switch,
    step_longer_than_its_deadline,
    more_processes_than_connections,
    *contradictions_aws.RULES,
)
