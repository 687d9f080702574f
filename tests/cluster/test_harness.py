"""The parts of the harness that need no cluster."""

import itertools
import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cluster import toolchain
from tests.cluster.discovery import targets
from tests.cluster.layout import BLOCKS, Addresses, Layout, free_block
from tests.cluster.load_balancer import assignments


@given(st.sampled_from(BLOCKS))
def test_the_networks_of_a_cluster_do_not_overlap(block: IPv4Network) -> None:
    addresses = Addresses(block)
    link = IPv4Network(f"{addresses.host}/30", strict=False)
    parts = [addresses.pods, addresses.services, addresses.load_balancers, link]
    assert all(part.subnet_of(block) for part in parts)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(parts, 2))
    assert addresses.node in link
    assert addresses.api_service in addresses.services


@given(st.text(min_size=1), st.lists(st.sampled_from(BLOCKS), unique=True))
def test_a_cluster_takes_no_network_that_is_in_use(name: str, taken: list[IPv4Network]) -> None:
    if len(taken) == len(BLOCKS):
        with pytest.raises(LookupError):
            free_block(name, taken)
    else:
        assert free_block(name, taken) not in taken
        assert free_block(name, taken) == free_block(name, reversed(taken))


def test_a_default_route_takes_nothing() -> None:
    assert free_block("x", [IPv4Network("0.0.0.0/0")]) in BLOCKS


def test_two_state_folders_have_nothing_in_common(tmp_path: Path) -> None:
    assert Layout(tmp_path / "one").name != Layout(tmp_path / "two").name


def test_a_link_name_fits_the_kernel() -> None:
    assert len(Layout(Path("/some/where/" + "long" * 60)).name) <= 15


def _service(name: str, kind: str = "LoadBalancer", address: str = "") -> dict[str, object]:
    return {
        "metadata": {"namespace": "n", "name": name},
        "spec": {"type": kind},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]} if address else {}},
    }


def test_only_services_that_wait_get_an_address_and_each_another() -> None:
    network = IPv4Network("10.1.2.0/29")
    found = assignments(
        [
            _service("a"),
            _service("b", address="10.1.2.1"),
            _service("c", "ClusterIP"),
            _service("d"),
        ],
        network,
    )
    assert found == {
        ("n", "a"): IPv4Address("10.1.2.2"),
        ("n", "d"): IPv4Address("10.1.2.3"),
    }


def _pod(
    scrape: str, phase: str = "Running", address: str | None = "10.1.2.3"
) -> dict[str, object]:
    return {
        "metadata": {
            "namespace": "n",
            "name": "p",
            "annotations": {"prometheus.io/scrape": scrape, "prometheus.io/port": "8002"},
        },
        "status": {"phase": phase, **({"podIP": address} if address else {})},
    }


def test_pods_are_scraped_that_run_and_ask_for_it() -> None:
    asked = targets(
        [_pod("true"), _pod("false"), _pod("true", "Pending"), _pod("true", address=None)]
    )
    assert asked == [
        {
            "targets": ["10.1.2.3:8002"],
            "labels": {"namespace": "n", "pod": "p", "__metrics_path__": "/metrics"},
        }
    ]


@pytest.mark.parametrize("build", toolchain.EVERYTHING, ids=lambda build: build.module)
def test_every_version_that_is_built_is_pinned_and_checksummed(build: toolchain.Build) -> None:
    words = (build.folder / "go.mod").read_text()
    if build is toolchain.PAUSE:  # our own file, nothing fetched
        assert "require" not in words
        return
    sums = (build.folder / "go.sum").read_text()
    [(module, version)] = re.findall(r"^require (\S+) (v\S+)$", words, re.MULTILINE)
    assert f"{module} {version} h1:" in sums
    # Or a program of ours, made of that module's parts.
    own = f"backendctl.dev/tests/cluster/{build.module}"
    assert all(package.startswith(module) or package == own for package in build.packages)


def test_another_go_sum_is_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "MODULES", tmp_path)
    build = toolchain.Build("thing", ("example.test/thing",))
    build.folder.mkdir()
    (build.folder / "go.sum").write_text("one")
    before = build.digest()
    (build.folder / "go.sum").write_text("two")
    assert build.digest() != before
