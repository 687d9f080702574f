"""Broken files: each problem on its line, with its key, what was found and what is accepted."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.errors import BackendctlError, Exit
from backendctl.spec.load import find_project, load_spec, read_spec

BASE = """\
[service]
name = "shop"
start = "uvicorn app:app"
[load]
peak_rps = 50
"""
"""Five lines; what a test adds begins on line 6."""


def broken(text: str | bytes) -> BackendctlError:
    with pytest.raises(BackendctlError) as refused:
        read_spec(text if isinstance(text, bytes) else text.encode(), "backend.toml")
    return refused.value


@pytest.mark.parametrize(
    ("added", "line", "key", "said"),
    [
        ("think_tme = '5s'", 6, "load.think_tme", 'unknown key; did you mean "think_time"?'),
        ("[lod]\nx = 1", 6, "lod", 'unknown table; did you mean "load"?'),
        ("[rollout]\nstrategy = 'cannary'", 7, "rollout.strategy", 'did you mean "canary"?'),
        ("[data]\nengine = 'postgres'", 7, "data.engine", 'did you mean "postgresql"?'),
        ("[product]\nclients = ['web', 'phone']", 7, "product.clients[1]", "web, mobile, partner"),
        ("[slo]\np95 = 300", 7, "slo.p95", "a bare number has no unit, found 300"),
        ("[slo]\np95 = 'fast'", 7, "slo.p95", 'not a duration, found "fast"'),
        ("[slo]\np95 = '0s'", 7, "slo.p95", 'out of range, found "0s"; accepted: more than 0s'),
        ("[slo]\navailability = 99.9", 7, "slo.availability", 'such as "99.9%"'),
        ("[slo]\navailability = '100%'", 7, "slo.availability", "less than 100%"),
        ("[data]\nengine = 'postgresql'\nsize = 20", 8, "data.size", '"2 GiB"'),
        ("[team]\nsize = 0", 7, "team.size", "accepted: at least 1"),
        ("[team]\nsize = 'six'", 7, "team.size", "not a whole number"),
        ("[team]\non_call = 'yes'", 7, "team.on_call", "accepted: true or false"),
        ("[rollout]\nsteps = [5, 100]", 7, "rollout.steps[1]", "accepted: at most 99"),
        ("[rollout]\nsteps = [0.25]", 7, "rollout.steps[0]", 'such as 25 or "25%"'),
        ("[rollout]\nsteps = ['5 percent']", 7, "rollout.steps[0]", 'such as 25 or "25%"'),
        ("[rollout]\nsteps = []", 7, "rollout.steps", "at least 1 value"),
        ("[rollout]\nsteps = 5", 7, "rollout.steps", "a list in square brackets"),
        ("[rollout]\nmax_ratio = '2'", 7, "rollout.max_ratio", "a number such as 2.0"),
        ("[cache]\nttls = { a = 5 }", 7, "cache.ttls.a", "a bare number has no unit"),
        ("[auth]\nissuer = 'login.example.com'", 7, "auth.issuer", "begins with http"),
        ("[auth]\nissuer = 'https://me:pw@x'", 7, "auth.issuer", "holds no password"),
        ("[integrations.pay]\ntimeout = '1s'", 6, "integrations.pay.url", "missing"),
        ("[integrations]\npay = 'https://x'", 7, "integrations.pay", "accepted: a table"),
        (
            "[integrations.pay]\nurl = 'http://x'\nname = 'y'",
            8,
            "integrations.pay.name",
            "is the name",
        ),
        ("[environments.prod]\nreplicas = 0", 7, "environments.prod.replicas", "at least 1"),
        ("[environments.prod]\nport = 70000", 7, "environments.prod.port", "at most 65535"),
        ("[environments.Prod]\nport = 80", 6, "environments.Prod.name", "lower-case letters"),
        (
            "[environments.prod.variables]\n\"A B\" = 'x'",
            7,
            "environments.prod.variables.A B",
            "letters, digits and underscores",
        ),
        (
            "[environments.prod.variables]\nA = 1",
            7,
            "environments.prod.variables.A",
            'text in quotes, such as "..."',
        ),
    ],
)
def test_a_problem_is_named_with_its_line_and_key(
    added: str, line: int, key: str, said: str
) -> None:
    error = broken(f"{BASE}{added}\n")
    assert error.code == "spec.invalid"
    assert error.exit is Exit.USAGE
    (problem,) = error.data["problems"]
    assert (problem["file"], problem["line"], problem["key"]) == ("backend.toml", line, key)
    assert said in error.message
    assert f"backend.toml:{line}: {key}: " in error.message
    json.dumps(error.data)


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("", 1, "service", "accepted: a table [service] with name and start"),
        ("[load]\npeak_rps = 1\n[service]\nname = 'a'", 3, "service.start", "missing"),
        ("[load]\npeak_rps = 1\n[service]\nstart = 'a'\nname = 'A b'", 5, "service.name", "lower"),
        ("[service]\nname='a'\nstart='a && b'\n[load]\npeak_rps=1", 3, "service.start", "script"),
        ("[service]\nname='a'\nstart=['a']\n[load]\npeak_rps=1", 3, "service.start", "one command"),
        ("[service]\nname='a'\nstart='a'\n[load]\ngrowth='5%'", 4, "load", "peak_rps (requests"),
        ("service = 1\n[load]\npeak_rps=1", 1, "service", "accepted: a table"),
        ("load = 1\n[service]\nname='a'\nstart='a'", 1, "load", "accepted: a table"),
        ("environments = 1\n" + BASE, 1, "environments", "accepted: a table"),
        ("stated = ['x']\n" + BASE, 1, "stated", "unknown key"),
    ],
)
def test_what_is_missing_or_of_the_wrong_kind_is_named(
    text: str, line: int, key: str, said: str
) -> None:
    error = broken(text)
    found = {problem["key"]: problem for problem in error.data["problems"]}
    assert key in found, error.message
    assert found[key]["line"] == line
    assert said in error.message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[service\nname = 'a'", 1, "Expected ']'"),
        (BASE + "think_time = 300ms", 6, 'a quantity with its unit in quotes, such as "300ms"'),
        ("[service]\nname = shop", 2, "text in quotes"),
        ("[service]\nname: shop", 2, "key = value"),
        ("[service]\nname = 'a'\n[load]\n[service]\n", 4, "each table once"),
        ("[service]\nname = 'a'\nname = 'b'\n", 3, "each key"),
        ("[service]\nname = 'a", 2, "backend.toml:2: name: "),
        (b"[service]\nname = '\xff'\n", 2, "not UTF-8, found byte 0xff"),
    ],
)
def test_a_syntax_error_names_its_line(text: str | bytes, line: int, said: str) -> None:
    error = broken(text)
    assert error.code == "spec.syntax"
    assert error.data["problems"][0]["line"] == line
    assert said in error.message


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    error = broken(
        """\
