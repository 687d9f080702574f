"""A command that goes on without its terminal: what is read of what it writes."""

import os
import time
from pathlib import Path

import pytest

from backendctl.workflows.detach import documents
from backendctl.workflows.detach_here import KEPT, lines_of, new_log


def test_lines_that_are_no_document_are_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b'{"event": "a"}\n{x: 1}\nTraceback\n[1]\n\xff{\n{"event": "b"}\n{"torn')
    found = list(documents(lines_of(log, lambda: True)))
    assert found == [{"event": "a"}, {"event": "b"}]


def test_logs_are_private_and_old_ones_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    old = new_log("deploy-1")
    os.utime(old, (0.0, time.time() - KEPT - 60.0))
    new = new_log("deploy-2")
    assert (old.exists(), new.exists()) == (False, True)
    assert new.stat().st_mode & 0o077 == 0
