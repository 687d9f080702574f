"""Run another program, and say what it said when it fails."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class ClusterError(Exception):
    """The test cluster cannot do what was asked; the message is for whoever runs the tests."""


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float = 120,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    given: str | None = None,
) -> str:
    """Its standard output. Raises ClusterError, with the end of its error output, otherwise."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=None if environment is None else dict(environment),
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise ClusterError(f"not done within {timeout:.0f} s: {' '.join(words)}") from late
    except OSError as missing:
        raise ClusterError(f"cannot start {words[0]}: {missing}") from missing
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-3000:]
        raise ClusterError(f"exit {done.returncode}: {' '.join(words)}\n{said}")
    return done.stdout
