"""Each rule of advice at its boundary: just before it, one result; just after it, another."""

import json

import pytest

from backendctl.advice import RULES, TOPICS, advise
from backendctl.advice.architecture import RULES as ARCHITECTURE
from backendctl.advice.identity import identity_cost
from backendctl.advice.prices import CONTAINERS, SERVERLESS, crossover
from backendctl.advice.rules import Recommendation
from backendctl.spec.load import read_spec
from backendctl.spec.model import Spec

Tables = dict[str, str]


def spec(**tables: str) -> Spec:
    """A spec from the lines of each table; `top` stands above the first."""
    service = "name = 'shop'\nstart = 'x'\n" + tables.pop("service", "")
    parts = [tables.pop("top", ""), f"[service]\n{service}"]
    parts += ["[load]\npeak_rps = 50"] if "load" not in tables else []
    parts += [f"[{name.replace('__', '.')}]\n{body}" for name, body in tables.items()]
    return read_spec("\n".join(parts).encode(), "backend.toml")


def advice(name: str, promised: Spec) -> Recommendation | None:
    return next((r for r in advise(promised).recommendations if r.name == name), None)


DATABASE = "engine = 'postgresql'\n"

# Rule, promises, the beginning of the result.
CASES: list[tuple[str, Tables, str | None]] = [
    ("pattern", {}, "Modular monolith: one deployable"),
    ("pattern", {"team": "size = 10"}, "Modular monolith: one deployable"),
    ("pattern", {"team": "size = 11"}, "Services along team lines: about 2"),
    ("pattern", {"product": "monthly_users = 50_000"}, "Modular monolith: one deployable"),
    ("pattern", {"product": "monthly_users = 50_001"}, "Modular monolith; take out only"),
    ("pattern", {"load": "peak_users = 10_000"}, "Modular monolith: one deployable"),
    ("pattern", {"load": "peak_users = 10_001"}, "Modular monolith; take out only"),
    ("pattern", {"product": "stage = 'prototype'"}, "Backend as a service"),
    (
        "pattern",
        {"product": "stage = 'prototype'", "load": "peak_users = 501"},
        "Modular monolith: one",
    ),
    (
        "pattern",
        {"product": "stage = 'prototype'", "top": "compliance = ['hipaa']"},
        "Modular monolith: one",
    ),
    ("hosting", {"load": "peak_rps = 2"}, "Serverless functions"),
    ("hosting", {"load": "peak_rps = 2", "slo": "p99 = '999ms'"}, "Containers that keep running"),
    (
        "hosting",
        {"load": "peak_rps = 2", "product": "work = 'long-running'"},
        "Containers that keep running",
    ),
    ("hosting", {"load": "peak_rps = 100"}, "Containers that keep running"),
    ("presentation", {}, "No separate presentation layer"),
    ("presentation", {"product": "clients = ['web', 'service']"}, "No separate presentation"),
    ("presentation", {"product": "clients = ['web', 'mobile']"}, "Headless"),
    ("style", {}, "REST over HTTP with an OpenAPI 3.1 document"),
    ("style", {"product": "clients = ['service']"}, "gRPC"),
    ("style", {"product": "clients = ['web', 'mobile']"}, "REST over HTTP"),
    ("style", {"product": "clients = ['web', 'mobile', 'partner']"}, "GraphQL for our own"),
    ("versioning", {}, "By header"),
    ("versioning", {"product": "clients = ['service']"}, "In the package name"),
    ("versioning", {"product": "clients = ['web', 'partner']"}, "In the URL (/v1)"),
    ("database kind", {}, "Relational: PostgreSQL"),
    ("database kind", {"data": "shape = 'document'"}, "PostgreSQL with jsonb columns"),
    (
        "database kind",
        {"data": "shape = 'document'\nconsistency = 'eventual'", "load": "peak_rps = 5000"},
        "PostgreSQL with jsonb columns",
    ),
    (
        "database kind",
        {"data": "shape = 'document'\nconsistency = 'eventual'", "load": "peak_rps = 5001"},
        "A document database",
    ),
    (
        "database kind",
        {"data": "shape = 'graph'\nconsistency = 'strong'", "load": "peak_rps = 5001"},
        "PostgreSQL with recursive queries",
    ),
    ("consistency", {}, None),
    ("consistency", {"data": DATABASE}, "Read from the primary"),
    ("consistency", {"data": DATABASE + "consistency = 'eventual'"}, "Read from replicas"),
    ("read replicas", {}, None),
    ("read replicas", {"data": DATABASE}, "None needed"),
    (
        "read replicas",
        {"data": DATABASE + "max_connections = '5k'", "load": "peak_rps = 5000\nreads = 1.0"},
        "None needed",
    ),
    (
        "read replicas",
        {"data": DATABASE + "max_connections = '5k'", "load": "peak_rps = 5001\nreads = 1.0"},
        "1 read replica",
    ),
    ("sharding", {}, None),
    ("sharding", {"data": DATABASE + "size = '64 GiB'"}, "Neither shards nor partitions"),
    ("sharding", {"data": DATABASE + "size = '65 GiB'"}, "No shards; partition"),
    ("sharding", {"data": DATABASE + "size = '65 TiB'"}, "2 shards by the user"),
    (
        "sharding",
        {"data": DATABASE, "load": "peak_rps = 1001\nreads = '0%'"},
        "2 shards by the user",
    ),
    (
        "sharding",
        {"data": DATABASE, "load": "peak_rps = 1001\nreads = 0", "tenancy": "model = 'pooled'"},
        "2 shards by the tenant",
    ),
    ("recovery", {}, None),
    ("recovery", {"data": DATABASE, "recovery": "rpo = '5m'"}, "Point-in-time recovery"),
    (
        "recovery",
        {"data": DATABASE + "replicas = 1", "recovery": "rpo = '299s'"},
        "Promote a replica",
    ),
    ("recovery", {"data": DATABASE + "standby = true"}, "Fail over to the synchronous standby"),
    ("tenant isolation", {"data": DATABASE}, None),
    ("tenant isolation", {"data": DATABASE, "tenancy": "model = 'pooled'"}, "One schema"),
    (
        "tenant isolation",
        {"data": DATABASE, "tenancy": "model = 'siloed'"},
        "A database and a role",
    ),
    (
        "twice the peak",
        {"load": "peak_users = 500\nthink_time = '5s'"},
        "Tested at 200 requests/s and 1,000 users at once",
    ),
    ("size", {}, "3 replicas of 1 worker in 'prod'"),
    ("size", {"data": DATABASE}, "3 replicas of 1 worker in 'prod'; a pool of 10 + 5"),
    (
        "size",
        {
            "environments__staging": "platform = 'aws'\naccount = '123456789012'\n"
            "region = 'eu-central-1'\nreplicas = 4"
        },
        "4 replicas of 1 worker",
    ),
    (
        "size",
        {
            "environments__staging": "platform = 'aws'\naccount = '123456789012'\n"
            "region = 'eu-central-1'\nreplicas = 1"
        },
        "1 replica of 1 worker",
    ),
    ("size", {"data": DATABASE, "load": "peak_rps = 1000"}, "58 replicas behind a connection pool"),
    ("vertical or horizontal", {"load": "peak_rps = 280"}, "A larger machine first"),
    ("vertical or horizontal", {"load": "peak_rps = 281"}, "More machines"),
    ("growth", {}, None),
    (
        "growth",
        {"load": "peak_rps = 50\ngrowth = '100%'"},
        "Plan for 100 requests/s in a year, 400 in three",
    ),
    ("cache", {"load": "peak_rps = 50\nreads = '99%'"}, "No cache for speed"),
    ("cache", {"load": "peak_rps = 50\nreads = 1.0"}, "Write-through"),
    ("cache", {"load": "peak_rps = 500\nreads = '69%'"}, "No cache for speed"),
    ("cache", {"load": "peak_rps = 500\nreads = '70%'"}, "Write-through"),
    (
        "cache",
        {"load": "peak_rps = 500", "data": "consistency = 'eventual'"},
        "Cache-aside with a TTL of 1m",
    ),
    ("queue", {}, "No queue"),
    ("queue", {"product": "work = 'background'"}, "A queue with a worker"),
    ("queue", {"product": "work = 'long-running'"}, "A durable workflow engine"),
    (
        "queue",
        {"integrations__pay": "url = 'https://x'\ntimeout = '500ms'\nretries = 1"},
        "No queue",
    ),
    (
        "queue",
        {"integrations__pay": "url = 'https://x'\ntimeout = '501ms'\nretries = 1"},
        "A queue with a worker",
    ),
    ("build or buy", {}, "Buy"),
    ("build or buy", {"team": "size = 11", "product": "monthly_users = '500k'"}, "Buy"),
    ("build or buy", {"team": "size = 10", "product": "monthly_users = 500_001"}, "Buy"),
    (
        "build or buy",
        {"team": "size = 11", "product": "monthly_users = 500_001"},
        "Run an identity server",
    ),
    ("sessions or tokens", {}, "A session in a cookie"),
    ("sessions or tokens", {"product": "clients = ['web', 'mobile']"}, "Access tokens of at most"),
    ("media", {}, None),
    ("media", {"product": "media = '1 GiB'"}, "Object storage"),
    ("integrations", {}, None),
    (
        "integrations",
        {
            "integrations__a": "url = 'https://x'",
            "integrations__b": "url='https://y'\nphase='later'",
        },
        "Launch with a; later b. Before launch: give a a fallback; take a off the request's path",
    ),
    ("provider and region", {"team": "size = 3"}, "A managed container service"),
    ("provider and region", {"team": "size = 4"}, "Kubernetes"),
    (
        "provider and region",
        {"service": "residency = 'uk'"},
        "Kubernetes (EKS, GKE, AKS or your own cluster) in eu-west-2",
    ),
    ("error budget", {}, "Someone has to be on call at night"),
    (
        "error budget",
        {"team": "on_call = true", "on_call": "primary = 'x'"},
        "Spend at most 43.2 minutes of outage in 30 days; a release burns it up to 10 times",
    ),
    ("error budget", {"slo": "availability = '98.8%'"}, "Spend at most"),
    ("error budget", {"slo": "availability = '98.9%'"}, "Someone has to be on call"),
    ("hipaa", {}, None),
    ("hipaa", {"top": "compliance = ['hipaa']"}, "Encrypt at rest and in transit"),
    ("pci dss", {}, None),
    ("pci dss", {"top": "compliance = ['pci-dss']"}, "Keep card numbers out"),
    ("coppa", {}, None),
    ("coppa", {"top": "compliance = ['coppa']"}, "Ask age before anything else"),
    ("gdpr", {}, None),
    ("gdpr", {"top": "compliance = ['gdpr']"}, "Export and erasure per person"),
    ("ccpa", {}, None),
    ("ccpa", {"top": "compliance = ['ccpa']"}, "Answer requests to know and to delete"),
]


