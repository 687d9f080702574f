"""`backendctl demo`."""

from pathlib import Path
from typing import Annotated

import typer

from backendctl.cli.contract import Answer, Session, command
from backendctl.errors import BackendctlError, Exit


@command(examples=("backendctl demo", "backendctl demo --report demo.html --output json"))
def demo(
    session: Session,
    report: Annotated[Path, typer.Option(metavar="FILE", help="The HTML report to write.")] = Path(
        "backendctl-demo.html"
    ),
) -> Answer:
    """Tell the whole story on this machine, in 90 seconds.

    Scaffolds a service into a temporary folder, starts it with Envoy, PostgreSQL and Valkey, load
    tests it at twice its expected peak, then releases under synthetic users: a good release, one
    that a person takes back half-way, a rollback by hand, and one that breaks its promises and is
    rolled back by the verdict. Stops everything and removes the folder; the report stays.
    """
    import tempfile

    from backendctl.cli.rollout_events import teller
    from backendctl.filesystem import refuse_foreign
    from backendctl.report.page import MARK
    from backendctl.workflows.demo.page import write_report
    from backendctl.workflows.demo.story import tell

    target = session.directory / report
    refuse_foreign(target, MARK)
    try:
        with tempfile.TemporaryDirectory(prefix="backendctl-demo-") as folder:
            story = tell(Path(folder) / "shop", session, teller(session))
            write_report(story, target)
    except KeyboardInterrupt as signal:
        raise _stopped() from signal
    except BackendctlError as stopped:
        if stopped.code != "interrupted":
            raise
        raise _stopped() from stopped  # what the part proposes is about a project that is gone
    error = None
    if story.problems:
        error = BackendctlError(
            "rollout.rolled-back",
            "the demo did not go as it must: " + "; ".join(story.problems),
            state="everything is stopped",
            next=(f"open {target}",),
        )
    for remark in story.remarks:
        session.line(remark)
    lines = [f"{s.seconds:6.1f} s  {s.name}: {s.result}" for s in story.steps]
    return Answer(
        data={**story.data(), "report": str(target)},
        text="\n".join([*lines, f"{story.seconds:6.1f} s  in all", f"report: {target}"]),
        exit=Exit.OK if error is None else Exit.NO,
        error=error,
    )


def _stopped() -> BackendctlError:
    return BackendctlError(
        "interrupted",
        "the demo was stopped before it was done",
        state="everything is stopped and its folder is removed; no report was written",
        next=("backendctl demo",),
    )
