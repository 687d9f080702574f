"""`backendctl build`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backendctl.cli.contract import Answer, Session, command

if TYPE_CHECKING:
    from backendctl.platforms.images.produce import Image


@command(
    examples=(
        "backendctl build --env staging",
        "backendctl build --env staging --no-push      # only try the Dockerfile",
        "backendctl build --env staging --tool buildah --fresh",
        "backendctl build --env staging --driver       # backendctl's own image",
        "backendctl build --env staging --output json",
    )
)
def build(
    session: Session,
    push: Annotated[
        bool, typer.Option("--push/--no-push", help="To the environment's registry.")
    ] = True,
    tool: Annotated[
        str,
        typer.Option(
            metavar="docker|podman|buildah", help="Instead of the first of them that works."
        ),
    ] = "",
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Though the registry has it; takes nothing from a cache."),
    ] = False,
    driver: Annotated[
        bool,
        typer.Option("--driver", help="The image of backendctl itself, to be run in the cluster."),
    ] = False,
    base: Annotated[
        str, typer.Option(metavar="IMAGE", help="With --driver: the Python image to start from.")
    ] = "",
) -> Answer:
    """Build the service's image from its Dockerfile and push it.

    What goes into it is what a deploy takes: the working tree without what git ignores. Its tag
    is a digest of that, and what the registry has under it is not built again; `deploy` does this
    by itself. [build] in backend.toml says which Dockerfile, build arguments and build secrets;
    secrets are mounted while commands run and stay in no layer.

    Beside the image lies its bill of materials (CycloneDX), in the registry and in .backendctl.

    Environments on `local` need no image.
    """
    from backendctl.platforms.images.produce import Wishes
    from backendctl.workflows import build as workflow
    from backendctl.workflows.environment import choose

    chosen = choose(session.directory, session.environment, changes=True)
    name = chosen.environment.name
    if not workflow.needs_image(chosen):
        return Answer(
            data={"environment": name, "needed": False},
            text=f"{name} needs no image: releases on this machine are folders. "
            "`backendctl deploy` makes them.",
        )
    wishes = Wishes(tool=tool, push=push, fresh=fresh)
    if driver:
        image = workflow.build_own(chosen, wishes, base, session)
        lines = [*_said(image), *_to_write(name, image)]
        return Answer(data=_data(name, image), text="\n".join(lines))
    built = workflow.build_service(chosen, wishes, session)
    data = {**_data(name, built.image), "code_digest": built.package.code_digest}
    return Answer(data=data, text="\n".join(_said(built.image)))


def _data(environment: str, image: "Image") -> dict[str, Any]:
    return {
        "environment": environment,
        "needed": True,
        "image": image.name,
        "digest": image.digest or None,
        "reference": image.reference,
        "built_by": image.tool or None,
        "seconds": round(image.seconds, 1),
        "sbom": str(image.sbom) if image.sbom else None,
    }


def _said(image: "Image") -> list[str]:
    how = f"built by {image.tool} in {image.seconds:.0f} s" if image.tool else "was there already"
    lines = [f"{image.name}: {how}"]
    lines.append(f"  {image.reference}" if image.digest else "  not pushed: it has no digest yet")
    if image.sbom is not None:
        listed = f", {image.packages} packages" if image.packages else ""
        lines.append(f"  bill of materials: {image.sbom}{listed}")
    return lines


def _to_write(environment: str, image: "Image") -> list[str]:
    if not image.digest:
        return []
    return [
        f"Write under [environments.{environment}] in backend.toml:",
        f'  driver_image = "{image.name}@{image.digest}"',
    ]
