"""What surrounds the service: files, other people's services, places, and people."""

from backendctl.advice.prices import OBJECT_GIB_MONTH
from backendctl.advice.rules import Finding, number, production, rule
from backendctl.spec import derive
from backendctl.spec.model import Integration, PlatformName, Spec
from backendctl.spec.places import AWS_REGION, zone_of
from backendctl.spec.units import DURATION, FRACTION, SIZE

TOPIC = "Operations"
FIBRE_KM_PER_MS = 200.0
"""Light in glass (refractive index about 1.5)."""
CLUSTER_TEAM = 4
"""Engineers from which a Kubernetes cluster can be kept up to date beside other work."""
NIGHT_BUDGET = 8 * 3600.0
"""Seconds: an outage that begins after work and is found in the morning."""


@rule(
    TOPIC,
    ("product.media",),
    'Amazon S3 User Guide, "Sharing objects with presigned URLs" and "Uploading objects" (5 GB in '
    "one request, multipart beyond); Amazon S3 pricing",
)
def media(spec: Spec) -> Finding | None:
    size = spec.product.media
    if size == 0:
        return None
    cost = size / (1 << 30) * OBJECT_GIB_MONTH
    return Finding(
        "Object storage, uploaded and read by presigned URLs, read through a CDN",
        f"{SIZE.render(size)} of files cost about ${number(cost)} a month there; through the "
        "service each upload would hold a worker, and in the database each backup",
        "product.media = 0",
    )


@rule(
    TOPIC,
    ("integrations", "slo.p99"),
    'M. Nygard, "Release It!", 2nd ed. (2018): timeouts, circuit breakers; M. Brooker, "Timeouts, '
    "retries, and backoff with jitter\" (Amazon Builders' Library)",
)
def integrations(spec: Spec) -> Finding | None:
    if not spec.integrations:
        return None
    now = [i for i in spec.integrations if i.phase == "launch"]
    later = [i.name for i in spec.integrations if i.phase == "later"]
    bare = [i.name for i in now if not i.fallback]
    slow = [i.name for i in now if _longest(i) > spec.slo.p99]
    said = "; ".join(f"{i.name} up to {DURATION.render(round(_longest(i), 3))}" for i in now)
    todo = [f"give {', '.join(bare)} a fallback"] if bare else []
    todo += [f"take {', '.join(slow)} off the request's path"] if slow else []
    return Finding(
        f"Launch with {', '.join(i.name for i in now) or 'none'}"
        + (f"; later {', '.join(later)}" if later else "")
        + (f". Before launch: {'; '.join(todo)}" if todo else ""),
        f"timeout x (retries + 1): {said or 'none at launch'}; the p99 is "
        f"{DURATION.render(spec.slo.p99)}. What comes later needs its interface now and its code "
        "then",
        "integrations.NAME phase, timeout, retries and fallback",
    )


def _longest(integration: Integration) -> float:
    return integration.timeout * (integration.retries + 1)


@rule(
    TOPIC,
    ("service.residency", "compliance", "slo.p95", "team.size", "environments"),
    "Speed of light in fibre, about 200 km per ms; GDPR Chapter V (transfers); AWS documentation, "
    '"Regions and Zones"',
)
def provider_and_region(spec: Spec) -> Finding:
    environment, residency = production(spec), spec.service.residency
    zone = zone_of(residency) if residency else None
    region = environment.region or (
        residency if residency and residency != zone else AWS_REGION.get(zone or "", "")
    )
    far = spec.slo.p95 * 1000 * 0.1 * FIBRE_KM_PER_MS / 2
    distance = (
        f"{number(far)} km there and back in fibre use 10 % of the p95 of "
        f"{DURATION.render(spec.slo.p95)}"
    )
    why = (
        f'data must stay in "{residency}"; {distance}'
        if residency
        else f"no residency is stated, so latency decides: {distance}"
    )
    many = spec.team.size >= CLUSTER_TEAM
    place = f" in {region}" if region else " in the region nearest to most users"
    runs = (
        "Kubernetes (EKS, GKE, AKS or your own cluster)"
        if many or (environment.platform is not PlatformName.LOCAL and _named(spec))
        else "a managed container service; a cluster needs keeping up to date"
    )
    return Finding(
        f"{runs[0].upper()}{runs[1:]}{place}",
        f"{why}; {spec.team.size} engineers, and a cluster wants about {CLUSTER_TEAM}",
        f"service.residency, a region under environments.{environment.name}, or team.size across "
        f"{CLUSTER_TEAM}",
    )


def _named(spec: Spec) -> bool:
    return production(spec).name in spec.environments


@rule(
    TOPIC,
    ("slo.availability", "slo.error_rate", "recovery.rto", "team.on_call"),
    'Google, "The Site Reliability Workbook" (2018), chapter 5, "Alerting on SLOs"',
)
def error_budget(spec: Spec) -> Finding:
    budget = derive.error_budget(spec)
    minutes = f"{number(budget / 60)} minutes of outage in 30 days"
    promise = FRACTION.render(spec.slo.availability)
    restores = budget / spec.recovery.rto
    after = (
        f"one recovery at the RTO of {DURATION.render(spec.recovery.rto)} uses "
        f"{number(100 / restores)} % of it"
    )
    if budget < NIGHT_BUDGET and not spec.team.on_call:
        return Finding(
            "Someone has to be on call at night: team.on_call is false",
            f"{promise} allow {minutes}, less than one night; {after}",
            "team.on_call = true with [on_call], or an availability under "
            f"{FRACTION.render(round(1 - NIGHT_BUDGET / derive.ERROR_BUDGET_WINDOW, 4))}",
        )
    return Finding(
        f"Spend at most {minutes}; a release burns it up to {number(derive.burn_rate(spec))} "
        "times too fast before it is rolled back",
        f"{promise} over 30 days; {after}",
        "slo.availability or slo.error_rate",
    )


RULES = (media, integrations, provider_and_region, error_budget)
