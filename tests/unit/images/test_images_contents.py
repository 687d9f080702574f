"""What an image holds: read from its layers, listed with what the list does not cover."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from backendctl.platforms.images import sbom
from backendctl.platforms.images.archive import ImageArchive
from backendctl.platforms.images.inventory import Installed, installed, is_record, unread

STATUS = (
    b"Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+deb12u14\n\n"
    b"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
)
METADATA = (
    b"Metadata-Version: 2.4\nName: Typing_Extensions\nVersion: 4.16.0\n"
    b"License-Expression: PSF-2.0\n\nName: not this\n"
)
TYPES = b'{"name": "@types/node", "version": "24.1.0", "license": "MIT"}'
SITE = "opt/venv/lib/python3.13/site-packages"


def layer(files: dict[str, bytes], compression: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def exported(path: Path, *layers: bytes, docker: bool = False) -> Path:
    """An image as a tool would export it."""
    import hashlib

    blobs = {hashlib.sha256(each).hexdigest(): each for each in layers}
    names = [hashlib.sha256(each).hexdigest() for each in layers]
    config = json.dumps({"history": [{"created_by": "x"}]}).encode()
    files: dict[str, bytes]
    if docker:
        files = {f"{name}/layer.tar": blobs[name] for name in names}
        manifest = [{"Config": "c.json", "Layers": [f"{name}/layer.tar" for name in names]}]
        files |= {"c.json": config, "manifest.json": json.dumps(manifest).encode()}
    else:
        manifest_of = {
            "config": {"digest": f"sha256:{hashlib.sha256(config).hexdigest()}"},
            "layers": [{"digest": f"sha256:{name}"} for name in names],
        }
        body = json.dumps(manifest_of).encode()
        index = {"manifests": [{"digest": f"sha256:{hashlib.sha256(body).hexdigest()}"}]}
        files = {f"blobs/sha256/{name}": blobs[name] for name in names}
        for each in (config, body):
            files[f"blobs/sha256/{hashlib.sha256(each).hexdigest()}"] = each
        files["index.json"] = json.dumps(index).encode()
    path.write_bytes(layer(files))
    return path


@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("compression", ["", "gz"])
def test_later_layers_replace_and_delete_what_earlier_ones_had(
    tmp_path: Path, docker: bool, compression: str
) -> None:
    below = layer({"a": b"1", "d/b": b"1", "d/c": b"1", "e/f/g": b"1"}, compression)
    above = layer({"./a": b"2", "d/.wh.b": b"", "e/.wh..wh..opq": b"", "h": b"3"}, compression)
    path = exported(tmp_path / "image.tar", below, above, docker=docker)
    with ImageArchive.opened(path) as image:
        assert image.files(lambda _: True) == {"a": b"2", "d/c": b"1", "h": b"3"}
        assert image.configuration["history"] == [{"created_by": "x"}]
        # What was deleted is still in the layer below: that is where secrets are looked for.
        assert [len(each.getnames()) for each in image.layers()] == [4, 4]


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(layer({"a": b""}))
    with (
        pytest.raises(ValueError, match="holds no image"),
        ImageArchive.opened(tmp_path / "x.tar"),
    ):
        pass


def test_installed_packages_are_found_where_their_managers_write_them_down() -> None:
    files = {
        "etc/os-release": b'NAME="Debian"\nID=debian\n',
        "var/lib/dpkg/status": STATUS,
        "var/lib/dpkg/status.d/tzdata": b"Package: tzdata\nVersion: 2026b\n",
        f"{SITE}/typing_extensions-4.16.0.dist-info/METADATA": METADATA,
        "srv/node_modules/@types/node/package.json": TYPES,
        "srv/node_modules/x/lib/package.json": b'{"type": "module"}',
        "srv/node_modules/broken/package.json": b"{",
    }
    files = {name: content for name, content in files.items() if is_record(name)}
    assert [each.purl for each in installed(files)] == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14",
        "pkg:deb/debian/tzdata@2026b",
        "pkg:npm/%40types/node@24.1.0",
        "pkg:pypi/typing-extensions@4.16.0",
    ]


def test_packages_of_alpine_are_found() -> None:
    text = b"C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:zlib\nV:1.3.1-r2\n"
    found = installed({"lib/apk/db/installed": text, "etc/os-release": b"ID=alpine\n"})
    assert [each.purl for each in found] == [
        "pkg:apk/alpine/musl@1.2.5-r0",
        "pkg:apk/alpine/zlib@1.3.1-r2",
    ]


def test_a_bill_of_materials_is_the_same_for_the_same_image_and_says_what_it_leaves_out() -> None:
    packages = [
        Installed("deb", "libc6", "2.36", "debian"),
        Installed("pypi", "fastapi", "0.165.0", license="MIT"),
        Installed("npm", "node", "24.1.0", "@types"),
    ]
    rpm = unread(["var/lib/rpm/rpmdb.sqlite"])
    first = sbom.document("ghcr.io/acme/shop", "abc", packages, 315532800, rpm)
    assert first == sbom.document("ghcr.io/acme/shop", "abc", packages, 315532800, rpm)
    body = json.loads(first)
    assert (body["bomFormat"], body["specVersion"]) == ("CycloneDX", "1.6")
    assert body["metadata"]["timestamp"] == "1980-01-01T00:00:00+00:00"
    assert {each["purl"] for each in body["components"]} == {each.purl for each in packages}
    properties = {each["name"]: each["value"] for each in body["metadata"]["properties"]}
    assert "RPM" in properties["backendctl:does-not-cover"]
    assert "an RPM database is not read" in properties["backendctl:does-not-cover"]
    other = sbom.document("ghcr.io/acme/shop", "abc", packages[:1], 315532800)
    assert json.loads(other)["serialNumber"] != body["serialNumber"]
