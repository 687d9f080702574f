"""Reading an image that a tool has exported: its configuration, its layers, the files they make.

Both forms are read: an OCI archive (image-spec, `index.json`) and Docker's (`manifest.json`), whose
layers are tar archives within the archive.
"""

import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class ImageArchive:
    """One exported image of one machine."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._names = set(archive.getnames())
        config, self._layers = self._described()
        self.configuration: dict[str, Any] = json.loads(self._read(config))
        """With its history, its environment, and how it is started."""

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> "Iterator[ImageArchive]":
        """Raises ValueError if it is no such archive."""
        with tarfile.open(path) as archive:
            yield cls(archive)

    def layers(self) -> Iterator[tarfile.TarFile]:
        """Each layer as it was made, the lowest first: what a later one deletes is still there."""
        for name in self._layers:
            with tarfile.open(fileobj=self._archive.extractfile(name)) as layer:
                yield layer

    def files(self, wanted: Callable[[str], bool]) -> dict[str, bytes]:
        """Path (without the first slash) -> content of the files that a container would find and
        that are `wanted`."""
        found: dict[str, bytes] = {}
        for layer in self.layers():
            for member in layer:
                path = member.name.removeprefix("./").strip("/")
                folder, _, name = path.rpartition("/")
                if name == _OPAQUE:
                    _forget(found, folder)
                elif name.startswith(_WHITEOUT):
                    gone = name.removeprefix(_WHITEOUT)
                    _forget(found, f"{folder}/{gone}" if folder else gone)
                elif member.isreg() and wanted(path):
                    content = layer.extractfile(member)
                    found[path] = content.read() if content else b""
                elif not member.isdir():
                    found.pop(path, None)
        return found

    def _described(self) -> tuple[str, list[str]]:
        """Where the configuration and the layers are, within the archive."""
        if "index.json" in self._names:
            manifest = json.loads(self._read("index.json"))
            while "manifests" in manifest:  # an index, perhaps of indexes
                manifest = json.loads(self._read(_blob(manifest["manifests"][0])))
            return _blob(manifest["config"]), [_blob(each) for each in manifest["layers"]]
        if "manifest.json" in self._names:
            (manifest, *_) = json.loads(self._read("manifest.json"))
            return manifest["Config"], manifest["Layers"]
        raise ValueError("neither index.json nor manifest.json is in it: it holds no image")

    def _read(self, name: str) -> bytes:
        content = self._archive.extractfile(name)
        if content is None:
            raise ValueError(f"{name} is no file")
        return content.read()


def _blob(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _forget(found: dict[str, bytes], path: str) -> None:
    for known in [each for each in found if each == path or each.startswith(f"{path}/")]:
        del found[known]
