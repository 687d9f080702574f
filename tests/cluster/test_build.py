"""Images as a real builder makes them and a real registry keeps them."""

import json
import os
import shutil
import uuid
from pathlib import Path

import httpx
import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.images.archive import ImageArchive
from backendctl.platforms.images.builder import Built, ImageBuilder
from backendctl.platforms.images.execute import run
from backendctl.platforms.images.find import find_tool
from backendctl.platforms.images.produce import Wishes
from backendctl.spec.model import Build, Environment, Load, PlatformName, Service, Spec

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("images")]

_SERVICE = Path(__file__).parents[1] / "conformance" / "service"
_MARK = "k33p-me-in-a-layer"
_DOCKERFILE = """\
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
LABEL trial=UNIQUE
ARG SOURCE_DATE_EPOCH
WORKDIR /srv
RUN --mount=type=secret,id=BUILD_TOKEN \\
    --mount=type=secret,id=pip-conf,target=/etc/pip.conf \\
    test -s /run/secrets/BUILD_TOKEN && echo "it is $(cat /run/secrets/BUILD_TOKEN)"
COPY app.py mark ./
USER 10001
"""


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    value = uuid.uuid4().hex
    monkeypatch.setenv("BUILD_TOKEN", value)
    return value


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copy(_SERVICE / "app.py", tmp_path)
    # A step that an earlier run, or somebody else, has left in the cache would not be run again.
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE.replace("UNIQUE", uuid.uuid4().hex))
    (tmp_path / "mark").write_text(_MARK)
    return tmp_path


def builder(
    tree: Path, registry: str = "", secrets: tuple[str, ...] = ("BUILD_TOKEN",)
) -> ImageBuilder:
    environment = Environment(
        name="trial",
        platform=PlatformName.KUBERNETES,
        registry=registry or os.environ["BACKENDCTL_TEST_REGISTRY"],
    )
    arguments = {"PYTHON_IMAGE": os.environ["BACKENDCTL_TEST_BASE_IMAGE"]}
    spec = Spec(
        service=Service(name=f"build-{uuid.uuid4().hex[:8]}", start=("serve",)),
        build=Build(arguments=arguments, secrets=secrets),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={environment.name: environment},
    )
    return ImageBuilder(tree, spec, environment)


def everything_in(built: Built, folder: Path) -> bytes:
    """All layers and the configuration of an image, as they are."""
    archive = folder / "image.tar"
    assert run(find_tool().export(built.image.name, archive), print).status == 0
    with ImageArchive.opened(archive) as image:
        found = [json.dumps(image.configuration).encode()]
        for layer in image.layers():
            for member in layer:
                found.append(member.name.encode())
                content = layer.extractfile(member) if member.isreg() else None
                found.append(content.read() if content else b"")
    archive.unlink()
    return b"\0".join(found)


def test_the_same_tree_makes_the_same_image_and_no_secret_is_in_it(
    tree: Path, secret: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines: list[str] = []
    make = builder(tree)
    first = make.build(tree, lines.append)
    assert "it is ***" in lines  # it was there, and nobody was shown it
    held = everything_in(first, tmp_path_factory.mktemp("export"))
    assert _MARK.encode() in held  # the search finds what is there
    assert secret.encode() not in held

    again = make.build(tree, lines.append)
    assert (again.image.tool, again.image.digest) == ("", first.image.digest)
    fresh = make.build(tree, lines.append, Wishes(fresh=True))
    assert fresh.image.tool
    assert fresh.image.digest == first.image.digest

    assert first.image.sbom is not None
    bill = json.loads(first.image.sbom.read_text())
    assert any(each["purl"].startswith("pkg:deb/debian/python3") for each in bill["components"])
    registry, _, rest = first.image.reference.partition("/")
    path, _, digest = rest.partition("@")
    tag = digest.replace(":", "-")
    listed = httpx.get(f"http://{registry}/v2/{path}/manifests/{tag}", timeout=10).json()
    assert listed["manifests"][0]["artifactType"] == "application/vnd.cyclonedx+json"


def test_a_step_that_fails_is_shown_with_its_last_lines(tree: Path) -> None:
    dockerfile = _DOCKERFILE.partition("RUN")[0] + "RUN echo one >&2; echo the reason >&2; exit 7\n"
    (tree / "Dockerfile").write_text(dockerfile)
    with pytest.raises(BackendctlError) as caught:
        builder(tree, secrets=()).build(tree, lambda _: None)
    assert caught.value.code == "build.failed"
    assert "the reason" in caught.value.cause


def test_a_registry_that_is_not_there_is_found_out_before_anything_is_built(
    tree: Path, secret: str
) -> None:
    lines: list[str] = []
    with pytest.raises(BackendctlError) as caught:
        builder(tree, "127.0.0.1:1").build(tree, lines.append)
    assert caught.value.code == "missing.registry"
    assert not any("building" in line for line in lines)
