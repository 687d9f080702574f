"""Which tool builds, what it is told, and what its bad ends become."""

from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.images import failures, find
from backendctl.platforms.images.execute import HIDDEN, Ended, run
from backendctl.platforms.images.find import find_tool
from backendctl.platforms.images.reference import Repository
from backendctl.platforms.images.tools import (
    TOOLS,
    Buildah,
    Command,
    Docker,
    ImageBuild,
    Podman,
    Tool,
)
from tests.waiting import eventually

NAME = "ghcr.io/acme/shop:abc"
DIGEST = "sha256:" + "0f" * 32


def wanted(**more: object) -> ImageBuild:
    return ImageBuild(NAME, Path("/c"), Path("/c/Dockerfile"), 315532800, **more)  # type: ignore[arg-type]


def test_the_first_tool_that_works_is_taken() -> None:
    working = {"buildah"}
    found = find_tool(probe=lambda command: "" if command.argv[0] in working else "no daemon")
    assert found == Buildah()


def test_plain_storage_is_tried_where_overlays_are_not_allowed() -> None:
    def probe(command: Command) -> str:
        plain = command.environment.get("STORAGE_DRIVER") == "vfs"
        return "" if plain else "overlay is not supported"

    assert find_tool(probe=probe) == Buildah(storage="vfs")


def test_a_tool_that_is_only_slow_is_not_tried_with_another_storage() -> None:
    def probe(command: Command) -> str:
        return "" if command.environment.get("STORAGE_DRIVER") else find._LATE

    with pytest.raises(BackendctlError, match="nothing here can build"):
        find.find_tool(probe=probe)


def test_without_a_tool_each_that_was_looked_for_is_named_once_with_its_reason() -> None:
    with pytest.raises(BackendctlError) as caught:
        find_tool(probe=lambda command: f"{command.argv[0]} is not here")
    assert caught.value.code == "missing.tool"
    assert caught.value.cause == (
        "docker: docker is not here; podman: podman is not here; buildah: buildah is not here"
    )


def test_a_tool_that_was_asked_for_is_the_only_one_looked_for() -> None:
    probed: list[str] = []

    def probe(command: Command) -> str:
        probed.append(command.argv[0])
        return "no daemon"

    with pytest.raises(BackendctlError, match="podman cannot build"):
        find_tool("podman", probe=probe)
    assert probed == ["podman"]
    with pytest.raises(BackendctlError, match="no tool 'kaniko'") as caught:
        find_tool("kaniko", probe=probe)
    assert caught.value.code == "usage"


def test_a_program_that_fails_its_probe_is_passed_over_with_its_own_words(tmp_path: Path) -> None:
    class Broken(Buildah):
        def probe(self) -> Command:
            return Command(("sh", "-c", "echo one >&2; echo 'no subuid ranges' >&2; exit 1"))

    with pytest.raises(BackendctlError) as caught:
        find_tool(tools=(Broken(),))
    assert "buildah: no subuid ranges" in caught.value.cause


@pytest.mark.parametrize("tool", [Docker(), Podman(), Buildah()], ids=lambda tool: tool.name)
def test_every_tool_is_told_all_that_is_wanted(tool: Tool) -> None:
    command = tool.build(
        wanted(
            arguments={"PYTHON_IMAGE": "p:1"},
            secrets={"NPM_TOKEN": Path("/s/NPM_TOKEN")},
            labels={"l": "v"},
            target="prod",
            machine="linux/arm64",
            fresh=True,
        )
    )
    line = " ".join(command.argv)
    for part in (
        f"--tag {NAME}",
        "--file /c/Dockerfile",
        "--build-arg PYTHON_IMAGE=p:1",
        "--build-arg SOURCE_DATE_EPOCH=315532800",
        "--secret type=file,id=NPM_TOKEN,src=/s/NPM_TOKEN",
        "--label l=v",
        "--target prod",
        "--platform linux/arm64",
        "--no-cache",
    ):
        assert part in line
    assert command.argv[-1] == "/c"


def test_a_proxy_is_named_and_its_password_is_on_no_command_line() -> None:
    argv = Docker().build(wanted(proxies=("HTTPS_PROXY",))).argv
    assert argv[argv.index("HTTPS_PROXY") - 1] == "--build-arg"
    # The others read the variable by themselves.
    assert "HTTPS_PROXY" not in Podman().build(wanted(proxies=("HTTPS_PROXY",))).argv


