"""What an environment in a cluster stands on. None of it is made here: the stacks own it
(`backendctl infra up`), and this says whether it is there, and what to type when it is not.

`ensure` writes one thing: the promises as of now, for the watchdog and whoever recovers.
"""

import threading
from base64 import b64decode
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from backendctl.errors import BackendctlError
from backendctl.platforms.base import WATCHDOG, OnLine, ServiceStatus, unheard
from backendctl.platforms.kubernetes import access, recorded, removal
from backendctl.platforms.kubernetes.cluster import Cluster, Object
from backendctl.platforms.kubernetes.errors import require_namespace
from backendctl.platforms.kubernetes.gateway import Gateway
from backendctl.platforms.kubernetes.naming import (
    COMPONENT_LABEL,
    Naming,
    bound_secrets,
    stack_secrets,
)
from backendctl.platforms.variables import BOUND
from backendctl.spec.model import Environment, Spec

_WAIT = 60.0
"""Seconds that a Gateway which was just made may take until it is programmed."""
WATCHDOG_WAIT = 90.0
"""Seconds that the watchdog may take to begin: its pod waits for the promises, and not eagerly."""
_POLL = 1.0

_NO_WATCHDOG = (
    "there is no watchdog, because no driver_image is stated: a rollout whose driver dies waits "
    "for `backendctl rollout recover`"
)

Check = Callable[[], ServiceStatus]