@pytest.mark.parametrize(
    ("name", "tables", "result"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)
def test_a_rule_decides_at_its_boundary(name: str, tables: Tables, result: str | None) -> None:
    found = advice(name, spec(**tables))
    if result is None:
        assert found is None
    else:
        assert found is not None
        assert found.result.startswith(result), found.result


def test_every_rule_has_at_least_two_different_outcomes_among_the_cases() -> None:
    outcomes: dict[str, set[str | None]] = {}
    for name, _, result in CASES:
        outcomes.setdefault(name, set()).add(result)
    single = {"twice the peak"}  # a formula, not a choice
    for rule in RULES:
        assert len(outcomes.get(rule.name, ())) >= (1 if rule.name in single else 2), rule.name


def test_every_piece_of_advice_says_why_from_what_and_what_would_change_it() -> None:
    everything = spec(
        top="compliance = ['hipaa', 'pci-dss', 'coppa', 'gdpr', 'ccpa']",
        service="residency = 'eu'",
        product="media = '1 GiB'",
        data=DATABASE,
        load="peak_rps = 50\ngrowth = '10%'",
        tenancy="model = 'pooled'",
        integrations__pay="url = 'https://x'",
    )
    found = advise(everything).recommendations
    assert {r.name for r in found} == {rule.name for rule in RULES}
    for each in found:
        assert each.result, each.name
        assert each.reason, each.name
        assert each.changes, each.name
        assert each.source, each.name
        assert each.inputs, each.name
        if each.topic not in ("API", "Compliance"):
            assert any(c.isdigit() or c == "=" for c in each.reason), each.name


def test_inputs_are_as_written_and_say_whether_they_are_stated() -> None:
    found = advice("twice the peak", spec(load="peak_rps = 12.5"))
    assert found is not None
    inputs = {i.key: (i.value, i.stated) for i in found.inputs}
    assert inputs["load.peak_rps"] == ("12.5/s", True)
    assert inputs["load.think_time"] == ("7s", False)
    assert inputs["slo.p95"] == ("300ms", False)


def test_one_topic_is_the_part_of_the_whole() -> None:
    promised = spec(data=DATABASE)
    whole = advise(promised).recommendations
    assert TOPICS[0] == ARCHITECTURE[0].topic
    parts = tuple(r for topic in TOPICS for r in advise(promised, topic).recommendations)
    assert parts == whole


def test_advice_is_json() -> None:
    data = json.loads(json.dumps(advise(spec()).to_data()))
    assert data["service"] == "shop"
    assert set(data["recommendations"][0]) == {
        "topic", "name", "result", "reason", "changes", "source", "inputs",
    }  # fmt: skip


def test_by_the_request_and_by_the_month_cost_the_same_at_the_crossover() -> None:
    for tasks in (1, 2, 10):
        assert SERVERLESS.month(crossover(tasks)) == pytest.approx(CONTAINERS.month(tasks))


def test_the_first_users_of_a_bought_identity_service_are_free() -> None:
    assert identity_cost(10_000) == 0
    assert identity_cost(10_100) == pytest.approx(1.5)
