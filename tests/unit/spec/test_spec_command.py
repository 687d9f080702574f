"""The start command: one line, no shell."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.spec.command import CommandError, parse_command, write_command


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("uvicorn app:app --port $PORT", ("uvicorn", "app:app", "--port", "$PORT")),
        ("sh -c 'a && b > c'", ("sh", "-c", "a && b > c")),
        ("echo \"a; b\" 'x|y'", ("echo", "a; b", "x|y")),
        (r"a \& b", ("a", "&", "b")),
        ("a --label=b#c", ("a", "--label=b#c")),
        ("node a=b", ("node", "a=b")),
    ],
)
def test_a_line_becomes_argv(line: str, argv: tuple[str, ...]) -> None:
    assert parse_command(line) == argv


@pytest.mark.parametrize(
    ("line", "operator", "instead"),
    [
        ("a && b", "'&&'", "service.migrate"),
        ("a || b", "'||'", "script"),
        ("a|b", "'|'", "script"),
        ("a ; b", "';'", "script"),
        ("a > log", "'>'", "backendctl logs"),
        ("a >> log", "'>>'", "backendctl logs"),
        ("a 2>&1", "'>'", "backendctl logs"),
        ("a < in", "'<'", "argument"),
        ("a &", "'&'", "keeps the process running"),
        ("a $(b)", "'$('", "script"),
        ('a "$(b)"', "'$('", "script"),
        ("a `b`", "'`'", "script"),
        ("(a)", "'('", "script"),
    ],
)
def test_a_shell_operator_is_refused_with_what_to_do_instead(
    line: str, operator: str, instead: str
) -> None:
    with pytest.raises(CommandError, match="no shell is started") as refused:
        parse_command(line)
    assert operator in str(refused.value)
    assert instead in refused.value.accepted


def test_a_variable_before_the_command_is_sent_to_the_environment() -> None:
    with pytest.raises(CommandError, match="sets a variable") as refused:
        parse_command("DEBUG=1 uvicorn app:app")
    assert "[environments.NAME.variables]" in refused.value.accepted


@pytest.mark.parametrize("line", ["", "   ", "a 'b", 'a "b', "a \\"])
def test_an_empty_or_unclosed_line_is_refused(line: str) -> None:
    with pytest.raises(CommandError):
        parse_command(line)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4).filter(lambda a: "=" not in a[0]))
def test_argv_written_and_parsed_again_is_the_same(argv: list[str]) -> None:
    assert parse_command(write_command(tuple(argv))) == tuple(argv)


@given(st.text("ab '\"\\&|;<>()`$", max_size=12))
def test_any_line_is_what_a_shell_would_read_or_refused(line: str) -> None:
    try:
        argv = parse_command(line)
    except CommandError:
        return
    assert list(argv) == shlex.split(line)
