"""Bringing a cluster up, saying what runs, taking it down."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from xmlrpc.client import ServerProxy

from filelock import FileLock
from supervisor.xmlrpc import SupervisorTransport

from tests.cluster import debian, images, node, programs, pulumi_plugin, toolchain
from tests.cluster import gateway as gateways
from tests.cluster.certificates import Authority, signing_key, write_private
from tests.cluster.commands import ClusterError, run
from tests.cluster.layout import Addresses, Layout, cache_folder, free_block
from tests.cluster.node import Node, wait_for

READY_TIMEOUT = 180
"""Seconds for a part of the cluster to get ready; a machine under load is slow, not wrong."""


@dataclass
class Cluster:
    """A cluster on this machine."""

    layout: Layout
    addresses: Addresses
    node: Node | None = None
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds that each part of `up` took."""

    @property
    def binaries(self) -> Path:
        return self.layout.state / "bin"

    @property
    def registry(self) -> str:
        return f"{self.addresses.node}:{programs.REGISTRY_PORT}"

    @property
    def prometheus(self) -> str:
        return f"http://{self.addresses.node}:{programs.PROMETHEUS_PORT}"

    def kubectl(self, *words: str, given: str | None = None, timeout: float = 120) -> str:
        """Run kubectl as the administrator. Raises ClusterError when it fails."""
        return run(
            [self.binaries / "kubectl", f"--kubeconfig={self.layout.kubeconfig}", *words],
            given=given,
            timeout=timeout,
        )

    def environment(self) -> dict[str, str]:
        """What tests, and people, need to know to use this cluster."""
        plugin = pulumi_plugin.find()
        return {
            **({pulumi_plugin.VARIABLE: str(plugin)} if plugin else {}),
            "BACKENDCTL_TEST_PULUMI": str(self.binaries / "pulumi"),
            "BACKENDCTL_TEST_KUBECONFIG": str(self.layout.kubeconfig),
            "KUBECONFIG": str(self.layout.kubeconfig),
            "BACKENDCTL_TEST_REGISTRY": self.registry,
            "BACKENDCTL_TEST_BASE_IMAGE": images.BASE_IMAGE,
            "BACKENDCTL_TEST_GATEWAY": f"{gateways.NAMESPACE}/{gateways.GATEWAY}",
            "BACKENDCTL_TEST_GATEWAY_CLASS": gateways.GATEWAY_CLASS,
            "BACKENDCTL_TEST_GATEWAY_URL": f"http://{self.addresses.load_balancers[1]}",
            "BACKENDCTL_TEST_PROMETHEUS": self.prometheus,
            "BACKENDCTL_TEST_BIN": str(self.binaries),
            "CONTAINERS_STORAGE_CONF": str(self.layout.containers_storage),
            "CONTAINERS_REGISTRIES_CONF": str(self.layout.containers_registries),
            "BUILDAH_ISOLATION": "chroot",
            # Memory is there, cores are few: Go's programs collect garbage less often.
            "GOGC": "400",
        }

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = time.monotonic() - began
        print(f"{self.phases[name]:7.1f} s  {name}", flush=True)


def up(state: Path, *, gateway: bool = True) -> Cluster:
    """A running cluster with its state in this folder; whatever ran there before is ended first.

    Without `gateway` it runs pods, and no more.

    Raises ClusterError when this machine cannot run one, or a part does not get ready.
    """
    layout = Layout(state.resolve())
    if os.geteuid() != 0:
        raise ClusterError("a test cluster needs root: it makes networks, mounts and containers")
    with _alone(layout):
        _end(layout)
        layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        cluster = Cluster(layout, Addresses(free_block(layout.name, node.taken_networks())))
        with cluster.phase("Debian packages"):
            debian.install(debian.missing_packages())
        with cluster.phase("Go programs"), ThreadPoolExecutor() as meanwhile:
            # Fetched and unpacked rather than computed: beside the compiler it costs no time.
            base = meanwhile.submit(images.base_image)
            toolchain.linked(toolchain.EVERYTHING if gateway else toolchain.NODE, cluster.binaries)
            base.result()
        with cluster.phase("images"):
            ready = images.node_images() + (images.gateway_images() if gateway else [])
        try:
            with cluster.phase("control plane"):
                _start_control_plane(cluster)
            with cluster.phase("node"):
                _start_node(cluster, ready)
            if gateway:
                with cluster.phase("gateway"):
                    _start_gateway(cluster)
                with cluster.phase("base image for builds"):
                    _prepare_builds(cluster)
        except BaseException:
            print(f"the logs are in {keep_logs(layout)}", flush=True)
            _end(layout)
            raise
    return cluster


