"""A service finds what it needs by the same names, wherever it runs."""

from pathlib import Path

import pytest

from backendctl.platforms.open import open_platform
from backendctl.platforms.variables import BOUND
from backendctl.provision.external import Reached, cache_variables, database_variables
from backendctl.spec.model import (
    Auth,
    Cache,
    Data,
    Environment,
    Load,
    PlatformName,
    Service,
    Spec,
)

PLACES = (PlatformName.LOCAL, PlatformName.KUBERNETES, PlatformName.AWS)
ONLY_LOCAL = {"AUTH_JWKS_URL"}
"""Where the test issuer's keys are: an issuer's own are found through its discovery document."""


@pytest.mark.parametrize("engine", ["none", "postgresql"])
@pytest.mark.parametrize("cache", ["none", "valkey"])
@pytest.mark.parametrize("issuer", ["", "https://login.example.com/"])
def test_every_platform_gives_a_service_the_same_variables(
    tmp_path: Path, engine: str, cache: str, issuer: str
) -> None:
    spec = Spec.model_validate(
        {
            "service": Service(name="shop", start=("serve",)),
            "load": Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
            "data": Data.model_validate({"engine": engine}),
            "cache": Cache.model_validate({"engine": cache}),
            "auth": Auth(issuer=issuer, audience="shop"),
            "environments": {
                each.value: Environment(name=each.value, platform=each) for each in PLACES
            },
        }
    )
    local, *others = (
        set(open_platform(tmp_path, spec, each.value).foundation.variables()) for each in PLACES
    )
    assert local >= ({"DATABASE_URL"} if engine != "none" else set())
    assert all(each == local - ONLY_LOCAL for each in others), (local, others)


def test_what_the_stacks_write_for_a_service_on_aws_are_those_variables() -> None:
    reached = Reached("store", "arn", "db.example", 5432, "app")
    made = {"database": database_variables(reached), "cache": cache_variables(reached)}
    for part, names in BOUND.items():
        assert set(names) <= set(made[part])
