"""Promises that cannot hold together are refused, and those at the boundary are not."""

import pytest

from backendctl.errors import BackendctlError
from backendctl.spec.contradictions import RULES
from backendctl.spec.load import read_spec
from backendctl.spec.model import Spec

BASE = """\
[service]
name = "shop"
start = "uvicorn app:app"
"""
LOAD = "[load]\npeak_rps = 50\n"
AWS = "\naccount = '123456789012'\nregion = 'eu-central-1'"
DATABASE = "[data]\nengine = 'postgresql'\n"


def read(text: str) -> Spec:
    return read_spec((BASE + text).encode(), "backend.toml")


# Rule, what is refused, the lines both sides stand on, a word of the message, what is accepted.
CASES = [
    (
        "peak_that_no_rate_explains",
        "[load]\npeak_rps = 50\npeak_users = 10\nthink_time = '5s'",
        (5, 6, 7),
        "a peak that no rate explains: 10 users",
        "[load]\npeak_rps = 50\npeak_users = 250\nthink_time = '5s'",
    ),
    (
        "peak_that_no_rate_explains",
        "[load]\npeak_rps = 1\npeak_users = 1801",
        (5, 6),
        "every 1801 s each",
        "[load]\npeak_rps = 1\npeak_users = 1800",
    ),
    (
        "peak_that_no_rate_explains",
        "[load]\npeak_rps = 1001\npeak_users = 1",
        (5, 6),
        "a peak that no rate explains",
        "[load]\npeak_rps = 1000\npeak_users = 1",
    ),
    (
        "notified_nowhere_or_twice",
        "[load]\npeak_rps = 1\n[notifications.team]\nsecret = 'HOOK'\nurl = 'http://127.0.0.1:9'",
        (7, 8),
        "say both",
        "[load]\npeak_rps = 1\n[notifications.team]\nsecret = 'HOOK'",
    ),
    (
        "notified_nowhere_or_twice",
        "[load]\npeak_rps = 1\n[notifications.team]\nkind = 'webhook'",
        (6,),
        "say nothing",
        "[load]\npeak_rps = 1\n[notifications.team]\nkind = 'webhook'\nurl = 'http://127.0.0.1:9'",
    ),
    (
        "measured_in_no_way_or_two",
        "[load]\npeak_rps = 1\n[metrics.orders]\nlimit = '1%'",
        (6,),
        "by both or by neither",
        "[load]\npeak_rps = 1\n[metrics.orders]\nlimit = '1%'\ncommand = 'count $RELEASE'",
    ),
    (
        "measured_in_no_way_or_two",
        "[load]\npeak_rps = 1\n[metrics.orders]\nlimit = '1%'\nprometheus = 'http://127.0.0.1:9'\n"
        "requests = 'a'",
        (8,),
        "by both or by neither",
        "[load]\npeak_rps = 1\n[metrics.orders]\nlimit = '1%'\nprometheus = 'http://127.0.0.1:9'\n"
        "requests = 'a'\nevents = 'b'",
    ),
    (
        "a_metric_named_like_one_of_ours",
        "[load]\npeak_rps = 1\n[metrics.errors]\nlimit = '1%'\ncommand = 'count $RELEASE'",
        (7,),
        "the gateway counts itself",
        "[load]\npeak_rps = 1\n[metrics.orders]\nlimit = '1%'\ncommand = 'count $RELEASE'",
    ),
    (
        "sustained_over_peak",
        "[load]\npeak_users = 10\nsustained_users = 11",
        (6, 5),
        "11 sustained users",
        "[load]\npeak_users = 10\nsustained_users = 10",
    ),
    (
        "more_at_once_than_in_a_month",
        "[load]\npeak_users = 101\n[product]\nmonthly_users = 100",
        (7, 5),
        "more than the 100",
        "[load]\npeak_users = 100\n[product]\nmonthly_users = 100",
    ),
    (
        "p95_over_p99",
        LOAD + "[slo]\np95 = '301ms'\np99 = '300ms'",
        (7, 8),
        "p95 of 301ms is slower than p99 of 300ms",
        LOAD + "[slo]\np95 = '300ms'\np99 = '300ms'",
    ),
    (
        "error_rate_over_availability",
        LOAD + "[slo]\nerror_rate = '1.5%'\navailability = '99.9%'",
        (7, 8),
        "15 times too fast",
        LOAD + "[slo]\nerror_rate = '1.44%'\navailability = '99.9%'",
    ),
    (
        "rpo_the_backups_cannot_meet",
        LOAD + DATABASE + "[recovery]\nrpo = '299s'",
        (9,),
        "data.replicas by default",
        LOAD + DATABASE + "[recovery]\nrpo = '5m'",
    ),
    (
        "rpo_the_backups_cannot_meet",
        LOAD + DATABASE + "replicas = 1\n[recovery]\nrpo = '999ms'",
        (10,),
        "only a synchronous copy",
        LOAD + DATABASE + "replicas = 1\n[recovery]\nrpo = '1s'",
    ),
    (
        "on_call_with_nobody",
        LOAD + "[team]\non_call = true",
        (7,),
        "nobody is named",
        LOAD + "[team]\non_call = true\n[on_call]\nprimary = 'x@example.com'",
    ),
    (
        "region_outside_residency",
        LOAD + "[service.health]\n[environments.prod]\nplatform = 'aws'\nregion = 'us-east-1'\n"
        "account = '123456789012'\n",
        (10, 4),
        'data must stay in "eu"',
        LOAD + "[environments.prod]\nplatform = 'aws'\nregion = 'eu-west-1'\n"
        "account = '123456789012'\n",
    ),
    (
        "gdpr_outside_the_union",
        LOAD,
        (1,),
        "Chapter V",
        LOAD + "[product]\ntransfer_basis = 'scc'",
    ),
    (
        "migration_without_database",
        "migrate = 'alembic upgrade head'\n" + LOAD,
        (4,),
        "no database",
        "migrate = 'alembic upgrade head'\n" + LOAD + DATABASE,
    ),
    (
        "database_settings_without_database",
        LOAD + "[data]\nreplicas = 1",
        (7,),
        "no database",
        LOAD + DATABASE + "replicas = 1",
    ),
    (
        "lifetimes_without_cache",
        LOAD + "[cache]\nttls = { a = '5s' }",
        (7,),
        "no cache",
        LOAD + "[cache]\nengine = 'valkey'\nttls = { a = '5s' }",
    ),
    (
        "audience_without_issuer",
        LOAD + "[auth]\nissuer = 'https://x.example'",
        (7,),
        "made for somebody else",
        LOAD + "[auth]\nissuer = 'https://x.example'\naudience = 'shop'",
    ),
    (
        "steps_not_rising",
        LOAD + "[rollout]\nsteps = [10, 10, 50]",
        (7,),
        "do not rise",
        LOAD + "[rollout]\nsteps = [1, 99]",
    ),
    (
        "steps_of_a_switch",
        LOAD + "[rollout]\nsteps = [10]\nstrategy = 'blue-green'",
        (7, 8),
        "has no steps",
        LOAD + "[rollout]\nstrategy = 'blue-green'",
    ),
    (
        "step_longer_than_its_deadline",
        LOAD + "[rollout]\ndeadline = '89s'",
        (7,),
        "at least 1m30s",
        LOAD + "[rollout]\ndeadline = '90s'",
    ),
    (
        "more_processes_than_connections",
        LOAD + DATABASE + "max_connections = 29\n[environments.prod]\nreplicas = 5",
        (8, 10),
        "max_connections of at least 30",
        LOAD + DATABASE + "max_connections = 30\n[environments.prod]\nreplicas = 5",
    ),
    (
        "cluster_settings_without_cluster",
        LOAD + "[environments.stage]\nnamespace = 'x'",
        (7,),
        "`namespace` has no effect on local",
        LOAD + "[environments.stage]\nplatform = 'aws'\nnamespace = 'x'" + AWS,
    ),
    (
        "cluster_settings_without_cluster",
        LOAD + "[environments.stage]\nplatform = 'aws'\nport = 8080" + AWS,
        (8, 7),
        "`port` has no effect on aws",
        LOAD + "[environments.stage]\nport = 8080",
    ),
    (
        "no_gateway_or_two",
        LOAD + "[environments.stage]\nplatform = 'kubernetes'",
        (7,),
        "nothing says which Gateway",
        LOAD + "[environments.stage]\nplatform = 'kubernetes'\ngateway = 'edge/shared'",
    ),
    (
        "no_gateway_or_two",
        LOAD + "[environments.stage]\nplatform = 'kubernetes'\n"
        "gateway = 'edge/shared'\ngateway_class = 'contour'",
        (8, 9),
        "has its class already",
        LOAD + "[environments.stage]\nplatform = 'kubernetes'\ngateway_class = 'contour'",
    ),
    (
        "sticky_in_a_cluster",
        LOAD + "[rollout]\nsticky = 'cookie'\n[environments.stage]\nplatform = 'kubernetes'\n"
        "gateway = 'edge/shared'",
        (7, 9),
        "no Gateway keeps a user with one release",
        LOAD + "[rollout]\nsticky = 'cookie'\n[environments.stage]\nport = 8080",
    ),
    (
        "mirror_in_a_cluster",
        LOAD + "[rollout]\nmirror = '10%'\n[environments.stage]\nplatform = 'kubernetes'\n"
        "gateway = 'edge/shared'",
        (7, 9),
        "cannot be counted where 'stage' is",
        LOAD + "[rollout]\nmirror = '10%'\n[environments.stage]\nport = 8080",
    ),
    (
        "cluster_secrets_of_nothing",
        LOAD + "[environments.stage]\nplatform = 'aws'\ndatabase_secret = 'x'" + AWS,
        (8,),
        "that the service does not have",
        LOAD + DATABASE + "[environments.stage]\nplatform = 'aws'\ndatabase_secret = 'x'" + AWS,
    ),
    (
        "drained_longer_than_a_balancer_waits",
        LOAD + "[rollout]\ndrain_deadline = '2h'\n[environments.stage]\nplatform = 'aws'" + AWS,
        (7, 9),
        "for 1 h at most",
        LOAD + "[rollout]\ndrain_deadline = '1h'\n[environments.stage]\nplatform = 'aws'" + AWS,
    ),
    (
        "named_as_no_database_may_be",
        LOAD + DATABASE + "[environments.eu--stage]\nplatform = 'aws'" + AWS,
        (2, 9),
        "two hyphens in a row",
        LOAD + "[environments.eu--stage]\nplatform = 'aws'" + AWS,
    ),
    (
        "aws_without_account",
        LOAD + "[environments.prod]\nplatform = 'aws'\nregion = 'eu-central-1'",
        (7,),
        "nothing says in which account",
        LOAD + "[environments.prod]\nplatform = 'aws'" + AWS,
    ),
    (
        "aws_without_place",
        LOAD + "[environments.prod]\nplatform = 'aws'\naccount = '123456789012'",
        (7,),
        "nothing says where",
        LOAD + "[environments.prod]\nplatform = 'aws'" + AWS,
    ),
    (
        "aws_settings_elsewhere",
        LOAD + "[environments.prod]\nsize = 'small'",
        (7,),
        "`size` has no effect on local",
        LOAD + "[environments.prod]\nplatform = 'aws'\nsize = 'small'" + AWS,
    ),
    (
        "host_without_certificate",
        LOAD + "[environments.prod]\nhost = 'shop.example.com'\nplatform = 'aws'" + AWS,
        (7,),
        "neither a certificate for that name nor a zone",
        LOAD
        + "[environments.prod]\nhost = 'shop.example.com'\nzone = 'Z0'\nplatform = 'aws'"
        + AWS,
    ),
    (
        "host_without_certificate",
        LOAD + "[environments.prod]\nzone = 'Z0'\nplatform = 'aws'" + AWS,
        (7,),
        "`zone` is about a host name that is not stated",
        LOAD
        + "[environments.prod]\nzone = 'Z0'\nhost = 'shop.example.com'\nplatform = 'aws'"
        + AWS,
    ),
    (
        "adopted_without_its_surroundings",
        LOAD + "[environments.prod]\ncluster = 'big'\ngateway = 'a/b'\nplatform = 'aws'" + AWS,
        (7,),
        "and with it its VPC",
        LOAD + "[environments.prod]\ncluster = 'big'\nvpc = 'vpc-0'\ngateway = 'a/b'\n"
        "platform = 'aws'" + AWS,
    ),
    (
        "adopted_without_its_surroundings",
        LOAD + "[environments.prod]\ncluster = 'big'\nvpc = 'vpc-0'\nplatform = 'aws'" + AWS,
        (7,),
        "which Gateway there leads users",
        LOAD + "[environments.prod]\ncluster = 'big'\nvpc = 'vpc-0'\ngateway_class = 'b'\n"
        "platform = 'aws'" + AWS,
    ),
    (
        "adopted_without_its_surroundings",
        LOAD + "[environments.prod]\ndatabase = 'old'\nplatform = 'aws'" + AWS,
        (7,),
        "the service has none",
        LOAD + DATABASE + "[environments.prod]\ndatabase = 'old'\nplatform = 'aws'" + AWS,
    ),
]
BEFORE = {
    "region_outside_residency": ("", "residency = 'eu'\n"),
    "gdpr_outside_the_union": ("compliance = ['gdpr']\n", "residency = 'us'\n"),
}


