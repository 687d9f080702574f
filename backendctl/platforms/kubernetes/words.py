"""What goes wrong with a pod, in words for a person: one function for each way. Pure."""

import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from backendctl.platforms.kubernetes.trouble import FOREVER, Cause, Trouble

REGISTRY_PATIENCE = 20.0
"""Seconds for a registry that is slow, overloaded or restarting."""
SETTLING = 5.0
"""Seconds for what is being made at the same time: a Secret that an operator copies, a quota from
which a pod that has just gone is not taken off yet."""
ROOM_PATIENCE = 15.0
"""Seconds for room on a node: pods that are ending free some, and an autoscaler that adds a node
says so within its scan interval of ten seconds."""

_FINAL = re.compile(
    r"not found|manifest unknown|name unknown|unauthori[sz]ed|forbidden|denied|insufficient_scope"
    r"|no basic auth|no match for platform|invalid reference",
    re.IGNORECASE,
)
"""What a registry says when asking again will not help."""

NEVER_STARTED = ("StartError", "ContainerCannotRun")
"""Reasons of a container that is over without its command ever having run."""

_RPC = re.compile(r"rpc error: code = \w+ desc = ")
_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: )?(?:\w+: )?')
_PULL_FAILED = re.compile(r'^Failed to pull image "[^"]*": ')


def image_pull(image: str, reason: str, message: str, events: Sequence[str]) -> Trouble:
    """`events`: messages of the kubelet's failures, newest first."""
    said = _BACK_OFF.sub("", message)
    if not said:
        said = next((_PULL_FAILED.sub("", each) for each in events if _PULL_FAILED.match(each)), "")
    said = _RPC.sub("", said) or reason
    final = reason in ("InvalidImageName", "ErrImageNeverPull") or _FINAL.search(said)
    return Trouble(
        Cause.IMAGE,
        f"its image cannot be pulled: {said}" + ("" if image in said else f" ({image})"),
        0.0 if final else REGISTRY_PATIENCE,
    )


def not_created(reason: str, message: str) -> Trouble:
    """A container that the kubelet could not make or start."""
    said = _RPC.sub("", message) or reason
    if "run as root" in said or "non-numeric user" in said:
        return Trouble(
            Cause.CONFIGURATION,
            "its image runs as root, or as a user without a number, which is not allowed here: "
            "put `USER 10001` at the end of the Dockerfile",
        )
    missing = re.search(r'(secret|configmap) "([^"]+)" not found', said)
    if missing:
        said = f"the {_KIND[missing[1]]} {missing[2]}, which it needs, is not there"
        return Trouble(Cause.CONFIGURATION, said, SETTLING)
    key = re.search(r"couldn't find key (\S+) in (\w+) (\S+)", said)
    if key:
        said = f"{key[2]} {key[3].rpartition('/')[2]} has no key {key[1]}, which it needs"
        return Trouble(Cause.CONFIGURATION, said, SETTLING)
    if reason == "CreateContainerConfigError":
        return Trouble(Cause.CONFIGURATION, f"its container cannot be set up: {said}", SETTLING)
    return Trouble(Cause.START, f"its command cannot be started: {without_runtime(said)}")


_KIND = {"secret": "Secret", "configmap": "ConfigMap"}


def ended(
    end: Mapping[str, Any],
    been_ready: bool,
    *,
    limit: str,
    killed: str,
    unhealthy: Sequence[str],
) -> Trouble:
    """A container that is over. `killed`: the kubelet's words if a probe was why."""
    when = "" if been_ready else " before it was ready"
    status = int(end.get("exitCode", 0))
    if end.get("reason") == "OOMKilled":
        said = (
            f"a process was killed{when}: it took more memory than it may, {limit} "
            "(service.memory in backend.toml)"
        )
        return Trouble(Cause.MEMORY, said)
    if end.get("reason") in NEVER_STARTED:
        said = without_runtime(str(end.get("message", "")))
        return Trouble(Cause.START, f"its command cannot be started: {said}")
    if killed:
        probe = "liveness" if "liveness" in killed else "startup"
        answers = [each for each in unhealthy if each.lower().startswith(probe)]
        why = answers[0].partition(": ")[2] if answers else killed
        said = f"a process was killed{when}: its {probe} check failed: {why}"
        return Trouble(Cause.PROBE, said)
    said = f"a process died{when}: {exit_status(status, end.get('signal'))}"
    return Trouble(Cause.CRASH, said)


def exit_status(status: int, by_signal: int | None = None) -> str:
    """As a shell says it: above 128 it may have been a signal."""
    number = by_signal or (status - 128 if status > 128 else 0)
    try:
        name = signal.Signals(number).name if number else ""
    except ValueError:
        name = ""
    return f"exit status {status}" + (f" ({name})" if name else "")


