"""`backendctl demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backendctl.cli.contract import Answer, Session, command
from backendctl.errors import BackendctlError, Exit

if TYPE_CHECKING:
    from backendctl.workflows.demo.stage import Stage


@command(
    examples=(
        "backendctl demo",
        "backendctl demo --report demo.html --output json",
        "backendctl demo --env kubernetes --registry ghcr.io/acme --gateway-class eg",
    )
)
def demo(
    session: Session,
    report: Annotated[Path, typer.Option(metavar="FILE", help="The HTML report to write.")] = Path(
        "backendctl-demo.html"
    ),
    registry: Annotated[
        str,
        typer.Option(metavar="HOST/PATH", help="In a cluster: where its images are pushed to."),
    ] = "",
    context: Annotated[
        str, typer.Option(metavar="NAME", help="In a cluster: the kubeconfig's context.")
    ] = "",
    gateway_class: Annotated[
        str, typer.Option(metavar="NAME", help="In a cluster: the class of a Gateway of its own.")
    ] = "",
    gateway: Annotated[
        str,
        typer.Option(metavar="NAMESPACE/NAME", help="In a cluster: an existing Gateway instead."),
    ] = "",
    python_image: Annotated[
        str, typer.Option(metavar="IMAGE", help="In a cluster: what its images start from.")
    ] = "",
) -> Answer:
    """Tell the whole story in 90 seconds.

    On this machine, or in a cluster. Scaffolds a service into a temporary folder, starts it with
    Envoy, PostgreSQL and Valkey, load tests it at twice its expected peak, then releases under
    synthetic users: a good release, one that a person takes back half-way, a rollback by hand, and
    one that breaks its promises and is rolled back by the verdict. Stops everything and removes the
    folder; the report stays.

    With --env kubernetes it does the same in a namespace of its own, deleted in the end, with
    images that it builds; without the load test, since a cluster has others to serve.
    """
    import tempfile

    from backendctl.cli.rollout_events import teller
    from backendctl.filesystem import refuse_foreign
    from backendctl.report.page import MARK
    from backendctl.workflows.demo.page import write_report
    from backendctl.workflows.demo.story import tell

    place = _place(session.environment, registry, context, gateway_class, gateway, python_image)
    target = session.directory / report
    refuse_foreign(target, MARK)
    try:
        with tempfile.TemporaryDirectory(prefix="backendctl-demo-") as folder:
            story = tell(Path(folder) / "shop", place, session, teller(session))
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
            state="not everything is taken away" if story.left else "everything is stopped",
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


def _place(
    environment: str | None,
    registry: str,
    context: str,
    gateway_class: str,
    gateway: str,
    python_image: str,
) -> "Stage":
    from backendctl.workflows.demo.in_cluster import ENVIRONMENT, Place, in_cluster
    from backendctl.workflows.demo.stage import LOCAL

    inside = (registry, context, gateway_class, gateway, python_image)
    if environment in (None, "local") and not any(inside):
        return LOCAL
    if environment != ENVIRONMENT:
        raise BackendctlError(
            "usage",
            f"the demo is told in environment local or {ENVIRONMENT}, not in "
            f"{environment or 'local'!r} with options for a cluster"
            if any(inside)
            else f"the demo is told in environment local or {ENVIRONMENT}, not in {environment!r}",
            state="nothing was started",
            next=("backendctl demo", f"backendctl demo --env {ENVIRONMENT} --registry HOST/PATH"),
        )
    if not registry or bool(gateway_class) == bool(gateway):
        lacks = "--registry" if not registry else "one of --gateway-class and --gateway"
        raise BackendctlError(
            "usage",
            f"the demo in a cluster needs {lacks}",
            cause="the cluster pulls the service's images from a registry, and users reach it "
            "through a Gateway: a class for one of its own (kubectl get gatewayclass), or one "
            "that is there (kubectl get gateway -A)",
            state="nothing was started",
            next=(
                f"backendctl demo --env {ENVIRONMENT} --registry HOST/PATH --gateway-class NAME",
            ),
        )
    return in_cluster(
        Place(
            registry,
            context,
            gateway_class=gateway_class,
            gateway=gateway,
            python_image=python_image,
        )
    )


def _stopped() -> BackendctlError:
    return BackendctlError(
        "interrupted",
        "the demo was stopped before it was done",
        state="everything is stopped and its folder is removed; no report was written",
        next=("backendctl demo",),
    )
