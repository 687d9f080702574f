"""Drivers that die, sleep or are in the way, on a cluster: real commands under users' requests.

That they may die at any other record is `test_crash_sample.py`'s to show.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from backendctl.loadtest.traffic import Traffic, TrafficRequest
from backendctl.platforms.base import WATCHDOG
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import COMPONENT_LABEL, Naming
from backendctl.platforms.kubernetes.standing import manifests
from backendctl.platforms.kubernetes.store import KubernetesStore
from backendctl.rollout.history import takeovers
from backendctl.spec.load import load_spec
from backendctl.workflows.watching import NAME
from tests.cluster.session import CHECKOUT
from tests.cluster.standing import account, kubeconfig, standing
from tests.cluster.trial import write_project
from tests.commands import Project
from tests.waiting import eventually

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("recovery"),
    pytest.mark.timeout(600),
]

_RPS = 30.0
_FEW = 30.0
"""Seconds that restoring takes at most on a busy machine."""
_MANY = 120.0
"""Seconds that a deploy takes at most on one."""
_ROLLOUT = """
steps = [50]
warm_up = "0s"
step_time = "2s"
deadline = "10m"
bake = "1s"
drain_deadline = "5s"
"""
_CANARY = ("--strategy", "canary")
_AT_ONCE = ("--strategy", "blue-green", "--unjudged", "a test")


@dataclass(frozen=True)
class Shop:
    """An environment in which a release serves users."""

    project: Project
    naming: Naming
    admin: Cluster
    users: Traffic

    def deploy(self, *words: str, at: str, by: str = "SIGKILL") -> "subprocess.Popen[str]":
        """Start a deploy that is hit there by a signal."""
        command = (sys.executable, "-m", "tests.cluster.dying_command", at, by)
        project = Project(self.project.folder, command)
        path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
        return project.start("deploy", "--env", "trial", "--yes", *words, PYTHONPATH=path)

    def status(self) -> Mapping[str, Any]:
        said = self.project.run("rollout", "status", "--env", "trial")
        assert said.exit == 0, said.text
        return said.data

    def journal(self) -> Sequence[Mapping[str, Any]]:
        """Of the last rollout."""
        store = KubernetesStore(self.admin, self.naming)
        return store.records(store.rollouts()[-1])

    def held(self) -> bool:
        """Whether the lease of whoever holds the environment still runs."""
        holder = KubernetesStore(self.admin, self.naming).holder()
        return holder is not None and holder.expires > time.time()

    def components(self, kind: str) -> list[str]:
        """The names of all of that kind that are ours, but for the watchdog."""
        found = self.admin.list(kind, self.naming.selector)
        return sorted(
            each["metadata"]["name"]
            for each in found
            if each["metadata"]["labels"].get(COMPONENT_LABEL) != WATCHDOG
        )

    def weights(self) -> dict[str, int]:
        """As users' requests meet them in the HTTPRoute, by name of the Service."""
        route = self.admin.get("HTTPRoute", self.naming.route)
        assert route is not None
        rule = route["spec"]["rules"][-1]
        return {each["name"]: each["weight"] for each in rule["backendRefs"]}

    def assert_whole(self, stable: int) -> None:
        """That release alone serves, nothing else is left, and no user saw a failure."""
        status = self.status()
        assert (status["stable"], status["in_flight"]) == (stable, False), status
        assert status["weights"] == {str(stable): 100}
        name = self.naming.release(stable)
        assert {each: share for each, share in self.weights().items() if share} == {name: 100}
        assert self.components("Deployment") == [name]
        assert self.components("Service") == [name]
        assert self.components("Job") == []
        deployment = self.admin.get("Deployment", name)
        assert deployment is not None
        assert deployment["status"]["readyReplicas"] == deployment["spec"]["replicas"]
        sent = self.users.report.count
        assert eventually(lambda: self.users.report.count > sent + _RPS)
        assert self.users.report.failures == []
        assert self.users.report.late_ms < 5000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    spec = write_project(folder, "recovery", _ROLLOUT)
    environment = spec.environments["trial"]
    naming = Naming.of(spec, environment)
    with standing(spec, environment) as admin:
        # Only the pipeline's account is used from here.
        with kubeconfig(account(naming, "ci", folder / "ci.kubeconfig")):
            project = Project(folder)
            up = project.run("up", "--env", "trial")
            assert up.exit == 0, up.text
            requests = [TrafficRequest(headers={"host": environment.host})]
            with Traffic(environment.url, _RPS, requests) as users:
                yield Shop(project, naming, admin, users)
            assert users.report.failures == []
        admin.delete("Namespace", naming.namespace)


