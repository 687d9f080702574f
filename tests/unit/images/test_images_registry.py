"""What a registry is asked, who we say we are, and what its refusals become."""

import base64
import json
import os
import socket
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.images.credentials import Account, account_for
from backendctl.platforms.images.reference import Repository, is_loopback
from backendctl.platforms.images.registries_conf import is_insecure
from backendctl.platforms.images.registry import MANIFEST, Registry
from tests.fakes.registry import FakeRegistry, fake_registry

HUB_PASSWORD = "s3cret"


def repository(fake: FakeRegistry) -> Repository:
    return Repository.of(f"{fake.host}/acme", "shop")


def logged_in(folder: Path, host: str, password: str = HUB_PASSWORD) -> dict[str, str]:
    """A home in which somebody has logged in to `host`."""
    auth = base64.b64encode(f"ana:{password}".encode()).decode()
    file = folder / "auth.json"
    file.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"REGISTRY_AUTH_FILE": str(file)}


def test_what_a_tag_names_is_told_by_digest_and_nothing_is_none() -> None:
    with fake_registry() as fake:
        digest = fake.put("acme/shop", "abc", b'{"schemaVersion": 2}', MANIFEST)
        registry = Registry(repository(fake), {})
        assert (registry.digest("abc"), registry.digest("other")) == (digest, None)
        registry.close()


@pytest.mark.parametrize("tokens", [False, True])
def test_an_account_is_shown_by_password_or_by_token(tokens: bool, tmp_path: Path) -> None:
    with fake_registry(account=("ana", HUB_PASSWORD), tokens=tokens) as fake:
        digest = fake.put("acme/shop", "abc", b"{}", MANIFEST)
        registry = Registry(repository(fake), logged_in(tmp_path, fake.host))
        assert registry.digest("abc") == digest
        registry.close()


@pytest.mark.parametrize("tokens", [False, True])
def test_a_wrong_password_is_refused_without_being_shown(tokens: bool, tmp_path: Path) -> None:
    with fake_registry(account=("ana", HUB_PASSWORD), tokens=tokens) as fake:
        registry = Registry(repository(fake), logged_in(tmp_path, fake.host, "wr0ng-one"))
        with pytest.raises(BackendctlError) as caught:
            registry.digest("abc")
        registry.close()
    error = caught.value
    assert error.code == "registry.credentials"
    assert f"docker login {fake.host}" in error.next
    assert "wr0ng-one" not in f"{error.message} {error.cause} {error.next}"


def test_a_registry_that_is_not_there_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(BackendctlError, match=host) as caught:
        Registry(Repository.of(host, "shop"), {}).digest("abc")
    assert caught.value.code == "missing.registry"


@pytest.mark.parametrize("keeps", [False, True])
def test_a_document_lies_beside_its_image_for_whoever_looks_there(keeps: bool) -> None:
    with fake_registry(keeps_referrers=keeps) as fake:
        digest = fake.put("acme/shop", "abc", b'{"an": "image"}', MANIFEST)
        registry = Registry(repository(fake), {})
        made = registry.attach(digest, b'{"a": "bill"}', "application/vnd.cyclonedx+json")
        again = registry.attach(digest, b'{"a": "bill"}', "application/vnd.cyclonedx+json")
        registry.close()
    manifest = json.loads(fake.manifests[f"acme/shop@{made}"][1])
    assert manifest["subject"]["digest"] == digest
    assert fake.blobs[manifest["layers"][0]["digest"]] == b'{"a": "bill"}'
    listed = fake.manifests.get(f"acme/shop:{digest.replace(':', '-')}")
    if keeps:
        assert listed is None
    else:  # the list that a client keeps where the registry keeps none
        assert listed is not None
        (entry,) = json.loads(listed[1])["manifests"]
        assert entry["digest"] == made == again


def test_the_most_specific_account_counts(tmp_path: Path) -> None:
    def entry(user: str) -> dict[str, str]:
        return {"auth": base64.b64encode(f"{user}:p".encode()).decode()}

    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {"ghcr.io": entry("all"), "ghcr.io/acme": entry("us")}}))
    environ = {"REGISTRY_AUTH_FILE": str(file)}
    assert account_for("ghcr.io", "acme/shop", environ, tmp_path) == Account("us", "p")
    assert account_for("ghcr.io", "other/shop", environ, tmp_path) == Account("all", "p")
    assert account_for("quay.io", "acme/shop", environ, tmp_path) is None


def test_a_helper_is_asked_for_the_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-cloud"
    helper.write_text(
        '#!/bin/sh\nread host\necho "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"t\\"}"\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"credHelpers": {"1.dkr.ecr.eu-1.amazonaws.com": "cloud"}}))
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    found = account_for("1.dkr.ecr.eu-1.amazonaws.com", "shop", environ, tmp_path)
    assert found == Account("1.dkr.ecr.eu-1.amazonaws.com", "t")
    assert "'t'" not in repr(found)


def test_names_are_read_as_docker_reads_them() -> None:
    assert Repository.of("ghcr.io/acme", "shop").tagged("1") == "ghcr.io/acme/shop:1"
    assert Repository.of("acme", "shop") == Repository("docker.io", "acme/shop")
    assert Repository.of("localhost:5000", "shop").at("sha256:0") == "localhost:5000/shop@sha256:0"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("localhost:5000/a", True),
        ("localhost/a:1", True),
        ("127.0.0.1/a", True),
        ("[::1]:5000/a", True),
        ("10.0.0.1:5000/a", False),
        ("ghcr.io/acme/a:1", False),
    ],
)
def test_only_registries_on_this_machine_speak_plain_http(reference: str, expected: bool) -> None:
    assert is_loopback(reference) is expected


def test_what_podman_and_buildah_are_told_of_a_registry_counts_for_us(tmp_path: Path) -> None:
    file = tmp_path / "registries.conf"
    file.write_text('[[registry]]\nlocation = "10.0.0.1:5000"\ninsecure = true\n')
    environ = {"CONTAINERS_REGISTRIES_CONF": str(file)}
    assert is_insecure("10.0.0.1:5000", environ, tmp_path)
    assert not is_insecure("10.0.0.2:5000", environ, tmp_path)
