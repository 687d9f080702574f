"""backendctl's own image at work in the cluster: a driver that outlives the machine it was started
from, the watchdog, and the pods of a load test."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.loadtest.conduct import PORT
from backendctl.platforms.base import Errand
from backendctl.platforms.kubernetes.away import ClusterAway
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.spec.load import load_spec
from tests.cluster.standing import ADMIN, account, administrator, kubeconfig, standing
from tests.cluster.trial import write_project
from tests.commands import Project
from tests.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("images")]

_ROLLOUT = """
strategy = "blue-green"
warm_up = "1s"
step_time = "1s"
bake = "2s"
"""


@pytest.fixture(scope="module")
def project(driver_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A service in an environment that `infra up` has made, as its pipeline sees it."""
    folder = tmp_path_factory.mktemp("shop")
    spec = write_project(folder, "away", _ROLLOUT, driver_image)
    environment = spec.environments["trial"]
    with standing(spec, environment) as admin:
        # The driver is followed from outside: only the pipeline's account is used from here.
        naming = Naming.of(spec, environment)
        with kubeconfig(account(naming, "ci", folder / "ci.kubeconfig")):
            found = Project(folder)
            up = found.run("up", "--env", "trial")
            assert up.exit == 0, up.text
            # It starts once the first `up` has written down what it works from.
            assert eventually(lambda: _watched(admin, naming), 150, every=0.5)
            yield found
        admin.delete("Namespace", naming.namespace)


def _watched(cluster: Cluster, naming: Naming) -> bool:
    """Whether the watchdog runs."""
    found = cluster.list("Deployment", naming.labels("watchdog"))
    return any(each.get("status", {}).get("readyReplicas") for each in found)


@pytest.fixture
def naming(project: Project) -> Naming:
    spec = load_spec(project.folder)
    return Naming.of(spec, spec.environments["trial"])


def test_a_rollout_goes_on_in_the_cluster_without_the_machine_that_began_it(
    project: Project, naming: Naming, tmp_path: Path
) -> None:
    app = project.folder / "app.py"
    app.write_text(app.read_text().replace('VERSION = "one"', 'VERSION = "two"'))
    begun = project.run("deploy", "--env", "trial", "--unjudged", "a test", "--yes", "--detach")
    assert (begun.exit, begun.code) == (3, "rollout.detached"), begun.text
    assert "Job shop-driver-" in begun.data["driver"]

    # Another machine: nothing but backend.toml and the kubeconfig.
    shutil.copy(project.folder / "backend.toml", tmp_path)
    elsewhere = Project(tmp_path)
    watched = elsewhere.run("rollout", "watch", str(begun.data["rollout"]), "--env", "trial")
    assert watched.exit == 0, watched.text
    history = elsewhere.run("rollout", "history", str(begun.data["rollout"]), "--env", "trial")
    assert history.exit == 0, history.text
    # It was driven by the driver's pod, in the name of whoever asked for it.
    assert "@shop-driver-" in str(history.data)


def test_what_could_never_be_judged_gets_neither_an_image_nor_a_driver(project: Project) -> None:
    shut = project.run("deploy", "--env", "trial", "--strategy", "canary", "--detach", "--yes")
    # Nobody uses it, and that is seen from here.
    assert (shut.exit, shut.code) == (3, "rollout.unjudgeable"), shut.text
    assert "Packaging" not in shut.stderr


def test_the_watchdog_watches_by_what_is_recorded(project: Project, naming: Naming) -> None:
    with kubeconfig(os.environ[ADMIN]):
        cluster = Cluster(naming.namespace)

        def logs() -> str:
            (pod,) = cluster.list("Pod", naming.labels("watchdog"))
            return "\n".join(cluster.pod_logs(pod["metadata"]["name"]))

        assert eventually(lambda: "watching shop in trial" in logs(), 60)


# --- load ----------------------------------------------------------------------------------------


_SECRET = "a-token-that-nobody-may-see"
_OFFER = ("loadtest", "run", "--env", "trial", "--confirm", "trial", "--quick", "--only", "open")


def left_of_load(naming: Naming) -> list[str]:
    """What there is of any load test."""
    cluster = administrator(naming.namespace)
    return [
        f"{kind} {each['metadata']['name']}"
        for kind in ("Job", "Pod", "Secret", "ConfigMap")
        for each in cluster.list(kind, naming.labels("load"))
    ]


def test_two_workers_in_pods_send_exactly_what_was_asked_for(
    project: Project, naming: Naming
) -> None:
    said = project.run(*_OFFER, "--workers", "2", "--hold", "3s", BACKENDCTL_LOADTEST_TOKEN=_SECRET)
    # Too few requests to decide anything by: it is the counts that are looked at.
    assert said.code in ("", "loadtest.inconclusive"), said.text
    by_worker = said.data["requests_by_worker"]
    assert set(by_worker) == {"worker 0", "worker 1"}
    assert min(by_worker.values()) > 0
    assert sum(by_worker.values()) == said.data["requests"]
    for stage in said.data["stages"]:
        assert stage["scheduled"] == stage["started"] == sum(stage["outcomes"].values())
        # Whoever asks the gateway by its address and names no host meets a 404.
        assert {each for kind in stage["operations"].values() for each in kind["statuses"]} == {
            "200"
        }, stage
    assert _SECRET not in json.dumps(said.answer) + said.stderr
    assert eventually(lambda: left_of_load(naming) == [], 30, every=0.5), left_of_load(naming)


def test_a_worker_that_is_lost_is_named_and_the_measurement_is_invalid(
    project: Project, naming: Naming
) -> None:
    running = project.start(*_OFFER, "--workers", "2", "--hold", "2m")
    cluster = administrator(naming.namespace)

    def sending() -> bool:
        pods = [each["metadata"]["name"] for each in cluster.list("Pod", naming.labels("load"))]
        return len(pods) == 3 and any(
            '"stage": "hold"' in line for pod in pods for line in cluster.pod_logs(pod, lines=3)
        )

    assert eventually(sending, 90, every=0.3)
    workers = [
        each["metadata"]["name"]
        for each in cluster.list("Pod", naming.labels("load"))
        if str(PORT) in each["spec"]["containers"][0]["args"]
    ]
    cluster.delete("Pod", workers[1])
    said = project.said(running.wait(60), *running.communicate())
    assert (said.exit, said.code) == (4, "loadtest.invalid"), said.text
    assert said.data["result"] == "invalid"
    # A pod's host name is its own without the part that is made up for each pod of an index.
    host = workers[1].rpartition("-")[0]
    why = said.data["verdict"]["reasons"]
    assert any("was lost" in each and f"at {host} " in each for each in why), why
    assert eventually(lambda: left_of_load(naming) == [], 30, every=0.5), left_of_load(naming)


def test_an_environment_without_an_image_of_backendctl_says_how_to_get_one(
    naming: Naming,
) -> None:
    with pytest.raises(BackendctlError) as caught:
        ClusterAway(Cluster("nowhere"), naming, "").start(Errand("load", ("x",), 1.0), print)
    assert caught.value.code == "missing.environment"
    assert "backendctl build --driver" in caught.value.next[0]
