"""`backendctl check`: gates that say yes or no."""

from typing import TYPE_CHECKING

from backendctl.cli.contract import Answer, Session, command, group, register
from backendctl.errors import BackendctlError, Exit

if TYPE_CHECKING:
    from rich.console import Console

    from backendctl.gates.results import Answer as Judged
    from backendctl.gates.results import Finding

app = group("Checks that say yes or no, for terminals and pipelines.")


@command(
    examples=(
        "backendctl check infra                    # every environment on AWS",
        "backendctl check infra --env prod --output json",
    )
)
def infra(session: Session) -> Answer:
    """Hold the resources that the stacks would make against the rules.

    No public database, no open ingress, encryption, backups that meet the RPO, least privilege,
    supported versions and more; --verbose lists every rule with its reason and source. The stacks'
    programs are run without AWS, so this works in CI without credentials; what AWS would say to
    them is not checked. Exceptions stand in waivers.toml, with a reason and a last day.
    Leaves with 1 where something was found.
    """
    from datetime import UTC, datetime

    from backendctl.gates.results import Result
    from backendctl.workflows.check_infra import check_infra

    with session.step("Judging what the stacks would make"):
        judged = check_infra(session.directory, session.environment, datetime.now(UTC).date())
    if judged.result is Result.TOOL_ERROR:
        raise BackendctlError(
            "gate.tool",
            "the stacks could not be judged",
            cause=judged.error or "they register no resource",
            state="nothing was checked",
            data=judged.to_data(),
        )
    error = None
    if judged.result is Result.FINDING:
        count = len(judged.findings)
        error = BackendctlError(
            "gate.finding",
            f"{count} finding{'' if count == 1 else 's'}: not every resource keeps the rules",
            state="nothing was changed",
        )
    return Answer(
        data=judged.to_data(),
        text=lambda console: _render(console, judged, session.verbose),
        exit=Exit.NO if error else Exit.OK,
        error=error,
    )


def _render(console: "Console", judged: "Judged", verbose: bool) -> None:
    for each in judged.findings:
        _finding(console, each)
    for each in judged.waived:
        excuse = each.waiver
        _finding(console, each, f"waived until {excuse.until}: {excuse.reason}" if excuse else "")
    for remark in judged.remarks:
        console.print(f"note: {remark}", markup=False)
    if verbose:
        for rule in judged.checked:
            console.print(f"{rule.rule} ({rule.subjects}): {rule.reason}", markup=False)
            console.print(f"    {rule.source}", markup=False)
    for name, count in judged.looked_at.items():
        found, waived = (
            sum(1 for each in some if each.environment == name)
            for some in (judged.findings, judged.waived)
        )
        console.print(
            f"{name}: {count} resources that the stacks would make, {len(judged.checked)} rules: "
            f"{found or 'no'} finding{'' if found == 1 else 's'}, {waived or 'none'} waived",
            markup=False,
        )


def _finding(console: "Console", each: "Finding", note: str = "") -> None:
    said = f"{each.environment}: {each.subject}: {each.message} [{each.rule}]"
    console.print(said, markup=False)
    console.print(f"    {note or f'wanted: {each.remedy}'}", markup=False)


register(app, infra)
