import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from backendctl.loadtest.compare import caveats, compare
from backendctl.loadtest.reports.html import html
from backendctl.loadtest.reports.junit import junit
from backendctl.loadtest.reports.terminal import show
from backendctl.loadtest.results import LoadTestResult, kept, load, save
from backendctl.loadtest.verdict import Result, judge
from backendctl.spec.model import Slo
from tests.unit.loadtest.cases import SLO, measured, result_of, stage


def failing(folder: Path) -> LoadTestResult:
    return result_of(folder, measured(error_share=0.1))


def invalid(folder: Path) -> LoadTestResult:
    return result_of(folder, measured(lag=0.1))


def undecided(folder: Path) -> LoadTestResult:
    short = (stage(duration=1.0),)
    return result_of(folder, measured(short), short)


# --- kept results --------------------------------------------------------------------------------


def test_a_kept_result_is_read_back_whole_and_private(tmp_path: Path) -> None:
    result = failing(tmp_path)
    save(result)
    assert load(tmp_path).to_data() == result.to_data()
    assert load(tmp_path).verdict == result.verdict
    assert all(f.stat().st_mode & 0o077 == 0 for f in tmp_path.iterdir())


def test_kept_results_are_listed_oldest_first_and_half_written_ones_are_not(tmp_path: Path) -> None:
    for name in ("20260102-000000-aa", "20260101-000000-bb"):
        (tmp_path / name).mkdir()
        save(result_of(tmp_path / name))
    (tmp_path / "20260103-000000-cc").mkdir()
    assert kept(tmp_path) == ["20260101-000000-bb", "20260102-000000-aa"]
    assert kept(tmp_path / "nothing") == []


def test_the_numbers_of_a_result_are_those_of_its_hold(tmp_path: Path) -> None:
    result = result_of(tmp_path)
    assert result.offered_rps == 200.0
    assert result.achieved_rps == 200.0
    assert result.p95_ms == pytest.approx(150, rel=0.1)
    assert result.to_data()["stages"][0]["operations"]["GET /items"]["requests"] == 4000


def test_the_knee_is_the_highest_rate_that_held(tmp_path: Path) -> None:
    stages = (
        stage("hold", 5, 200),
        replace(stage("stress 2.5x", 5, 250), judged=False),
        replace(stage("stress 3.1x", 5, 312), judged=False),
    )
    found = measured(stages)
    found.stages[2] = measured(stages, error_share=0.3).stages[2]
    assert result_of(tmp_path, found, stages).knee_rps == 250
    assert result_of(tmp_path).knee_rps is None


# --- JUnit ---------------------------------------------------------------------------------------


def counts(text: str) -> tuple[int, int, int, int]:
    suite = Xml.fromstring(text.encode()).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    attributes = [int(suite.attrib[k]) for k in ("tests", "failures", "errors", "skipped")]
    cases = suite.findall("testcase")
    said = [len(cases)] + [
        sum(c.find(kind) is not None for c in cases) for kind in ("failure", "error", "skipped")
    ]
    assert attributes == said
    return tuple(attributes)  # type: ignore[return-value]


def test_junit_parses_and_says_the_same_as_the_verdict(tmp_path: Path) -> None:
    assert counts(junit(result_of(tmp_path))) == (4, 0, 0, 0)
    assert counts(junit(failing(tmp_path))) == (4, 1, 0, 0)
    assert counts(junit(invalid(tmp_path))) == (4, 0, 1, 3)
    tests, failures, errors, _ = counts(junit(undecided(tmp_path)))
    assert (tests, failures) == (4, 0)
    assert errors >= 1


def test_junit_survives_text_that_xml_cannot_hold(tmp_path: Path) -> None:
    odd = replace(result_of(tmp_path), environment='a<b>&"\x00\x1b')
    assert counts(junit(odd))[0] == 4


