"""A command that goes on without its terminal: what is read of what it writes."""

from pathlib import Path

from backendctl.workflows.detach import _documents


def test_lines_that_are_no_document_are_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b'{"event": "a"}\n{x: 1}\nTraceback\n[1]\n\xff{\n{"event": "b"}\n{"torn')
    found = list(_documents(log, lambda: True))
    assert found == [{"event": "a"}, {"event": "b"}]
