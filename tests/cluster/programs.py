"""The programs of the node: what each is told, and the file that tells supervisord to run them."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.layout import Addresses, Layout

API_PORT = 6443
REGISTRY_PORT = 5000
PROMETHEUS_PORT = 9090
DISCOVERY_PORT = 9099
PAUSE_IMAGE = "localhost/pause:1"
SCRAPE_SECONDS = 1


@dataclass(frozen=True)
class Program:
    name: str
    argv: tuple[str, ...]


def programs(layout: Layout, addresses: Addresses, binaries: Path) -> list[Program]:
    """Everything that runs on the node itself, in the order in which it is started."""
    config, pki = layout.config, layout.pki

    def built(name: str, *flags: str) -> Program:
        return Program(name, (str(binaries / name), *flags))

    def client(name: str) -> str:
        return f"--kubeconfig={layout.component_kubeconfig(name)}"

    return [
        Program(
            "etcd",
            (
                "/usr/bin/etcd",
                # In memory: a test cluster does not outlive its node, and fsync is most of the
                # time that a write to a disk of a test machine takes.
                "--data-dir=/run/etcd",
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--quota-backend-bytes=536870912",
                "--auto-compaction-mode=periodic",
                "--auto-compaction-retention=5m",
            ),
        ),
        Program("containerd", ("/usr/bin/containerd", "--config", str(config / "containerd.toml"))),
        built("registry", "serve", str(config / "registry.json")),
        built(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=0.0.0.0",
            f"--advertise-address={addresses.node}",
            f"--secure-port={API_PORT}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            "--authorization-mode=Node,RBAC",
            "--anonymous-auth=false",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
            f"--service-account-key-file={pki / 'service-accounts.pub'}",
            f"--service-cluster-ip-range={addresses.services}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            "--kubelet-preferred-address-types=InternalIP",
        ),
        built(
            "kube-controller-manager",
            client("kube-controller-manager"),
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={pki / 'service-accounts.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
        ),
        built("kube-scheduler", client("kube-scheduler"), "--leader-elect=false"),
        built(
            "kubelet",
            client("kubelet"),
            f"--config={config / 'kubelet.json'}",
            "--hostname-override=node",
            f"--node-ip={addresses.node}",
            f"--root-dir={layout.state / 'kubelet'}",
        ),
        built("kube-proxy", f"--config={config / 'kube-proxy.json'}", "--hostname-override=node"),
        _ours(
            "load_balancer",
            layout.component_kubeconfig("load-balancer"),
            addresses.load_balancers,
        ),
        _ours("discovery", layout.component_kubeconfig("discovery"), DISCOVERY_PORT),
        built("coredns", "-conf", str(config / "Corefile"), "-dns.port=53"),
        Program(
            "prometheus",
            (
                "/usr/bin/prometheus",
                f"--config.file={config / 'prometheus.json'}",
                f"--storage.tsdb.path={layout.state / 'prometheus'}",
                "--storage.tsdb.retention.time=6h",
                f"--web.listen-address=0.0.0.0:{PROMETHEUS_PORT}",
            ),
        ),
    ]


def _ours(module: str, *words: object) -> Program:
    return Program(
        module.replace("_", "-"),
        (sys.executable, "-m", f"tests.cluster.{module}", *map(str, words)),
    )


def config_files(layout: Layout, addresses: Addresses) -> dict[str, str]:
    """The programs' configuration by file name. JSON wherever a program reads YAML."""
    registry = f"{addresses.node}:{REGISTRY_PORT}"
    return {
        "containerd.toml": _containerd(layout),
        f"registries/{registry}/hosts.toml": f'server = "http://{registry}"\n'
        f'[host."http://{registry}"]\n  capabilities = ["pull", "resolve"]\n',
        "registries.conf": f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n',
        "storage.conf": _storage(layout),
        "cni/10-bridge.conflist": json.dumps(_network(addresses), indent=1),
        "kubelet.json": json.dumps(_kubelet(layout, addresses), indent=1),
        "kube-proxy.json": json.dumps(_kube_proxy(layout, addresses), indent=1),
        "registry.json": json.dumps(_registry(layout), indent=1),
        "prometheus.json": json.dumps(_prometheus(), indent=1),
        "Corefile": _corefile(layout),
        "resolv.conf": f"nameserver {addresses.node}\n",
    }


