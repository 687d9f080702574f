"""Answers from a file and from the command line."""

from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.scaffold.given import read_given


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", '# ours\nname = "shop"\npeak_rps = 400\n'),
        ("a.json", '{\n"name": "shop",\n"peak_rps": 400}'),
        ("a.toml", '# a record\n[answers]\nname = "shop"\npeak_rps = 400\n'),
        ("answers", '\n{"name": "shop", "peak_rps": 400}'),
    ],
)
def test_toml_json_and_a_record_are_read(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    found = read_given(tmp_path / name, ())
    assert found.values == {"name": "shop", "peak_rps": 400}


def test_each_answer_knows_its_line_and_set_goes_first(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('# ours\nname = "shop"\npeak_rps = 400\n')
    found = read_given(file, ("peak_rps=500/s", "p95 = 200ms"))
    assert found.values == {"name": "shop", "peak_rps": "500/s", "p95": "200ms"}
    assert found.where == {"name": "a.toml:2", "peak_rps": "--set", "p95": "--set"}


@pytest.mark.parametrize("text", ["name = ", "{", "[1, 2]", "\x00"])
def test_a_file_that_holds_no_answers_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(text)
    with pytest.raises(BackendctlError) as raised:
        read_given(file, ())
    assert raised.value.code == "scaffold.answer"
    assert str(file) in raised.value.message


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BackendctlError, match="cannot be read"):
        read_given(tmp_path / "none.toml", ())


@pytest.mark.parametrize("setting", ["p95", "=300ms"])
def test_a_setting_without_key_or_value_is_refused(setting: str) -> None:
    with pytest.raises(BackendctlError, match="KEY=VALUE"):
        read_given(None, (setting,))
