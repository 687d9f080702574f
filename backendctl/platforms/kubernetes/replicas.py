"""Asking each replica of a gateway by itself: what it serves, what it counted.

A replica is asked at its own address where that can be reached (from inside the cluster, or over
a routed network), else through the API server.
"""

import ssl
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from backendctl.errors import BackendctlError
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.gateway import Listener, Replica, literal
from backendctl.platforms.kubernetes.routes import PROBE_HEADER, PROBE_PATH, revision_in

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT = 1.0
"""Seconds; an address inside a cluster answers in less than one, or not at all from here."""
TIMEOUT = 5.0
FAR_FOR = 10.0
"""Seconds for which an address that cannot be reached is not tried again."""
_AT_ONCE = 16


class UnansweredError(Exception):
    """A replica did not answer; the text says why."""


class Replicas:
    """Requests to single replicas."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._far: dict[str, float] = {}
        """Addresses that could not be reached from here, and when that was tried."""

    def revisions(
        self, replicas: Sequence[Replica], listeners: Sequence[Listener], host: str
    ) -> dict[str, frozenset[str]]:
        """By replica's name, the revisions of the route that it serves now, over these listeners;
        empty for one that serves none. Those that cannot be reached from here are left out."""
        asked = [(replica, listener) for replica in replicas for listener in listeners]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(lambda each: self._revision(each[0], each[1], host), asked))
        served: dict[str, frozenset[str]] = {}
        for (replica, _), revision in zip(asked, found, strict=True):
            if revision is not None:
                seen = served.get(replica.name, frozenset())
                served[replica.name] = seen | ({revision} if revision else set())
        return served

    def stats(
        self, replicas: Sequence[Replica], port: int, path: str, query: Mapping[str, str]
    ) -> dict[str, str]:
        """By replica's name, what it answers there.

        Raises UnansweredError if one of them does not: the others are not all.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(lambda each: self._stats(each, port, path, query), replicas))
        return {each.name: text for each, text in zip(replicas, found, strict=True)}

    def _revision(self, replica: Replica, listener: Listener, host: str) -> str | None:
        import httpx

        port = replica.ports.get(listener.port)
        if port is None or self._is_far(replica.address):
            return None
        try:
            return probe(f"{listener.scheme}://{literal(replica.address)}:{port}", host)
        except (httpx.ConnectTimeout, httpx.ConnectError) as error:
            if _answered(error):
                return ""  # it is there, and serves nothing
            self._far[replica.address] = time.monotonic()
            return None
        except httpx.HTTPError:
            return ""

    def _is_far(self, address: str) -> bool:
        """Tried again after a while: one lost packet must not leave a proxy out of every shift."""
        since = self._far.get(address)
        return since is not None and time.monotonic() - since < FAR_FOR

    def _stats(self, replica: Replica, port: int, path: str, query: Mapping[str, str]) -> str:
        import httpx

        try:
            if not self._is_far(replica.address):
                return _get(f"http://{literal(replica.address)}:{port}{path}", query)
        except httpx.ConnectTimeout:
            self._far[replica.address] = time.monotonic()
        except httpx.HTTPError as error:
            raise UnansweredError(f"{replica.name}: {_said(error)}") from error
        if not replica.pod:
            raise UnansweredError(f"{replica.name} cannot be reached from here, and is no pod")
        try:
            return self._cluster.proxied(replica.pod, port, path, query, replica.namespace).decode()
        except BackendctlError as error:
            raise UnansweredError(f"{replica.name}: {error.message}: {error.cause}") from error


def probe(url: str, host: str = "") -> str:
    """The revision that the gateway at `url` serves, over a connection of its own; "" if its
    answer names none. Raises httpx.HTTPError."""
    import httpx

    headers = {PROBE_HEADER: "1", **({"host": host} if host else {})}
    # What is read is no secret and decides nothing but whether to wait on: a proxy asked by its
    # address cannot show a certificate for it.
    with httpx.Client(
        verify=_unverified(),
        timeout=httpx.Timeout(TIMEOUT, connect=CONNECT_TIMEOUT),
        trust_env=False,
    ) as client:
        extensions = {"sni_hostname": host} if host and url.startswith("https") else {}
        answer = client.get(f"{url}{PROBE_PATH}", headers=headers, extensions=extensions)
    return revision_in(answer.headers.get("location", ""))


def _get(url: str, query: Mapping[str, str]) -> str:
    import httpx

    answer = httpx.get(
        url,
        params=dict(query),
        timeout=httpx.Timeout(TIMEOUT, connect=CONNECT_TIMEOUT),
        trust_env=False,
    )
    answer.raise_for_status()
    return answer.text


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _answered(error: "httpx.HTTPError") -> bool:
    """Whether there was somebody, who refused the connection or our TLS."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError | ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
