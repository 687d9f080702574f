"""The result as JUnit XML, one test case per promise, for CI systems."""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as Xml

from backendctl.loadtest.reports.words import NAMES, interval, quantity
from backendctl.loadtest.results import LoadTestResult
from backendctl.loadtest.verdict import Result

MARK = '<testsuites name="backendctl"'
"""What a file of ours begins with, after the XML declaration."""
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


def junit(result: LoadTestResult) -> str:
    """A broken promise is a failure; an undecided one, and an invalid measurement, are errors:
    both are red in CI, and they read differently."""
    invalid = result.result is Result.INVALID
    cases: list[Xml.Element] = []
    for check in result.verdict.checks:
        case = _case(f"{check.stage}: {NAMES[check.name]} under {quantity(check, check.limit)}")
        said = f"{interval(check)}, limit {quantity(check, check.limit)}"
        if invalid:
            _add(case, "skipped", "the measurement is invalid", said)
        elif check.result is Result.FAIL:
            _add(case, "failure", said, "; ".join(result.verdict.reasons))
        elif check.result is Result.INCONCLUSIVE:
            _add(case, "error", f"inconclusive: {said}", "the test was too short to decide")
        Xml.SubElement(case, "system-out").text = _clean(said)
        cases.append(case)
    trusted = _case("the measurement can be trusted")
    if invalid:
        _add(trusted, "error", "invalid", "\n".join(result.verdict.reasons))
    elif result.interrupted:
        _add(trusted, "error", "interrupted", "the test was stopped before it was done")
    cases.append(trusted)
    suite = Xml.Element(
        "testsuite",
        name=_clean(f"loadtest {result.environment}"),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time=f"{result.seconds:.3f}",
        timestamp=datetime.fromtimestamp(result.began, UTC).isoformat(timespec="seconds"),
    )
    suite.extend(cases)
    root = Xml.Element("testsuites", name="backendctl")
    root.append(suite)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(name: str) -> Xml.Element:
    return Xml.Element("testcase", name=_clean(name), classname="backendctl.loadtest", time="0")


def _add(case: Xml.Element, kind: str, message: str, text: str) -> None:
    Xml.SubElement(case, kind, message=_clean(message)).text = _clean(text)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
