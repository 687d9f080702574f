"""The program is found or said to be missing; an archive is installed only if its checksum fits."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from backendctl.errors import BackendctlError, Exit
from backendctl.provision import install, tool

VERSION = "9.9.9"
PROGRAM = b"#!/bin/sh\necho v9.9.9\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(tool.VARIABLE, raising=False)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, install.Sources]]:
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    yield folder, install.Sources(f"{base}/sdk", f"{base}/releases", f"{base}/plugins", base)
    server.shutdown()
    server.server_close()
    thread.join()


def publish(folder: Path, checksum: str | None = None) -> None:
    """An archive as Pulumi's, and the list of its release."""
    name = f"pulumi-v{VERSION}-{install._system()}-{install._machine()}.tar.gz"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, body in (("pulumi/pulumi-language-go", b"x"), ("pulumi/pulumi", PROGRAM)):
            entry = tarfile.TarInfo(path)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    digest = checksum or hashlib.sha256(packed.getvalue()).hexdigest()
    (folder / "sdk").mkdir()
    (folder / "sdk" / name).write_bytes(packed.getvalue())
    (folder / "releases" / f"v{VERSION}").mkdir(parents=True)
    listed = folder / "releases" / f"v{VERSION}" / f"pulumi-{VERSION}-checksums.txt"
    listed.write_text(f"{'0' * 64}  other.tar.gz\n{digest}  {name}\n")


def test_a_fitting_archive_is_installed(served: tuple[Path, install.Sources]) -> None:
    folder, sources = served
    publish(folder)
    program = install.install_program(VERSION, sources)
    assert program == tool.installed_at(VERSION)
    assert program.read_bytes() == PROGRAM
    assert program.stat().st_mode & 0o777 == 0o755


def test_an_archive_that_is_not_what_was_published_is_refused(
    served: tuple[Path, install.Sources],
) -> None:
    folder, sources = served
    publish(folder, "a" * 64)
    with pytest.raises(BackendctlError, match="not what was published") as raised:
        install.install_program(VERSION, sources)
    assert raised.value.exit is Exit.MISSING
    assert not tool.installed_at(VERSION).exists()


def test_a_release_that_is_not_there_is_said(served: tuple[Path, install.Sources]) -> None:
    with pytest.raises(BackendctlError, match="could not be downloaded") as raised:
        install.install_program(VERSION, served[1])
    (line,) = raised.value.next
    assert line.startswith("backendctl infra install  # through HTTPS_PROXY")
    assert Path("docs/guides/kubernetes.md").exists(), "which is named there"
    assert line.endswith("docs/guides/kubernetes.md says how to bring it by hand")


def test_an_archive_without_a_published_checksum_is_refused() -> None:
    with pytest.raises(BackendctlError, match="no checksum is published"):
        install.checksum_of("", "pulumi.tar.gz")


def test_a_missing_program_says_what_to_type() -> None:
    with pytest.raises(BackendctlError) as raised:
        tool.find()
    assert raised.value.code == "missing.tool"
    assert raised.value.next == ("backendctl infra install",)


@pytest.mark.parametrize(
    ("said", "problem"),
    [("v3.100.0", "or newer is needed"), ("hello", "does not say its version")],
)
def test_a_program_that_will_not_do_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, problem: str
) -> None:
    program = tmp_path / "pulumi"
    program.write_text(f"#!/bin/sh\necho {said}\n")
    program.chmod(0o755)
    monkeypatch.setenv(tool.VARIABLE, str(program))
    with pytest.raises(BackendctlError, match=problem):
        tool.find()
    program.write_text("#!/bin/sh\necho v3.259.0\n")
    assert tool.find() == tool.Tool(program, "3.259.0")


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    there = tmp_path / "home" / "plugins" / "resource-aws-v7.51.1" / "pulumi-resource-aws"
    there.parent.mkdir(parents=True)
    there.touch()
    wanted = {"aws": "7.51.1", "kubernetes": "4.32.0"}
    assert tool.missing_plugins(wanted) == {"kubernetes": "4.32.0"}
    with pytest.raises(BackendctlError, match=r"kubernetes 4\.32\.0 is not installed"):
        tool.require_plugins(wanted)


def test_a_plugin_is_installed_only_with_the_checksum_that_was_published(
    served: tuple[Path, install.Sources], tmp_path: Path
) -> None:
    """pulumi itself compares; it takes anything where it is told no checksum."""
    folder, sources = served
    machine = install._PLUGIN_MACHINES[install._machine()]
    archive = f"pulumi-resource-aws-v7.51.1-{install._system()}-{machine}.tar.gz"
    listed = folder / "v7.51.1" / "pulumi-aws_7.51.1_checksums.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text(f"{'a' * 64}  {archive}\n")
    said, program = tmp_path / "said", tmp_path / "pulumi"
    program.write_text(f'#!/bin/sh\necho "$@" > {said}\n')
    program.chmod(0o755)
    install.install_plugins(tool.Tool(program, VERSION), {"aws": "7.51.1"}, sources)
    assert f"--exact --checksum {'a' * 64} " in said.read_text()
