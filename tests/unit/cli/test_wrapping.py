"""Lines on a narrow terminal end between words."""

import os
import pty
import struct
import termios
from fcntl import ioctl
from pathlib import Path

from backendctl.cli.outlet import Outlet
from backendctl.cli.wrapping import columns, fitted


def test_a_long_line_ends_between_words_and_goes_on_indented() -> None:
    said = fitted("ok\n  the gateway keeps its present weights", 20)
    assert said.split("\n") == ["ok", "  the gateway keeps", "      its present", "      weights"]


def test_a_command_to_type_stays_in_one_piece() -> None:
    for line in ("next: backendctl rollout watch 0007", "         backendctl rollout recover"):
        assert fitted(line, 10) == line


def test_what_is_not_for_a_terminal_stays_as_it_is() -> None:
    assert fitted("a b c", None) == "a b c"
    with Path(os.devnull).open("w") as nowhere:
        assert columns(Outlet(nowhere)) is None


def test_the_width_is_that_of_the_terminal_written_to() -> None:
    keeper, terminal = pty.openpty()
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 57, 0, 0))
    with os.fdopen(terminal, "w") as stream:
        assert columns(Outlet(stream)) == 57
    os.close(keeper)
