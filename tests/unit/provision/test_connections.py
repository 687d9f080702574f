"""A service on AWS is given its database and cache by name, and by nobody else's hand."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pytest

from backendctl.platforms.kubernetes.naming import Naming, bound_secrets, stack_secrets
from backendctl.platforms.kubernetes.standing import manifests
from backendctl.provision import app
from backendctl.provision.connections import refusal
from backendctl.provision.database_role import MADE_FOR
from backendctl.provision.definition import Inputs, StackDefinition
from backendctl.provision.external import Reached, external_secret, lacking, specified
from backendctl.provision.registry import definitions
from backendctl.provision.simulate import simulate
from backendctl.shipped.stacks.addons import SECRET_STORE
from backendctl.shipped.stacks.record import Record
from backendctl.spec.model import Cache, Data, Environment, Load, PlatformName, Service, Spec
from tests.aws_environments import PUBLIC, bare, whole

pytestmark = pytest.mark.xdist_group("stacks")

NAMING = Naming("shop", "prod", "shop-prod")
REACHED = Reached("aws-secrets-manager", "arn:of:it", "db.example", 5432, "shop")

LEGACY = f'{PUBLIC}\ndatabase = "legacy"'
SAID: Mapping[str, Any] = {
    "database_secret_arn": "arn:of:it",
    "database_address": "legacy.example",
    "database_port": 5432,
    "database_name": "shop",
}
CACHE: Mapping[str, Any] = {
    "cache_secret_arn": "arn:of:the:cache",
    "cache_address": "cache.example",
    "cache_port": 6379,
}


def written(part: str, name: str) -> dict[str, Any]:
    return external_secret(NAMING, part, name, specified(NAMING, part, name, REACHED))


def in_app(spec: Spec, name: str = "prod") -> Sequence[Record]:
    """What the `app` stack registers behind those that it needs."""
    environment = spec.environments[name]
    return [
        each
        for each in simulate(spec, environment, definitions(environment))
        if each.stack == "app"
    ]


def told(spec: Spec, database: Mapping[str, Any]) -> Sequence[Record]:
    """What it registers behind stacks that make nothing and say this of the database."""
    says: Mapping[str, Mapping[str, Any]] = {
        "data": {**CACHE, **database},
        "cluster": {"kubeconfig": "{}"},
        "addons": {"secret_store": SECRET_STORE},
    }

    def saying(name: str) -> StackDefinition:
        def program(_inputs: Inputs) -> None:
            for key, value in says[name].items():
                pulumi.export(key, value)

        return StackDefinition(name, program)

    environment = spec.environments["prod"]
    return simulate(spec, environment, [*map(saying, says), app.definition(environment)])


def external(records: Sequence[Record]) -> Mapping[str, Mapping[str, Any]]:
    return {
        each.properties["metadata"]["name"]: each.properties
        for each in records
        if each.type == "kubernetes:external-secrets.io/v1:ExternalSecret"
    }


def variables(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = manifest["spec"]["target"]["template"]["data"]
    return found


# --- the manifests ----------------------------------------------------------------------------


def test_the_database_is_reached_encrypted_with_its_password_escaped() -> None:
    made = written("database", "shop-database")
    assert variables(made) == {
        "DATABASE_URL": (
            'postgresql://{{ .username | urlquery | replace "+" "%20" }}:'
            '{{ .password | urlquery | replace "+" "%20" }}'
            "@db.example:5432/shop"
        ),
        "PGSSLMODE": "require",
    }


def test_the_cache_is_reached_encrypted_under_both_usual_names() -> None:
    made = variables(written("cache", "shop-cache"))
    assert set(made) == {"CACHE_URL", "REDIS_URL"}
    assert made["CACHE_URL"] == made["REDIS_URL"]
    assert made["CACHE_URL"].startswith("rediss://{{ .username ")
    assert made["CACHE_URL"].endswith("@db.example:5432/0")


def test_user_and_password_are_read_together_and_again_every_minute() -> None:
    made = written("database", "shop-database")
    assert made["metadata"]["namespace"] == "shop-prod"
    assert made["spec"]["dataFrom"] == [{"extract": {"key": "arn:of:it"}}]
    assert made["spec"]["refreshInterval"] == "1m"
    assert made["spec"]["secretStoreRef"] == {
        "kind": "ClusterSecretStore",
        "name": "aws-secrets-manager",
    }
    assert made["spec"]["target"]["name"] == "shop-database"


def test_the_secret_that_is_written_is_not_taken_for_a_version_of_a_secret() -> None:
    """Those are found by their labels, and purged."""
    made = written("database", "shop-database")
    labels = made["spec"]["target"]["template"]["metadata"]["labels"]
    assert not NAMING.labels("secret").items() <= labels.items()


@pytest.mark.parametrize(
    ("reached", "part", "lacks"),
    [
        (REACHED, "database", 0),
        (Reached("store", "arn", "cache.example", 6379), "cache", 0),
        (Reached("store", "", "db.example", 5432, "shop"), "database", 1),
        (Reached("store", "arn", "db.example", 5432), "database", 1),
        (Reached("", "", "", 0), "database", 5),
    ],
)
def test_what_is_needed_and_not_known_is_named(reached: Reached, part: str, lacks: int) -> None:
    assert len(lacking(reached, part)) == lacks


def test_a_refusal_says_what_to_make_and_where_to_name_it() -> None:
    spec = whole("prod", LEGACY)
    said = refusal(spec, spec.environments["prod"], "database", ("a password",))
    assert "the adopted database legacy has not: a password." in said
    assert "namespace shop-prod" in said
    assert 'database_secret = "NAME"' in said


# --- whose they are to make -------------------------------------------------------------------


def spec_of(environment: Environment) -> Spec:
    return Spec(
        service=Service(name="shop", start=("serve",)),
        load=Load(peak_rps=100, peak_users=100, sustained_users=50, think_time=1),
        data=Data(engine="postgresql"),
        cache=Cache(engine="valkey"),
        environments={environment.name: environment},
    )


@pytest.mark.parametrize(
    ("platform", "stated", "ours"),
    [
        (PlatformName.AWS, {}, {"database", "cache"}),
        (PlatformName.AWS, {"database": "legacy"}, {"database", "cache"}),
        (PlatformName.AWS, {"database_secret": "mine"}, {"cache"}),
        (PlatformName.AWS, {"cache_secret": "shop-cache"}, {"database"}),
        (PlatformName.AWS, {"cluster": "theirs"}, set()),
        (PlatformName.KUBERNETES, {}, set()),
        (PlatformName.LOCAL, {}, set()),
    ],
)
def test_the_stacks_make_what_nobody_else_does(
    platform: PlatformName, stated: dict[str, str], ours: set[str]
) -> None:
    environment = Environment(name="prod", platform=platform, **stated)
    spec = spec_of(environment)
    found = stack_secrets(spec, environment)
    assert set(found) == ours
    assert found.items() <= bound_secrets(spec, environment).items()


# --- in the stack -----------------------------------------------------------------------------


def test_what_releases_are_given_is_what_the_app_stack_makes() -> None:
    spec = whole("prod")
    environment = spec.environments["prod"]
    made = external(in_app(spec))
    assert set(made) == {*bound_secrets(spec, environment).values(), "shop-database-master"}
    assert {each["metadata"]["namespace"] for each in made.values()} == {"shop-prod"}
    database, cache = made["shop-database"], made["shop-cache"]
    assert variables(database)["DATABASE_URL"].endswith("@database.invalid:5432/shop")
    assert variables(cache)["CACHE_URL"].endswith("@cache.invalid:6379/0")
    assert database["spec"]["dataFrom"][0]["extract"]["key"] == "arn:aws:secretsmanager:secret"
    assert cache["spec"]["dataFrom"][0]["extract"]["key"] == "arn:aws:secretsmanager:secret"
    for each in made.values():
        assert each["spec"]["secretStoreRef"]["name"] == SECRET_STORE


def test_an_adopted_database_leads_to_its_own_address() -> None:
    made = external(in_app(whole("prod", LEGACY)))
    assert variables(made["shop-database"])["DATABASE_URL"].endswith(
        "@database.invalid:5432/database"
    )


def test_releases_are_given_no_password_that_rds_changes_behind_their_back() -> None:
    """RDS changes its master user's every seven days; a pod keeps the one it began with."""
    spec = whole("prod")
    environment = spec.environments["prod"]
    made = external(in_app(spec))
    masters = "secret:rds-database"
    assert masters in json.dumps(made["shop-database-master"])
    for name in bound_secrets(spec, environment).values():
        assert masters not in json.dumps(made[name])