def down(state: Path) -> None:
    """End the cluster of this state folder and remove the folder; nothing happens without one.

    Works after a crash at any point of `up`. Raises ClusterError when something is left.
    """
    layout = Layout(state.resolve())
    with _alone(layout):
        _end(layout)


def _alone(layout: Layout) -> FileLock:
    """Nobody else starts or ends this cluster meanwhile."""
    locks = cache_folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / layout.name)


def _end(layout: Layout) -> None:
    if layout.record.exists():
        record = json.loads(layout.record.read_text())
        node.stop(Node(**record["node"]))
    node.remove_cgroups(layout.name)
    left: list[str] = []

    def nothing_left() -> bool:
        node.unmount(layout)
        left[:] = node.leftovers(layout)
        return not left

    try:
        wait_for(nothing_left, "everything of the cluster to go", timeout=60)
    except ClusterError as failed:
        raise ClusterError(f"{failed}; left: {'; '.join(left)}") from failed
    if layout.state.exists():
        shutil.rmtree(layout.state)


def opened(state: Path) -> Cluster:
    """The cluster that runs with this state folder. Raises ClusterError when none does."""
    layout = Layout(state.resolve())
    if not layout.record.exists():
        raise ClusterError(f"no cluster in {state}: python -m tests.cluster up --state {state}")
    record = json.loads(layout.record.read_text())
    cluster = Cluster(layout, Addresses(IPv4Network(record["block"])), Node(**record["node"]))
    if cluster.node is None or not cluster.node.alive():
        raise ClusterError(f"the cluster in {state} has ended: up starts it again")
    return cluster


def _start_control_plane(cluster: Cluster) -> None:
    layout, addresses = cluster.layout, cluster.addresses
    for folder in (layout.logs, layout.config, layout.state / "volume-plugins"):
        folder.mkdir(exist_ok=True)
    _write_certificates(cluster)
    for name, content in programs.config_files(layout, addresses).items():
        file = layout.config / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    wanted = programs.programs(layout, addresses, cluster.binaries)
    (layout.config / "supervisord.conf").write_text(programs.supervisord(layout, wanted))
    cluster.node = node.start(layout, addresses)
    layout.record.write_text(
        json.dumps({"node": asdict(cluster.node), "block": str(addresses.block)})
    )
    wait_for(layout.supervisor_socket.exists, "the node's supervisor", timeout=READY_TIMEOUT)
    _start(layout, "etcd", "containerd", "registry", "kube-apiserver")
    wait_for(lambda: _answers(cluster, "/readyz"), "the API server", timeout=READY_TIMEOUT)


def _start_node(cluster: Cluster, ready: list[images.Image]) -> None:
    layout = cluster.layout
    # The pause image first: without it no pod starts.
    _load(layout, ready[0])
    names = [p.name for p in programs.programs(layout, cluster.addresses, cluster.binaries)]
    _start(layout, *names[names.index("kube-apiserver") + 1 :])
    for image in ready[1:]:
        _load(layout, image)
    cluster.kubectl("wait", "--for=create", "--timeout=90s", "node/node")
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=90s", "node/node")
    cluster.kubectl("wait", "--for=create", "--timeout=90s", "serviceaccount/default")


