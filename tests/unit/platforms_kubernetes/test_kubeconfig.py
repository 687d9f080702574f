"""What a kubeconfig may be, and is not."""

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
