"""A small service with an environment `trial` on the test cluster, as its engineers have it: code,
Dockerfile and promises."""

import os
import shutil
import uuid
from pathlib import Path

from backendctl.spec.load import load_spec
from backendctl.spec.model import Spec
from tests.cluster.session import CHECKOUT

_SERVICE = CHECKOUT / "tests" / "conformance" / "service" / "app.py"
_PROMISES = """\
[service]
name = "shop"
start = "python3 app.py --port=$PORT"

[load]
peak_rps = 10
peak_users = 10

[slo]
availability = "99%"
error_rate = "5%"
p95 = "5s"
p99 = "10s"

[rollout]
{rollout}

[environments.trial]
platform = "kubernetes"
namespace = "{namespace}"
registry = "{registry}"
gateway = "{gateway}"
host = "{namespace}.example.com"
url = "{url}"
replicas = 1
"""
"""The environment's table is the last: what is appended belongs to it."""


def dockerfile(code: str = "app.py") -> str:
    """Of a service that needs nothing but Python."""
    base = os.environ["BACKENDCTL_TEST_BASE_IMAGE"]
    return f"FROM {base}\nWORKDIR /srv\nCOPY {code} ./\nUSER 10001\n"


def write_service(folder: Path) -> None:
    """The conformance tests' service, ready for `backendctl build`."""
    shutil.copy(_SERVICE, folder)
    (folder / "Dockerfile").write_text(dockerfile())


def write_project(folder: Path, purpose: str, rollout: str, driver: str = "") -> Spec:
    """The service with its backend.toml, in a namespace of its own named for that purpose.

    `rollout` holds the lines of that table; `driver` is backendctl's own image, if there is one.
    """
    write_service(folder)
    promises = _PROMISES.format(
        rollout=rollout.strip(),
        namespace=f"{purpose}-{uuid.uuid4().hex[:8]}",
        registry=os.environ["BACKENDCTL_TEST_REGISTRY"],
        gateway=os.environ["BACKENDCTL_TEST_GATEWAY"],
        url=os.environ["BACKENDCTL_TEST_GATEWAY_URL"],
    )
    if driver:
        promises += f'driver_image = "{driver}"\n'
    (folder / "backend.toml").write_text(promises)
    return load_spec(folder)
