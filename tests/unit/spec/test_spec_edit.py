"""Edits keep everything they were not asked to change."""

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.errors import BackendctlError
from backendctl.spec import edit
from backendctl.spec.splice import SpliceError, with_table, with_value, without_value

TEXT = """\
# What shop promises.
[service]  # the process
name = "shop" # short
start = "x"
health = { ready = "/ready" }

# how much
[load]
peak_rps = 50   # measured in May

# where
[environments.prod]
platform = "local"
# last words
"""


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines that went and lines that came."""
    old, new = before.splitlines(), after.splitlines()
    return [x for x in old if x not in new], [x for x in new if x not in old]


@pytest.mark.parametrize(
    ("key", "value", "went", "came"),
    [
        (
            "load.peak_rps",
            70,
            "peak_rps = 50   # measured in May",
            "peak_rps = 70   # measured in May",
        ),
        ("load.growth", "40%", None, 'growth = "40%"'),
        ("service.openapi", "", None, 'openapi = ""'),
        ("environments.prod.region", "eu-central-1", None, 'region = "eu-central-1"'),
        (
            "service.health.live",
            "/live",
            'health = { ready = "/ready" }',
            'health = { ready = "/ready", live = "/live" }',
        ),
    ],
)
def test_a_value_is_set_in_its_table_and_nothing_else_changes(
    key: str, value: Any, went: str | None, came: str
) -> None:
    after = with_value(TEXT, edit.key_of(key), value)
    assert changed(TEXT, after) == ([went] if went else [], [came])


def test_a_new_key_stands_before_the_comment_of_the_next_table() -> None:
    after = with_value(TEXT, ("load", "growth"), "40%")
    assert 'peak_rps = 50   # measured in May\ngrowth = "40%"\n\n# where\n' in after


def test_a_key_above_the_first_table_goes_there() -> None:
    after = with_value(TEXT, ("compliance",), ["gdpr"])
    assert after.startswith('# What shop promises.\ncompliance = ["gdpr"]\n\n[service]')


def test_a_table_that_is_needed_is_added_at_the_end() -> None:
    after = with_value(TEXT, ("slo", "p95"), "200ms")
    assert after == TEXT + '\n[slo]\np95 = "200ms"\n'


def test_a_key_beside_dotted_keys_is_dotted_too() -> None:
    text = 'name = 1\nhealth.ready = "/r"\n\n[load]\n'
    assert 'health.ready = "/r"\nhealth.live = "/l"\n' in with_value(
        "[service]\n" + text, ("service", "health", "live"), "/l"
    )


def test_a_table_is_added_under_its_comment() -> None:
    after = with_table(
        TEXT, ("environments", "stage"), {"port": 80, "variables": {"A": "b"}}, "try"
    )
    assert after == TEXT + '\n# try\n[environments.stage]\nport = 80\nvariables = { A = "b" }\n'
    with pytest.raises(SpliceError, match="already"):
        with_table(after, ("environments", "stage"), {})


def test_an_unset_key_takes_its_line_and_an_emptied_table_its_header() -> None:
    assert changed(TEXT, without_value(TEXT, ("service", "name"))) == (
        ['name = "shop" # short'],
        [],
    )
    gone, came = changed(TEXT, without_value(TEXT, ("environments", "prod", "platform")))
    assert gone == ["[environments.prod]", 'platform = "local"']
    assert came == []
    assert without_value(TEXT, ("slo", "p95")) == TEXT


def test_a_value_cannot_become_a_table_by_the_way() -> None:
    with pytest.raises(SpliceError):
        with_value(TEXT, ("service", "name", "x"), 1)
    with pytest.raises(SpliceError):
        with_value(TEXT, ("service",), 1)


KEYS = st.lists(st.sampled_from(["a", "b", "c d", "e.f"]), min_size=1, max_size=3).map(tuple)
VALUES = st.one_of(
    st.integers(-5, 5),
    st.booleans(),
    st.text(max_size=6),
    st.floats(allow_nan=False),
    st.lists(st.text("x\"'", max_size=3), max_size=2),
    st.dictionaries(st.sampled_from(["k", "l m"]), st.integers(0, 3), max_size=2),
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=6))
def test_what_was_set_is_there_and_unsetting_all_leaves_the_comments(
    edits: list[tuple[tuple[str, ...], Any]],
) -> None:
    text = "# top\n[load] # l\npeak = 1 # p\n# end\n"
    done: list[tuple[str, ...]] = []
    for key, value in edits:
        try:
            text = with_value(text, key, value)
        except SpliceError:
            continue
        done.append(key)
        inside: Any = tomllib.loads(text)
        for part in key:
            inside = inside[part]
        assert inside == value
    for key in done:
        text = without_value(text, key)
    assert tomllib.loads(text) == {"load": {"peak": 1}}
    for kept in ("# top", "[load] # l", "peak = 1 # p", "# end"):
        assert kept in text.splitlines()


# --- the file ---------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "backend.toml").write_text(TEXT)
    return tmp_path


def content(project: Path) -> str:
    return (project / "backend.toml").read_text()


def test_an_edit_returns_the_new_promises(project: Path) -> None:
    assert edit.set_value(project, "load.peak_rps", "90/s").load.peak_rps == 90.0
    assert edit.add_table(project, "slo", {"p95": "100ms"}, "faster").slo.p95 == 0.1
    assert edit.unset_value(project, "slo").slo.p95 == 0.3
    assert "# last words" in content(project)


def test_an_edit_that_is_not_valid_leaves_the_file_alone(project: Path) -> None:
    for key, value in (("load.peak_rps", -1), ("slo.p96", "1s"), ("slo.p95", "2s")):
        if key == "slo.p95":
            edit.set_value(project, "slo.p99", "1s")
        before = content(project)
        with pytest.raises(BackendctlError) as refused:
            edit.set_value(project, key, value)
        assert refused.value.code in ("spec.invalid", "spec.contradiction")
        assert content(project) == before
    assert sorted(p.name for p in project.iterdir()) == ["backend.toml"]


def test_an_edit_keeps_the_mode_and_follows_a_link(project: Path, tmp_path: Path) -> None:
    (project / "backend.toml").chmod(0o640)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "backend.toml").symlink_to(project / "backend.toml")
    edit.set_value(linked, "load.peak_rps", 60)
    assert (linked / "backend.toml").is_symlink()
    assert "peak_rps = 60 " in content(project)
    assert stat.S_IMODE((project / "backend.toml").stat().st_mode) == 0o640


def test_a_full_disk_leaves_the_file_as_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackendctlError) as refused:
        edit.set_value(project, "load.peak_rps", 60)
    assert refused.value.code == "platform.disk-full"
    assert content(project) == TEXT
    assert [p.name for p in project.iterdir()] == ["backend.toml"]


def test_a_file_that_is_not_toml_is_refused_with_its_line(project: Path) -> None:
    (project / "backend.toml").write_text("[service]\nname = shop\n")
    with pytest.raises(BackendctlError) as refused:
        edit.set_value(project, "load.peak_rps", 60)
    assert refused.value.code == "spec.syntax"
    assert refused.value.data["problems"][0]["line"] == 2


@pytest.mark.parametrize("key", ["", "a b", "a..b", "[x]", "a = 1\nb", "a.b = 1 #"])
def test_what_is_not_a_key_is_refused(key: str) -> None:
    with pytest.raises(BackendctlError) as refused:
        edit.key_of(key)
    assert refused.value.code == "usage"
