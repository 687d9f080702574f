"""The demo's report: one self-contained page with what users saw and what the judge knew."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from backendctl.loadtest.private import write_private
from backendctl.loadtest.traffic import TrafficSecond
from backendctl.loadtest.verdict import Result
from backendctl.report.page import Cell, Fact, Page, Section, Table, render
from backendctl.report.plot import Mark, Point, Rule, Series, Tone, line_plot
from backendctl.rollout.events import BlockObserved
from backendctl.rollout.verdict import Decision, Judgement
from backendctl.workflows.demo.recording import ReleaseStory
from backendctl.workflows.demo.story import Story

TONES: dict[Result, Tone] = {
    Result.PASS: "good",
    Result.FAIL: "bad",
    Result.INCONCLUSIVE: "unsure",
    Result.INVALID: "unsure",
}
LEAST = 1e-3
"""Evidence below this is drawn at it: less says no more."""


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
        _found(story.bad),
    ]
    if test is not None:
        tone: Tone = TONES[test.result]
        facts.insert(1, Fact("load test", test.result.value, f"p99 {test.p99_ms} ms", tone))
    return Page(
        title="backendctl demo",
        verdict="It went as promised" if not problems else "It did not go as promised",
        tone="good" if not problems else "bad",
        summary=[
            *(problems or ["The good release was promoted, the bad one found and undone."]),
            *story.remarks,
        ],
        facts=facts,
        sections=[_steps(story), *(_release(each) for each in story.releases)],
    )


def _lost(each: ReleaseStory) -> Fact:
    failed = each.traffic.failed if each.traffic else 0
    tone: Tone = "good" if failed == 0 else "bad"
    return Fact(each.title, f"{failed} failed", each.users_in_words, tone)


def _found(bad: ReleaseStory) -> Fact:
    """The point of it all: how long the bad release had users, and how many it failed."""
    undone = bad.outcome is not None and bad.outcome.result == "restored"
    value = f"undone in {bad.seconds:.0f} s" if undone else "not undone"
    note = f"it got {bad.candidate_requests:,} requests; {bad.users_in_words}"
    return Fact(bad.title, value, note, "good" if undone else "bad")


def _steps(story: Story) -> Section:
    rows: list[list[Cell | str]] = [
        [s.name, Cell(f"{s.seconds:.1f}", numeric=True), s.result] for s in story.steps
    ]
    return Section("What happened", tables=[Table("Steps", ["step", "seconds", "result"], rows)])


def _release(each: ReleaseStory) -> Section:
    outcome = each.outcome
    text = [outcome.reason] if outcome and outcome.reason else []
    if outcome and outcome.tail:
        text += ["The release's last log lines:", *outcome.tail]
    plots = [_weights(each)]
    if each.traffic:
        seconds = sorted(each.traffic.seconds.values(), key=lambda second: second.at)
        plots += [_requests(each.began, seconds), _latencies(each.began, seconds)]
    if each.blocks:
        plots.append(_arms(each.began, each.blocks))
    judged = [(b.at - each.began, b.judgement) for b in each.blocks if b.judgement is not None]
    if judged:
        plots.append(_evidence(judged))
    return Section(each.title, text=text, plots=plots)


def _weights(each: ReleaseStory) -> Markup:
    points = [(0.0, 0.0), *((at, float(share)) for at, share in each.weights)]
    points.append((each.seconds, points[-1][1]))
    return line_plot(
        "Share of requests that went to the new release",
        [Series("new release", points, step=True)],
        x_label="seconds",
        y_label="percent",
        y_high=100.0,
    )


def _requests(began: float, seconds: Sequence[TrafficSecond]) -> Markup:
    return line_plot(
        "User requests per second",
        [
            Series("sent", [(s.at - began, float(s.count)) for s in seconds]),
            Series("failed", [(s.at - began, float(s.failed)) for s in seconds], colour=2),
        ],
        x_label="seconds",
        y_label="requests/s",
    )


def _latencies(began: float, seconds: Sequence[TrafficSecond]) -> Markup:
    return line_plot(
        "Latency as users saw it, from the moment each request was due",
        [
            Series(name, [(s.at - began, s.latency_ms(q)) for s in seconds], colour=colour)
            for name, q, colour in (("median", 0.5, 1), ("p95", 0.95, 3))
        ],
        x_label="seconds",
        y_label="ms",
        log_y=True,
    )


def _arms(began: float, blocks: Sequence[BlockObserved]) -> Markup:
    old: list[Point] = []
    new: list[Point] = []
    errors: list[Point] = []
    for each in blocks:
        at, block = each.at - began, each.block
        for points, arm, of_errors in (
            (old, block.stable, False),
            (new, block.candidate, False),
            (errors, block.candidate, True),
        ):
            if arm is not None and block.seconds > 0:
                count = arm.errors if of_errors else arm.requests
                points.append((at, count / block.seconds))
            else:
                points.append((at, None))
    return line_plot(
        "Requests per second by release, as the gateway counted them",
        [
            Series("old release", old),
            Series("new release", new, colour=3),
            Series("errors of the new release", errors, colour=2),
        ],
        x_label="seconds",
        y_label="requests/s",
    )


def _evidence(judged: Sequence[tuple[float, Judgement]]) -> Markup:
    last_at, last = judged[-1]
    return line_plot(
        "Evidence against the new release (undone at the limit)",
        [Series("evidence", [(at, max(j.numbers["evidence"], LEAST)) for at, j in judged])],
        x_label="seconds",
        y_label="evidence",
        rules=[Rule(last.numbers["evidence_limit"], "limit")],
        marks=[Mark(last_at, "undone", "bad")] if last.decision is Decision.FAIL else [],
        log_y=True,
    )
