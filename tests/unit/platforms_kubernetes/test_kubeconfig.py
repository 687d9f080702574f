"""What a kubeconfig may be, and is not."""

import json
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster


@pytest.mark.parametrize(
    "text", ["garbage", "- a\n- list\n", "clusters: 7\n", "current-context: x\n", "{", ""]
)
def test_a_file_that_is_no_kubeconfig_is_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(BackendctlError) as caught:
        Cluster("shop").get("Namespace", "shop")
    assert caught.value.code == "platform.credentials"
    assert str(file) in caught.value.cause


@pytest.mark.parametrize(("stated", "current"), [("stagin", "prod"), ("", "stagin")])
def test_a_context_that_is_not_there_is_no_lack_of_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: str, current: str
) -> None:
    file = tmp_path / "config"
    names = ("prod", "staging")
    contexts = [{"name": each, "context": {"cluster": "c", "user": "u"}} for each in names]
    clusters = [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}]
    users = [{"name": "u", "user": {"token": "t"}}]
    parts = {"contexts": contexts, "clusters": clusters, "users": users}
    file.write_text(json.dumps({"current-context": current, **parts}))
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(BackendctlError) as caught:
        Cluster("shop", stated).get("Namespace", "shop")
    assert caught.value.code == "missing.cluster"
    assert caught.value.message == "the kubeconfig has no context 'stagin'"
    assert "prod, staging; did you mean 'staging'?" in caught.value.cause