def _start_gateway(cluster: Cluster) -> None:
    gateways.install(cluster.kubectl)
    shared = f"gateway/{gateways.GATEWAY}"
    within = f"--timeout={READY_TIMEOUT}s"
    namespaced = f"--namespace={gateways.NAMESPACE}"
    for condition in ("create", "condition=Programmed"):
        cluster.kubectl(
            "wait", f"--for={condition}", within, namespaced, shared, timeout=READY_TIMEOUT + 10
        )
    cluster.kubectl(
        "rollout",
        "status",
        within,
        namespaced,
        f"deployment/envoy-{gateways.GATEWAY}",
        timeout=READY_TIMEOUT + 10,
    )


def _prepare_builds(cluster: Cluster) -> None:
    """The base image where buildah finds it, and in the registry: pushes then send what is new."""
    environment = {**os.environ, **cluster.environment()}
    archive = f"docker-archive:{images.base_image().archive}"
    run(["buildah", "pull", "--quiet", archive], timeout=300, environment=environment)
    pushed = f"docker://{cluster.registry}/base:1"
    push = ["buildah", "push", "--quiet", "--disable-compression", images.BASE_IMAGE, pushed]
    run(push, timeout=300, environment=environment)


def _write_certificates(cluster: Cluster) -> None:
    layout, addresses = cluster.layout, cluster.addresses
    authority = Authority()
    write_private(layout.pki / "ca.crt", authority.certificate)
    api = authority.identity(
        "kube-apiserver",
        hosts=("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"),
        addresses=(addresses.node, addresses.api_service),
    )
    kubelet_client = authority.identity("apiserver", groups=["system:masters"])
    for name, identity in {"apiserver": api, "apiserver-kubelet": kubelet_client}.items():
        write_private(layout.pki / f"{name}.crt", identity.certificate)
        write_private(layout.pki / f"{name}.key", identity.key)
    accounts = signing_key()
    write_private(layout.pki / "service-accounts.pub", accounts.certificate)
    write_private(layout.pki / "service-accounts.key", accounts.key)
    server = f"https://{addresses.node}:{programs.API_PORT}"
    administrator = authority.identity("administrator", groups=["system:masters"])
    write_private(layout.kubeconfig, authority.kubeconfig(server, administrator))
    clients = {
        "kube-controller-manager": ("system:kube-controller-manager", ""),
        "kube-scheduler": ("system:kube-scheduler", ""),
        "kubelet": ("system:node:node", "system:nodes"),
        "kube-proxy": ("system:kube-proxy", ""),
        # Parts of the machinery, not of what is tested: no roles of their own to keep right.
        "coredns": ("coredns", "system:masters"),
        "discovery": ("discovery", "system:masters"),
        "load-balancer": ("load-balancer", "system:masters"),
    }
    for name, (user, group) in clients.items():
        identity = authority.identity(user, groups=[group] if group else [])
        write_private(layout.component_kubeconfig(name), authority.kubeconfig(server, identity))


def _start(layout: Layout, *names: str) -> None:
    transport = SupervisorTransport(None, None, f"unix://{layout.supervisor_socket}")
    with ServerProxy("http://127.0.0.1", transport=transport) as supervisor:
        for name in names:
            supervisor.supervisor.startProcess(name)


def _answers(cluster: Cluster, path: str) -> bool:
    try:
        cluster.kubectl("get", "--raw", path, timeout=10)
    except ClusterError:
        return False
    return True


def _load(layout: Layout, image: images.Image) -> None:
    """Into the node's own store of images."""
    wait_for(layout.containerd_socket.exists, "containerd", timeout=READY_TIMEOUT)
    ctr = ["ctr", "--address", str(layout.containerd_socket), "--namespace", "k8s.io"]
    run([*ctr, "images", "import", "--snapshotter", "overlayfs", image.archive], timeout=300)


def keep_logs(layout: Layout) -> Path:
    """Copy the programs' logs to where `down` leaves them."""
    kept = layout.state.with_name(layout.state.name + "-logs")
    shutil.rmtree(kept, ignore_errors=True)
    if layout.logs.exists():
        shutil.copytree(layout.logs, kept)
    return kept
