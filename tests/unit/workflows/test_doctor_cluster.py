"""What a cluster lacks is named one by one, the first cause first, each with what to type."""

import re
import socket
import sys
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes import cluster as module
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.connection import NoAnswerError
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.standing import manifests
from backendctl.platforms.open import open_platform
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec
from backendctl.workflows.doctor_check import Check, Level
from backendctl.workflows.doctor_cluster import grant_of, look_at_cluster, look_at_tools
from backendctl.workflows.environment import Opened, choose
from tests.fakes.kubernetes_api import FakeApi
from tests.unit.platforms_kubernetes.gateways import SHARED, gateway, gateway_class

ENVIRONMENT = Environment(
    name="staging", platform=PlatformName.KUBERNETES, gateway_class="contour", namespace="shop-s"
)
SPEC = Spec(
    service=Service(name="shop", start=("serve",)),
    load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
    environments={"staging": ENVIRONMENT},
)
NAMING = Naming.of(SPEC, ENVIRONMENT)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """Whoever opens a cluster opens this one, and nobody waits before asking again."""
    made = FakeApi()
    monkeypatch.setattr(module, "KubeconfigConnection", lambda _context: made)
    monkeypatch.setattr(module, "PAUSES", ())
    return made


@pytest.fixture
def opened(api: FakeApi, tmp_path: Path) -> Opened:
    cluster = Cluster(NAMING.namespace)
    for manifest in manifests(SPEC, ENVIRONMENT):
        cluster.apply(manifest)
    return Opened(tmp_path, SPEC, ENVIRONMENT, open_platform(tmp_path, SPEC, "staging"))


def looked(opened: Opened) -> dict[str, Check]:
    found = {each.name: each for each in look_at_cluster(opened)}
    for each in found.values():
        assert each.level is Level.OK or each.next, each
    return found


def test_what_is_there_is_named_with_who_asks_and_which_version(opened: Opened) -> None:
    found = looked(opened)
    assert found["credentials"].found == "ana"
    assert "v1" in found["gateway api"].found
    good = ("cluster", "credentials", "gateway api", "namespace", "permissions", "accounts")
    assert {name for name in good if found[name].level is Level.OK} == set(good)
    assert found["gateway"].level is Level.FAILED  # no controller has taken it
    assert found["watchdog"].level is Level.WARNING


