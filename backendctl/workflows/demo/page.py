"""The demo's report: one self-contained page with what users saw and what the judge knew."""

from pathlib import Path

from backendctl.loadtest.results import write_private
from backendctl.report.page import Cell, Fact, Page, Section, Table, render
from backendctl.report.plot import Mark, Rule, Series, line_plot
from backendctl.workflows.demo.recording import ReleaseStory
from backendctl.workflows.demo.story import Story


def write_report(story: Story, target: Path) -> None:
    """Write the page to `target`, readable by its owner only."""
    write_private(target, render(page(story)))


def page(story: Story) -> Page:
    """The whole story as a page."""
    problems = story.problems
    test = story.load_test
    facts = [
        Fact("in all", f"{story.seconds:.0f} s"),
        *(_lost(each) for each in (story.good, story.forced, story.manual)),
    ]
    if test is not None:
        tone = "good" if test.result == "pass" else "bad"
        facts.insert(1, Fact("load test", test.result.value, f"p99 {test.p99_ms} ms", tone))
    return Page(
        title="backendctl demo",
        verdict="It went as promised" if not problems else "It did not go as promised",
        tone="good" if not problems else "bad",
        summary=problems or ["The good release serves, the bad one was found and undone."],
        facts=facts,
        sections=[_steps(story), *(_release(each) for each in story.releases)],
    )


def _lost(each: ReleaseStory) -> Fact:
    failed = each.traffic.failed if each.traffic else 0
    count = each.traffic.count if each.traffic else 0
    tone = "good" if failed == 0 else "bad"
    return Fact(each.title, f"{failed} failed", f"of {count} user requests", tone)


def _steps(story: Story) -> Section:
    rows = [[s.name, Cell(f"{s.seconds:.1f}", numeric=True), s.result] for s in story.steps]
    return Section("What happened", tables=[Table("Steps", ["step", "seconds", "result"], rows)])


def _release(each: ReleaseStory) -> Section:
    outcome = each.outcome
    text = [outcome.reason] if outcome and outcome.reason else []
    if outcome and outcome.tail:
        text += ["The release's last log lines:", *outcome.tail]
    plots = [_weights(each)]
    if each.traffic:
        plots += [_requests(each), _latencies(each)]
    if any(block.judgement is not None for block in each.blocks):
        plots.append(_evidence(each))
    return Section(each.title, text=text, plots=[p for p in plots if p])


def _weights(each: ReleaseStory):
    points = [(0.0, 0.0), *((at, float(share)) for at, share in each.weights)]
    points.append((each.seconds, points[-1][1]))
    return line_plot(
        "Share of requests that went to the new release",
        [Series("new release", points, step=True)],
        x_label="seconds",
        y_label="percent",
        y_high=100.0,
    )


def _requests(each: ReleaseStory):
    seconds = sorted(each.traffic.seconds.values(), key=lambda s: s.at)
    shift = each.began
    return line_plot(
        "User requests per second",
        [
            Series("sent", [(s.at - shift, float(s.count)) for s in seconds]),
            Series("failed", [(s.at - shift, float(s.failed)) for s in seconds], colour=2),
        ],
        x_label="seconds",
        y_label="requests/s",
    )


def _latencies(each: ReleaseStory):
    seconds = sorted(each.traffic.seconds.values(), key=lambda s: s.at)
    shift = each.began
    return line_plot(
        "Latency as users saw it, from the moment each request was due",
        [
            Series(name, [(s.at - shift, s.latency_ms(q)) for s in seconds], colour=colour)
            for name, q, colour in (("median", 0.5, 1), ("p95", 0.95, 3))
        ],
        x_label="seconds",
        y_label="ms",
        log_y=True,
    )


def _evidence(each: ReleaseStory):
    judged = [b for b in each.blocks if b.judgement is not None]
    limit = judged[-1].judgement.numbers["evidence_limit"]
    points = [(b.at - each.began, max(b.judgement.numbers["evidence"], 1e-3)) for b in judged]
    return line_plot(
        "Evidence against the new release (undone at the limit)",
        [Series("evidence", points)],
        x_label="seconds",
        y_label="evidence",
        rules=[Rule(limit, "limit")],
        marks=[Mark(b.at - each.began, b.judgement.decision.value) for b in judged[-1:]],
        log_y=True,
    )
