"""The text of the backend.toml that `init` writes."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from backendctl.errors import BackendctlError
from backendctl.scaffold.accepted import Value
from backendctl.scaffold.init import Survey, spec_text, survey, write_spec
from backendctl.scaffold.questions import INIT_QUESTIONS, resolve
from backendctl.scaffold.recognise.facts import Found
from backendctl.scaffold.render import _toml_string
from backendctl.spec.load import read_spec


def answers(**given: object) -> dict[str, Value]:
    values = {"name": "shop", "start": "./run $PORT", **given}
    return resolve(INIT_QUESTIONS, values, use_defaults=True)[0]


@settings(deadline=None)
@given(strategies.text())
def test_any_text_is_written_as_a_toml_string(text: str) -> None:
    assert tomllib.loads(f"x = {_toml_string(text)}")["x"] == text


@settings(deadline=None)
@given(
    strategies.lists(strategies.text("abc $'\"\\\t&|é", min_size=1), min_size=1, max_size=4),
    strategies.booleans(),
)
def test_any_command_comes_back_from_the_file_as_it_was(words: list[str], database: bool) -> None:
    from backendctl.spec.command import write_command

    line = write_command(("./run", *words))
    found = answers(start=line, database="postgresql" if database else "none")
    spec = read_spec(spec_text(Survey("custom", {}), found).encode(), "backend.toml")
    assert spec.service.start == ("./run", *words)
    assert (spec.data.engine == "postgresql") is database


def test_each_recognised_line_names_its_place_and_an_overruled_one_does_not() -> None:
    facts = {
        "start": Found("./run $PORT", "Procfile", 3),
        "ready": Found("/health", "main.py", 7),
        "migrate": Found("./migrate", "Procfile", 1),
    }
    found = answers(ready="/other", migrate="./migrate", database="postgresql")
    text = spec_text(Survey("procfile", facts), found)
    assert 'start = "./run $PORT"  # Procfile:3' in text
    assert "main.py:7" not in text
    assert "Procfile:1" in text


def test_a_migration_without_a_known_database_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("release: ./migrate\nweb: ./run -p $PORT\n")
    found = survey(tmp_path, None)
    assert "migrate" not in found.facts
    assert any("./migrate" in remark.text for remark in found.remarks)
    spec = read_spec(write_spec(tmp_path, found, answers(**found.defaults)).encode(), "x")
    assert spec.service.migrate == ()


def test_an_empty_folder_is_unrecognised_and_a_spec_is_kept(tmp_path: Path) -> None:
    with pytest.raises(BackendctlError) as raised:
        survey(tmp_path, None)
    assert raised.value.code == "scaffold.unrecognised"
    (tmp_path / "backend.toml").touch()
    with pytest.raises(BackendctlError) as raised:
        survey(tmp_path, "./run")
    assert raised.value.code == "scaffold.not-empty"
