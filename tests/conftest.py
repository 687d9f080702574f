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

NEEDS = {
    "cluster": ("BACKENDCTL_TEST_KUBECONFIG", "no cluster: make test-cluster"),
    "engine": ("BACKENDCTL_TEST_PULUMI", "no pulumi program: make test-engine"),
}
"""By marker: the variable that says where what it needs is, and what is said without."""

_LONGEST = ("images", "infra", "recovery")
"""Groups of cluster tests that take minutes, one test after the other: begun first, longest first,
so that the run does not end with one worker busy and the others idle."""


def _rank(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    name = group.args[0] if group else ""
    return _LONGEST.index(name) if name in _LONGEST else len(_LONGEST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first. What cannot run here is skipped; see the end of the output."""
    items.sort(key=_rank)
    for marker, (variable, reason) in NEEDS.items():
        if os.environ.get(variable):
            continue
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for _variable, reason in NEEDS.values():
        skipped = [
            report.nodeid
            for report in terminalreporter.stats.get("skipped", [])
            if isinstance(report.longrepr, tuple) and reason in report.longrepr[2]
        ]
        if skipped:
            terminalreporter.section(f"{len(skipped)} NOT RUN, {reason}")
            for name in sorted(skipped):
                terminalreporter.line(name)
