"""`backendctl doctor` on a cluster: the real command, as the accounts that come with it see it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from backendctl.errors import Exit
from backendctl.platforms.kubernetes import access
from backendctl.platforms.kubernetes.naming import Naming
from tests.cluster.standing import account, standing
from tests.cluster.trial import write_project
from tests.commands import Project

pytestmark = pytest.mark.cluster


@dataclass(frozen=True)
class Trial:
    """An environment in which nothing was deployed yet."""

    project: Project
    naming: Naming

    def looked(self, role: str, exit_status: int = 0) -> Mapping[str, Mapping[str, str]]:
        """What it found as that account, by name."""
        config = account(self.naming, role, self.project.folder / f"{role}.kubeconfig")
        said = self.project.run("doctor", "--env", "trial", KUBECONFIG=str(config))
        assert said.exit == exit_status, [e for e in said.data["checks"] if e["level"] != "ok"]
        return {each["name"]: each for each in said.data["checks"]}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    folder = tmp_path_factory.mktemp("shop")
    spec = write_project(folder, "doctor", 'strategy = "blue-green"')
    environment = spec.environments["trial"]
    naming = Naming.of(spec, environment)
    with standing(spec, environment) as admin:
        yield Trial(Project(folder), naming)
        admin.delete("Namespace", naming.namespace)


def test_a_pipelines_account_finds_all_that_deploys_need(trial: Trial) -> None:
    found = trial.looked(access.CI)
    assert {name for name, each in found.items() if each["level"] == "failed"} == set()
    for name in ("cluster", "gateway api", "namespace", "permissions", "registry"):
        assert found[name]["level"] == "ok", found[name]
    assert found["credentials"]["found"].endswith(trial.naming.account(access.CI))
    assert found["metrics"]["found"] == "read from the gateway itself: 2 proxies"
    assert found["lock"]["found"] == "free"


def test_an_account_that_may_only_look_is_told_what_it_may_not(trial: Trial) -> None:
    found = trial.looked(access.VIEWER, exit_status=Exit.MISSING)
    assert found["namespace"]["level"] == "ok"
    lacking = found["permissions"]
    assert lacking["level"] == "failed"
    assert "create configmaps" in lacking["found"], lacking
    assert f"--role={trial.naming.account(access.CI)}" in lacking["next"]


def test_what_is_not_there_is_named_before_what_would_stand_on_it(trial: Trial) -> None:
    promises = trial.project.folder / "backend.toml"
    whole = promises.read_text()
    promises.write_text(whole.replace(trial.naming.namespace, "nobodys"))
    try:
        found = trial.looked(access.CI, exit_status=Exit.MISSING)
    finally:
        promises.write_text(whole)
    assert found["gateway api"]["level"] == "ok"
    assert found["namespace"]["level"] == "failed"
    assert "nobodys" in found["namespace"]["found"]
    assert not {"permissions", "metrics", "lock"} & set(found)
