"""What the last `up` wrote down for the environment's own process, which reads no `backend.toml`:
whoever is editing that file at the time must not keep stable from being restored.

Imports little until all the promises are asked for: the reader is resident.
"""

import json
from typing import TYPE_CHECKING, Any

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder
from backendctl.platforms.local.layout import Layout

if TYPE_CHECKING:
    from backendctl.spec.model import Spec


def record(layout: Layout, spec: "Spec") -> str:
    """Write the promises down, 0600; returns a digest of them.

    Raises BackendctlError `platform.disk-full`, `platform.permission`.
    """
    import hashlib

    from backendctl.spec.derive import slo_edges_ms

    body = json.dumps({"edges_ms": slo_edges_ms(spec), "spec": spec.model_dump(mode="json")})
    path = layout.recorded
    make_folder(path.parent)
    if not path.exists() or path.read_text() != body:
        atomic_write(path, body.encode())
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def edges_ms(layout: Layout) -> tuple[float, ...]:
    """The thresholds at which latencies are told apart. Raises as `promises`."""
    try:
        return tuple(map(float, _read(layout)["edges_ms"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(layout, repr(error)) from error


def promises(layout: Layout) -> "Spec":
    """The promises as of the last `up`.

    Raises BackendctlError `missing.environment` when nothing (or nothing that this version can
    read) is written down.
    """
    from pydantic import ValidationError

    from backendctl.spec.model import Spec

    try:
        return Spec.model_validate(_read(layout)["spec"])
    except (ValidationError, KeyError) as error:
        raise _unreadable(layout, str(error).splitlines()[0]) from error


def _read(layout: Layout) -> dict[str, Any]:
    try:
        return dict(json.loads(layout.recorded.read_bytes()))
    except (OSError, ValueError) as error:
        raise _unreadable(layout, str(error)) from error


def _unreadable(layout: Layout, cause: str) -> BackendctlError:
    return BackendctlError(
        "missing.environment",
        f"{layout.recorded} cannot be read: the environment's own process knows nothing of it",
        cause=cause,
        state="nothing was changed",
        next=("backendctl up",),
    )