compliance = ["hippa"]
[service]
nam = "shop"
start = "a | b"
[slo]
p95 = "2s"
p99 = "1s"
availability = 99.9
[recovery]
rpo = "1m"
[data]
engine = "postgresql"
[envs.prod]
"""
    )
    assert [(p["line"], p["key"]) for p in error.data["problems"]] == [
        (1, "compliance[0]"),
        (1, "load"),
        (2, "service.name"),
        (3, "service.nam"),
        (4, "service.start"),
        (6, "slo.p95"),
        (8, "slo.availability"),
        (10, "recovery.rpo"),
        (13, "envs"),
    ]
    assert "backend.toml has 9 problems" in error.message
    assert 'did you mean "environments"' in error.message


def test_a_contradiction_that_a_misspelled_key_may_explain_is_left_out() -> None:
    error = broken(BASE + "[recovery]\nrpo = '1m'\n[data]\nengine = 'postgresql'\nreplica = 1\n")
    assert [p["key"] for p in error.data["problems"]] == ["data.replica"]


def test_no_file_says_how_to_make_one(tmp_path: Path) -> None:
    for call in (find_project, load_spec):
        with pytest.raises(BackendctlError) as refused:
            call(tmp_path)
        assert refused.value.code == "spec.missing"
        assert str(tmp_path) in refused.value.message
        assert any("backendctl init" in line for line in refused.value.next)


def test_a_file_that_begins_with_a_byte_order_mark_or_has_windows_line_ends_loads() -> None:
    read_spec(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode(), "backend.toml")
    error = broken((BASE + "x = 1\n").replace("\n", "\r\n"))
    assert error.data["problems"][0]["line"] == 6


KEYS = st.sampled_from(
    ["service", "load", "slo", "p95", "steps", "rollout", "environments", "name", "compliance", "x"]
)
LEAVES = st.one_of(
    st.integers(), st.floats(), st.text(max_size=5), st.booleans(), st.lists(st.integers(0, 9))
)
DOCUMENTS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=4),
    lambda inside: st.dictionaries(KEYS, st.one_of(LEAVES, inside), max_size=4),
    max_leaves=10,
)


@given(DOCUMENTS)
def test_any_document_is_read_or_refused_with_problems(document: dict[str, object]) -> None:
    import tomlkit

    text = tomlkit.dumps(document)
    problems = broken(text).data["problems"]  # none of these can name a start command
    assert problems
    assert all(1 <= p["line"] <= text.count("\n") + 1 for p in problems)


@pytest.mark.parametrize(
    ("added", "command"),
    [
        ("[rollout]\nsteps = [500]", "backendctl schema keys rollout"),
        ("[on_call]\nwho = 'x'", "backendctl schema keys on_call"),
        ("[environments.prod]\nport = -1", "backendctl schema keys environments"),
        ("[rollout]\nsteps = [500]\n[slo]\np95 = 3", "backendctl schema keys"),
        ("[nonsense]\nx = 1", "backendctl schema keys"),
    ],
)
def test_a_problem_leads_to_the_keys_of_its_table(added: str, command: str) -> None:
    (line,) = broken(f"{BASE}{added}\n").next
    assert line.split("  ")[0] == command


def test_a_misspelt_peak_is_one_problem() -> None:
    text = b"[service]\nname = 'a'\nstart = 'x'\n[load]\npeek_rps = 50\n"
    with pytest.raises(BackendctlError) as refused:
        read_spec(text, "backend.toml")
    (problem,) = refused.value.data["problems"]
    assert "peak_rps" in problem["message"]
