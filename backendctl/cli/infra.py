"""`backendctl infra preview | up | drift | destroy | outputs | unlock | cost | adopt | install`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backendctl.cli.contract import Answer, Session, command, group, register
from backendctl.errors import BackendctlError, Exit

if TYPE_CHECKING:
    from backendctl.workflows.infra.opened import Opened
    from backendctl.workflows.infra.preview import Previewed

app = group("The stacks that an environment stands on.")

DetailedExitcode = Annotated[
    bool,
    typer.Option("--detailed-exitcode", help="Leave with 1 where something differs, 0 where not."),
]


def _open(session: Session, *, changes: bool) -> "Opened":
    from backendctl.workflows.infra.opened import open_stacks

    opened = open_stacks(session.directory, session.environment, changes=changes)
    session.environment = opened.environment.name
    return opened


def _place(opened: "Opened") -> str:
    """The environment, and the cluster that is meant: for whoever is asked whether to go on."""
    name = opened.environment.name
    return name if opened.target is None else f"{name}, in {opened.target.in_words()}"


@command(
    examples=(
        "backendctl infra preview --env prod",
        "backendctl infra preview --env prod --save plan.json --detailed-exitcode",
    )
)
def preview(
    session: Session,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Write the plan to this file, for `infra up`."),
    ] = None,
    detailed_exitcode: DetailedExitcode = False,
) -> Answer:
    """Show what `infra up` would change, why, and what it would cost.

    Nothing is changed. The plan that --save writes holds `infra up --plan FILE` to what is shown.
    """
    from backendctl.workflows.infra import preview as workflow

    found = workflow.preview(_open(session, changes=False).targeted(), session)
    if save is not None:
        workflow.save_plan(found, save)
    changed = detailed_exitcode and found.changes > 0
    return Answer(
        data={**found.data(), "plan": None if save is None else str(save)},
        text="\n".join(found.lines()),
        exit=Exit.NO if changed else Exit.OK,
        error=_would_change(found) if changed else None,
    )


def _would_change(found: "Previewed") -> BackendctlError:
    noun = "resource" if found.changes == 1 else "resources"
    return BackendctlError(
        "infra.changes",
        f"{found.environment}: {found.changes} {noun} would change",
        state="nothing was changed",
        next=("backendctl infra up",),
    )


@command(
    examples=(
        "backendctl infra up --env prod",
        "backendctl infra up --env prod --plan plan.json --yes",
    )
)
def up(
    session: Session,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan", metavar="FILE", help="Do what this file of `infra preview --save` says."
        ),
    ] = None,
) -> Answer:
    """Bring the stacks up, after showing what changes.

    And what that costs, and asking. What is done is held to what was shown: anything else stops it,
    and what was already applied is named. With --plan there is no new preview: it was approved
    elsewhere.
    """
    from backendctl.workflows.infra import preview as workflow

    opened = _open(session, changes=True).targeted()
    where = opened.environment.name

    def approve(found: "Previewed") -> None:
        for line in found.lines():
            session.line(line)
        if found.changes:
            session.confirm(f"Make these {found.changes} changes in {_place(opened)}?")

    if plan is not None:
        session.confirm(f"Do what {plan} says in {_place(opened)}?")
    done = workflow.up(opened, session, approve, plan)
    following = session.completed(("backendctl up",))
    lines = list(done.lines()) or [f"{where}: everything is as it should be."]
    return Answer(
        data={**done.data(), "next": list(following)},
        text="\n".join([*lines, *(f"next: {line}" for line in following)]),
    )


@command(
    examples=("backendctl infra drift --env prod", "backendctl infra drift --env prod -o json")
)
def drift(session: Session) -> Answer:
    """Compare what is there with what the stacks made.

    Leaves with 1 where it differs. Nothing is changed. What releases own (their Deployments,
    routes, secrets) is not compared.
    """
    from backendctl.workflows.infra import drift as workflow

    found = workflow.drift(_open(session, changes=False).targeted(), session)
    error = None
    if found.found:
        error = BackendctlError(
            "infra.drift",
            f"{found.environment}: {found.found} of {found.looked_at} resources were changed",
            state="nothing was changed by looking",
            next=("backendctl infra preview", "backendctl infra up"),
        )
    return Answer(
        data=found.data(),
        text="\n".join(found.lines()),
        exit=Exit.NO if error else Exit.OK,
        error=error,
    )


@command(
    examples=("backendctl infra outputs --env prod", "backendctl infra outputs -e prod -o json")
)
def outputs(
    session: Session,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Show secret values in clear.")
    ] = False,
) -> Answer:
    """Show what the stacks export: addresses, names, identifiers."""
    from backendctl.workflows.infra import states

    opened = _open(session, changes=False)
    found = states.outputs(opened, session, show_secrets=show_secrets)
    lines = [
        f"{stack}.{name} = {value}" for stack, each in found.items() for name, value in each.items()
    ]
    where = opened.environment.name
    return Answer(
        data={"environment": where, "stacks": found},
        text="\n".join(lines) if lines else f"{where}: no stack is up.",
    )


@command(
    examples=(
        "backendctl infra destroy --env staging",
        "backendctl infra destroy --env staging --keep-data --confirm staging",
    )
)
def destroy(
    session: Session,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Delete all but what holds data, and what it needs.")
    ] = False,
    delete_data: Annotated[
        bool,
        typer.Option("--delete-data", help="Delete what holds data too, leaving final snapshots."),
    ] = False,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="NAME", help="The environment's name, typed again."),
    ] = None,
) -> Answer:
    """Delete the stacks of an environment, after naming what is lost.

    What holds data is looked for first: nothing is deleted until it is said what becomes of it. A
    database leaves a final snapshot. The environment's name has to be typed; --yes is not enough.
    """
    from backendctl.workflows.infra import destroy as workflow

    if keep_data and delete_data:
        raise BackendctlError("usage", "--keep-data and --delete-data exclude each other")
    opened = _open(session, changes=True).targeted()
    where = opened.environment.name

    def approve(losses: workflow.Losses) -> None:
        for line in losses.lines():
            session.line(line)
        if losses.resources:
            what = "everything, data included," if delete_data else "the stacks"
            session.confirm_typed(f"Delete {what} of {_place(opened)}?", where, confirm)
        elif losses.adopted:
            session.confirm_typed(f"Forget what was adopted in {where}?", where, confirm)

    done = workflow.destroy(opened, session, approve, keep_data=keep_data, delete_data=delete_data)
    lines = list(done.lines())
    return Answer(
        data=done.data(), text="\n".join(lines) if lines else f"{where}: there was no stack."
    )


@command(
    examples=(
        "backendctl infra unlock --env prod",
        "backendctl infra unlock --env prod --exists URN=vpc-0a1b2c",
    )
)
def unlock(
    session: Session,
    exists: Annotated[
        list[str] | None,
        typer.Option(
            "--exists",
            metavar="URN=ID",
            help="A creation that was cut off made this; can be given several times.",
        ),
    ] = None,
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm", metavar="NAME", help="The environment's name, for another machine's lock."
        ),
    ] = None,
) -> Answer:
    """Take away a dead run's lock, settle what it left.

    Says whose lock it is and since when, and which operations were cut off; writes a backup of the
    state first. The lock of a run that lives on this machine is never taken.
    """
    from backendctl.workflows.infra import recovery

    opened = _open(session, changes=True)
    where = opened.environment.name

    def approve(damage: recovery.Damage) -> None:
        for line in damage.lines():
            session.line(line)
        if damage.foreign:
            question = "Whether that run still lives cannot be seen from this machine. Unlock?"
            session.confirm_typed(question, where, confirm)
        else:
            session.confirm("Unlock, and settle what was cut off?")

    done = recovery.unlock(opened, session, approve, _pairs(exists or []))
    return Answer(data=done.data(), text="\n".join(done.lines()))


@command(examples=("backendctl infra cost --env prod", "backendctl infra cost -e prod -o json"))
def cost(session: Session) -> Answer:
    """Estimate what an environment on AWS costs a month.

    Each line is explained. From a dated table of list prices, without asking anybody: no tax,
    discount or free tier, and what depends on use is named, not guessed.
    """
    from backendctl.workflows.infra.cost import cost as workflow

    opened = _open(session, changes=False)
    found = workflow(opened)
    return Answer(
        data={"environment": opened.environment.name, **found.data()},
        text="\n".join(found.text_lines()),
    )


@command(
    examples=(
        "backendctl infra adopt deployment web --env prod",
        "backendctl infra adopt service legacy/web --env prod",
    )
)
def adopt(
    session: Session,
    kind: Annotated[
        str,
        typer.Argument(help="deployment, service, configmap; on AWS vpc, database, cluster."),
    ],
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="Its name, or NAMESPACE/NAME; on AWS its id.")
    ],
) -> Answer:
    """Take something that exists into the picture.

    It is not changed, replaced or stopped by that. `infra drift` compares it from then on. No
    command of ours changes it, and `infra destroy` only forgets it.
    """
    from backendctl.workflows.infra.adopt import KINDS
    from backendctl.workflows.infra.adopt import adopt as workflow

    opened = _open(session, changes=True)
    opened = opened.targeted(always=kind in KINDS)

    def approve(found: str) -> None:
        session.confirm(f"Take {kind} {found} into the picture of {_place(opened)}?")

    done = workflow(opened, session, kind, identifier, approve)
    return Answer(data=done.data(), text="\n".join(done.lines()))


@command(examples=("backendctl infra install --env prod",))
def install(session: Session) -> Answer:
    """Install the pulumi program and its plugins.

    Those that an environment needs, where they are missing. At pinned versions, each archive
    checked against the checksum that its release publishes.
    """
    from backendctl.workflows.infra.installing import install_tools

    done = install_tools(_open(session, changes=False), session)
    plugins = "".join(f", plugin {n} {v}" for n, v in done.plugins.items())
    verb = "installed" if done.fresh or done.plugins else "nothing was missing:"
    return Answer(
        data=done.data(),
        text=f"{verb} pulumi {done.program.version} at {done.program.program}{plugins}",
    )


def _pairs(given: list[str]) -> dict[str, str]:
    found = {}
    for each in given:
        urn, equals, identifier = each.rpartition("=")
        if not equals or not urn.startswith("urn:pulumi:"):
            raise BackendctlError("usage", f"--exists takes URN=ID, not {each!r}")
        found[urn] = identifier
    return found


register(app, preview, up, drift, destroy, outputs, unlock, cost, adopt, install)