@pytest.fixture
def watchdog(shop: Shop, driver_image: str) -> Iterator[None]:
    """backendctl's own image watches the environment."""
    promises = shop.project.folder / "backend.toml"
    without = promises.read_text()
    promises.write_text(without + f'driver_image = "{driver_image}"\n')
    spec = load_spec(shop.project.folder)
    (deployment,) = [
        each
        for each in manifests(spec, spec.environments["trial"])
        if each["metadata"]["name"] == shop.naming.watchdog
    ]
    try:
        shop.admin.apply(deployment)
        up = shop.project.run("up", "--env", "trial")
        assert up.exit == 0, up.text
        yield
    finally:
        promises.write_text(without)
        shop.admin.delete("Deployment", shop.naming.watchdog)
        assert eventually(lambda: not shop.admin.list("Pod", shop.naming.labels(WATCHDOG)), _FEW)


@pytest.fixture
def stable(shop: Shop) -> int:
    return int(shop.status()["stable"])


def ended(process: "subprocess.Popen[str]", limit: float = _MANY) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


def colleague(what: str, shop: Shop) -> tuple[Project, dict[str, str]]:
    """Somebody in another folder, with backend.toml or with the kubeconfig alone."""
    folder = Path(tempfile.mkdtemp(dir=shop.project.folder.parent))
    if what == "backend.toml":
        shutil.copy(shop.project.folder / "backend.toml", folder)
        return Project(folder), {}
    return Project(folder), {"BACKENDCTL_NAMESPACE": shop.naming.namespace}


@pytest.mark.parametrize(
    ("moment", "how", "has", "result"),
    [
        ("first-shift", _CANARY, "kubeconfig", "restored"),
        ("abort", _CANARY, "backend.toml", "restored"),
        ("drain", _AT_ONCE, "kubeconfig", "promoted"),
    ],
)
def test_a_driver_killed_there_is_recovered_by_somebody_in_another_folder(
    shop: Shop, stable: int, moment: str, how: tuple[str, ...], has: str, result: str
) -> None:
    status, out, err = ended(shop.deploy(*how, at=moment))
    assert status == -signal.SIGKILL, (status, out, err[-3000:])
    assert shop.status()["in_flight"]
    elsewhere, variables = colleague(has, shop)
    recovered = elsewhere.run("rollout", "recover", "--env", "trial", **variables)
    assert recovered.data["result"] == result, recovered.text
    shop.assert_whole(stable if result == "restored" else recovered.data["candidate"])


def test_a_driver_that_wakes_up_after_it_was_replaced_names_who_did_and_changes_nothing(
    shop: Shop, stable: int
) -> None:
    deploying = shop.deploy(*_AT_ONCE, at="to-all", by="SIGSTOP")
    try:
        asleep = psutil.Process(deploying.pid)
        assert eventually(lambda: asleep.status() == psutil.STATUS_STOPPED, _MANY)
        elsewhere, variables = colleague("kubeconfig", shop)
        recover = ("rollout", "recover", "--env", "trial")
        variables["BACKENDCTL_ACTOR"] = "bob"
        assert elsewhere.run(*recover, **variables).code == "rollout.locked"
        assert eventually(lambda: not shop.held(), _FEW)
        recovered = elsewhere.run(*recover, **variables)
        assert recovered.data["result"] == "restored", recovered.text
        then = shop.weights(), shop.journal()
        asleep.resume()
        woken = shop.project.said(*ended(deploying))
    finally:
        deploying.kill()
    assert woken.code == "rollout.fenced", woken.text
    assert woken.answer["error"]["cause"].startswith("bob@"), woken.text
    assert "restored" in woken.answer["error"]["state"]
    assert (shop.weights(), shop.journal()) == then
    shop.assert_whole(stable)


def test_the_watchdog_in_the_cluster_restores_what_nobody_recovers(
    shop: Shop, stable: int, watchdog: None
) -> None:
    status, _out, err = ended(shop.deploy(*_CANARY, at="mid-step"))
    assert status == -signal.SIGKILL, err
    assert shop.status()["in_flight"]
    assert eventually(lambda: not shop.status()["in_flight"], _MANY)
    (taken,) = takeovers(shop.journal())
    assert taken["saw"]["by"] == NAME
    assert "nobody recovered it" in taken["saw"]["reason"]
    shop.assert_whole(stable)


def test_a_second_deploy_names_who_holds_the_environment(shop: Shop, stable: int) -> None:
    deploying = shop.project.start("deploy", "--env", "trial", "--yes", *_CANARY)
    assert eventually(lambda: shop.status()["in_flight"], _FEW)
    holder = shop.status()["driver"]["owner"]
    second = shop.project.run("deploy", "--env", "trial", "--yes")
    assert (second.exit, second.code) == (6, "rollout.locked"), second.text
    assert holder in second.answer["error"]["cause"]
    aborted = shop.project.run("rollout", "abort", "--env", "trial", "--reason", "a test")
    assert aborted.data["result"] == "restored", aborted.text
    status, _out, err = ended(deploying)
    assert status == 1, err
    shop.assert_whole(stable)
