"""Secret values in a cluster: a version for each change, immutable, and said nowhere."""

import logging
from dataclasses import replace

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.naming import Naming
from backendctl.platforms.kubernetes.secrets import KubernetesSecrets
from tests.fakes.kubernetes_api import FakeApi

NAMING = Naming("shop", "prod", "shop-prod")


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def opened(api: FakeApi) -> KubernetesSecrets:
    return KubernetesSecrets(Cluster(NAMING.namespace, connection=api), NAMING)


@pytest.fixture
def secrets(api: FakeApi) -> KubernetesSecrets:
    return opened(api)


def test_reading_changes_nothing(secrets: KubernetesSecrets, api: FakeApi) -> None:
    assert secrets.current() == {}
    assert secrets.reveal("KEY") is None
    assert api.objects == {}


def test_each_change_is_a_version_and_old_ones_stay_with_those_who_pinned_them(
    secrets: KubernetesSecrets, api: FakeApi
) -> None:
    first, second = secrets.set("API_KEY", "one"), secrets.set("API_KEY", "two")
    assert first != second
    assert secrets.current() == {"API_KEY": second}
    assert opened(api).reveal("API_KEY") == "two"
    kept = api.objects["Secret", "shop-prod", NAMING.secret("API_KEY", first)]
    assert kept["immutable"] is True


def test_the_same_value_keeps_its_version(secrets: KubernetesSecrets) -> None:
    assert secrets.set("KEY", "one") == secrets.set("KEY", "one")


def test_an_unset_name_is_gone_for_the_future_only_and_its_versions_are_never_given_again(
    secrets: KubernetesSecrets, api: FakeApi
) -> None:
    first = secrets.set("KEY", "one")
    secrets.unset("KEY")
    secrets.unset("OTHER")
    assert secrets.current() == {}
    assert secrets.reveal("KEY") is None
    assert ("Secret", "shop-prod", NAMING.secret("KEY", first)) in api.objects
    assert secrets.set("KEY", "one") != first


def test_a_crash_between_the_two_writes_leaves_the_former_value_current(
    secrets: KubernetesSecrets, api: FakeApi
) -> None:
    first = secrets.set("KEY", "one")

    def crash(method: str, path: str) -> None:
        if method == "PUT":
            raise KeyboardInterrupt

    api.before = crash
    with pytest.raises(KeyboardInterrupt):
        secrets.set("KEY", "two")
    api.before = lambda _method, _path: None
    assert secrets.current() == {"KEY": first}
    third = secrets.set("KEY", "three")
    assert secrets.reveal("KEY") == "three"
    assert third not in (first, "v2")


def test_two_at_once_lose_neither_name(secrets: KubernetesSecrets, api: FakeApi) -> None:
    raced: list[str] = []

    def race(method: str, path: str) -> None:
        if method != "GET" and path.endswith("configmaps") and not raced:
            raced.append(path)
            opened(api).set("OTHER", "x")

    api.before = race
    secrets.set("KEY", "y")
    assert raced
    assert set(secrets.current()) == {"KEY", "OTHER"}


def test_a_deleted_version_is_said_by_name_without_any_value(
    secrets: KubernetesSecrets, api: FakeApi
) -> None:
    version = secrets.set("KEY", "hunter2")
    del api.objects["Secret", "shop-prod", NAMING.secret("KEY", version)]
    with pytest.raises(BackendctlError) as caught:
        secrets.reveal("KEY")
    assert caught.value.code == "missing.data"
    assert "hunter2" not in str(vars(caught.value))


def test_a_value_is_in_no_path_and_no_log(
    secrets: KubernetesSecrets, api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        secrets.set("KEY", "hunter2")
        secrets.reveal("KEY")
    assert "hunter2" not in caplog.text + str(api.requests)
    index = api.objects["ConfigMap", "shop-prod", NAMING.secrets]
    assert "hunter2" not in str(index)


def test_a_value_no_process_can_be_given_is_refused(secrets: KubernetesSecrets) -> None:
    with pytest.raises(ValueError, match="zero byte"):
        secrets.set("KEY", "a\0b")
    assert secrets.current() == {}


def test_another_environments_secrets_are_neither_shown_nor_changed(
    secrets: KubernetesSecrets, api: FakeApi
) -> None:
    secrets.set("API_KEY", "one")
    before = dict(api.objects)
    cluster = Cluster(NAMING.namespace, connection=api)
    other = KubernetesSecrets(cluster, replace(NAMING, environment="stage"))
    for ask in (other.current, lambda: other.set("API_KEY", "two"), lambda: other.unset("API_KEY")):
        with pytest.raises(BackendctlError, match="environment 'prod' of shop") as caught:
            ask()
        assert caught.value.code == "spec.environment"
    assert api.objects == before
