"""The bill of materials of an image, as CycloneDX JSON: the same image, the same bytes."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from backendctl import __version__
from backendctl.platforms.images.inventory import COVERED, NOT_COVERED, Installed

MEDIA_TYPE = "application/vnd.cyclonedx+json"
SUFFIX = ".cdx.json"
_SPACE = uuid.UUID("6f0bd9f8-3c2a-5c1b-9a0e-0d1f6a3b7c55")
"""Of our serial numbers, so that the same contents get the same one."""


def document(
    name: str, version: str, packages: Sequence[Installed], epoch: int, unread: str = ""
) -> bytes:
    """CycloneDX 1.6. `name` and `version`: the image's repository and tag; `epoch`: the image's
    own time; `unread`: what is in the image and could not be read."""
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    bom = Bom()
    image = Component(
        type=ComponentType.CONTAINER, name=name, version=version, bom_ref=f"{name}:{version}"
    )
    bom.metadata.component = image
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.metadata.tools.components.add(
        Component(type=ComponentType.APPLICATION, name="backendctl", version=__version__)
    )
    missed = f"{NOT_COVERED}; {unread}" if unread else NOT_COVERED
    bom.metadata.properties.add(Property(name="backendctl:covers", value=COVERED))
    bom.metadata.properties.add(Property(name="backendctl:does-not-cover", value=missed))
    components = [_component(each) for each in packages]
    bom.components.update(components)
    bom.register_dependency(image, components)
    listed = "\n".join([name, version, *(each.purl for each in packages)])
    bom.serial_number = uuid.uuid5(_SPACE, listed)
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return outputter.output_as_string(indent=1).encode()


def _component(package: Installed) -> "Component":  # type: ignore[name-defined] # noqa: F821
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import LicenseExpression
    from packageurl import PackageURL

    licenses = [LicenseExpression(value=package.license)] if package.license else []
    return Component(
        type=ComponentType.LIBRARY,
        group=package.namespace if package.kind == "npm" else None,
        name=package.name,
        version=package.version,
        purl=PackageURL.from_string(package.purl),
        bom_ref=package.purl,
        licenses=licenses,
    )