def test_only_a_registry_on_this_machine_is_spoken_to_without_tls() -> None:
    for tool in (Podman(), Buildah()):
        assert "--tls-verify=false" not in tool.push(NAME, Path("/d")).argv
        assert "--tls-verify=false" in tool.push("localhost:5000/shop:abc", Path("/d")).argv


def test_the_digest_is_told_by_a_file_or_in_the_output(tmp_path: Path) -> None:
    said = ("pushing", f"abc: digest: {DIGEST} size: 1234")
    assert Docker().pushed(said, tmp_path / "none") == DIGEST
    assert Docker().pushed(("pushing",), tmp_path / "none") == ""
    (tmp_path / "digest").write_text(f"{DIGEST}\n")
    assert Buildah().pushed((), tmp_path / "digest") == DIGEST


def test_tools_are_looked_for_in_the_order_that_the_help_says() -> None:
    assert list(dict.fromkeys(tool.name for tool in TOOLS)) == ["docker", "podman", "buildah"]


# --- running ---------------------------------------------------------------------------------


def test_lines_come_as_they_are_written_without_colour_or_secret() -> None:
    heard: list[str] = []
    script = r"printf 'a\rb\n\033[32mgreen\033[0m tok3n\n' ; exit 3"
    ended = run(Command(("sh", "-c", script)), heard.append, ("tok3n",))
    assert heard == ["b", f"green {HIDDEN}"] == list(ended.lines)
    assert ended.status == 3


def test_a_tool_is_ended_when_we_are_told_to_stop(tmp_path: Path) -> None:
    pids: list[int] = []

    def stop(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Command(("sh", "-c", "sleep 60 & echo $!; wait")), stop)
    assert eventually(lambda: _over(pids[0]))


def _over(pid: int) -> bool:
    """Gone, or a zombie that nobody has asked after yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# --- bad ends ----------------------------------------------------------------------------------


def ended(*lines: str) -> Ended:
    return Ended(1, lines)


def test_a_build_that_fails_shows_its_last_lines() -> None:
    error = failures.of_build(
        "docker", ended(*(f"line {n}" for n in range(40)), "", "no such file")
    )
    assert error.code == "build.failed"
    assert error.cause.splitlines()[-1] == "no such file"
    assert len(error.cause.splitlines()) == failures.SHOWN
    assert error.next == ("--verbose",), "of what was typed: build, build --driver, deploy ..."


@pytest.mark.parametrize(
    "line",
    [
        "Error: creating build container: initializing source docker://python:3.13-slim: pinging "
        "container registry registry-1.docker.io: dial tcp: no such host",
        "ERROR: failed to solve: python:3.13-slim: failed to resolve source metadata for "
        "docker.io/library/python:3.13-slim: dial tcp: no such host",
    ],
)
def test_a_base_image_that_cannot_be_had_is_told_from_a_failing_command(line: str) -> None:
    error = failures.of_build("docker", ended("STEP 1/6: FROM python:3.13-slim", line))
    assert error.code == "build.failed"
    assert "arguments under [build]" in error.next[0]
    assert "--base" in error.next[0]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("write /x: no space left on device", "platform.disk-full"),
        ("Error: disk quota exceeded", "platform.disk-full"),
    ],
)
def test_a_full_disk_is_told_from_a_failing_command(line: str, code: str) -> None:
    assert failures.of_build("podman", ended(line)).code == code
    assert failures.of_push("podman", Repository("h", "p"), ended(line)).code == code


def test_a_certificate_that_is_not_trusted_says_what_the_dockerfile_must_mount() -> None:
    said = "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))"
    error = failures.of_build("buildah", ended(said))
    assert "--mount=type=secret,id=ca-bundle" in error.next[0]
    assert "id=pip-conf" in error.next[0]


def test_where_containers_cannot_be_nested_the_way_out_is_said() -> None:
    error = failures.of_build("buildah", ended("error running container: operation not permitted"))
    assert "BUILDAH_ISOLATION=chroot" in error.next[0]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("denied: requested access to the resource is denied", "registry.credentials"),
        ("unauthorized: authentication required", "registry.credentials"),
        ("status code 403", "registry.credentials"),
        ("dial tcp 10.0.0.1:443: connect: connection refused", "missing.registry"),
        ("dial tcp: lookup ghcr.io: no such host", "missing.registry"),
        ("manifest blob unknown", "build.push"),
    ],
)
def test_a_push_that_fails_is_told_apart(line: str, code: str) -> None:
    error = failures.of_push("docker", Repository("ghcr.io", "acme/shop"), ended(line))
    assert error.code == code
    assert error.state
    assert error.next
