"""The crash matrix's shop (`bench/crash_matrix`) in a cluster: the same rollouts, deaths and
checks; what runs are pods, and its users come through the cluster's gateway."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx  # noqa: F401 - so that forked drivers need not import it

from backendctl.loadtest.traffic import Traffic, TrafficRequest
from backendctl.platforms.kubernetes import access
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import RELEASE_LABEL, Naming
from backendctl.platforms.open import open_platform
from backendctl.rollout.outcome import Outcome
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec
from bench.crash_matrix.scenarios import must_end
from bench.shop import environment, service
from bench.shop.drivers import Cue, Death, run
from bench.shop.environment import MIGRATION, Pace, Shop
from bench.shop.users import Failure, Report
from tests.cluster.standing import account, kubeconfig, standing
from tests.cluster.trial import dockerfile
from tests.waiting import eventually

NAME = "trial"
RPS = 30.0
_FOLLOWS = 10.0
"""Seconds in which the cluster itself removes what an object that was deleted had made."""
_KINDS = (
    "Deployment",
    "Service",
    "ConfigMap",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "Job",
    "Pod",
)


@dataclass(frozen=True)
class ClusterShop(Shop):
    """An environment in a cluster; who drives there is a forked process, as on `local`."""

    admin: Cluster
    naming: Naming

    def dying(self, death: Death | None, cues: tuple[Cue, ...] = ()) -> Shop:
        """As Shop, with connections of its own."""
        return self._forked().dying(death, cues)

    def deploy(self, *words: Any, **changes: Any) -> Outcome:
        """As Shop, with connections of its own."""
        return self._forked().deploy(*words, **changes)

    def recover(self, take_over: bool = False) -> Outcome | None:
        """As Shop, with connections of its own."""
        return self._forked().recover(take_over)

    def say(self, verb: str) -> Outcome:
        """As Shop, with connections of its own."""
        return self._forked().say(verb)

    def _forked(self) -> Shop:
        """For a process that was forked: two cannot share a connection."""
        platform = open_platform(self.project, self.spec, NAME)
        return Shop(platform, self.spec, self.package, self.project)

    def process_of(self, number: int | None) -> object:
        """Its pods, and how often each was started."""
        if number is None:
            return None
        return [
            (pod["metadata"]["uid"], [each["restartCount"] for each in _containers(pod)])
            for pod in self.admin.list("Pod", self.naming.pods(number))
        ]

    def strays(self) -> dict[int, str]:
        """Whatever is there, and stays, of a release other than the one that serves."""
        stable = str(self.stable)
        found: list[str] = []

        def gone() -> bool:
            found[:] = [
                f"{kind} {each['metadata']['name']}"
                for kind in _KINDS
                for each in self.admin.list(kind, self.naming.selector)
                if each["metadata"]["labels"].get(RELEASE_LABEL) not in (None, stable)
            ]
            return not found

        eventually(gone, _FOLLOWS)
        return dict(enumerate(found))


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return pod["status"].get("containerStatuses") or []


class Crowd:
    """Background traffic, reported as bench.shop.users reports."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._sent = 0
        self._failed = 0

    def report(self) -> Report:
        """What became of the requests since the report before; waits for news of those until now:
        what is still under way is in the next."""
        now = self._traffic.report
        before = now.count
        assert eventually(lambda: now.count > before), "the users have gone"
        failures = [
            Failure(each["at"], each["path"], each["what"], each["release"], 0.0)
            for each in now.failures[self._failed :]
        ]
        found = Report(requests=now.count - self._sent, failed=failures)
        self._sent, self._failed = now.count, len(now.failures)
        return found


Stage = tuple[ClusterShop, Crowd]


@contextmanager
def open_cluster_shop(folder: Path) -> Iterator[Stage]:
    """A release that serves users; nothing is left of it in the end."""
    spec = _spec(f"crash-{uuid.uuid4().hex[:8]}")
    env = spec.environments[NAME]
    naming = Naming.of(spec, env)
    with (
        standing(spec, env) as admin,
        # Only the pipeline's account is used from here.
        kubeconfig(account(naming, access.CI, folder / "ci.kubeconfig")),
    ):
        platform = open_platform(folder, spec, NAME)
        platform.foundation.ensure(print)
        package = platform.runtime.package(_tree(folder), print)
        shop = ClusterShop(platform, spec, package, folder, admin, naming)
        must_end("promoted", run(shop.deploy))
        with Traffic(env.url, RPS, _requests(env.host)) as users:
            yield shop, Crowd(users)
        assert users.report.failures == []
        admin.delete("Namespace", naming.namespace)


def _requests(host: str) -> list[TrafficRequest]:
    known = {"host": host}
    small = [TrafficRequest(headers=known), TrafficRequest(method="POST", body="x", headers=known)]
    slow = ("/?sleep=0.4", "/stream?parts=4&gap=0.05&idle=0.2")
    return [*small * 4, *(TrafficRequest(path, headers=known) for path in slow)]


def _spec(namespace: str) -> Spec:
    """The matrix's promises, on a replica that asks for little."""
    promises = environment.spec(Pace(drain=5.0))
    cluster = Environment(
        name=NAME,
        platform=PlatformName.KUBERNETES,
        namespace=namespace,
        registry=os.environ["BACKENDCTL_TEST_REGISTRY"],
        gateway=os.environ["BACKENDCTL_TEST_GATEWAY"],
        host=f"{namespace}.example.com",
        url=os.environ["BACKENDCTL_TEST_GATEWAY_URL"],
        replicas=1,
    )
    changes = {
        "service": Service(name="shop", start=("python3", "-I", "service.py")),
        "load": Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1.0),
        "environments": {NAME: cluster},
    }
    return promises.model_copy(update=changes)


def _tree(folder: Path) -> Path:
    tree = folder / "tree"
    tree.mkdir()
    shutil.copy(service.__file__, tree / "service.py")
    (tree / "migrate.py").write_text(MIGRATION)
    (tree / "Dockerfile").write_text(dockerfile("*.py"))
    return tree
