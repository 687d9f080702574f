"""What a build is given of this machine, and that none of it lies about."""

import configparser
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.images.surroundings import CA_BUNDLE, PIP_CONF, as_files, given


def test_certificates_and_pip_settings_are_mounted_where_they_are_set(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.write_text("CERT")
    environ = {
        "PIP_CERT": str(bundle),
        "PIP_INDEX_URL": "https://ana:pa55@pypi.example.com/simple",
        "PIP_FIND_LINKS": "/opt/wheels",
        "HTTPS_PROXY": "http://ana:pa55@proxy:3128",
    }
    found = given(environ, (), tmp_path)
    assert found.secrets[CA_BUNDLE] == b"CERT"
    parser = configparser.RawConfigParser()
    parser.read_string(found.secrets[PIP_CONF].decode())
    assert dict(parser["global"]) == {
        "index-url": "https://ana:pa55@pypi.example.com/simple",
        "cert": "/run/secrets/ca-bundle",  # where the other one is mounted
    }
    assert found.proxies == ("HTTPS_PROXY",)


def test_pip_settings_come_from_its_files_too_and_variables_win(tmp_path: Path) -> None:
    file = tmp_path / ".config" / "pip" / "pip.conf"
    file.parent.mkdir(parents=True)
    file.write_text("[global]\nindex-url = https://a/simple\ntrusted-host =\n    a\n    b\n")
    environ = {"PIP_INDEX_URL": "https://b/simple"}
    parser = configparser.RawConfigParser()
    parser.read_string(given(environ, (), tmp_path).secrets[PIP_CONF].decode())
    assert parser["global"]["index-url"] == "https://b/simple"
    assert parser["global"]["trusted-host"].split() == ["a", "b"]


def test_accounts_in_addresses_of_an_index_or_a_proxy_come_up_in_no_output(tmp_path: Path) -> None:
    environ = {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "https://ana:of-the-index@pypi.example.com/simple",
        "PIP_EXTRA_INDEX_URL": "https://only-a-token@other.example.com/simple",
        "HTTPS_PROXY": "http://ana:of-the-proxy@proxy:3128",
    }
    assert set(given(environ, (), tmp_path).hide) == {
        "of-the-index",
        "only-a-token",
        "of-the-proxy",
    }


def test_nothing_is_given_where_nothing_is_set(tmp_path: Path) -> None:
    assert given({"PIP_CONFIG_FILE": "/dev/null"}, (), tmp_path).secrets == {}


def test_a_secret_is_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file")
    environ = {
        "PIP_CONFIG_FILE": "/dev/null",
        "NPM_TOKEN": "from-a-variable",
        "GH_TOKEN_FILE": str(tmp_path / "token"),
    }
    found = given(environ, ("NPM_TOKEN", "GH_TOKEN"), tmp_path)
    assert found.secrets == {"NPM_TOKEN": b"from-a-variable", "GH_TOKEN": b"from-a-file"}
    assert set(found.hide) == {"from-a-variable", "from-a-file"}


@pytest.mark.parametrize("environ", [{}, {"NPM_TOKEN_FILE": "/nowhere"}])
def test_a_secret_that_is_not_given_is_named_and_so_is_where_it_is_asked_for(
    environ: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(BackendctlError, match="NPM_TOKEN") as caught:
        given(environ, ("NPM_TOKEN",), tmp_path)
    assert caught.value.code == "build.secret"
    assert "build.secrets" in caught.value.cause
    assert caught.value.next[0] == "export NPM_TOKEN=..."


def test_certificates_that_cannot_be_read_stop_the_build(tmp_path: Path) -> None:
    with pytest.raises(BackendctlError, match="SSL_CERT_FILE"):
        given({"SSL_CERT_FILE": "/nowhere/ca.crt"}, (), tmp_path)


def test_secret_files_are_private_and_gone_afterwards(tmp_path: Path) -> None:
    with as_files({"A": b"x"}, tmp_path / "keep") as paths:
        assert paths["A"].read_bytes() == b"x"
        assert paths["A"].stat().st_mode & 0o777 == 0o600
        assert paths["A"].parent.stat().st_mode & 0o077 == 0
    assert not paths["A"].exists()
    assert list((tmp_path / "keep").iterdir()) == []
