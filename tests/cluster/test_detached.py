"""backendctl's own image at work in the cluster: a driver that outlives the machine it was started
from, the watchdog, and the pods of a load test."""

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.loadtest.conduct import PORT
from backendctl.loadtest.elsewhere import InEnvironment
from backendctl.loadtest.generator import GeneratorPlan
from backendctl.loadtest.measurement import Measurement
from backendctl.loadtest.place import Offer
from backendctl.loadtest.profile import Durations, Loop, Profile, derive
from backendctl.loadtest.scenario import plain_paths
from backendctl.platforms.base import Errand
from backendctl.platforms.kubernetes.away import ClusterAway
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.spec.load import load_spec
from backendctl.spec.model import Load, Slo
from tests.cluster.standing import ADMIN, account, kubeconfig, standing
from tests.commands import Project
from tests.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("images")]

_SERVICE = Path(__file__).parents[1] / "conformance" / "service"
_PROMISES = """\
[service]
name = "shop"
start = "python3 app.py --port=$PORT"

[build.arguments]
PYTHON_IMAGE = "{base}"

[load]
peak_rps = 10
peak_users = 10

[rollout]
strategy = "blue-green"
warm_up = "1s"
step_time = "1s"
bake = "2s"

[environments.trial]
platform = "kubernetes"
namespace = "{namespace}"
registry = "{registry}"
gateway_class = "{gateway_class}"
replicas = 1
driver_image = "{driver}"
"""


@pytest.fixture(scope="module")
def project(driver_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A service in an environment that `infra up` has made, as its pipeline sees it."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copy(_SERVICE / "app.py", folder)
    (folder / "Dockerfile").write_text(
        "ARG PYTHON_IMAGE\nFROM ${PYTHON_IMAGE}\nWORKDIR /srv\nCOPY app.py ./\nUSER 10001\n"
    )
    (folder / "backend.toml").write_text(
        _PROMISES.format(
            namespace=f"away-{uuid.uuid4().hex[:8]}",
            base=os.environ["BACKENDCTL_TEST_BASE_IMAGE"],
            registry=os.environ["BACKENDCTL_TEST_REGISTRY"],
            gateway_class=os.environ["BACKENDCTL_TEST_GATEWAY_CLASS"],
            driver=driver_image,
        )
    )
    spec = load_spec(folder)
    environment = spec.environments["trial"]
    with standing(spec, environment) as admin:
        # The driver is followed from outside: only the pipeline's account is used from here.
        naming = Naming.of(spec, environment)
        with kubeconfig(account(naming, "ci", folder / "ci.kubeconfig")):
            found = Project(folder)
            up = found.run("up", "--env", "trial")
            assert up.exit == 0, up.text
            # It starts once the first `up` has written down what it works from.
            assert eventually(lambda: _watched(admin, naming), 150)
            yield found
        admin.delete("Namespace", naming.namespace)


def _watched(cluster: Cluster, naming: Naming) -> bool:
    """Whether the watchdog runs; asked twice a second."""
    time.sleep(0.5)
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


def test_what_is_refused_there_is_refused_here(project: Project) -> None:
    shut = project.run("deploy", "--env", "trial", "--strategy", "canary", "--detach", "--yes")
    # Nobody uses it: a canary could never be judged. The driver finds that out, and we say it.
    assert (shut.exit, shut.code) == (3, "rollout.unjudgeable"), shut.text


def test_the_watchdog_watches_by_what_is_recorded(project: Project, naming: Naming) -> None:
    with kubeconfig(os.environ[ADMIN]):
        cluster = Cluster(naming.namespace)

        def logs() -> str:
            (pod,) = cluster.list("Pod", naming.labels("watchdog"))
            return "\n".join(cluster.pod_logs(pod["metadata"]["name"]))

        assert eventually(lambda: "watching shop in trial" in logs(), 60)


# --- load ----------------------------------------------------------------------------------------


@pytest.fixture
def target(naming: Naming, driver_image: str) -> Iterator[str]:
    """A server in the cluster that is no release."""
    with kubeconfig(os.environ[ADMIN]):
        cluster = Cluster(naming.namespace)
        away = ClusterAway(cluster, naming, driver_image)
        server = away.start(Errand("load", ("http.server", "8000"), 600.0), print)
        try:
            yield f"http://{server.address()}:8000"
        finally:
            server.remove()


def offer(target: str, folder: Path, hold: float = 3.0) -> Offer:
    load = Load(peak_rps=20, peak_users=10, sustained_users=1, think_time=1.0)
    lengths = Durations(1.0, 1.0, 1.0, 0.5, hold)
    profile = derive(load, Slo(p95=5, p99=10), lengths, loops=frozenset({Loop.OPEN}))
    profile = replace(profile, workers=2)
    plan = GeneratorPlan(target, plain_paths(["/"], "a test"), 1.0, 10.0, 2, 1)
    return Offer(plan, profile, lambda: "a-token", folder, folder)


def test_two_workers_in_pods_send_exactly_what_was_asked_for(
    naming: Naming, driver_image: str, target: str, tmp_path: Path
) -> None:
    asked, measurement = offer(target, tmp_path), Measurement()
    away = ClusterAway(Cluster(naming.namespace), naming, driver_image)
    carried: Profile = InEnvironment(away, print, 0.1).carry_out(asked, measurement, lambda _: None)
    assert measurement.lost == []
    assert set(measurement.cpu) == {"worker 0", "worker 1"}
    for index, stage in enumerate(carried.stages):
        if stage.name == "hold":
            found = measurement.stages[index]
            assert found.scheduled == stage.arrivals == found.started
            assert found.count == found.response.count == stage.arrivals
    with kubeconfig(os.environ[ADMIN]):
        left = Cluster(naming.namespace).list("Job", naming.labels("load"))
    assert len(left) == 1  # the target's own


def test_a_worker_that_is_lost_is_told_and_the_test_ends(
    naming: Naming, driver_image: str, target: str, tmp_path: Path
) -> None:
    asked, measurement = offer(target, tmp_path, hold=60.0), Measurement()
    cluster = Cluster(naming.namespace)
    away = ClusterAway(cluster, naming, driver_image)

    killed: list[str] = []

    def kill(progress: object) -> None:
        if killed:
            return
        for pod in cluster.list("Pod", naming.labels("load")):
            arguments = pod["spec"]["containers"][0]["args"]
            if str(PORT) in arguments and not killed:
                killed.append(pod["metadata"]["name"])
                cluster.delete("Pod", killed[0], grace=0)

    InEnvironment(away, print, 0.1).carry_out(asked, measurement, kill)
    assert killed
    assert any("fell silent" in each for each in measurement.lost)


def test_an_environment_without_an_image_of_backendctl_says_how_to_get_one(
    naming: Naming,
) -> None:
    with pytest.raises(BackendctlError) as caught:
        ClusterAway(Cluster("nowhere"), naming, "").start(Errand("load", ("x",), 1.0), print)
    assert caught.value.code == "missing.environment"
    assert "backendctl build --driver" in caught.value.next[0]