# --- HTML ----------------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Tags in balance, and whatever would be fetched."""

    VOID = frozenset({"meta", "line", "rect", "circle", "path", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text: list[str] = []
        self.labels = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        named = dict(attrs)
        self.labels += tag == "svg" and bool(named.get("aria-label"))
        self.fetched += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag in ("script", "link", "iframe", "img"):
            self.fetched.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(text: str) -> Outline:
    parser = Outline()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


@pytest.mark.parametrize("make", [result_of, failing, invalid, undecided])
def test_the_page_is_well_formed_and_fetches_nothing(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    result = make(tmp_path)
    text = html(result)
    found = outline(text)
    assert found.fetched == []
    assert "url(" not in text
    assert "nan" not in re.findall(r'(?:x|y|d|cx|cy)="([^"]*)"', text.lower())
    assert found.labels == text.count("<svg") >= 3


def test_the_page_leads_with_the_verdict_and_its_reasons(tmp_path: Path) -> None:
    result = failing(tmp_path)
    text = html(result)
    assert text.index("Failed") < text.index("Promises") < text.index("Over time")
    assert result.verdict.reasons[0][1:] in text
    assert "POST /purge" in text


def test_what_a_service_names_its_operations_cannot_become_markup(tmp_path: Path) -> None:
    found = measured()
    found.stages[0].operations["GET /<script>alert(1)</script>"] = found.stages[0].operations.pop(
        "GET /items"
    )
    assert "<script" not in html(result_of(tmp_path, found))


def test_a_test_that_was_stopped_at_once_still_has_a_page(tmp_path: Path) -> None:
    empty = measured()
    empty.stages.clear()
    empty.spans.clear()
    empty.interrupted = True
    result = result_of(tmp_path, empty, verdict=judge((stage(),), empty, SLO))
    assert "Interrupted" in html(result)
    assert result.p95_ms is None


# --- terminal ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [result_of, failing, invalid, undecided])
def test_the_terminal_says_the_verdict_its_reasons_and_every_promise(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from rich.console import Console

    result = make(tmp_path)
    out = io.StringIO()
    show(result, Console(file=out, width=120))
    said = out.getvalue()
    for check in result.verdict.checks:
        assert check.result.value in said
    for reason in result.verdict.reasons:
        assert reason in re.sub(r"\s*\n\s*", " ", said)
    assert "not sent: POST /purge" in said


# --- compare -------------------------------------------------------------------------------------


def test_the_same_service_twice_is_not_distinguishable(tmp_path: Path) -> None:
    a, b = result_of(tmp_path, measured(seed=1)), result_of(tmp_path, measured(seed=2))
    assert not any(d.distinguishable for d in compare(a, b))


def test_a_slower_service_is_distinguishable_in_latency_and_not_in_errors(tmp_path: Path) -> None:
    a = result_of(tmp_path, measured())
    b = result_of(tmp_path, measured(latency=lambda rng: rng.expovariate(14), seed=2))
    found = {d.name: d for d in compare(a, b)}
    assert found["p95"].distinguishable
    assert found["p95"].change == pytest.approx(3.0 * (1 / 14 - 1 / 20), rel=0.3)
    assert found["p95"].low is not None
    assert 0 < found["p95"].low < found["p95"].change
    assert not found["errors"].distinguishable
    back = {d.name: d for d in compare(b, a)}
    assert back["p95"].change == -found["p95"].change


def test_comparing_what_is_not_alike_is_cautioned(tmp_path: Path) -> None:
    a, b = result_of(tmp_path), invalid(tmp_path)
    b = replace(b, source="other", profile=replace(b.profile, offered_rps=400.0))
    said = " ".join(caveats(a, b))
    assert "invalid" in said
    assert "load differs" in said
    assert "requests differ" in said
    assert caveats(a, a) == []


def test_results_of_every_kind_reach_their_exit_status(tmp_path: Path) -> None:
    from backendctl.cli.loadtest_telling import refusal

    exits = {}
    for make in (result_of, failing, undecided, invalid):
        result = make(tmp_path)
        error = refusal(result, tabled=False)
        exits[result.result] = 0 if error is None else int(error.exit)
    assert exits == {
        Result.PASS: 0,
        Result.FAIL: 1,
        Result.INCONCLUSIVE: 3,
        Result.INVALID: 4,
    }


def test_what_the_text_above_says_is_not_said_again_in_the_error(tmp_path: Path) -> None:
    from backendctl.cli.loadtest_telling import refusal

    for make in (failing, undecided, invalid):
        result = make(tmp_path)
        below, alone = refusal(result, tabled=True), refusal(result, tabled=False)
        assert below is not None
        assert alone is not None
        for reason in result.verdict.reasons:
            assert reason not in below.cause
            assert reason in alone.cause


def test_an_undecided_test_proposes_the_hold_that_decides_it(tmp_path: Path) -> None:
    from backendctl.cli.loadtest_telling import refusal

    # 200 requests in a second, all fast: 420 give the 99th percentile an upper end.
    error = refusal(undecided(tmp_path), tabled=True)
    assert error is not None
    assert error.next == ("--hold 5s",)
    assert "5s" in error.cause


def test_numbers_at_the_promise_itself_propose_no_hold(tmp_path: Path) -> None:
    from backendctl.cli.loadtest_telling import refusal

    found = measured(error_share=0.01)
    share = found.stages[0].errors / found.stages[0].count
    at = Slo(p95=0.3, p99=1.0, error_rate=share)
    error = refusal(result_of(tmp_path, found, verdict=judge((stage(),), found, at)), tabled=True)
    assert error is not None
    assert not any("--hold" in line for line in error.next)


def test_a_hold_that_went_on_is_said_in_every_report(tmp_path: Path) -> None:
    from rich.console import Console

    longer = (replace(stage(duration=10.0), extended=4.0),)
    result = result_of(tmp_path, measured(longer), longer)
    save(result)
    data = load(tmp_path).to_data()
    assert data["extended_s"] == data["stages"][0]["extended_s"] == 4.0
    said = "hold: undecided after 6.0 s, so it went on for 4.0 s more"
    out = io.StringIO()
    show(result, Console(file=out, width=120))
    assert said in out.getvalue()
    assert said in html(result)
