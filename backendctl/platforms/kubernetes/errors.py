"""What an API server (or its silence) says, as an error a person can act on. Pure.

No error carries a request's body: it may hold a secret.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.kinds import GATEWAY_API


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the API server."""

    verb: str
    """get | list | watch | create | update | patch | delete"""
    kind: str
    name: str
    namespace: str
    server: str
    """The address of the API server."""

    @property
    def what(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}" if self.name else f"{self.kind} objects{where}"


class Conflict(BackendctlError):  # noqa: N818 - it is no fault of anybody
    """Somebody else was quicker: the object is there already, or is no longer what was read."""


NOTHING = "nothing was changed"


def unreachable(asked: Asked, cause: str, *, sent: bool) -> BackendctlError:
    """The server did not answer; with `sent` the request may have been carried out."""
    changes = asked.verb not in ("get", "list", "watch")
    return BackendctlError(
        "missing.cluster",
        f"the cluster's API server {asked.server} cannot be reached",
        cause=cause,
        state="whether the last change was made is not known; what runs in the cluster goes on"
        if sent and changes
        else "nothing was changed; what runs in the cluster goes on",
        next=("kubectl config get-contexts", "kubectl cluster-info"),
    )


def no_credentials(cause: str, server: str = "") -> BackendctlError:
    """No account: the kubeconfig has none, or its plugin gave none."""
    return BackendctlError(
        "platform.credentials",
        f"there are no valid credentials for the cluster {server}".rstrip(),
        cause=cause,
        state=NOTHING,
        next=("kubectl auth whoami", "kubectl config view --minify"),
    )


