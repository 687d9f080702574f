"""The README's tutorial, typed as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.xdist_group("readme")]


def commands() -> list[str]:
    """Every line after a `$` between the tutorial's marks."""
    text = README.read_text()
    part = text[text.index("<!-- tutorial") : text.index("<!-- /tutorial")]
    return re.findall(r"^\$ (.+)$", part, re.MULTILINE)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which `backendctl` is found, as the README has it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "backendctl"
    script.write_text(f"#!{sys.executable}\nfrom backendctl.cli.main import main\nmain()\n")
    script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_every_command_of_the_tutorial_works(tmp_path: Path, path: str) -> None:
    typed = commands()
    assert len(typed) >= 10
    work = tmp_path / "work"
    work.mkdir()
    # one shell for all, as a person has; it stops at the first command that fails
    script = "set -eu\n" + "\n".join(f"echo '$ {line}'\n{line}" for line in typed)
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=work,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=540,
        )
    finally:
        if (work / "shop" / "backend.toml").exists():
            subprocess.run(
                ["backendctl", "down", "--purge", "--confirm", "local"],
                cwd=work / "shop",
                env={**os.environ, "PATH": path},
                check=True,
            )
    assert done.returncode == 0, done.stdout[-4000:]
