"""The conductor of a load test in a cluster: `python -m backendctl.loadtest.conduct`.

It runs beside the master, in a pod of its own; workers in other pods find it by its address. It
asks nothing of the cluster. What it has to say it prints, a JSON object a line: `progress` once a
second, and in the end an `error`, or `counts` (the measurement, in pieces) and `done`.
"""

import base64
import hashlib
import json
import shutil
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backendctl import interrupts
from backendctl.errors import ERRORS, BackendctlError
from backendctl.loadtest.conductor import Conductor, Progress
from backendctl.loadtest.generator import PLAN_FILE
from backendctl.loadtest.measurement import Measurement
from backendctl.loadtest.processes import Processes
from backendctl.loadtest.profile import Profile, profile_from_data
from backendctl.platforms.base import ERRAND_FOLDER

PROFILE_FILE = "profile.json"
PORT = 5557
"""Where the master listens for its workers, and the port after it: Locust's own default."""
START_DEADLINE = 300.0
"""Seconds in which every worker must be there: room on nodes, the image's way to them."""
_PIECE = 8000
"""Characters of the measurement on one line: container logs keep lines up to 16 KiB whole."""


def main() -> None:
    """Conduct what the errand's files say, and print what comes of it."""
    interrupts.listen()
    given = Path(ERRAND_FOLDER)
    profile = profile_from_data(json.loads((given / PROFILE_FILE).read_text()))
    measurement = Measurement()
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(given / PLAN_FILE, folder)
        try:
            profile = _conduct(profile, measurement, folder)
        except BackendctlError as error:
            _say("error", error=_described(error))
            sys.exit(int(error.exit))
    for line in written(measurement, profile):
        print(line, flush=True)


def _conduct(profile: Profile, measurement: Measurement, folder: Path) -> Profile:
    processes = Processes(folder, 0, None, folder, host="0.0.0.0", port=PORT)  # noqa: S104 - pods
    conductor = Conductor(processes, profile, measurement, _progress, lambda: None, START_DEADLINE)
    try:
        conductor.conduct()
    except KeyboardInterrupt:
        measurement.interrupted = True
    finally:
        processes.end()
    return conductor.profile


def _progress(progress: Progress) -> None:
    _say("progress", progress=progress.to_data())


def _say(what: str, **more: Any) -> None:
    print(json.dumps({"say": what, **more}), flush=True)


def _described(error: BackendctlError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "cause": error.cause,
        "state": error.state,
        "next": list(error.next),
    }


# --- what is said, and heard ---------------------------------------------------------------------


def written(measurement: Measurement, profile: Profile) -> Iterator[str]:
    """The lines that carry a measurement."""
    body = {"measurement": measurement.to_data(), "profile": profile.to_data()}
    packed = base64.b64encode(zlib.compress(json.dumps(body).encode())).decode()
    pieces = [packed[start : start + _PIECE] for start in range(0, len(packed), _PIECE)]
    for number, piece in enumerate(pieces):
        yield json.dumps({"say": "counts", "number": number, "piece": piece})
    digest = hashlib.sha256(packed.encode()).hexdigest()
    yield json.dumps({"say": "done", "pieces": len(pieces), "sha256": digest})


@dataclass(slots=True)
class Heard:
    """What has come of the lines so far."""

    measurement: Measurement | None = None
    """Only once all of it is there."""
    profile: Profile | None = None
    _pieces: dict[int, str] = field(default_factory=dict)

    def take(self, document: Mapping[str, Any]) -> Progress | None:
        """Take in one line's document; the progress if it is one.

        Raises BackendctlError: the conductor's own, or `loadtest.invalid` for counts that did not
        arrive whole.
        """
        match document.get("say"):
            case "progress":
                return Progress(**document["progress"])
            case "counts":
                self._pieces[document["number"]] = document["piece"]
            case "error":
                raise _error(document["error"])
            case "done":
                self._finish(document)
        return None

    def _finish(self, document: Mapping[str, Any]) -> None:
        packed = "".join(self._pieces.get(number, "") for number in range(document["pieces"]))
        if hashlib.sha256(packed.encode()).hexdigest() != document["sha256"]:
            raise BackendctlError(
                "loadtest.invalid",
                "the counts of the load test did not arrive whole",
                cause=f"{len(self._pieces)} of {document['pieces']} pieces came from the cluster",
                state="the service was not judged",
                next=("backendctl loadtest run",),
            )
        body = json.loads(zlib.decompress(base64.b64decode(packed)))
        self.measurement = Measurement.from_data(body["measurement"])
        self.profile = profile_from_data(body["profile"])


def _error(body: Mapping[str, Any]) -> BackendctlError:
    code = str(body["code"])
    return BackendctlError(
        code if code in ERRORS else "bug",
        str(body["message"]),
        cause=str(body["cause"]),
        state=str(body["state"]),
        next=tuple(body["next"]),
    )


if __name__ == "__main__":
    main()
