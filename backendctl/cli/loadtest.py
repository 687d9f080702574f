"""`backendctl loadtest run | plan | report | compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from backendctl.cli.contract import Answer, Output, Session, command, group, register
from backendctl.cli.loadtest_telling import Teller, limits_of_errors, refusal
from backendctl.errors import BackendctlError

if TYPE_CHECKING:
    from rich.console import Console

    from backendctl.loadtest.compare import Difference
    from backendctl.loadtest.results import LoadTestResult
    from backendctl.workflows.loadtest import Aim, Plan, Wishes

app = group("Offer twice the peak; hold the service to its word.")

Target = Annotated[
    str,
    typer.Option(
        "--target", metavar="URL", help="Load this instead of the environment's own address."
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="About 15 s in all; enough for peaks from 60 requests/s.")
]
Hold = Annotated[
    str,
    typer.Option(
        "--hold",
        metavar="DURATION",
        help="How long to hold twice the peak, such as 5m; if not said, a minute or as needed.",
    ),
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="spike|soak|stress",
        envvar="BACKENDCTL_LOADTEST_WITH",
        help="Also run: spike (3 times the peak), soak (the peak for half an hour), stress (ever "
        "more, until a promise breaks). Repeatable.",
    ),
]
Only = Annotated[
    str,
    typer.Option(
        "--only",
        metavar="open|closed",
        help="Only requests that arrive whatever happens (open), or only users who wait and "
        "think (closed).",
    ),
]
Locustfile = Annotated[
    Path | None,
    typer.Option(
        "--locustfile", metavar="FILE", help="Your own Locust users, in place of the closed loop's."
    ),
]
Paths = Annotated[
    list[str] | None,
    typer.Option(
        "--path", metavar="PATH", help="GET this instead of what OpenAPI describes. Repeatable."
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="NUMBER", help="The same seed sends the same requests.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="NUMBER", min=1, help="Processes that send; as needed if not said."
    ),
]
FromHere = Annotated[
    bool,
    typer.Option("--from-here", help="From this machine, though pods in the cluster could send."),
]
Confirm = Annotated[
    str | None,
    typer.Option(
        "--confirm", metavar="NAME", help="The name to type when the target is not on this machine."
    ),
]
Id = Annotated[str | None, typer.Argument(metavar="ID", help="A kept test; the newest if none.")]


@command(
    examples=(
        "backendctl loadtest run",
        "backendctl loadtest run --quick",
        "backendctl loadtest run --with stress",
        "backendctl loadtest run --env staging --confirm staging --output json",
        "backendctl loadtest run --junit loadtest.xml        # in CI",
    )
)
def run(
    session: Session,
    target: Target = "",
    quick: Quick = False,
    hold: Hold = "",
    with_: With = None,
    only: Only = "",
    locustfile: Locustfile = None,
    path: Paths = None,
    seed: Seed = 1,
    workers: Workers = None,
    from_here: FromHere = False,
    confirm: Confirm = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Also write the JUnit XML here.")
    ] = None,
) -> Answer:
    """Load the service at twice its peak and judge it by its promises.

    Once with requests that arrive whatever the service does (open loop), once with users who wait
    and think (closed loop). Latency counts from the moment each request was due, so a stall cannot
    hide itself. Requests come from the service's OpenAPI document. Where twice the peak has been
    held and nothing is decided yet, it is held once more, for as long again at most.

    Where the environment has a driver_image, pods of that send the load, not this machine.

    Exit status: 0 passed, 1 a promise is broken, 3 too short to decide, 4 the measurement cannot
    be trusted, 5 the target does not answer.
    """
    from dataclasses import replace

    from backendctl.filesystem import atomic_write, refuse_foreign
    from backendctl.loadtest.reports import terminal
    from backendctl.loadtest.reports.junit import MARK
    from backendctl.loadtest.results import JUNIT_FILE
    from backendctl.workflows import loadtest

    own = session.directory / locustfile if locustfile is not None else None
    wishes = replace(
        _wishes(target, quick, hold, with_, only, own, path, seed), workers=workers, here=from_here
    )
    xml = session.directory / junit if junit is not None else None
    if xml is not None:
        refuse_foreign(xml, MARK)
    opened = session.open(changes=True)
    _confirm(session, loadtest.aim(opened, wishes), confirm)
    planned = loadtest.plan(opened, wishes)
    for note in planned.profile.notes:
        session.line(f"note: {note}")
    with session.step(f"Load test of {planned.environment}") as say:
        result = loadtest.run(opened, planned, Teller(session, say), say)
    if xml is not None:
        atomic_write(xml, (result.folder / JUNIT_FILE).read_bytes(), 0o644)
    error = refusal(result, tabled=session.output is Output.TEXT)
    limits = limits_of_errors(opened.spec.slo)

    def show(console: "Console") -> None:
        terminal.show(result, console)
        console.print(limits, markup=False)

    return Answer(
        data=_data(result),
        text=show,
        exit=0 if error is None else error.exit,
        error=error,
    )


@command(examples=("backendctl loadtest plan", "backendctl loadtest plan --with spike"))
def plan(
    session: Session,
    target: Target = "",
    quick: Quick = False,
    hold: Hold = "",
    with_: With = None,
    only: Only = "",
    locustfile: Locustfile = None,
    path: Paths = None,
) -> Answer:
    """Show what would be sent where.

    Sends nothing but a look at the OpenAPI document.
    """
    from backendctl.workflows import loadtest

    own = session.directory / locustfile if locustfile is not None else None
    wishes = _wishes(target, quick, hold, with_, only, own, path, 1)
    opened = session.open(changes=False)
    planned = loadtest.plan(opened, wishes)
    data = {
        "environment": planned.environment,
        "target": planned.target,
        "needs_confirmation": planned.needs_confirmation,
        "profile": planned.profile.to_data(),
        "source": planned.scenario.source,
        "operations": [{"name": o.name, "weight": o.weight} for o in planned.scenario.operations],
        "left_out": dict(planned.scenario.left_out),
        "locustfile": str(planned.locustfile) if planned.locustfile else None,
    }
    return Answer(data=data, text=lambda console: _show_plan(planned, console))


@command(
    examples=(
        "backendctl loadtest report",
        "backendctl loadtest report --list",
        "backendctl loadtest report 20260401-101500-3f2a --output json",
    )
)
def report(
    session: Session,
    id: Id = None,
    list_: Annotated[
        bool,
        typer.Option(
            "--list", envvar="BACKENDCTL_LOADTEST_REPORT_LIST", help="Only list the kept tests."
        ),
    ] = False,
) -> Answer:
    """Show a kept load test, and where its page is."""
    from backendctl.loadtest.reports import terminal
    from backendctl.loadtest.results import kept, load
    from backendctl.workflows import loadtest

    opened = session.open(changes=False)
    if list_:
        root = loadtest.results_root(opened)
        found = [load(root / name) for name in kept(root)]
        rows = [
            {"id": r.id, "result": r.result.value, "offered_rps": r.offered_rps, "p95_ms": r.p95_ms}
            for r in found
        ]
        lines = [f"{r['id']}  {r['result']:<12}  {r['offered_rps']:>8,.1f}/s" for r in rows]
        where = opened.environment.name
        return Answer(
            data={"environment": where, "loadtests": rows},
            text="\n".join(lines) or f"{where} has no load test yet.",
        )
    result = loadtest.find(opened, id)
    return Answer(data=_data(result), text=lambda console: terminal.show(result, console))


@command(examples=("backendctl loadtest compare 20260401-101500-3f2a 20260402-090000-77aa",))
def compare(
    session: Session,
    before: Annotated[str, typer.Argument(help="The earlier test.")],
    after: Annotated[str | None, typer.Argument(help="The later one; the newest if none.")] = None,
) -> Answer:
    """Say what differs between two tests beyond noise."""
    from backendctl.loadtest.compare import caveats
    from backendctl.loadtest.compare import compare as differences_of
    from backendctl.workflows import loadtest

    opened = session.open(changes=False)
    a, b = loadtest.find(opened, before), loadtest.find(opened, after)
    differences, doubts = differences_of(a, b), caveats(a, b)
    data = {
        "environment": opened.environment.name,
        "before": a.id,
        "after": b.id,
        "caveats": doubts,
        "differences": [d.to_data() for d in differences],
    }
    return Answer(
        data=data, text=lambda console: _show_differences(console, a.id, b.id, differences, doubts)
    )


register(app, run, plan, report, compare)


# --- what was asked for --------------------------------------------------------------------------


def _wishes(
    target: str,
    quick: bool,
    hold: str,
    with_: list[str] | None,
    only: str,
    locustfile: Path | None,
    paths: list[str] | None,
    seed: int,
) -> "Wishes":
    from dataclasses import replace

    from backendctl.loadtest.profile import QUICK, Durations, Extra, Loop
    from backendctl.spec.units import DURATION, UnitError
    from backendctl.workflows.loadtest import Wishes

    durations = QUICK if quick else Durations()
    if hold:
        try:
            seconds = DURATION.parse(hold)
        except UnitError as error:
            raise _usage("--hold", hold, DURATION.accepted) from error
        durations = replace(durations, hold=seconds, closed=seconds)
    extras = set()
    for word in (part.strip() for each in with_ or () for part in each.split(",")):
        if word not in set(Extra):
            raise _usage("--with", word, ", ".join(Extra))
        extras.add(Extra(word))
    if only and only not in set(Loop):
        raise _usage("--only", only, ", ".join(Loop))
    for each in paths or ():
        if not each.startswith("/"):
            raise _usage("--path", each, 'a path such as "/items"')
    return Wishes(
        target=target,
        durations=durations,
        extras=frozenset(extras),
        loops=frozenset({Loop(only)}) if only else frozenset(Loop),
        locustfile=locustfile,
        paths=tuple(paths or ()),
        seed=seed,
    )


def _usage(option: str, given: str, accepted: str) -> BackendctlError:
    return BackendctlError(
        "usage", f"{option} {given!r} is not understood", cause=f"accepted: {accepted}"
    )


def _confirm(session: Session, aimed: "Aim", given: str | None) -> None:
    if not aimed.needs_confirmation:
        return
    from backendctl.loadtest.target import host_of, is_this_machine

    # A target of one's own choice is confirmed by its host: the environment's name says nothing.
    elsewhere = aimed.environment == "local" and not is_this_machine(aimed.target)
    word = host_of(aimed.target) if elsewhere else aimed.environment
    session.confirm_typed(
        f"This sends up to {max(s.to_rate for s in aimed.profile.stages):,.0f} requests/s for "
        f"{aimed.profile.seconds:.0f} s to {aimed.target} ({aimed.environment}).",
        word,
        given,
    )


# --- what is said --------------------------------------------------------------------------------


def _data(result: "LoadTestResult") -> dict[str, Any]:
    from backendctl.loadtest.results import HTML_FILE, JUNIT_FILE

    return {
        **result.to_data(),
        "report": str(result.folder / HTML_FILE),
        "junit": str(result.folder / JUNIT_FILE),
    }


def _show_plan(planned: "Plan", console: "Console") -> None:
    from backendctl.loadtest.profile import Loop

    profile = planned.profile
    lines = [
        f"Target   {planned.target} ({planned.environment})"
        + (", needs a typed confirmation" if planned.needs_confirmation else ""),
        f"Peak     {profile.peak_rps:,.1f} requests/s expected, {profile.offered_rps:,.1f} offered",
        f"Time     at least {profile.seconds:.0f} s",
        f"Limits   p95 {profile.limits.p95 * 1000:,.0f} ms, p99 {profile.limits.p99 * 1000:,.0f} "
        f"ms, errors {profile.limits.error_rate:.2%}; a request times out after "
        f"{profile.request_timeout:g} s",
        "",
        "Stages",
    ]
    for stage in profile.stages:
        load = (
            f"{stage.to_rate:,.1f} requests/s"
            if stage.loop is Loop.OPEN
            else f"{stage.users:,} users who think {profile.think_time:g} s"
        )
        until = f" up to {stage.most:.0f} s, until stable" if stage.most else ""
        if stage.spare:
            until = f" and up to {stage.spare:.0f} s more where undecided"
        judged = "  judged" if stage.judged else ""
        lines.append(f"  {stage.name:<14} {stage.duration:7.1f} s{until}  {load}{judged}")
    lines += ["", f"Requests, from {planned.scenario.source}"]
    total = sum(o.weight for o in planned.scenario.operations)
    lines += [f"  {o.weight / total:6.1%}  {o.name}" for o in planned.scenario.operations]
    lines += [f"  not sent  {name}: {why}" for name, why in planned.scenario.left_out.items()]
    if planned.locustfile:
        lines += [f"  closed loop: the users of {planned.locustfile}"]
    lines += [f"note: {note}" for note in profile.notes]
    console.print("\n".join(lines), markup=False)


def _show_differences(
    console: "Console",
    before: str,
    after: str,
    differences: "list[Difference]",
    doubts: list[str],
) -> None:
    from rich import box
    from rich.table import Table

    from backendctl.loadtest.reports.words import milliseconds, percent

    for doubt in doubts:
        console.print(f"caution: {doubt}", markup=False)
    table = Table(
        title=f"{before} -> {after}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
    )
    for name in ("stage", "", "before", "after", "change", "from", "to", "real"):
        justify: Literal["left", "right"] = "left" if name in ("stage", "") else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for d in differences:
        show = percent if d.name == "errors" else milliseconds
        numbers = (show(v) for v in (d.before, d.after, d.change, d.low, d.high))
        table.add_row(d.stage, d.name, *numbers, "yes" if d.distinguishable else "no")
    console.print(table)
    console.print("real: the interval of the change leaves out zero; noise does not explain it.")