def unknown_context(context: str, known: Sequence[str], path: str) -> BackendctlError:
    """The kubeconfig is one, and has no context of that name."""
    near = get_close_matches(context, known, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return BackendctlError(
        "missing.cluster",
        f"the kubeconfig has no context {context!r}",
        cause=f"{path} has: {', '.join(known) or 'none'}{meant}",
        state=NOTHING,
        next=(
            "kubectl config get-contexts",
            "write the one that is meant under the environment in backend.toml: context",
        ),
    )


def refused(asked: Asked, status: int, body: bytes) -> BackendctlError:
    """The error behind an answer that is no success."""
    said = _status(body)
    reason = str(said.get("reason", ""))
    message = str(said.get("message", "")).strip()
    if asked.kind == "Secret" and status in (400, 413, 422):
        message = f"{reason} (the server's own words may hold the value and are not repeated)"
    if status == 401:
        return no_credentials(
            f"it answered: {message or 'Unauthorized'}; credentials expire, and are renewed by "
            "logging in again",
            asked.server,
        )
    if status == 409:
        return Conflict(
            "platform.conflict",
            f"{asked.what} was changed or made by somebody else at the same time",
            cause=message,
            state=NOTHING,
            data={"reason": reason},
        )
    if status == 404 and not absent(body):
        return _no_such_api(asked)
    if status == 404 and said["details"]["kind"] == "namespaces":
        return no_namespace(asked.namespace or asked.name)
    if status == 403:
        return _forbidden(asked, message)
    if status in (400, 422):
        return _not_accepted(asked, message)
    if status in (429, 500, 502, 503, 504):
        return BackendctlError(
            "missing.cluster",
            f"the cluster's API server {asked.server} could not {asked.verb} {asked.what}",
            cause=f"it answered {status}: {message}",
            state=NOTHING if status == 429 else "whether the change was made is not known",
            next=("kubectl get --raw /readyz?verbose",),
        )
    return BackendctlError(
        "platform.refused",
        f"the cluster did not {asked.verb} {asked.what}",
        cause=f"it answered {status}: {message}",
        state=NOTHING,
        next=(f"kubectl -n {asked.namespace} get events --sort-by=.lastTimestamp",)
        if asked.namespace
        else (),
    )


def no_namespace(namespace: str) -> BackendctlError:
    """The environment's namespace is not there."""
    return BackendctlError(
        "missing.environment",
        f"the cluster has no namespace {namespace}",
        cause="the environment was never set up in this cluster, or the context is another's",
        state=NOTHING,
        next=("backendctl infra up", "kubectl config current-context"),
    )


def lacking_gateway_api(cause: str) -> BackendctlError:
    """The cluster does not know what a Gateway or an HTTPRoute is."""
    return BackendctlError(
        "missing.gateway-api",
        "the cluster has no Gateway API, through which traffic is split between releases",
        cause=cause,
        state=NOTHING,
        next=(
            f"kubectl get crd gateways.{GATEWAY_API} httproutes.{GATEWAY_API}",
            "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api/releases/download/"
            "v1.3.0/standard-install.yaml  # then a controller: Contour, Envoy Gateway, Istio",
        ),
    )


def ending_namespace(namespace: str, cause: str) -> BackendctlError:
    """The environment's namespace is going, with all that is in it."""
    return BackendctlError(
        "missing.environment",
        f"namespace {namespace} is being deleted",
        cause=cause,
        state=NOTHING,
        next=(f"kubectl get namespace {namespace} -o yaml", "backendctl infra up"),
    )


def require_namespace(found: Mapping[str, Any] | None, namespace: str) -> None:
    """Raises BackendctlError `missing.environment` for one that is not there, or on its way out."""
    if found is None:
        raise no_namespace(namespace)
    since = found["metadata"].get("deletionTimestamp")
    if since:
        conditions = found.get("status", {}).get("conditions") or ()
        kept = [str(each.get("message", "")) for each in conditions if each["status"] == "True"]
        raise ending_namespace(namespace, "; ".join([f"since {since}", *kept]))


def _status(body: bytes) -> Mapping[str, Any]:
    """The `Status` object of an answer; what is no such thing is its message."""
    try:
        found = json.loads(body)
    except ValueError:
        return {"message": body[:500].decode(errors="replace")}
    return found if isinstance(found, dict) else {"message": str(found)[:500]}


def absent(body: bytes) -> bool:
    """Whether a 404 says that there is no such object, and not that its kind is unknown."""
    return bool((_status(body).get("details") or {}).get("kind"))


def _no_such_api(asked: Asked) -> BackendctlError:
    if asked.kind in ("Gateway", "GatewayClass", "HTTPRoute"):
        return lacking_gateway_api(f"{asked.server} knows no {asked.kind}")
    return BackendctlError(
        "platform.refused",
        f"the cluster knows no {asked.kind} objects",
        cause=f"{asked.server} is older than this version needs, or is no Kubernetes API server",
        state=NOTHING,
        next=("kubectl version", "kubectl api-resources"),
    )


_QUOTA = re.compile(r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>[^;]+?), used: ")
_WEBHOOK = re.compile(
    r"admission webhook \"(?P<name>[^\"]+)\" denied the request:? ?(?P<why>.*)", re.S
)
_POLICY = re.compile(
    r"(?:ValidatingAdmissionPolicy '(?P<name>[^']+)'.* denied request: (?P<why>.*))", re.S
)
_POD_SECURITY = re.compile(r"violates PodSecurity \"(?P<name>[^\"]+)\": (?P<why>.*)", re.S)


def quota_exceeded(message: str, what: str, namespace: str) -> BackendctlError | None:
    """The error if `message` (an answer, a condition of a Deployment or Job) speaks of a quota."""
    found = _QUOTA.search(message)
    if found is None:
        return None
    return BackendctlError(
        "platform.quota",
        f"{what} does not fit into the namespace's quota {found['quota']}",
        cause=message,
        state="the releases that serve are untouched",
        next=(
            f"kubectl -n {namespace} describe resourcequota {found['quota']}",
            "backendctl status  # old releases that could be stopped",
        ),
    )


def admission_denied(message: str, what: str, namespace: str) -> BackendctlError | None:
    """The error if `message` says that a policy of the cluster refused the object."""
    for pattern in (_WEBHOOK, _POLICY, _POD_SECURITY):
        found = pattern.search(message)
        if found is not None:
            return BackendctlError(
                "platform.admission",
                f"a policy of the cluster, {found['name']}, does not admit {what}",
                cause=found["why"].strip() or message,
                state="the releases that serve are untouched",
                next=(f"kubectl -n {namespace} get events --sort-by=.lastTimestamp",),
            )
    return None


def _forbidden(asked: Asked, message: str) -> BackendctlError:
    """RBAC, a quota, a policy: all are 403."""
    for known in (quota_exceeded, admission_denied):
        found = known(message, asked.what, asked.namespace)
        if found is not None:
            return found
    if "cannot" not in message and "because it is being terminated" in message:
        return ending_namespace(asked.namespace, message)
    # A namespace is in itself, and no role in it reaches what is outside of all.
    inside = asked.namespace or (asked.name if asked.kind == "Namespace" else "")
    ours = inside and inside != "kube-system"
    flag = f" -n {inside}" if ours else ""
    grant = (
        f"kubectl{flag} create rolebinding ACCOUNT-deploys --role=backendctl-ci --user=ACCOUNT"
        "  # somebody who may: grants what deploys need"
    )
    lacks = "backendctl doctor  # says all that the account lacks, and what grants it"
    return BackendctlError(
        "platform.forbidden",
        f"the account in use may not {asked.verb} {asked.what}",
        cause=message or "the cluster's RBAC rules do not allow it",
        state=NOTHING,
        next=(
            "kubectl auth whoami",
            f"kubectl auth can-i --list{flag}",
            *(
                # A Gateway may be of another namespace, where that role is not.
                [*([] if asked.kind == "Gateway" else [grant]), lacks]
                if ours
                else ["kubectl config get-contexts  # an account of the cluster's own"]
            ),
        ),
    )


def _not_accepted(asked: Asked, message: str) -> BackendctlError:
    denied = admission_denied(message, asked.what, asked.namespace)
    if denied is not None:
        return denied
    return BackendctlError(
        "platform.refused",
        f"the cluster does not accept {asked.what}",
        cause=message,
        state=NOTHING,
    )
