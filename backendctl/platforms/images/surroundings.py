"""What a build is given of the machine it runs on: certificates, pip's settings, proxies, secrets.

Certificates and settings come as build secrets too, because a mount is the one thing that every
tool keeps out of the image: a Dockerfile mounts them where it needs them, and does without where
they are not given. docs/guides/build.md shows the lines.
"""

import configparser
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from backendctl.errors import BackendctlError
from backendctl.filesystem import make_folder, writing
from backendctl.platforms.images.tools import PROXIES

CA_BUNDLE = "ca-bundle"
"""The id of the certificates that this machine trusts, if a variable names them."""
PIP_CONF = "pip-conf"
"""The id of pip's settings: which index, and these certificates."""
_MOUNTED = f"/run/secrets/{CA_BUNDLE}"
"""Where a secret is found unless the Dockerfile says otherwise: the same with every tool."""

_BUNDLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_ACCOUNT = re.compile(r"://(?:[^\s/@:]*:)?([^\s/@]+)@")
"""The password in a URL, or the token that stands there alone."""
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries")
"""Those that mean the same in a container; `find-links` and the like name folders of this
machine."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a build may use and an image must not hold."""

    secrets: Mapping[str, bytes]
    """By id. Values of the machine's own settings count as secret too: an index's address may hold
    a password."""
    proxies: tuple[str, ...]
    hide: tuple[str, ...]
    """Texts that must come up in no output."""


def given(environ: Mapping[str, str], secrets: Sequence[str], home: Path | None = None) -> Given:
    """Collect it. `secrets`: names from backend.toml; each is a variable, or NAME_FILE a file.

    Raises BackendctlError `build.secret` for one that is set nowhere.
    """
    found: dict[str, bytes] = {}
    hide: list[str] = []
    for name in secrets:
        value = _secret(environ, name)
        found[name] = value
        hide += [line for line in value.decode(errors="replace").splitlines() if len(line) > 3]
    bundle = _bundle(environ)
    if bundle is not None:
        found[CA_BUNDLE] = bundle
    pip = _pip_conf(environ, home or Path.home(), with_bundle=bundle is not None)
    if pip:
        found[PIP_CONF] = pip.encode()
    proxies = tuple(name for name in PROXIES if environ.get(name))
    for text in (pip, *(environ[name] for name in proxies)):
        hide += _ACCOUNT.findall(text)
    return Given(found, proxies, tuple(hide))


@contextmanager
def as_files(secrets: Mapping[str, bytes], beside: Path) -> Iterator[Mapping[str, Path]]:
    """The secrets as 0600 files in a 0700 folder, gone afterwards.

    Raises BackendctlError `platform.disk-full`, `platform.permission`.
    """
    make_folder(beside)
    with writing(beside):
        folder = TemporaryDirectory(prefix=".secrets-", dir=beside)
    with folder as name:
        paths = {}
        for identifier, value in secrets.items():
            path = Path(name) / identifier
            with writing(path):
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(value)
            paths[identifier] = path
        yield paths


def _secret(environ: Mapping[str, str], name: str) -> bytes:
    if environ.get(name):
        return environ[name].encode()
    path = environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_bytes()
        except OSError as error:
            problem = f"{name}_FILE names {path}: {error.strerror}"
    else:
        problem = f"neither {name} nor {name}_FILE is set"
    raise BackendctlError(
        "build.secret",
        f"the build secret {name} is not given",
        cause=f"{problem}; backend.toml lists it under build.secrets",
        state="nothing was built; what runs goes on running",
        next=(f"export {name}=...", f"export {name}_FILE=PATH"),
    )


def _bundle(environ: Mapping[str, str]) -> bytes | None:
    for variable in _BUNDLES:
        path = environ.get(variable)
        if not path:
            continue
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise BackendctlError(
                "build.secret",
                f"the certificates that {variable} names cannot be read",
                cause=f"{path}: {error.strerror}",
                state="nothing was built; what runs goes on running",
                next=(f"ls -l {path}", f"or unset {variable}"),
            ) from error
    return None


def _pip_conf(environ: Mapping[str, str], home: Path, *, with_bundle: bool) -> str:
    """pip's settings, later files winning as they do for pip, variables above all."""
    settings: dict[str, str] = {}
    stated = environ.get("PIP_CONFIG_FILE")
    files = [
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf",
        *([Path(stated)] if stated else []),
    ]
    for path in () if stated == os.devnull else files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path)
        except (configparser.Error, OSError):
            continue  # pip itself refuses it, in its own words
        for name in _PIP_SETTINGS:
            if parser.has_option("global", name):
                settings[name] = parser.get("global", name)
    for name in _PIP_SETTINGS:
        variable = f"PIP_{name.upper().replace('-', '_')}"
        if environ.get(variable):
            settings[name] = environ[variable]
    if with_bundle:
        settings["cert"] = _MOUNTED
    if not settings:
        return ""
    # A value of several lines goes on indented.
    lines = [f"{key} = " + "\n    ".join(value.split("\n")) for key, value in settings.items()]
    return "\n".join(["[global]", *lines, ""])
