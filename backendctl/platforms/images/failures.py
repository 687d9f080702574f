"""What a tool's output means that ended badly. Pure."""

from backendctl.errors import BackendctlError
from backendctl.platforms.images.execute import Ended
from backendctl.platforms.images.reference import Repository
from backendctl.platforms.images.registry import refused, unreachable
from backendctl.platforms.images.surroundings import CA_BUNDLE, PIP_CONF

SHOWN = 15
"""Last lines of a build that a person sees; all of them came by while it ran."""

_DISK = r"no space left on device|disk quota exceeded"
_CREDENTIALS = (
    r"unauthori[sz]ed|authentication required|access (to the resource )?(is )?denied|"
    r"denied: |no basic auth credentials|status(:| code)? 40[13]|invalid username/password"
)
_UNREACHABLE = (
    r"connection refused|no such host|dial tcp|i/o timeout|network is unreachable|"
    r"TLS handshake|server gave HTTP response to HTTPS client|connection reset|status:? 50\d"
)
_ISOLATION = (
    r"error running container|operation not permitted|permission denied.*(mount|unshare|clone)|"
    r"(runc|crun).*(executable file not found|cannot|failed)|unshare|mounting .*proc"
)
_CERTIFICATE = (
    r"certificate verify failed|CERTIFICATE_VERIFY|unable to get local issuer|SELF_SIGNED"
)
_BASE = (
    r"(initializing|copy from) source docker://|resolve source metadata for|short-name resolution"
)
"""What Buildah, Podman and Docker say of an image after FROM that they cannot have."""
_STATE = "no release was made; what runs goes on running"


def of_build(tool: str, ended: Ended) -> BackendctlError:
    """The error for a build that ended badly."""
    full = _disk_full(ended)
    if full is not None:
        return full
    if ended.says(_BASE):
        hint = (
            "the base image cannot be pulled from here: name another where the Dockerfile takes "
            "one (arguments under [build] in backend.toml; --base for backendctl's own image), or "
            f"log in to its registry with {tool}"
        )
        return _failed(tool, ended, (hint, "--verbose"))
    if ended.says(_CERTIFICATE):
        hint = (
            "a certificate is not trusted inside the build; mount this machine's, where the "
            f"Dockerfile downloads: RUN --mount=type=secret,id={CA_BUNDLE} "
            f"--mount=type=secret,id={PIP_CONF},target=/etc/pip.conf ..."
        )
        return _failed(tool, ended, (hint, "backendctl build"))
    if tool == "buildah" and ended.says(_ISOLATION):
        again = "BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs backendctl build"
        return _failed(tool, ended, (f"{again}  # where containers cannot be nested",))
    return _failed(tool, ended, ("--verbose",))


def of_push(tool: str, repository: Repository, ended: Ended) -> BackendctlError:
    """The error for a push that ended badly."""
    full = _disk_full(ended)
    if full is not None:
        return full
    if ended.says(_CREDENTIALS):
        return refused(repository.host, repository.path, ended.tail(3))
    if ended.says(_UNREACHABLE):
        return unreachable(repository.host, ended.tail(3))
    return BackendctlError(
        "build.push",
        f"{tool} could not push the image to {repository.host}",
        cause=ended.tail(SHOWN),
        state="the image is built, and is in this machine's store only; " + _STATE,
        next=("backendctl build",),
    )


def _failed(tool: str, ended: Ended, next_: tuple[str, ...]) -> BackendctlError:
    return BackendctlError(
        "build.failed",
        f"the image could not be built: {tool} ended with status {ended.status}",
        cause=ended.tail(SHOWN),
        state=_STATE,
        next=next_,
    )


def _disk_full(ended: Ended) -> BackendctlError | None:
    if not ended.says(_DISK):
        return None
    return BackendctlError(
        "platform.disk-full",
        "no space left to build or push the image",
        cause=ended.tail(3),
        state=_STATE,
        next=("df -h", "docker system prune, podman system prune or buildah prune"),
    )
