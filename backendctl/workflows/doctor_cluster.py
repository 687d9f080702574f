"""`backendctl doctor` for an environment in a cluster: from the kubeconfig to the last tool."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from backendctl.errors import BackendctlError
from backendctl.platforms.base import ServiceStatus
from backendctl.spec.model import Environment, Spec
from backendctl.workflows.doctor_check import Check, Level, guarded
from backendctl.workflows.environment import Opened

if TYPE_CHECKING:
    from backendctl.platforms.kubernetes.access import Permission
    from backendctl.platforms.kubernetes.cluster import Cluster
    from backendctl.platforms.kubernetes.naming import Naming, Reference

_ASKED_AT_ONCE = 8
_NAMED = 6
"""Permissions that are lacking and named; the others are counted."""
NEEDED_VERSION = "v1"
"""Of the Gateway API."""


def look_at_cluster(opened: Opened) -> Iterator[Check]:
    """All that an environment in a cluster needs there, the first things first: without one of
    those the others are not looked at, because they could only say the same again."""
    from backendctl.platforms.kubernetes.cluster import Cluster
    from backendctl.platforms.kubernetes.naming import Naming

    naming = Naming.of(opened.spec, opened.environment)
    cluster = Cluster(naming.namespace, opened.environment.context)
    found = [*_reached(cluster)]
    if not _failed(found):
        found.append(guarded("gateway api", lambda: _gateway_api(cluster)))
        found.append(guarded("namespace", lambda: _namespace(cluster, naming)))
    yield from found
    if not _failed(found):
        gateway = naming.gateway_of(opened.environment)
        who = next(each.found for each in found if each.name == "credentials")
        yield guarded("permissions", lambda: _permissions(cluster, opened, naming, who))
        servers = [each for each in opened.platform.foundation.status() if each.name != "cluster"]
        yield from map(_server, servers)
        found_gateway = all(each.running for each in servers if each.name == "gateway")
        if found_gateway:
            yield guarded("address", lambda: _address(cluster, opened, gateway))
        if opened.environment.prometheus or found_gateway:
            yield guarded("metrics", lambda: _metrics(cluster, opened, gateway.namespace))


def look_at_tools(spec: Spec, environment: Environment) -> Iterator[Check]:
    """What deploys and stacks need besides the cluster, asked from this machine."""
    yield guarded("registry", lambda: _registry(spec, environment))
    yield guarded("image builder", _builder, Level.WARNING)
    yield guarded("pulumi", lambda: _pulumi(environment), Level.WARNING)


def _failed(found: Sequence[Check]) -> bool:
    return any(each.level is Level.FAILED for each in found)


def _reached(cluster: "Cluster") -> Iterator[Check]:
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
        "metadata": {},
    }
    try:
        who = str(cluster.create(review)["status"]["userInfo"]["username"])
    except BackendctlError as error:
        if error.code == "platform.credentials":
            if cluster.server:
                yield Check("cluster", Level.OK, cluster.server)
            yield _failure("credentials", error)
            return
        if error.code != "platform.refused":  # a server older than this question answers others
            yield _failure("cluster", error)
            return
        who = "accepted"
    yield Check("cluster", Level.OK, cluster.server)
    yield Check("credentials", Level.OK, who)


def _failure(name: str, error: BackendctlError) -> Check:
    said = f"{error.message}: {error.cause}" if error.cause else error.message
    return Check(name, Level.FAILED, said, next(iter(error.next), ""))


def _gateway_api(cluster: "Cluster") -> Check:
    from backendctl.platforms.kubernetes.errors import lacking_gateway_api
    from backendctl.platforms.kubernetes.kinds import GATEWAY_API

    served = cluster.versions(GATEWAY_API)
    if not served:
        raise lacking_gateway_api(f"{cluster.server} does not serve {GATEWAY_API}")
    said = f"{GATEWAY_API} is served as {', '.join(served)}"
    if NEEDED_VERSION not in served:
        command = lacking_gateway_api("").next[-1]
        return Check("gateway api", Level.FAILED, f"{said}, not as {NEEDED_VERSION}", command)
    return Check("gateway api", Level.OK, said)


def _namespace(cluster: "Cluster", naming: "Naming") -> Check:
    from backendctl.platforms.kubernetes.errors import require_namespace

    require_namespace(cluster.get("Namespace", naming.namespace), naming.namespace)
    return Check("namespace", Level.OK, naming.namespace)


def _permissions(cluster: "Cluster", opened: Opened, naming: "Naming", who: str) -> Check:
    """What the role of pipelines has; asked of the server, and nothing is tried."""
    from backendctl.platforms.kubernetes import access

    environment = opened.environment
    gateway = naming.gateway_of(environment)
    own_class = environment.gateway_class if not environment.gateway else ""
    needed = access.needed(access.CI, naming, gateway, own_class)
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        answers = list(pool.map(lambda each: _allowed(cluster, each), needed))
    lacking = [each for each, may in zip(needed, answers, strict=True) if not may]
    if not lacking:
        return Check("permissions", Level.OK, f"all {len(needed)} that deploys need")
    more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
    return Check(
        "permissions",
        Level.FAILED,
        f"this account may not {'; '.join(map(str, lacking[:_NAMED]))}{more} "
        f"({len(lacking)} of the {len(needed)} that deploys need)",
        grant_of(naming, {each.namespace for each in lacking}, who),
    )


def grant_of(naming: "Naming", lacking: Collection[str], who: str) -> str:
    """Who may gives the first of what is lacking, by namespace; the next look names the next.

    An account of the stacks lacks what they have not given it yet.
    """
    from backendctl.platforms.kubernetes import access

    if who == f"system:serviceaccount:{naming.namespace}:{naming.account(access.CI)}":
        return f"backendctl infra up --env {naming.environment}  # somebody who may"
    if naming.namespace in lacking:
        return _binding("deploys", naming.namespace, naming.account(access.CI))
    others = sorted(filter(None, lacking))
    if others:
        return _binding("traffic", others[0], access.traffic_role(naming))
    return (
        f"kubectl create clusterrolebinding ACCOUNT-{naming.namespace} "
        f"--clusterrole={access.class_role(naming)} --user=ACCOUNT  # somebody who may"
    )


def _binding(purpose: str, namespace: str, role: str) -> str:
    return (
        f"kubectl -n {namespace} create rolebinding ACCOUNT-{purpose} "
        f"--role={role} --user=ACCOUNT  # somebody who may"
    )


def _allowed(cluster: "Cluster", wanted: "Permission") -> bool:
    resource, _slash, subresource = wanted.resource.partition("/")
    attributes = {
        "verb": wanted.verb,
        "group": wanted.group,
        "resource": resource,
        "subresource": subresource,
        "namespace": wanted.namespace,
        "name": wanted.name,
    }
    review = cluster.create(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": attributes},
        }
    )
    return bool(review["status"]["allowed"])


def _server(status: ServiceStatus) -> Check:
    if status.running:
        return Check(status.name, Level.OK, status.address or "there")
    level = Level.FAILED if status.needed else Level.WARNING
    return Check(status.name, level, status.detail, next(iter(status.next), ""))


def _address(cluster: "Cluster", opened: Opened, reference: "Reference") -> Check:
    """Whether the name by which users reach the service is known here: test requests, synthetic
    traffic and load tests go there."""
    import socket
    from urllib.parse import urlsplit

    from backendctl.platforms.kubernetes.gateway import Gateway, literal

    url = opened.platform.router.url
    name = urlsplit(url).hostname or ""
    try:
        socket.getaddrinfo(name, None)
    except OSError as error:
        addresses = Gateway(cluster, reference).look().addresses
        where = literal(addresses[0]) if addresses else "ADDRESS"
        table = f"[environments.{opened.environment.name}]"
        return Check(
            "address",
            Level.FAILED,
            f"{name} is not known on this machine ({error.strerror}): a first release is tried "
            "from here, and fails. Make its DNS record, or state where the gateway is; requests "
            "then name the host",
            f'url = "{url.replace(name, where, 1)}"  # in {table} of backend.toml',
        )
    return Check("address", Level.OK, f"{name} is known here")


def _metrics(cluster: "Cluster", opened: Opened, namespace: str) -> Check:
    """Where the numbers of a rollout come from."""
    from backendctl.platforms.kubernetes.gateway import Gateway
    from backendctl.platforms.kubernetes.naming import Naming
    from backendctl.platforms.kubernetes.prometheus import Prometheus
    from backendctl.platforms.kubernetes.replicas import UnansweredError

    environment = opened.environment
    if environment.prometheus:
        try:
            Prometheus(environment.prometheus).now("vector(1)")
        except UnansweredError as error:
            return Check(
                "metrics",
                Level.WARNING,
                f"{error} from here; a driver in the cluster may reach it (deploy --detach)",
                f"curl {environment.prometheus.rstrip('/')}/-/ready",
            )
        return Check("metrics", Level.OK, f"Prometheus at {environment.prometheus} answers")
    gateway = Gateway(cluster, Naming.of(opened.spec, environment).gateway_of(environment))
    found = gateway.look()
    proxies = gateway.replicas(found)
    if found.controller is None or not proxies:
        why = (
            f"the statistics of {found.controller_name or 'its controller'} cannot be read"
            if found.controller is None
            else f"no proxy of gateway {gateway} can be found in namespace {namespace}"
        )
        line = f'prometheus = "http://..."  # in [environments.{environment.name}] of backend.toml'
        return Check("metrics", Level.FAILED, f"{why}, and no Prometheus is stated", line)
    many = "proxy" if len(proxies) == 1 else "proxies"
    return Check("metrics", Level.OK, f"read from the gateway itself: {len(proxies)} {many}")


def _registry(spec: Spec, environment: Environment) -> Check:
    from backendctl.platforms.images.reference import Repository
    from backendctl.platforms.images.registry import Registry

    if not environment.registry:
        return Check(
            "registry",
            Level.WARNING,
            "none is stated; a deploy pushes its image to one",
            f'registry = "ghcr.io/acme"  # in [environments.{environment.name}] of backend.toml',
        )
    repository = Repository.of(environment.registry, spec.service.name)
    registry = Registry(repository)
    try:
        registry.digest("backendctl-doctor")
    finally:
        registry.close()
    return Check("registry", Level.OK, f"{repository.host} answers for {repository.path}")


def _builder() -> Check:
    from backendctl.platforms.images.find import find_tool

    return Check("image builder", Level.OK, find_tool().name)


def _pulumi(environment: Environment) -> Check:
    from backendctl.provision.registry import definitions
    from backendctl.provision.tool import find, require_plugins

    tool = find()
    plugins = {n: v for each in definitions(environment) for n, v in each.plugins.items()}
    require_plugins(plugins)
    return Check("pulumi", Level.OK, f"{tool.version} at {tool.program}")
