"""A process that deploys one release on the local platform, for tests that kill it.

`python -m tests.faults.rollout_driver PROJECT [NAME=VALUE ...]`: the values configure the release.
`TEST_HOLD` in its environment is the longest that a held rollout waits, in seconds.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Configuration, Platform, Processes, Release
from backendctl.platforms.open import open_platform
from backendctl.rollout.lease import held
from backendctl.rollout.outcome import Outcome
from backendctl.spec.model import Environment, Load, Rollout, Service, Slo, Spec, Strategy
from backendctl.workflows.rollouts import run_rollout

SERVICE = r"""
import os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    count = 0

    def do_GET(self):
        Handler.count += 1
        bad = os.environ.get("BAD") == "yes" and Handler.count % 3 == 0
        broken = tuple(os.environ.get("BROKEN", "").split())
        bad = bad or (broken and self.path.startswith(broken))
        status = 500 if bad and self.path != "/readyz" else 200
        body = os.environ.get("PORT", "").encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer.daemon_threads = True
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("listening", flush=True)
if os.environ.get("DIES"):
    threading.Timer(float(os.environ["DIES"]), lambda: (print("out of luck", flush=True),
                                                       os._exit(7))).start()
server.serve_forever()
"""


def spec() -> Spec:
    """A rollout of seconds: one step at 50 %, judged on 100 requests per second."""
    return Spec(
        service=Service(name="faults", start=(sys.executable, "-I", "service.py")),
        load=Load(peak_rps=100, peak_users=100, sustained_users=50, think_time=1.0),
        slo=Slo(error_rate=0.05, p95=1.0, p99=2.0),
        rollout=Rollout(
            steps=(50,),
            warm_up=0.0,
            step_time=2.0,
            deadline=60.0,
            bake=2.0,
            drain_deadline=5.0,
            hold=float(os.environ.get("TEST_HOLD", "14400")),
        ),
        environments={"local": Environment(name="local")},
    )


def environment(project: Path) -> Platform:
    return open_platform(project, spec(), "local")


def mirroring() -> Spec:
    """The same after 6 s in which half of the reads are copied."""
    rollout = spec().rollout.model_copy(update={"mirror": 50, "mirror_time": 6.0})
    return spec().model_copy(update={"rollout": rollout})


def deploy(
    platform: Platform, project: Path, values: dict[str, str], promises: Spec | None = None
) -> Outcome:
    """What `backendctl deploy` does, on a tree of one file."""
    tree = project / "tree"
    tree.mkdir(exist_ok=True)
    (tree / "service.py").write_text(SERVICE)
    with held(platform.store, "tester", "deploy") as lease:
        release = Release(
            number=len(platform.store.releases()) + 1,
            package=platform.runtime.package(tree, lambda _: None),
            configuration=Configuration(values),
            processes=Processes(start=spec().service.start, ready_path="/readyz", stop_grace=5.0),
            created=time.time(),
            created_by="tester",
        )
        return run_rollout(
            platform,
            promises or spec(),
            release,
            Strategy.CANARY,
            lambda event: print(event, file=sys.stderr, flush=True),
            lease=lease,
            by="tester",
        )


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    project = Path(sys.argv[1])
    values = dict(pair.split("=", 1) for pair in sys.argv[2:])
    try:
        outcome = deploy(environment(project), project, values)
    except BackendctlError as error:
        print(json.dumps({"code": error.code, "message": error.message}))
        return int(error.exit)
    error = outcome.error()
    print(json.dumps({"code": error.code if error else "", **outcome.data()}))
    return int(error.exit) if error else 0


if __name__ == "__main__":
    sys.exit(main())