def test_only_a_job_logs_in_as_the_master_user_and_makes_the_role_of_the_service() -> None:
    (job,) = (each for each in in_app(whole("prod")) if each.type == "kubernetes:batch/v1:Job")
    template = job.properties["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "shop-database-master"}}]
    made_for = template["metadata"]["annotations"][MADE_FOR]
    assert made_for == "database.invalid arn:aws:secretsmanager:secret"
    # As restricted as the namespace asks its pods to be.
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["spec"]["automountServiceAccountToken"] is False


def test_an_adopted_database_has_no_role_of_ours_and_a_preview_says_what_that_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi, "warn", warnings.append)
    records = in_app(whole("prod", LEGACY))
    assert [each for each in records if each.type == "kubernetes:batch/v1:Job"] == []
    (said,) = warnings
    assert "changes every seven days" in said
    assert '[environments.prod] database_secret = "NAME"' in said
    in_app(whole("prod", LEGACY + '\ndatabase_secret = "mine"'))
    in_app(whole("prod"))
    assert len(warnings) == 1


@pytest.mark.parametrize("lacks", ["database_secret_arn", "database_name", "database_address"])
def test_an_adopted_database_that_lacks_something_stops_the_stack_with_what_to_do(
    lacks: str,
) -> None:
    spec = whole("prod", LEGACY)
    with pytest.raises(pulumi.RunError, match='database_secret = "NAME"'):
        told(spec, {name: value for name, value in SAID.items() if name != lacks})
    named = whole("prod", LEGACY + '\ndatabase_secret = "mine"')
    assert set(external(told(named, {}))) == {"shop-cache"}


def test_a_service_without_database_and_cache_is_given_none() -> None:
    records = told(bare("prod"), SAID)
    assert records
    assert external(records) == {}


def test_in_a_cluster_of_the_users_own_nothing_of_the_operators_is_made() -> None:
    environment = Environment(name="prod", platform=PlatformName.KUBERNETES)
    spec = spec_of(environment)
    records = simulate(spec, environment, definitions(environment))
    assert records
    assert external(records) == {}


@pytest.mark.parametrize("platform", [PlatformName.AWS, PlatformName.KUBERNETES])
def test_what_stands_anyway_has_none(platform: PlatformName) -> None:
    environment = Environment(name="prod", platform=platform)
    kinds = {each["kind"] for each in manifests(spec_of(environment), environment)}
    assert "ExternalSecret" not in kinds


def test_no_value_of_a_secret_reaches_the_stack() -> None:
    """Even if what the other stacks say were to hold one."""
    records = told(whole("prod"), {**SAID, "database_password": "hunter2"})
    assert set(external(records)) == {"shop-database", "shop-database-master", "shop-cache"}
    assert "hunter2" not in json.dumps([each.properties for each in records])