class KubernetesFoundation:
    """base.Foundation. Making one touches nothing."""

    def __init__(
        self,
        cluster: Cluster,
        naming: Naming,
        gateway: Gateway,
        spec: Spec,
        environment: Environment,
    ) -> None:
        self._cluster = cluster
        self._naming = naming
        self._gateway = gateway
        self._spec = spec
        self._environment = environment
        self._bound = bound_secrets(spec, environment)
        self._up = f"backendctl infra up --env {naming.environment}"

    def ensure(self, on_line: OnLine) -> None:
        """Raises BackendctlError `missing.environment` naming all that is not there, and what
        asking the cluster may raise: `missing.cluster`, `platform.credentials`,
        `platform.forbidden`, `missing.gateway-api`, `platform.gateway`."""
        self._refuse_without_namespace()
        missing = [
            status
            for status in self._look(("accounts", *self._bound))
            if not status.running and status.needed
        ]
        if missing:
            raise BackendctlError(
                "missing.environment",
                f"environment {self._naming.environment} lacks: "
                + ", ".join(each.name for each in missing),
                cause="; ".join(f"{each.name}: {each.detail}" for each in missing),
                state="nothing was changed",
                next=tuple(dict.fromkeys(line for each in missing for line in each.next)),
            )
        self._await_gateway(on_line)
        recorded.record(self._cluster, self._spec, self._naming)
        if self._environment.driver_image:
            self._await_watchdog(on_line)
        else:
            on_line(_NO_WATCHDOG)

    def stop(self, purge: bool = False, on_line: OnLine = unheard) -> None:
        """Takes away what releases and rollouts made: route, Deployments, Services, jobs; with
        `purge` also what is recorded, and the secrets. What the stacks own stays
        (`backendctl infra destroy`), and so does the database.

        Raises `platform.leftover` for pods that do not go; what is to be purged is purged then."""
        left = removal.stop(self._cluster, self._naming, on_line)
        if purge:
            removal.purge(self._cluster, self._naming, on_line)
        if left:
            gone = (
                "the route and the releases are deleted, and nobody is sent to these pods any more"
            )
            raise removal.still_there(self._naming, left, removal.GONE_DEADLINE, gone)

    def status(self) -> Sequence[ServiceStatus]:
        return self._look(("cluster", "accounts", "gateway", *self._bound, WATCHDOG))

    def logs(self, server: str, lines: int) -> Sequence[str]:
        """Only the watchdog's are ours to read. Raises `missing.data` for those of others, and
        where its pod is gone: its logs went with it."""
        namespace = self._naming.namespace
        if server != WATCHDOG:
            raise BackendctlError(
                "missing.data",
                f"the logs of the {server} are not read from here",
                cause="somebody else runs it: the stacks, or whoever gave it to this environment",
                state="nothing was changed",
                next=(f"kubectl -n {self._gateway.reference.namespace} get pods",)
                if server == "gateway"
                else ("backendctl status",),
            )
        labels = {**self._naming.selector, COMPONENT_LABEL: WATCHDOG}
        pods = self._cluster.list("Pod", labels)
        if not pods:
            raise BackendctlError(
                "missing.data",
                "the watchdog has no pod, and its logs went with the last one",
                cause="it was never started, or the cluster makes it no pod",
                state="nothing was changed",
                next=(f"kubectl -n {namespace} describe deployment {self._naming.watchdog}",),
            )
        found: list[str] = []
        for pod in pods[-1:]:
            found += self._cluster.pod_logs(pod["metadata"]["name"], lines=lines)
        return found

    def variables(self) -> Collection[str]:
        names = {name for part in self._bound for name in BOUND[part]}
        return names | set(self._auth())

    def bindings(self) -> Mapping[str, str]:
        """What the pods of releases are given of the environment: the contents of its Secrets.

        Pods get them by reference. Here they are read so that what is recorded of logs can be
        cleared of them; a process outside the cluster usually cannot reach what they lead to.
        Raises `missing.environment` when one of the Secrets is not there.
        """
        found = dict(self._auth())
        for part, name in self._bound.items():
            secret = self._cluster.get("Secret", name)
            if secret is None:
                raise BackendctlError(
                    "missing.environment",
                    f"the Secret {name} that leads to the {part} is not there",
                    state="nothing was changed",
                    next=self._give_secret(part, name),
                )
            for key, value in (secret.get("data") or {}).items():
                found[key] = b64decode(value).decode(errors="replace")
        return found

    # --- inside ---

    def _auth(self) -> Mapping[str, str]:
        auth = self._spec.auth
        return {"AUTH_ISSUER": auth.issuer, "AUTH_AUDIENCE": auth.audience} if auth.issuer else {}

    def _look(self, names: Sequence[str]) -> Sequence[ServiceStatus]:
        """Several at once: each costs a round trip or two."""
        checks: Mapping[str, Check] = {
            "cluster": self._look_cluster,
            "accounts": self._look_accounts,
            "gateway": self._look_gateway,
            WATCHDOG: self._look_watchdog,
            **{part: partial(self._look_secret, part) for part in self._bound},
        }
        with ThreadPoolExecutor(len(names)) as pool:
            return list(pool.map(lambda name: self._said(name, checks[name]), names))

    @staticmethod
    def _said(name: str, check: Check) -> ServiceStatus:
        try:
            return check()
        except BackendctlError as error:
            detail = f"{error.message}: {error.cause}" if error.cause else error.message
            return ServiceStatus(name, False, "", detail, next=error.next)

    def _look_cluster(self) -> ServiceStatus:
        self._refuse_without_namespace()
        where = f"{self._cluster.server}, namespace {self._naming.namespace}"
        return ServiceStatus("cluster", True, where, alive=True)

    def _refuse_without_namespace(self) -> None:
        found = self._cluster.get("Namespace", self._naming.namespace)
        try:
            require_namespace(found, self._naming.namespace)
        except BackendctlError as error:
            error.next = tuple(
                self._up if each == "backendctl infra up" else each for each in error.next
            )
            raise

    def _look_accounts(self) -> ServiceStatus:
        needed = [self._naming.account(access.SERVICE)]
        absent = [each for each in needed if self._cluster.get("ServiceAccount", each) is None]
        detail = f"no ServiceAccount {', '.join(absent)}" if absent else ""
        return ServiceStatus("accounts", not absent, "", detail, next=(self._up,) if absent else ())

    def _look_gateway(self) -> ServiceStatus:
        self._gateway.look()
        return ServiceStatus("gateway", True, self._gateway.url(self._environment.host), alive=True)

    def _look_secret(self, part: str) -> ServiceStatus:
        name = self._bound[part]
        try:
            found = self._cluster.get("Secret", name)
        except BackendctlError as error:
            if error.code != "platform.forbidden":
                raise
            return ServiceStatus(
                part,
                False,
                f"Secret {name}",
                "this account may not look into it",
                alive=True,
                needed=False,
            )
        if found is None:
            return ServiceStatus(
                part,
                False,
                "",
                f"there is no Secret {name} in namespace {self._naming.namespace}",
                next=self._give_secret(part, name),
            )
        lacking = [key for key in BOUND[part] if key not in (found.get("data") or {})]
        if lacking:
            said = f"the Secret {name} has no key {', '.join(lacking)}"
            following = self._give_secret(part, name, there=True)
            return ServiceStatus(part, False, "", said, next=following)
        return ServiceStatus(part, True, f"Secret {name}", alive=True)

    def _give_secret(self, part: str, name: str, there: bool = False) -> tuple[str, ...]:
        """One that the stacks make is looked into. Another is made or replaced, from a file: a
        value on a command line is in the history and the list of processes."""
        if part in stack_secrets(self._spec, self._environment):
            return (
                f"kubectl -n {self._naming.namespace} describe externalsecret {name}",
                self._up,
            )
        keys = " ".join(f"{key}=..." for key in BOUND[part])
        make = (
            f"kubectl -n {self._naming.namespace} create secret generic {name} --from-env-file=FILE"
        )
        replace = " --dry-run=client -o yaml | kubectl apply -f -" if there else ""
        return (f"{make}{replace}  # with {keys}",)

    def _look_watchdog(self) -> ServiceStatus:
        if not self._environment.driver_image:
            return ServiceStatus(
                WATCHDOG,
                False,
                "",
                _NO_WATCHDOG,
                next=("backendctl build --driver", self._up),
                needed=False,
            )
        found = self._cluster.get("Deployment", self._naming.watchdog)
        if found is None:
            return ServiceStatus(WATCHDOG, False, "", "not there", next=(self._up,))
        runs = bool((found.get("status") or {}).get("readyReplicas"))
        detail = "" if runs else _why_not(found)
        shown = f"backendctl logs --server {WATCHDOG} --env {self._naming.environment}"
        return ServiceStatus(
            WATCHDOG, runs, "", detail, alive=runs, next=() if runs else (shown, self._up)
        )

    def _await_watchdog(self, on_line: OnLine) -> None:
        """It begins once the promises are there to be read; a deploy right after this needs it."""
        waited = 0.0
        while not (status := self._look_watchdog()).running:
            if waited >= WATCHDOG_WAIT:
                on_line(f"the watchdog does not run yet: {status.detail}")
                return
            if not waited:
                on_line("waiting for the watchdog")
            threading.Event().wait(_POLL)
            waited += _POLL

    def _await_gateway(self, on_line: OnLine) -> None:
        """A Gateway that was just made takes a moment."""
        waited = 0.0
        while True:
            try:
                self._gateway.look()
                return
            except BackendctlError as error:
                if error.code != "platform.gateway" or waited >= _WAIT:
                    raise
                if not waited:
                    on_line(f"waiting for the gateway: {error.message}")
            threading.Event().wait(_POLL)
            waited += _POLL


def _why_not(deployment: Object) -> str:
    for condition in (deployment.get("status") or {}).get("conditions", ()):
        if condition["status"] != "True":
            return str(condition.get("message", ""))
    return "its pod is not ready yet"
