"""backendctl's own image as a Job: what it may do, what it is given, and what it is not."""

import base64
import json

import pytest

from backendctl.platforms.base import Errand
from backendctl.platforms.kubernetes.errands import given, job
from backendctl.platforms.kubernetes.naming import Naming

NAMING = Naming("shop", "prod", "shop-prod")
ERRAND = Errand(
    "load",
    ("some.module", "worker"),
    90.5,
    files={"plan.json": b"{}"},
    secrets={"token": b"t0ken"},
    copies=3,
)


def pod_of(errand: Errand) -> dict[str, object]:
    spec: dict[str, object] = job(errand, NAMING, "r/b@sha256:1", "n")["spec"]["template"]["spec"]
    return spec


def test_it_runs_once_and_ends_at_its_deadline() -> None:
    spec = job(ERRAND, NAMING, "r/b@sha256:1", "n")["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 91)
    assert (spec["completions"], spec["parallelism"], spec["completionMode"]) == (3, 3, "Indexed")
    assert spec["suspend"] is True  # until what it mounts is there


@pytest.mark.parametrize(
    ("steers", "account", "token"),
    [(True, "backendctl-driver", True), (False, "shop-service", False)],
)
def test_only_a_driver_has_an_account_that_may_do_something(
    steers: bool, account: str, token: bool
) -> None:
    pod = pod_of(Errand("driver", ("m",), 1.0, steers=steers))
    assert pod["serviceAccountName"] == account
    assert pod["automountServiceAccountToken"] is token


def test_it_may_do_as_little_as_the_restricted_standard_says() -> None:
    pod = pod_of(ERRAND)
    assert pod["securityContext"]["runAsNonRoot"] is True  # type: ignore[index]
    (container,) = pod["containers"]  # type: ignore[misc, attr-defined]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_secrets_are_in_a_secret_and_nowhere_else_and_all_of_it_goes_with_the_job() -> None:
    owner = job(ERRAND, NAMING, "r/b@sha256:1", "n")
    owner["metadata"]["uid"] = "u1"
    config, secret = given(ERRAND, NAMING, "n", owner)
    assert base64.b64decode(secret["data"]["token"]) == b"t0ken"
    encoded = base64.b64encode(b"t0ken").decode()
    for each in (owner, config):
        assert "t0ken" not in json.dumps(each)
        assert encoded not in json.dumps(each)
    for each in (config, secret):
        assert [ref["uid"] for ref in each["metadata"]["ownerReferences"]] == ["u1"]


def test_what_is_not_given_is_not_mounted() -> None:
    bare = Errand("driver", ("m",), 1.0)
    owner = job(bare, NAMING, "i", "n")
    owner["metadata"]["uid"] = "u1"
    assert given(bare, NAMING, "n", owner) == []
    assert [each["name"] for each in pod_of(bare)["volumes"]] == ["scratch"]  # type: ignore[attr-defined]
