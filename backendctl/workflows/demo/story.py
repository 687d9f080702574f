"""The demo's plot: scaffold, up, load test, a good release, a bad one, two ways back, down."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backendctl.loadtest.profile import QUICK
from backendctl.loadtest.results import LoadTestResult
from backendctl.loadtest.traffic import Traffic
from backendctl.loadtest.verdict import Result
from backendctl.platforms.base import PersonCommand
from backendctl.rollout.events import BlockObserved, Event
from backendctl.workflows import loadtest
from backendctl.workflows.demo import shop
from backendctl.workflows.demo.recording import ReleaseStory, Step
from backendctl.workflows.demo.stage import Stage
from backendctl.workflows.deploy import Changes, deploy, rollback
from backendctl.workflows.down import down
from backendctl.workflows.environment import Opened, open_environment
from backendctl.workflows.progress import Progress
from backendctl.workflows.rollouts import Outcome
from backendctl.workflows.synthetic import readable
from backendctl.workflows.up import up

BLOCKS_BEFORE_ABORT = 2
OnEvent = Callable[[Event], None]


@dataclass(slots=True)
class Story:
    """Everything the demo did and measured."""

    seconds: float = 0.0
    steps: list[Step] = field(default_factory=list)
    load_test: LoadTestResult | None = None
    good: ReleaseStory = field(default_factory=lambda: ReleaseStory("A good release"))
    load_tested: bool = True
    """Whether a load test is part of it."""
    left: list[str] = field(default_factory=list)
    """What could not be taken away in the end."""
    bad: ReleaseStory = field(default_factory=lambda: ReleaseStory("A bad release"))
    forced: ReleaseStory = field(
        default_factory=lambda: ReleaseStory("A good release, taken back half-way by a person")
    )
    manual: ReleaseStory = field(default_factory=lambda: ReleaseStory("A rollback by hand"))

    @property
    def releases(self) -> tuple[ReleaseStory, ...]:
        """In the order in which they happened."""
        return (self.good, self.forced, self.manual, self.bad)

    @property
    def problems(self) -> list[str]:
        """What did not go as it must; empty when the demo proved its point."""
        found = []
        for story, wanted in (
            (self.good, "promoted"),
            (self.bad, "restored"),
            (self.forced, "restored"),
            (self.manual, "promoted"),
        ):
            result = story.outcome.result if story.outcome else "not run"
            if result != wanted:
                found.append(f"{story.title}: {result}, not {wanted}")
            failed = story.traffic.failed if story.traffic else 0
            if failed and story is not self.bad:
                found.append(f"{story.title}: {failed} user requests failed")
        test = self.load_test
        if self.load_tested and (test is None or test.result is Result.FAIL):
            found.append(f"load test: {test.result if test else 'not run'}")
        return [*found, *self.left]

    @property
    def remarks(self) -> list[str]:
        """What a reader should know, though it speaks of this machine and not of the product."""
        if self.load_test is None or self.load_test.result in (Result.PASS, Result.FAIL):
            return []
        reasons = "; ".join(self.load_test.verdict.reasons)
        return [f"The load test is {self.load_test.result.value}: {reasons}"]

    def data(self) -> dict[str, Any]:
        """For the JSON answer."""
        test = self.load_test
        return {
            "seconds": round(self.seconds, 2),
            "steps": [
                {"name": s.name, "seconds": round(s.seconds, 2), "result": s.result}
                for s in self.steps
            ],
            "load_test": None
            if test is None
            else {
                "offered_rps": test.offered_rps,
                "achieved_rps": test.achieved_rps,
                "p95_ms": test.p95_ms,
                "p99_ms": test.p99_ms,
                "result": test.result.value,
            },
            "good_release": self.good.data(),
            "bad_release": self.bad.data(),
            "forced_rollback": self.forced.data(),
            "manual_rollback": self.manual.data(),
            "problems": self.problems,
            "remarks": self.remarks,
        }


def tell(folder: Path, stage: Stage, progress: Progress, on_event: OnEvent) -> Story:
    """Run the whole story in `folder`, which must not exist yet; nothing is left running after it.

    Raises what any part raises; the environment is stopped first.
    """
    story = Story(load_tested=stage.load_tested)
    began = time.monotonic()
    with ExitStack() as ending:
        with _part(story, progress, "Scaffold a service") as said:
            shop.make_shop(folder)
            stage.settle(folder)
            opened = open_environment(folder, stage.environment, changes=True)
            said(f"{sum(1 for p in folder.rglob('*') if p.is_file())} files")

        def left(line: str) -> None:
            story.left.append(line)
            progress.line(line)  # also where the story ends in an error

        ending.enter_context(stage.beneath(opened, progress.detail, left))
        ending.enter_context(_stopped_in_the_end(story, opened, progress))
        with _part(story, progress, "Start it, with gateway, database and cache") as said:
            said(f"serves at {up(opened, progress, on_event).url}")
        if stage.load_tested:
            with _part(story, progress, "Load test at twice the expected peak") as said:
                planned = loadtest.plan(opened, loadtest.Wishes(durations=QUICK))
                story.load_test = loadtest.run(opened, planned, lambda _: None)
                said(_load_in_words(story.load_test))
        _releases(story, stage, opened, progress, on_event)
    story.seconds = time.monotonic() - began
    return story


@contextmanager
def _stopped_in_the_end(story: Story, opened: Opened, progress: Progress) -> Iterator[None]:
    try:
        yield
    finally:
        with _part(story, progress, "Stop everything") as said:
            down(opened, progress)
            said("nothing is left running")


def _releases(
    story: Story, stage: Stage, opened: Opened, progress: Progress, on_event: OnEvent
) -> None:
    folder = opened.project

    def release(each: ReleaseStory, change: Callable[[Path], None], watch: OnEvent) -> None:
        change(folder)
        with _under_users(story, each, stage, opened, progress):
            each.outcome = deploy(opened, Changes(note=each.title), progress, watch)
        if each.outcome.signalled:
            raise KeyboardInterrupt  # it undid the release; the rest of the story is to end too

    def watching(each: ReleaseStory) -> OnEvent:
        def watch(event: Event) -> None:
            each.record(event)
            on_event(event)

        return watch

    def taking_back(event: Event) -> None:
        watching(story.forced)(event)
        # Once it has served users for a while: taking back what nobody uses would show nothing.
        if isinstance(event, BlockObserved) and len(story.forced.blocks) == BLOCKS_BEFORE_ABORT:
            word = PersonCommand("abort", "the demo", "to show a way back", time.time())
            opened.platform.store.post(event.rollout, word)

    release(story.good, shop.improve, watching(story.good))
    release(story.forced, shop.touch_up, taking_back)
    if story.good.outcome is not None and story.good.outcome.result == "promoted":
        with _under_users(story, story.manual, stage, opened, progress):
            story.manual.outcome = rollback(opened, None, "demo", progress, watching(story.manual))
    release(story.bad, shop.spoil, watching(story.bad))


@contextmanager
def _under_users(
    story: Story, each: ReleaseStory, stage: Stage, opened: Opened, progress: Progress
) -> Iterator[None]:
    """A part of the story with users on the service, every request of theirs accounted for."""
    with _part(story, progress, each.title) as said:
        router, asked = opened.platform.router, readable(opened)
        with Traffic(router.url, stage.users_rps, asked, host=router.host) as traffic:
            time.sleep(shop.SETTLE)
            each.began = time.time()
            each.promised = opened.spec.slo.p99
            yield
            each.seconds = time.time() - each.began
        each.traffic = traffic.report
        said(_outcome_in_words(each, each.outcome))


@contextmanager
def _part(story: Story, progress: Progress, name: str) -> Iterator[Callable[[str], None]]:
    began = time.monotonic()
    result = ["failed"]
    try:
        yield lambda words: result.__setitem__(0, words)
    finally:
        step = Step(name, time.monotonic() - began, result[0])
        story.steps.append(step)
        progress.line(f"{step.name}: {step.result} ({step.seconds:.1f} s)")
        progress.emit(
            "demo", {"name": step.name, "seconds": round(step.seconds, 2), "result": step.result}
        )


def _outcome_in_words(each: ReleaseStory, outcome: Outcome | None) -> str:
    if outcome is None or each.traffic is None:
        return "failed"
    return f"{outcome.result}; {each.users_in_words}; {outcome.reason}"


def _load_in_words(test: LoadTestResult) -> str:
    return (
        f"{test.result.value}: {test.achieved_rps:g} of {test.offered_rps:g} requests/s, "
        f"p95 {test.p95_ms} ms, p99 {test.p99_ms} ms"
    )