@pytest.mark.parametrize(
    ("rule", "text", "lines", "word", "accepted"),
    CASES,
    ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)],
)
def test_a_contradiction_names_both_lines(
    rule: str, text: str, lines: tuple[int, ...], word: str, accepted: str
) -> None:
    top, after = BEFORE.get(rule, ("", ""))
    with pytest.raises(BackendctlError) as refused:
        read_spec(f"{top}{BASE}{after}{text}\n".encode(), "backend.toml")
    error = refused.value
    assert error.code == "spec.contradiction", error.message
    assert len(error.data["problems"]) == 1, error.message
    assert word in error.message
    problem = error.data["problems"][0]
    if rule == "gdpr_outside_the_union":
        lines = (5, 1)
    assert problem["line"] == lines[0]
    for other in lines[1:]:
        assert f"on line {other}" in problem["message"]
    read_spec(f"{top}{BASE}{after}{accepted}\n".encode(), "backend.toml")


def test_every_rule_has_a_case() -> None:
    assert {case[0] for case in CASES} == {rule.__name__ for rule in RULES}


def test_the_defaults_contradict_nothing_for_any_database_or_cache() -> None:
    for engine in ("none", "postgresql"):
        for cache in ("none", "valkey"):
            read(LOAD + f"[data]\nengine = '{engine}'\n[cache]\nengine = '{cache}'\n")


@pytest.mark.parametrize(
    "stated",
    ["p95 = '3s'", "p99 = '80ms'", "availability = '99.999%'", "availability = '90%'"],
)
def test_what_is_derived_never_contradicts_what_is_stated(stated: str) -> None:
    read(LOAD + f"[slo]\n{stated}\n")
