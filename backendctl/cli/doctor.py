"""`backendctl doctor`."""

from dataclasses import asdict

from backendctl.cli.contract import Answer, Session, command
from backendctl.errors import BackendctlError, Exit


@command(
    examples=(
        "backendctl doctor",
        "backendctl doctor --env staging",
        "backendctl doctor --output json",
    )
)
def doctor(session: Session) -> Answer:
    """Check this machine, this project and what runs of it.

    Tools, embedded servers, disk, backend.toml, stopped servers, locks and rollouts left behind.
    With --env of an environment in a cluster: whether that is reached and by whom, the Gateway API
    and the gateway, all permissions that a deploy needs, what `infra up` makes, registry, numbers,
    and the tools for images and stacks.
    """
    from backendctl.workflows.doctor import examine
    from backendctl.workflows.doctor_check import Level

    checks = examine(session.directory, session.environment)
    marks = {Level.OK: "ok  ", Level.WARNING: "warn", Level.FAILED: "FAIL"}
    lines = []
    for check in checks:
        lines.append(f"{marks[check.level]}  {check.name:<18} {check.found}")
        if check.next:
            (following,) = session.completed((check.next,))
            lines.append(f"      {'':<18} next: {following}")
    failed = [check.name for check in checks if check.level is Level.FAILED]
    error = None
    if failed:
        error = BackendctlError(
            "missing.check",
            f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}",
            next=tuple(dict.fromkeys(c.next for c in checks if c.level is Level.FAILED and c.next)),
        )
    return Answer(
        data={"checks": [asdict(check) for check in checks]},
        text="\n".join(lines),
        exit=Exit.MISSING if failed else Exit.OK,
        error=error,
    )
