"""The demo's story on the cluster, by the real command, with images it builds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.standing import administrator

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_no_user_sees_a_failure_but_the_bad_releases_own(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("backendctl")
    options = (
        *("--env", "kubernetes", "--gateway-class", os.environ["BACKENDCTL_TEST_GATEWAY_CLASS"]),
        *("--registry", os.environ["BACKENDCTL_TEST_REGISTRY"]),
        *("--python-image", os.environ["BACKENDCTL_TEST_BASE_IMAGE"]),
    )
    done = subprocess.run(
        [command, "demo", *options, "--output", "json"],
        cwd=tmp_path,
        env={**os.environ, "KUBECONFIG": os.environ["BACKENDCTL_TEST_KUBECONFIG"]},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(done.stdout)
    assert answer["error"] is None, (answer["error"], done.stderr[-4000:])
    assert (done.returncode, answer["data"]["problems"]) == (0, []), done.stderr[-4000:]
    for part, result in (
        ("good_release", "promoted"),
        ("forced_rollback", "restored"),
        ("manual_rollback", "promoted"),
    ):
        told = answer["data"][part]
        assert (told["result"], told["failed_requests"]) == (result, 0), told
        assert told["user_requests"] > 200
    bad = answer["data"]["bad_release"]
    assert bad["result"] == "restored"
    assert bad["candidate_failed"] > 0
    left = [each["metadata"]["name"] for each in administrator("default").list("Namespace")]
    assert not [name for name in left if name.startswith("backendctl-demo-")]
