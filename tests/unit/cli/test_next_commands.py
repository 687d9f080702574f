"""Whatever the product tells people to type must be understood when they type it."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import backendctl
from backendctl.cli.main import application

SOURCE = Path(backendctl.__file__).parent
SUBSTITUTE = "1"
"""What stands for a formatted value: a number, a name and a version alike."""

SPOKEN = re.compile(r"backendctl [a-z-].*")
NAMED = re.compile(r"`(backendctl(?: [a-z]+)+)")
"""In prose a command is named, with or without its options."""

OPTIONS = re.compile(
    r"backendctl ((?:(?:rollout|loadtest|secrets|infra|check) )?[a-z]+)\b([^`\n#;|]*? --[^`\n#;|]*)"
)


def text_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or SUBSTITUTE for part in node.values)
    return None


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """All string literals, f-strings whole."""
    for node in ast.iter_child_nodes(tree):
        text = text_of(node)
        if text is None:
            yield from texts(node)
        else:
            yield node.lineno, text  # type: ignore[attr-defined]


def spoken() -> Iterator[tuple[str, str]]:
    """Where a string stands, and the string."""
    for path in sorted(SOURCE.rglob("*.py")):
        if "shipped" not in path.parts:
            for line, text in texts(ast.parse(path.read_text())):
                yield f"{path.relative_to(SOURCE)}:{line}", text


def written() -> Iterator[tuple[str, str, str]]:
    """Place, command and option of `backendctl COMMAND ... --option` in templates and documents."""
    root = SOURCE.parent
    folders = [root / name for name in ("docs", "templates", "runbooks")]
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in (root / "README.md", root / "CONTRIBUTING.md", *paths):
        for found in OPTIONS.finditer(path.read_text()):
            bare = re.sub(r"'[^']*'| -- .*", "", found[2])
            for option in re.findall(r"--[a-z][a-z-]*", bare):
                yield str(path.relative_to(root)), found[1], option


STRINGS = list(spoken())
COMMANDS = [each for each in STRINGS if SPOKEN.fullmatch(each[1])]
NAMES = sorted({name for _, text in STRINGS for name in NAMED.findall(text)})
TREE = typer.main.get_command(application())


def understood(command: str) -> None:
    """Parse it against the command tree and run nothing; raises what a wrong command raises."""
    words = shlex.split(re.split(" [<>] ", command)[0], comments=True)[1:]
    if words == ["--version"]:
        return
    node, name = TREE, "backendctl"
    context = None
    while hasattr(node, "commands"):
        context = node.make_context(name, [], parent=context, resilient_parsing=True)
        name = words.pop(0)
        node = node.commands[name]
    try:
        node.make_context(name, words, parent=context)
    except typer.Exit:  # --help
        return


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) > 60
    assert len(NAMES) > 5


@pytest.mark.parametrize(("place", "command"), COMMANDS, ids=str)
def test_a_command_that_people_are_told_to_type_is_understood(place: str, command: str) -> None:
    understood(command)


def test_an_option_that_a_document_or_template_names_exists() -> None:
    found = sorted(set(written()))
    assert len(found) > 10
    for place, command, option in found:
        node = TREE
        for word in command.split():
            node = node.commands[word]  # type: ignore[attr-defined]
        known = {
            each
            for parameter in node.params
            for each in (*parameter.opts, *parameter.secondary_opts)
        }
        assert option in {*known, "--help", "--"}, f"{place}: backendctl {command} has no {option}"


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_prose_names_exists(name: str) -> None:
    _, first, *more = name.split()
    node = TREE.commands[first]  # type: ignore[attr-defined]
    if more and hasattr(node, "commands"):
        assert more[0] in node.commands


@pytest.mark.parametrize(
    "wrong", ["backendctl frobnicate", "backendctl logs gateway", "backendctl --env x status"]
)
def test_the_check_itself_refuses_what_is_not_understood(wrong: str) -> None:
    with pytest.raises((typer.TyperException, KeyError)):
        understood(wrong)
