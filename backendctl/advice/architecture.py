"""The shape of the system: how many parts, where they run, what they look like from outside."""

from backendctl.advice.prices import CONTAINERS, SERVERLESS, crossover
from backendctl.advice.rules import Finding, number, production, rule
from backendctl.spec import derive
from backendctl.spec.model import Client, Spec
from backendctl.spec.units import DURATION

TOPIC = "Architecture"
MONOLITH_TEAM = 10
"""Engineers who can still work in one code base and talk to each other: 45 pairs."""
MONOLITH_MONTHLY = 50_000
FEW_AT_ONCE = 500
MANY_AT_ONCE = 10_000
COLD_START = 1.0
"""Seconds; see the source of `hosting`."""


@rule(
    TOPIC,
    ("product.stage", "team.size", "product.monthly_users", "load.peak_users", "compliance"),
    'M. Conway, "How Do Committees Invent?" (1968); F. Brooks, "The Mythical Man-Month" '
    '(n(n-1)/2 pairs who must agree); M. Fowler, "MonolithFirst" (2015)',
)
def pattern(spec: Spec) -> Finding:
    size, monthly, users = spec.team.size, spec.product.monthly_users, spec.load.peak_users
    pairs = size * (size - 1) // 2
    if spec.product.stage == "prototype" and users <= FEW_AT_ONCE and not spec.compliance:
        return Finding(
            "Backend as a service (such as Supabase or Firebase) until the idea has proved itself",
            f"a prototype with {number(users)} users at once and no regime to comply with; "
            "login, storage and a database are bought instead of built",
            f'product.stage = "production", more than {FEW_AT_ONCE} users at once, or a regime '
            "under compliance",
        )
    if size > MONOLITH_TEAM:
        teams = -(-size // 8)
        return Finding(
            f"Services along team lines: about {teams}, each owned by one team of up to 8",
            f"{size} engineers in one code base are {pairs} pairs who must agree; beyond "
            f"{MONOLITH_TEAM} the cost of agreeing exceeds that of a network between parts",
            f"team.size of at most {MONOLITH_TEAM}",
        )
    if users > MANY_AT_ONCE or monthly > MONOLITH_MONTHLY:
        return Finding(
            "Modular monolith; take out only the part whose load a measurement shows to differ",
            f"{number(users)} users at once or {number(monthly)} a month exceed {MANY_AT_ONCE:,} "
            f"or {MONOLITH_MONTHLY:,}, but {size} engineers ({pairs} pairs) cannot run many "
            "services well",
            f"team.size over {MONOLITH_TEAM}; or fewer than {MANY_AT_ONCE:,} users at once and "
            f"{MONOLITH_MONTHLY:,} a month for a plain monolith",
        )
    return Finding(
        "Modular monolith: one deployable with layers held by an import check",
        f"{size} engineers ({pairs} pairs) and {number(users)} users at once are within "
        f"{MONOLITH_TEAM} engineers, {MONOLITH_MONTHLY:,} users a month and {MANY_AT_ONCE:,} at "
        "once" + (f"; up to {FEW_AT_ONCE} one machine would do" if users <= FEW_AT_ONCE else ""),
        f"team.size over {MONOLITH_TEAM}, or over {MONOLITH_MONTHLY:,} monthly_users",
    )


@rule(
    TOPIC,
    ("load.peak_rps", "load.sustained_users", "slo.p99", "product.work", "service.rps_per_worker"),
    f'{SERVERLESS.source}; {CONTAINERS.source}; J. Beswick, "Operating Lambda: Performance '
    'optimization" (AWS Compute Blog, 2021): cold starts under 1 % of invocations, from under '
    "100 ms to over 1 s",
)
def hosting(spec: Spec) -> Finding:
    requests = derive.monthly_requests(spec)
    replicas = derive.replicas(spec, production(spec))
    limit = crossover(replicas)
    costs = (
        f"{number(requests)} requests a month cost about ${number(SERVERLESS.month(requests))} by "
        f"the request and ${number(CONTAINERS.month(replicas))} on {replicas} small containers; "
        f"the two meet at {number(limit)} (list prices of 2025, us-east-1, 512 MB for 100 ms)"
    )
    fits = requests < limit and spec.slo.p99 >= COLD_START and spec.product.work != "long-running"
    if fits:
        return Finding(
            "Serverless functions are cheaper, if a connection pooler stands before the database",
            f"idle cost dominates: {costs}. A cold start of up to {COLD_START:g} s fits a p99 of "
            f"{DURATION.render(spec.slo.p99)}",
            f"more than {number(limit)} requests a month, a p99 under 1s, or long-running work",
        )
    why = (
        costs
        if requests >= limit
        else f"work runs for hours, functions for 15 minutes at most; {costs}"
        if spec.product.work == "long-running"
        else f"a cold start of up to {COLD_START:g} s breaks a p99 of "
        f"{DURATION.render(spec.slo.p99)}; {costs}"
    )
    return Finding(
        "Containers that keep running",
        why,
        f"fewer than {number(limit)} requests a month, with a p99 of at least 1s and no "
        "long-running work",
    )


@rule(
    TOPIC,
    ("product.clients",),
    'S. Newman, "Building Microservices", 2nd ed. (2021), chapter 14 (user interfaces; backend '
    "for frontend)",
)
def presentation(spec: Spec) -> Finding:
    clients = [c for c in spec.product.clients if c is not Client.SERVICE]
    names = ", ".join(clients) or "our own services only"
    if len(clients) >= 2:
        return Finding(
            "Headless: one API, and each client renders for itself",
            f"{len(clients)} kinds of client ({names}) share this backend",
            "a single kind of client under product.clients",
        )
    return Finding(
        "No separate presentation layer: one client, served by this API alone",
        f"at most 1 kind of client outside our services ({names}); a layer for clients that do not "
        "exist costs a deployment",
        "a second kind under product.clients",
    )


RULES = (pattern, hosting, presentation)