def supervisord(layout: Layout, running: list[Program]) -> str:
    """supervisord as the first process of the node: starts the programs again when they die."""
    sections = [
        "[supervisord]",
        "nodaemon=true",
        "user=root",
        f"logfile={layout.logs / 'supervisord.log'}",
        f"pidfile={layout.state / 'supervisord.pid'}",
        f"childlogdir={layout.logs}",
        f"directory={Path(__file__).parents[2]}",
        # The machine has memory and few cores: Go's programs collect garbage less often.
        f"environment=PATH={_quoted('/usr/sbin:/usr/bin:/sbin:/bin')},GOGC=400",
        "minfds=16384",
        "[unix_http_server]",
        f"file={layout.supervisor_socket}",
        "chmod=0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisorctl]",
        f"serverurl=unix://{layout.supervisor_socket}",
    ]
    for program in running:
        sections += [
            f"[program:{program.name}]",
            "command=" + " ".join(_quoted(word) for word in program.argv),
            "autostart=false",
            "autorestart=true",
            "startretries=60",
            "startsecs=0",
            "redirect_stderr=true",
            f"stdout_logfile={layout.logs / program.name}.log",
            "stdout_logfile_maxbytes=20MB",
            "stdout_logfile_backups=1",
        ]
    return "\n".join(sections) + "\n"


def _quoted(word: str) -> str:
    # supervisord expands %(...)s, and reads a command as a shell would.
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _containerd(layout: Layout) -> str:
    return f"""version = 2
root = "{layout.state}/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]

[grpc]
  address = "{layout.containerd_socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # A machine in a sandbox may forbid to lower the score, and has no AppArmor.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{layout.config}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{layout.config}/registries"
"""


def _storage(layout: Layout) -> str:
    return f"""[storage]
driver = "overlay"
graphroot = "{layout.state}/buildah"
runroot = "{layout.state}/buildah-run"
"""


def _network(addresses: Addresses) -> dict[str, Any]:
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods0",
                "isGateway": True,
                "hairpinMode": True,
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni",
                    "ranges": [[{"subnet": str(addresses.pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "loopback"},
        ],
    }


def _kubelet(layout: Layout, addresses: Addresses) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "imageServiceEndpoint": f"unix://{layout.containerd_socket}",
        "clusterDNS": [str(addresses.node)],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.config / "resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "oomScoreAdj": 0,
        "enforceNodeAllocatable": [],
        # The machine's disk is not the cluster's: nothing is evicted or collected for its sake.
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        "podLogsDir": str(layout.state / "pod-logs"),
        "volumePluginDir": str(layout.state / "volume-plugins"),
        "nodeStatusUpdateFrequency": "4s",
        "syncFrequency": "10s",
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    }


def _kube_proxy(layout: Layout, addresses: Addresses) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.component_kubeconfig("kube-proxy"))},
        "mode": "nftables",
        "clusterCIDR": str(addresses.pods),
        "nftables": {"minSyncPeriod": "0s"},
        # The connection tracking table is sized by the machine, which is not ours to tune.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def _registry(layout: Layout) -> dict[str, Any]:
    return {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(layout.state / "registry")},
            "delete": {"enabled": True},
        },
        "http": {"addr": f":{REGISTRY_PORT}"},
    }


def _prometheus() -> dict[str, Any]:
    return {
        "global": {
            "scrape_interval": f"{SCRAPE_SECONDS}s",
            "scrape_timeout": f"{SCRAPE_SECONDS}s",
        },
        "scrape_configs": [
            {
                "job_name": "pods",
                "http_sd_configs": [
                    {
                        "url": f"http://127.0.0.1:{DISCOVERY_PORT}",
                        "refresh_interval": f"{SCRAPE_SECONDS}s",
                    }
                ],
            }
        ],
    }


def _corefile(layout: Layout) -> str:
    return f""".:53 {{
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {layout.component_kubeconfig("coredns")} test
        pods insecure
        ttl 1
    }}
    cache 1
}}
"""