def not_ready(container: Mapping[str, Any], unhealthy: Sequence[str]) -> Trouble | None:
    """A process that runs and whose checks say no; None if no check has said anything yet."""
    for said in unhealthy:
        kind, _, answer = said.partition(" probe failed: ")
        if kind in ("Readiness", "Startup") and answer:
            probe = container.get(f"{kind.lower()}Probe", {})
            return Trouble(Cause.UNREADY, _answer(container, probe, answer), FOREVER)
    return None


def _answer(container: Mapping[str, Any], probe: Mapping[str, Any], said: str) -> str:
    """What a check said, as the local platform says it."""
    path = probe.get("httpGet", {}).get("path", "")
    asked = f"GET {path}" if path else "a connection"
    status = re.search(r"statuscode: (\d+)", said)
    if status:
        hint = ", is that the right path in backend.toml?" if 300 <= int(status[1]) < 500 else ""
        return f"{asked} answered {status[1]}{hint}"
    if "connection refused" in said:
        port = re.search(r":(\d+): connect", said)
        words = f"nothing listens on port {port[1] if port else 'of the service'} yet"
        alone = {"127.0.0.1", "localhost"} & set(re.split(r"[=:\s]", " ".join(_argv(container))))
        if alone:
            words += (
                f"; its command names {alone.pop()}, where nobody outside its pod reaches it: "
                "write $HOST there"
            )
        return words
    if "deadline exceeded" in said or "Timeout" in said:
        return f"{asked} was not answered within {probe.get('timeoutSeconds', 1)} s"
    return f"{asked} failed: {said}"


def _argv(container: Mapping[str, Any]) -> list[str]:
    return [*container.get("command", ()), *container.get("args", ())]


def unschedulable(
    message: str, wishes: Sequence[Mapping[str, str]], *, coming: bool, hopeless: bool
) -> Trouble:
    """No node takes it. `coming`: an autoscaler adds one; `hopeless`: it says that it will not."""
    said = re.split(r"\.? (?:no new claims|preemption:)", message)[0].rstrip(". ")
    if coming:
        return Trouble(Cause.UNSCHEDULABLE, f"a node is being added for it: {said}", FOREVER)
    short = sorted(set(re.findall(r"Insufficient ([\w./-]+)", said)))
    asks = ", ".join(f"{name} {amount}" for wish in wishes for name, amount in sorted(wish.items()))
    lacks = f"no node has enough {' and '.join(short)} free" if short else "no node takes it"
    said = f"{lacks}: {said}" + (f"; a pod asks for {asks}" if asks else "")
    return Trouble(Cause.UNSCHEDULABLE, said, 0.0 if hopeless else ROOM_PATIENCE)


_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>.+?), used: (?P<used>.+?), "
    r"limited: (?P<limit>.+)$",
    re.DOTALL,
)
_DENIED = (
    re.compile(r'violates PodSecurity "(?P<by>[^"]+)": (?P<why>.*)', re.DOTALL),
    re.compile(r'admission webhook "(?P<by>[^"]+)" denied the request: ?(?P<why>.*)', re.DOTALL),
    re.compile(
        r"ValidatingAdmissionPolicy '(?P<by>[^']+)'.*?denied request: (?P<why>.*)", re.DOTALL
    ),
)


def refused(message: str) -> Trouble:
    """A pod that the API server does not let be made."""
    quota = _QUOTA.search(message)
    if quota:
        said = (
            f"the namespace's quota {quota['quota']} is used up: a pod asks for {quota['asked']}, "
            f"used are {quota['used']} of {quota['limit']}"
        )
        return Trouble(Cause.QUOTA, said, SETTLING)
    for pattern in _DENIED:
        denied = pattern.search(message)
        if denied:
            said = f"a policy of the cluster, {denied['by']}, does not admit its pods: "
            return Trouble(Cause.ADMISSION, said + denied["why"].strip())
    account = re.search(r'serviceaccount "([^"]+)" not found', message)
    if account:
        said = f"the service account {account[1]}, which its pods run as, is not there"
        return Trouble(Cause.CONFIGURATION, said, SETTLING)
    why = re.sub(r'^(?:error creating: )?pods "[^"]+" is forbidden: ', "", message)
    return Trouble(Cause.REFUSED, f"the cluster does not let its pods be made: {why}", SETTLING)


def without_runtime(message: str) -> str:
    """The last words of a chain of container runtimes."""
    found = re.search(r'exec: "?[^:]+: .*', message)
    said = found[0] if found else _RPC.sub("", message)
    return re.sub(r": unknown$", "", said)
