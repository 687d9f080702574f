"""The objects of a release."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Configuration
from backendctl.platforms.kubernetes import manifests, pods
from backendctl.platforms.kubernetes.jobs import job
from backendctl.platforms.kubernetes.resources import Size
from backendctl.spec.load import read_spec
from backendctl.spec.model import Environment, PlatformName

from .releases import IMAGE, NAMING, SURROUNDINGS, release

TEXT = st.text(st.characters(codec="ascii", exclude_categories=("C",)), max_size=30)


def by_kind(of: Any) -> dict[str, Any]:
    return {each["kind"]: each for each in manifests.release_objects(of, SURROUNDINGS)}


def pod_spec(manifest: Mapping[str, Any]) -> Any:
    return manifest["spec"]["template"]["spec"]


def expanded(word: str, variables: Mapping[str, str]) -> str:
    """What the kubelet makes of an argument: third_party/forked/golang/expansion."""
    found, place = "", 0
    while place < len(word):
        two = word[place : place + 2]
        if two == "$$":
            found, place = found + "$", place + 2
        elif two == "$(" and ")" in word[place:]:
            end = word.index(")", place)
            name = word[place + 2 : end]
            found, place = found + variables.get(name, f"$({name})"), end + 1
        else:
            found, place = found + word[place], place + 1
    return found


def test_a_release_is_a_deployment_a_service_its_configuration_a_budget_and_an_autoscaler() -> None:
    found = by_kind(release())
    assert list(found) == [
        "ConfigMap",
        "Service",
        "PodDisruptionBudget",
        "Deployment",
        "HorizontalPodAutoscaler",
    ]
    assert {each["metadata"]["name"] for each in found.values()} == {"shop-r1"}
    assert found["ConfigMap"]["immutable"] is True


def test_everything_of_a_release_is_found_by_its_labels() -> None:
    for each in manifests.release_objects(release(7), SURROUNDINGS):
        labels = each["metadata"]["labels"]
        assert labels.items() >= NAMING.release_labels(7).items()


def test_only_the_releases_own_pods_are_selected_and_never_its_jobs() -> None:
    found = by_kind(release(7))
    pod = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    at_work = job(release(7), SURROUNDINGS, "migrate", ("true",), 60)["spec"]["template"]
    for selector in (
        found["Service"]["spec"]["selector"],
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert pod.items() >= selector.items()
        assert not at_work["metadata"]["labels"].items() >= selector.items()
        other = by_kind(release(8))["Deployment"]["spec"]["template"]["metadata"]["labels"]
        assert not other.items() >= selector.items()


@pytest.mark.parametrize(
    "manifest",
    [
        by_kind(release())["Deployment"],
        job(release(), SURROUNDINGS, "migrate", ("true",), 60),
    ],
    ids=["release", "job"],
)
def test_pods_keep_to_the_restricted_standard_and_have_no_way_to_the_cluster(
    manifest: Mapping[str, Any],
) -> None:
    spec = pod_spec(manifest)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} == {"emptyDir"}
    for container in spec["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert container["image"] == IMAGE


def test_secrets_are_references_to_the_versions_that_the_release_was_made_with() -> None:
    container = pod_spec(by_kind(release())["Deployment"])["containers"][0]
    reference = {"name": "shop-secret-api-key-v7", "key": "value"}
    assert container["env"] == [{"name": "API_KEY", "valueFrom": {"secretKeyRef": reference}}]
    assert container["envFrom"][0] == {"secretRef": {"name": "shop-database"}}


def test_configuration_wins_over_what_the_environment_gives_and_never_over_what_is_ours() -> None:
    told = replace(
        release(), configuration=Configuration({"HOST": "::", "PORT": "1", "LOG_LEVEL": "info"})
    )
    data = by_kind(told)["ConfigMap"]["data"]
    assert (data["HOST"], data["PORT"]) == ("::", str(pods.PORT))
    assert data["BACKENDCTL_RELEASE"] == "1"
    sources = pod_spec(by_kind(told)["Deployment"])["containers"][0]["envFrom"]
    assert [next(iter(each)) for each in sources] == ["secretRef", "configMapRef"]


@given(TEXT, TEXT)
def test_a_command_reaches_the_process_as_it_was_written(value: str, word: str) -> None:
    told = replace(release(), configuration=Configuration({"VALUE": value}))
    written = f"--x={word.replace('$', '$$')}$VALUE"
    clear = pods.clear_variables(told, NAMING)
    (found,) = pods.command(told, (written,), clear)
    assert expanded(found, clear) == f"--x={word}{value}"


@given(st.dictionaries(st.sampled_from(["A", "B", "HOST"]), TEXT, min_size=1))
def test_a_jobs_variables_reach_it_as_they_were_written(values: dict[str, str]) -> None:
    told = replace(release(), configuration=Configuration(values))
    container = pod_spec(job(told, SURROUNDINGS, "x", ("true",), 60))["containers"][0]
    given_to_it = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    assert {name: expanded(given_to_it[name], given_to_it) for name in values} == values


@pytest.mark.parametrize("name", ["API_KEY", "DATABASE_URL"])
def test_a_secret_is_no_argument(name: str) -> None:
    with pytest.raises(BackendctlError, match="a secret") as caught:
        manifests.release_objects(release(start=("python", f"--key=${name}")), SURROUNDINGS)
    assert caught.value.code == "release.start"


def test_a_name_that_is_not_set_is_refused_before_anything_is_made() -> None:
    with pytest.raises(BackendctlError, match=r"\$NOWHERE"):
        manifests.release_objects(release(start=("python", "$NOWHERE")), SURROUNDINGS)


def test_a_path_that_nobody_named_is_not_asked_whether_a_process_lives() -> None:
    container = pod_spec(by_kind(release())["Deployment"])["containers"][0]
    assert "tcpSocket" in container["livenessProbe"]
    named = by_kind(release(live_path="/livez"))["Deployment"]
    for probe in ("livenessProbe", "startupProbe"):
        assert pod_spec(named)["containers"][0][probe]["httpGet"]["path"] == "/livez"


def test_a_process_has_its_whole_grace_after_the_gateway_was_told() -> None:
    spec = pod_spec(by_kind(release(stop_grace=20.5))["Deployment"])
    sleeps = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert sleeps > 0
    assert spec["terminationGracePeriodSeconds"] >= sleeps + 20.5


def test_a_release_takes_part_in_a_rollout_at_full_size() -> None:
    scaler = by_kind(release(replicas=5))["HorizontalPodAutoscaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (5, 5)


def test_there_is_no_autoscaler_where_nothing_could_be_scaled() -> None:
    assert "HorizontalPodAutoscaler" not in by_kind(release(replicas=2))


def test_the_same_release_gives_the_same_objects_and_another_ones_differ() -> None:
    assert json.dumps(by_kind(release())) == json.dumps(by_kind(release()))
    one, two = release(), replace(release(), configuration=Configuration({"LOG_LEVEL": "debug"}))
    assert manifests.digest(one) != manifests.digest(two)


def test_a_replica_asks_for_what_the_load_says() -> None:
    text = (
        '[service]\nname = "shop"\nstart = "x"\nmemory = "300 MiB"\nrps_per_worker = 50\n'
        "[load]\npeak_rps = 70\n"
    )
    spec = read_spec(text.encode(), "backend.toml")
    size = Size.of(spec, Environment(name="prod", platform=PlatformName.KUBERNETES))
    asked = size.requirements()
    assert asked["requests"] == {"cpu": "350m", "memory": "300Mi"}
    assert asked["limits"] == {"memory": "300Mi"}


# --- jobs ---------------------------------------------------------------------------------------


def test_a_job_is_tried_once_and_does_not_outlive_its_owner_for_long() -> None:
    spec = job(release(), SURROUNDINGS, "migrate", ("alembic", "upgrade", "head"), 600)["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] >= 600
    assert spec["ttlSecondsAfterFinished"] > 0
    assert pod_spec({"spec": spec})["restartPolicy"] == "Never"


def test_a_migration_is_told_how_long_it_may_wait_for_a_lock_and_nothing_else_is() -> None:
    def options(name: str) -> list[str]:
        made = job(release(), SURROUNDINGS, name, ("true",), 600)
        env = pod_spec(made)["containers"][0]["env"]
        return [each["value"] for each in env if each["name"] == "PGOPTIONS"]

    assert options("migrate") == ["-c lock_timeout=1000 -c statement_timeout=600000"]
    assert options("greet") == []


@given(st.text(min_size=1))
def test_any_name_of_a_job_makes_names_that_kubernetes_accepts(name: str) -> None:
    metadata = job(release(), SURROUNDINGS, name, ("true",), 60)["metadata"]
    made = metadata["generateName"] + "abcde"
    assert len(made) <= 63
    assert made.replace("-", "a").isalnum()
    assert made == made.lower()
    assert made.isascii()
