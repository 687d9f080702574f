"""Each way in which a release does not come up on a cluster is said in plain words, within seconds
of being knowable, by the seam's own `await_ready`."""

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import (
    Condition,
    Configuration,
    Package,
    Processes,
    Release,
    ReleaseStatus,
)
from backendctl.platforms.images.builder import image_builder
from backendctl.platforms.kubernetes import manifests
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.pods import Surroundings
from backendctl.platforms.kubernetes.resources import Size
from backendctl.platforms.kubernetes.runtime import KubernetesRuntime
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec
from tests.cluster.commands import run
from tests.cluster.trial import write_service
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

_START = ("python3", "app.py", "--port=$PORT")
_DEADLINE = 90.0
"""Seconds; no failure here may take that long to be said."""


@dataclass
class Space:
    """A namespace in which releases fail."""

    cluster: Cluster
    naming: Naming
    image: str
    size: Size = field(default_factory=lambda: Size(0.05, 128 << 20, 1))
    given: tuple[str, ...] = ()

    def make(self, kind: str, version: str, name: str, **rest: Any) -> None:
        self.cluster.apply(
            {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest}
        )

    def release(
        self,
        start: tuple[str, ...] = _START,
        image: str = "",
        secrets: Mapping[str, str] | None = None,
        **values: str,
    ) -> Release:
        return Release(
            1,
            Package("c0de", image or self.image),
            Configuration(values, secrets or {}),
            Processes(start, (), "/readyz", 1, 2.0),
            time.time(),
            "a test",
        )

    def outcome(self, release: Release, deadline: float = _DEADLINE) -> tuple[ReleaseStatus, float]:
        """How it ended, and the seconds from its start until that was said."""
        surroundings = Surroundings(self.naming, self.size, _DEADLINE, self.given)
        runtime = KubernetesRuntime(
            self.cluster, surroundings, lambda _tree, _on_line: release.package
        )
        began = time.monotonic()
        runtime.start(release)
        try:
            found = runtime.await_ready(release, deadline)
            seconds = time.monotonic() - began
        finally:
            runtime.stop(release.number)
        print(f"[{seconds:.1f} s, {found.condition}] {found.detail}")
        return found, seconds


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The conformance service, built as `backendctl build` does."""
    folder = tmp_path_factory.mktemp("service")
    write_service(folder)
    environment = Environment(
        name="cluster",
        platform=PlatformName.KUBERNETES,
        registry=os.environ["BACKENDCTL_TEST_REGISTRY"],
    )
    spec = Spec(
        service=Service(name="conformance", start=_START),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={"cluster": environment},
    )
    build = image_builder(tmp_path_factory.mktemp("project"), spec, environment)
    return build(folder, print).location


@pytest.fixture
def space(image: str) -> Iterator[Space]:
    namespace = f"failures-{uuid.uuid4().hex[:8]}"
    naming = Naming("shop", "trial", namespace)
    cluster = Cluster(namespace)
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": restricted},
        }
    )
    found = Space(cluster, naming, image)
    found.make("ServiceAccount", "v1", naming.account("service"))
    try:
        yield found
    finally:
        cluster.delete("Namespace", namespace)


def test_a_release_without_fault_comes_up(space: Space) -> None:
    found, seconds = space.outcome(space.release())
    assert found.condition is Condition.READY, found.detail
    assert seconds < 30


# --- images -------------------------------------------------------------------------------------


def test_an_image_that_the_registry_does_not_have(space: Space) -> None:
    registry = os.environ["BACKENDCTL_TEST_REGISTRY"]
    image = f"{registry}/shop@sha256:{'0' * 64}"
    found, seconds = space.outcome(space.release(image=image))
    assert found.condition is Condition.FAILED
    assert found.detail.startswith("its image cannot be pulled: ")
    assert image in found.detail
    assert "not found" in found.detail
    assert seconds < 15


def test_a_registry_that_does_not_answer(space: Space) -> None:
    found, seconds = space.outcome(space.release(image="127.0.0.1:9/shop:1"))
    assert found.condition is Condition.FAILED
    assert found.detail.startswith("its image cannot be pulled: ")
    assert "127.0.0.1:9" in found.detail
    assert "refused" in found.detail
    assert 15 < seconds < 45


def test_a_name_of_an_image_that_is_none(space: Space) -> None:
    found, seconds = space.outcome(space.release(image="Not A Name"))
    assert found.condition is Condition.FAILED
    assert "Not A Name" in found.detail
    assert seconds < 15


def test_an_image_that_runs_as_root(space: Space) -> None:
    image = os.environ["BACKENDCTL_TEST_BASE_IMAGE"]
    found, seconds = space.outcome(space.release(image=image))
    assert found.condition is Condition.FAILED
    assert "USER 10001" in found.detail
    assert seconds < 15


# --- what the cluster does not let be -----------------------------------------------------------


def test_pods_for_which_no_node_has_room(space: Space) -> None:
    space.size = replace(space.size, memory=1 << 42)
    found, seconds = space.outcome(space.release())
    assert found.condition is Condition.FAILED
    assert found.detail.startswith("no node has enough memory free: ")
    assert found.detail.endswith("a pod asks for cpu 50m, memory 4Ti")
    assert seconds < 30


def test_a_quota_that_is_used_up(space: Space) -> None:
    space.make("ResourceQuota", "v1", "small", spec={"hard": {"requests.memory": "100Mi"}})
    found, seconds = space.outcome(space.release())
    assert found.condition is Condition.FAILED
    assert found.detail.startswith("the namespace's quota small is used up: ")
    assert "requests.memory=128Mi" in found.detail
    assert seconds < 20


def test_a_policy_that_does_not_admit_the_pods(space: Space) -> None:
    name = space.naming.namespace
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    version = "admissionregistration.k8s.io/v1"
    policy = _cluster_wide(
        "ValidatingAdmissionPolicy",
        version,
        name,
        {
            "matchConstraints": {"resourceRules": [{**pods, "resources": ["pods"]}]},
            "validations": [{"expression": "false", "message": "images must be signed"}],
        },
    )
    binding = _cluster_wide(
        "ValidatingAdmissionPolicyBinding",
        version,
        name,
        {"policyName": name, "validationActions": ["Deny"], "matchResources": here},
    )
    with policy, binding:
        assert eventually(lambda: _refused_now(space), 30), "the policy has not been noticed"
        found, seconds = space.outcome(space.release())
    assert found.condition is Condition.FAILED
    assert found.detail == (
        f"a policy of the cluster, {name}, does not admit its pods: images must be signed"
    )
    assert seconds < 15


def test_an_account_that_is_not_there(space: Space) -> None:
    space.cluster.delete("ServiceAccount", space.naming.account("service"))
    found, seconds = space.outcome(space.release())
    assert found.condition is Condition.FAILED
    assert "service account shop-service" in found.detail
    assert seconds < 20


# --- what the release lacks ---------------------------------------------------------------------


def test_a_secret_that_is_not_there(space: Space) -> None:
    found, seconds = space.outcome(space.release(secrets={"API_KEY": "v9"}))
    assert found.condition is Condition.FAILED
    assert "Secret shop-secret-api-key-v9, which it needs, is not there" in found.detail
    assert seconds < 20


def test_a_database_secret_that_is_not_there(space: Space) -> None:
    space.given = ("shop-database",)
    found, seconds = space.outcome(space.release())
    assert found.condition is Condition.FAILED
    assert "Secret shop-database, which it needs, is not there" in found.detail
    assert seconds < 20


def test_a_secret_without_its_key(space: Space) -> None:
    space.make("Secret", "v1", "shop-secret-api-key-v9", stringData={"other": "x"})
    found, seconds = space.outcome(space.release(secrets={"API_KEY": "v9"}))
    assert found.condition is Condition.FAILED
    assert "Secret shop-secret-api-key-v9 has no key value, which it needs" in found.detail
    assert seconds < 20


# --- what the process does ----------------------------------------------------------------------


def test_a_process_that_ends(space: Space) -> None:
    found, seconds = space.outcome(space.release(EXIT_AT_START="3"))
    assert found.condition is Condition.CRASHING
    first, *log = found.detail.splitlines()
    assert first == "a process died before it was ready: exit status 3"
    assert "cannot reach the flux capacitor" in log
    assert seconds < 15


def test_a_process_that_takes_too_much_memory(space: Space) -> None:
    space.size = replace(space.size, memory=48 << 20)
    greedy = ("python3", "-c", "print('so far so good', flush=True); b'x' * (1 << 30)")
    found, seconds = space.outcome(space.release(start=greedy))
    assert found.condition is Condition.CRASHING
    first, *log = found.detail.splitlines()
    assert first.startswith("a process was killed before it was ready: it took more memory than")
    assert "48Mi" in first
    assert "so far so good" in log
    assert seconds < 15


def test_a_program_that_is_not_in_the_image(space: Space) -> None:
    found, seconds = space.outcome(space.release(start=("no-such-program",)))
    assert found.condition is Condition.FAILED
    assert found.detail == (
        'its command cannot be started: exec: "no-such-program": executable file not found in $PATH'
    )
    assert seconds < 15


def test_a_process_that_never_becomes_ready(space: Space) -> None:
    found, seconds = space.outcome(space.release(READY="no"), 12)
    assert found.condition is Condition.UNREADY
    assert found.detail.splitlines()[0] == "not ready after 12 s: GET /readyz answered 503"
    assert 12 <= seconds < 14


def test_a_process_that_listens_where_nobody_reaches_it(space: Space) -> None:
    alone = ("python3", "-m", "http.server", "--bind", "127.0.0.1", "$PORT")
    found, _ = space.outcome(space.release(start=alone), 12)
    assert found.condition is Condition.UNREADY
    assert "its command names 127.0.0.1, where nobody outside its pod reaches it" in found.detail


# --- a policy -----------------------------------------------------------------------------------


class _cluster_wide:  # noqa: N801 - used like a function
    """An object that no namespace takes with it, of a kind that the product has no use for."""

    def __init__(self, kind: str, version: str, name: str, spec: Mapping[str, Any]) -> None:
        self._name = f"{kind}/{name}"
        self._manifest = {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }

    def __enter__(self) -> None:
        kubectl("apply", "--filename", "-", given=self._manifest)

    def __exit__(self, *_: object) -> None:
        kubectl("delete", self._name)


def kubectl(*words: str, given: Mapping[str, Any] | None = None) -> str:
    tool = Path(os.environ["BACKENDCTL_TEST_BIN"]) / "kubectl"
    return run([tool, *words], given=json.dumps(given) if given else None, timeout=60)


def _refused_now(space: Space) -> bool:
    """Whether the API server, which notices a policy after a moment, refuses a pod by it."""
    surroundings = Surroundings(space.naming, space.size, _DEADLINE)
    made = manifests.deployment(space.release(), surroundings)["spec"]["template"]
    probe = {"apiVersion": "v1", "kind": "Pod", **made}
    try:
        space.cluster.apply({**probe, "metadata": {"name": "probe"}}, dry_run=True)
    except BackendctlError as error:
        return error.code == "platform.admission"
    return False