def test_a_host_that_is_not_known_here_is_said_before_a_first_release_fails_on_it(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = {"gateway": f"{SHARED.namespace}/{SHARED.name}", "host": "shop.example.com"}
    stated = ENVIRONMENT.model_copy(update=shared)
    spec = SPEC.model_copy(update={"environments": {"staging": stated}})
    cluster = Cluster(NAMING.namespace)
    for manifest in (*manifests(spec, stated), gateway_class(), gateway()):
        cluster.apply(manifest)
    names = {"shop.example.com"}

    def resolve(name: str, _port: None) -> None:
        if name not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    opened = Opened(tmp_path, spec, stated, open_platform(tmp_path, spec, "staging"))
    assert looked(opened)["address"].level is Level.OK
    names.clear()
    check = looked(opened)["address"]
    assert check.level is Level.FAILED
    assert "shop.example.com is not known on this machine" in check.found
    assert check.next.startswith('url = "http://10.9.8.7"')


def test_a_permission_that_is_lacking_is_named(opened: Opened, api: FakeApi) -> None:
    api.forbidden = {("create", "deployments"), ("get", "pods/log")}
    check = looked(opened)["permissions"]
    assert check.level is Level.FAILED
    assert "create deployments in shop-s" in check.found
    assert "get pods/log in shop-s" in check.found
    assert "2 of the" in check.found
    assert "--role=backendctl-ci" in check.next


@pytest.mark.parametrize(
    ("lacking", "who", "said"),
    [
        ({"shop-s", "edge", ""}, "ana", "kubectl -n shop-s create rolebinding ACCOUNT-deploys "),
        ({"edge", ""}, "ana", "kubectl -n edge create rolebinding ACCOUNT-traffic --role=shop-s-t"),
        ({""}, "ana", "kubectl create clusterrolebinding ACCOUNT-shop-s --clusterrole=shop-s-gat"),
        ({"shop-s"}, "system:serviceaccount:shop-s:backendctl-ci", "backendctl infra up --env s"),
    ],
)
def test_each_grant_that_is_proposed_reaches_what_is_lacking(
    lacking: set[str], who: str, said: str
) -> None:
    """A role reaches its own namespace only, and one that exists there has to be named."""
    assert grant_of(NAMING, lacking, who).startswith(said)


def test_the_roles_that_are_proposed_are_those_of_the_stack(opened: Opened, api: FakeApi) -> None:
    del opened
    names = {manifest["metadata"]["name"] for manifest in api.objects.values()}
    for lacking in ({NAMING.namespace}, {"edge"}, {""}):
        found = re.search(r"role=(\S+)", grant_of(NAMING, lacking, "ana"))
        assert found is not None
        assert found[1] in names


def test_a_wrong_namespace_is_no_missing_gateway(opened: Opened) -> None:
    elsewhere = ENVIRONMENT.model_copy(update={"namespace": "shop-x"})
    spec = SPEC.model_copy(update={"environments": {"staging": elsewhere}})
    platform = open_platform(opened.project, spec, "staging")
    found = looked(Opened(opened.project, spec, elsewhere, platform))
    assert [each.name for each in found.values() if each.level is Level.FAILED] == ["namespace"]
    assert "no namespace shop-x" in found["namespace"].found
    assert "gateway" not in found
    with pytest.raises(BackendctlError) as caught:
        _ = platform.router.url
    assert "no namespace shop-x" in caught.value.message


@pytest.mark.parametrize(("served", "said"), [(None, "no Gateway API"), (["v1beta1"], "not as v1")])
def test_a_cluster_without_the_gateway_api_or_with_an_old_one_is_told_so(
    opened: Opened, api: FakeApi, served: list[str] | None, said: str
) -> None:
    api.groups = {} if served is None else {"gateway.networking.k8s.io": served}
    check = looked(opened)["gateway api"]
    assert check.level is Level.FAILED
    assert said in check.found


def test_a_cluster_that_does_not_answer_is_asked_nothing_else(opened: Opened, api: FakeApi) -> None:
    def gone(_method: str, _path: str) -> None:
        raise NoAnswerError("Connection refused", sent=False)

    api.before = gone
    found = looked(opened)
    assert list(found) == ["cluster"]
    assert "Connection refused" in found["cluster"].found


def test_tools_that_are_not_there_are_said_and_fail_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("BACKENDCTL_PULUMI", raising=False)
    found = {each.name: each for each in look_at_tools(SPEC, ENVIRONMENT)}
    assert {name: each.level for name, each in found.items()} == dict.fromkeys(
        ("registry", "image builder", "pulumi"), Level.WARNING
    )
    assert all(each.next for each in found.values())


def test_a_pulumi_without_its_plugin_is_said_before_a_preview_needs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "pulumi"
    program.write_text(f"#!{sys.executable}\nprint('v3.259.0')\n")
    program.chmod(0o700)
    monkeypatch.setenv("BACKENDCTL_PULUMI", str(program))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    def looked_at() -> Check:
        return next(each for each in look_at_tools(SPEC, ENVIRONMENT) if each.name == "pulumi")

    check = looked_at()
    assert check.level is Level.WARNING
    assert "plugin for kubernetes" in check.found
    assert check.next == "backendctl infra install"
    (tmp_path / "pulumi-resource-kubernetes").write_text("")
    (tmp_path / "pulumi-resource-kubernetes").chmod(0o700)
    assert looked_at().level is Level.OK


def test_a_registry_that_does_not_answer_is_a_failure() -> None:
    stated = ENVIRONMENT.model_copy(update={"registry": "127.0.0.1:1/acme"})
    check = next(each for each in look_at_tools(SPEC, stated) if each.name == "registry")
    assert check.level is Level.FAILED
    assert "127.0.0.1:1" in check.found


def test_an_environment_that_is_misspelt_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "backend.toml").write_text(
        '[service]\nname = "s"\nstart = "x"\n[load]\npeak_rps = 1\npeak_users = 1\n'
        '[environments.staging]\nplatform = "kubernetes"\ngateway_class = "c"\n'
    )
    with pytest.raises(BackendctlError) as caught:
        choose(tmp_path, "stagin", changes=False)
    assert "did you mean 'staging'?" in caught.value.cause
    assert caught.value.next == ("--env staging",)
