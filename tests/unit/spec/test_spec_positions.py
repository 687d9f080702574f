"""Where keys stand, in every way TOML lets them stand."""

import tomllib
from collections.abc import Iterator
from typing import Any

import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from backendctl.spec.positions import Path, find_positions

TEXT = '''\
# a comment with a = 1 and [brackets]
first = """
second = 2
"""
list = [ # one
  "a",
  { inner = 1 }, ]
[service] # header
name = "x = 1" # "quote
health.ready = "/r"
"odd.key" = 'C:\\'
[a.b.c]
[[rows]]
n = 1
[rows.sub]
m = 1
[a]
late = 2
[[rows]]
n = { x = 1, y = "}" }
'''

EXPECTED: dict[Path, int] = {
    ("first",): 2,
    ("list",): 5,
    ("list", 0): 6,
    ("list", 1, "inner"): 7,
    ("service",): 8,
    ("service", "name"): 9,
    ("service", "health"): 10,
    ("service", "health", "ready"): 10,
    ("service", "odd.key"): 11,
    ("a", "b"): 12,
    ("a", "b", "c"): 12,
    ("rows",): 13,
    ("rows", 0): 13,
    ("rows", 0, "n"): 14,
    ("rows", 0, "sub", "m"): 16,
    ("a",): 17,
    ("a", "late"): 18,
    ("rows", 1): 19,
    ("rows", 1, "n", "y"): 20,
}


def test_every_kind_of_key_is_found_on_its_line() -> None:
    found = find_positions(TEXT)
    assert {path: found.lines.get(path) for path in EXPECTED} == EXPECTED


def test_what_is_not_written_is_where_its_table_is() -> None:
    found = find_positions(TEXT)
    assert found.line(("service", "start")) == 8
    assert found.line(("nothing",)) == 1
    assert found.line(()) == 1


def test_windows_line_ends_change_no_line() -> None:
    assert find_positions(TEXT.replace("\n", "\r\n")).lines == find_positions(TEXT).lines


def test_an_empty_text_has_no_keys() -> None:
    assert find_positions("").lines == {}


KEYS = st.text("ab-._ \"'", min_size=1, max_size=4)
LEAVES = st.one_of(
    st.integers(-9, 9), st.booleans(), st.text("ab\"'\\\n#[]{}=,.", max_size=8), st.floats(0, 1)
)
VALUES = st.recursive(LEAVES, lambda inside: st.lists(inside, max_size=3), max_leaves=4)
DOCUMENTS = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=3),
    lambda inside: st.dictionaries(
        KEYS, st.one_of(VALUES, inside, st.lists(inside, min_size=1, max_size=2)), max_size=3
    ),
    max_leaves=8,
)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    inside: dict[Any, Any] = {}
    if isinstance(value, dict | list):
        inside = value if isinstance(value, dict) else dict(enumerate(value))
    for key, each in inside.items():
        yield from paths(each, (*path, key))


@given(DOCUMENTS)
def test_exactly_the_keys_of_the_document_are_found(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    read = tomllib.loads(text)
    found = find_positions(text)
    assert set(found.lines) == set(paths(read))
    assert all(1 <= line <= text.count("\n") + 1 for line in found.lines.values())


@given(DOCUMENTS)
def test_the_value_of_each_pair_is_what_stands_between_its_offsets(
    document: dict[str, Any],
) -> None:
    text = tomlkit.dumps(document)
    whole: Any = tomllib.loads(text)
    for path, pair in find_positions(text).pairs.items():
        value = whole
        for part in path:
            value = value[part]
        assert tomllib.loads(f"x = {text[pair.value : pair.end]}")["x"] == value
