"""What is installed in an image, as its package managers have written it down. Pure.

Found: Debian's and Alpine's packages, installed Python distributions, installed Node modules. Not
found, because nothing in an image says so: what is linked into a program, what was copied in
without a package manager, and RPM databases.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from urllib.parse import quote

COVERED = (
    "installed packages of Debian and Alpine, installed Python distributions (*.dist-info), "
    "installed Node modules"
)
NOT_COVERED = (
    "what is linked into programs (Go, Rust, C), files copied in without a package manager, RPM "
    "databases"
)

_DPKG = "var/lib/dpkg/status"
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_PYTHON = re.compile(r"(?:^|/)[^/]+\.(?:dist|egg)-info/(?:METADATA|PKG-INFO)$")
_NODE = re.compile(r"(?:^|/)node_modules/(?:@[^/]+/)?[^/]+/package\.json$")
_RPM = re.compile(r"^(?:var/lib/rpm|usr/lib/sysimage/rpm)/")


@dataclass(frozen=True, slots=True, order=True)
class Installed:
    """One package."""

    kind: str
    """As a package URL says it: deb | apk | pypi | npm."""
    name: str
    version: str
    namespace: str = ""
    """`debian`, `alpine`, or a scope of npm's (`@types`)."""
    license: str = ""
    """As an SPDX expression, where the package says one."""

    @property
    def purl(self) -> str:
        """https://github.com/package-url/purl-spec"""
        parts = [quote(part, safe="") for part in (self.namespace, self.name) if part]
        return f"pkg:{self.kind}/{'/'.join(parts)}@{quote(self.version, safe='')}"


def is_record(path: str) -> bool:
    """Whether a file of an image is one that `installed` reads."""
    return (
        path == _DPKG
        or path.startswith(f"{_DPKG}.d/")
        or path in _APK
        or path in _OS_RELEASE
        or _PYTHON.search(path) is not None
        or _NODE.search(path) is not None
        or _RPM.match(path) is not None
    )


def installed(files: Mapping[str, bytes]) -> list[Installed]:
    """What the records say, sorted; each once."""
    found: set[Installed] = set()
    distribution = _distribution(files)
    for path, content in files.items():
        if path == _DPKG or path.startswith(f"{_DPKG}.d/"):
            found.update(_dpkg(content, distribution or "debian"))
        elif path in _APK:
            found.update(_apk(content, distribution or "alpine"))
        elif _PYTHON.search(path):
            found.update(_python(content))
        elif _NODE.search(path):
            found.update(_node(content))
    return sorted(found)


def unread(files: Iterable[str]) -> str:
    """What is there and cannot be read, in words; "" if nothing."""
    return "an RPM database is not read" if any(map(_RPM.match, files)) else ""


def _distribution(files: Mapping[str, bytes]) -> str:
    for path in _OS_RELEASE:
        found = re.search(rb"^ID=\"?([a-z0-9._-]+)", files.get(path, b""), re.MULTILINE)
        if found:
            return found[1].decode()
    return ""


def _dpkg(content: bytes, distribution: str) -> Iterator[Installed]:
    parser = BytesHeaderParser()
    for block in re.split(rb"\n\s*\n", content.strip()):
        fields = parser.parsebytes(block + b"\n")
        status = fields.get("Status", "install ok installed").split()
        if fields.get("Package") and fields.get("Version") and status[-1] == "installed":
            yield Installed("deb", fields["Package"], fields["Version"], distribution)


def _apk(content: bytes, distribution: str) -> Iterator[Installed]:
    for block in content.decode(errors="replace").split("\n\n"):
        fields = dict(line.split(":", 1) for line in block.splitlines() if line[1:2] == ":")
        if fields.get("P") and fields.get("V"):
            yield Installed("apk", fields["P"], fields["V"], distribution)


def _python(content: bytes) -> Iterator[Installed]:
    fields = BytesHeaderParser().parsebytes(content)
    name, version = fields.get("Name"), fields.get("Version")
    if name and version:
        normal = re.sub(r"[-_.]+", "-", str(name)).lower()  # PEP 503
        yield Installed(
            "pypi", normal, str(version), license=str(fields.get("License-Expression", ""))
        )


def _node(content: bytes) -> Iterator[Installed]:
    try:
        fields = json.loads(content)
    except ValueError:
        return
    if not isinstance(fields, dict) or not (fields.get("name") and fields.get("version")):
        return  # a package.json that only says how a folder is to be read
    scope, _, name = str(fields["name"]).rpartition("/")
    said = fields.get("license")
    yield Installed(
        "npm", name, str(fields["version"]), scope, said if isinstance(said, str) else ""
    )
