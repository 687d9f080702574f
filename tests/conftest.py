"""What holds for every test."""

import contextlib
import os
import signal

import pytest
from hypothesis import settings

# A busy machine is slow, not wrong: no deadline. In CI the same examples each time, so that a
# change is judged by itself; new examples are found wherever else the tests run.
settings.register_profile("project", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("project")

# Whoever started the tests may ignore signals (a shell's `&`, nohup), and children inherit that;
# the commands under test must be started as from a terminal.
with contextlib.suppress(ValueError):  # not in the main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

_NO_CLUSTER = "no cluster"

_LONGEST = ("demo", "images", "infra", "recovery")
"""Groups of cluster tests that take minutes, one test after the other: begun first, longest first,
so that the run does not end with one worker busy and the others idle."""


def _rank(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    name = group.args[0] if group else ""
    return _LONGEST.index(name) if name in _LONGEST else len(_LONGEST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first. Without a cluster the tests that need one are skipped; see the end of the
    output."""
    items.sort(key=_rank)
    if os.environ.get("BACKENDCTL_TEST_KUBECONFIG"):
        return
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.skip(reason=_NO_CLUSTER))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [
        report.nodeid
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and _NO_CLUSTER in report.longrepr[2]
    ]
    if skipped:
        terminalreporter.section(f"{len(skipped)} NOT RUN FOR LACK OF A CLUSTER: make test-cluster")
        for name in sorted(skipped):
            terminalreporter.line(name)
