"""The help of every command, as a new user reads it on 80 columns."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from backendctl.cli.contract import COMMON
from backendctl.cli.main import application
from tests.unit.cli.test_next_commands import understood

TREE = typer.main.get_command(application())
WIDTH = 80


def commands(node: Any = TREE, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command and group, by how it is typed."""
    yield " ".join(path), node
    for name, child in getattr(node, "commands", {}).items():
        yield from commands(child, (*path, name))


ALL = dict(commands())
GROUPS = [name for name, node in ALL.items() if hasattr(node, "commands")]
LEAVES = [name for name in ALL if name not in GROUPS]


def help_of(name: str) -> str:
    context = ALL[name].make_context(
        f"backendctl {name}".strip(),
        [],
        resilient_parsing=True,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        auto_envvar_prefix=f"BACKENDCTL_{name}".upper().replace(" ", "_").replace("-", "_"),
    )
    return str(ALL[name].get_help(context))


def examples_of(name: str) -> list[str]:
    _, _, examples = help_of(name).partition("Examples:\n")
    return [
        line.strip() for line in examples.splitlines() if line.strip().startswith("backendctl ")
    ]


@pytest.mark.parametrize("name", GROUPS)
def test_no_summary_in_a_list_of_commands_is_cut_at_80_columns(name: str) -> None:
    _, _, listed = help_of(name).partition("Commands:\n")
    lines = listed.splitlines()
    assert len(lines) == len(ALL[name].commands)
    assert [line for line in lines if line.endswith(("...", "…"))] == []


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_and_argument_is_explained_and_its_value_has_a_name(name: str) -> None:
    for parameter in ALL[name].params:
        assert parameter.help, f"{name}: {parameter.name}"
    # Types of Python say nothing to a person: FILE, DURATION and NAME do.
    assert re.findall(r"^ +-.*<(?:str|int|float|path|list)\b.*", help_of(name), re.MULTILINE) == []


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_shows_examples_of_itself_that_are_understood(name: str) -> None:
    examples = examples_of(name)
    assert examples
    for example in examples:
        assert f"{example} ".startswith(f"backendctl {name} "), example
        understood(example)


@pytest.mark.parametrize("name", LEAVES)
def test_a_variable_of_the_environment_is_named_after_its_option(name: str) -> None:
    for variable in re.findall(r"env\s+var:\s+(\w+)", help_of(name)):
        assert variable == variable.strip("_")
        words = {
            option.lstrip("-").replace("-", "_").upper()
            for parameter in ALL[name].params
            for option in parameter.opts
        }
        assert any(variable.endswith(f"_{word}") for word in words), variable


def test_the_examples_reach_every_kind_of_value_that_options_take() -> None:
    """The check above can only fail if there are options to misspell."""
    typed = [word for name in LEAVES for e in examples_of(name) for word in shlex.split(e, True)]
    own = {word for word in typed if word.startswith("--")} - {f"--{name}" for name in COMMON}
    assert len(own) > 15
