"""Requests to an API server, with the account of a kubeconfig or of the pod this runs in.

The one module that touches the `kubernetes` package: its reading of kubeconfig files (contexts,
exec plugins, proxies, certificates) and its HTTP client. Nothing is read before the first request.
"""

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from backendctl.platforms.kubernetes import errors

CONNECT_TIMEOUT = 3.0
"""Seconds; an address that does not answer by then is said to be unreachable."""

_POD_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes
    retry_after: float = 0.0
    """Seconds after which it wants to be asked again; 0 if it does not say."""


class NoAnswerError(Exception):
    """No (whole) answer came."""

    def __init__(self, cause: str, *, sent: bool) -> None:
        super().__init__(cause)
        self.cause = cause
        self.sent = sent
        """Whether the server may have got the request."""


class Connection(Protocol):
    """One API server, with an account."""

    @property
    def server(self) -> str:
        """Its address, for messages."""
        ...

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        content: str,
        timeout: float,
    ) -> Answer:
        """Ask once. `path` may hold no query. Raises NoAnswerError."""
        ...

    def stream(self, path: str, query: Mapping[str, str], timeout: float) -> "Streamed":
        """Begin to read an answer that goes on. `timeout`: seconds of silence.

        Raises NoAnswerError.
        """
        ...


class Streamed(Protocol):
    """An answer that goes on."""

    status: int

    def read(self) -> bytes:
        """All of it."""
        ...

    def lines(self) -> Iterator[bytes]:
        """Line by line, without the newline, until it ends. Raises NoAnswerError after silence."""
        ...

    def close(self) -> None: ...


class KubeconfigConnection:
    """By the `kubernetes` package. Making one touches nothing; threads may share it."""

    def __init__(self, context: str = "") -> None:
        self._context = context
        self._lock = threading.Lock()
        self._made: tuple[Any, Any] | None = None

    @property
    def server(self) -> str:
        return str(self._ready()[0].host) if self._made else ""

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        content: str,
        timeout: float,
    ) -> Answer:
        """See Connection."""
        with _answers():
            response = self._send(method, path, query, body, content, timeout).response
            try:
                data = response.read()
            finally:
                response.release_conn()
        return Answer(response.status, data, _seconds(response.headers.get("Retry-After")))

    def stream(self, path: str, query: Mapping[str, str], timeout: float) -> Streamed:
        """See Connection."""
        with _answers():
            return _Stream(self._send("GET", path, query, None, JSON, timeout).response)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        content: str,
        timeout: float,
    ) -> Any:
        from urllib.parse import urlencode

        configuration, client = self._ready()
        url = f"{configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": JSON, "Content-Type": content, "User-Agent": "backendctl"}
        with self._lock:  # the token may be renewed here
            account = configuration.get_api_key_with_prefix("BearerToken")
        if account:
            headers["Authorization"] = account
        return client.request(
            method,
            url,
            headers=headers,
            body=body,
            _request_timeout=(CONNECT_TIMEOUT, timeout),
        )

    def _ready(self) -> tuple[Any, Any]:
        with self._lock:
            if self._made is None:
                self._made = _connect(self._context)
            return self._made


def account(context: str = "") -> Any:
    """The package's own configuration of that account, for what is no HTTP request.

    Raises BackendctlError `platform.credentials`.
    """
    return _connect(context)[0]


def context_name(stated: str = "") -> str:
    """Which context of the kubeconfig is in use; "" for the account of the pod this runs in."""
    from kubernetes.config import ConfigException, list_kube_config_contexts

    if stated:
        return stated
    try:
        _all, current = list_kube_config_contexts(  # type: ignore[no-untyped-call]
            os.environ.get("KUBECONFIG") or None
        )
    except (ConfigException, OSError):
        return ""
    return str(current["name"])


class _Stream:
    def __init__(self, response: Any) -> None:
        self._response = response
        self.status = int(response.status)

    def read(self) -> bytes:
        with _answers():
            try:
                return bytes(self._response.read())
            finally:
                self._response.release_conn()

    def lines(self) -> Iterator[bytes]:
        rest = b""
        with _answers():
            for chunk in self._response.stream(amt=None, decode_content=True):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
        if rest:
            yield rest

    def close(self) -> None:
        self._response.close()


@contextmanager
def _answers() -> Iterator[None]:
    """The ways in which no answer comes, as NoAnswerError."""
    from kubernetes.client.exceptions import ApiException
    from urllib3 import exceptions

    try:
        yield
    except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError) as error:
        raise NoAnswerError(_reason(error), sent=False) from error
    except (exceptions.HTTPError, OSError) as error:
        raise NoAnswerError(_reason(error), sent=True) from error
    except ApiException as error:  # its only own use: TLS was refused
        raise NoAnswerError(str(error.reason), sent=False) from error


def _reason(error: BaseException) -> str:
    """The innermost words: "Connection refused", not the name of a Python object."""
    inner = error.__cause__ or error.__context__
    if isinstance(inner, OSError) and inner.strerror:
        return str(inner.strerror)
    return str(error).rpartition(": ")[2] or type(error).__name__


def _seconds(header: str | None) -> float:
    return float(header) if header and header.isdigit() else 0.0


def _connect(context: str) -> tuple[Any, Any]:
    """The account and an HTTP client for it. Raises BackendctlError `platform.credentials`."""
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject
    from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
    from yaml import YAMLError

    configuration = Configuration()
    path = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    files = [each for each in path.split(os.pathsep) if Path(each).is_file()]
    if not files and not _POD_TOKEN.exists():
        raise errors.no_credentials(f"there is no kubeconfig: {path} does not exist")
    said = _Said()
    root = logging.getLogger()
    root.addHandler(said)  # the package logs why a plugin failed, and goes on without an account
    try:
        if files:
            load_kube_config(  # type: ignore[no-untyped-call]
                path, context or None, configuration, persist_config=False
            )
        else:
            load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
    except (ConfigException, YAMLError, OSError) as error:
        wanted, known = _contexts(files, context)
        if wanted and wanted not in known:
            raise errors.unknown_context(wanted, known, path) from error
        raise errors.no_credentials(f"{path}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The package takes for granted that the file holds what a kubeconfig holds.
        raise errors.no_credentials(f"{path} is no kubeconfig") from error
    finally:
        root.removeHandler(said)
    if said.lines and not configuration.api_key:
        raise errors.no_credentials("; ".join(said.lines), configuration.host)
    configuration.retries = False
    configuration.connection_pool_maxsize = 8
    return configuration, RESTClientObject(configuration)


def _contexts(files: Sequence[str], stated: str) -> tuple[str, Sequence[str]]:
    """The context that is wanted, and those there are; nothing of files that are no kubeconfig."""
    from yaml import YAMLError, safe_load

    current, known = "", []
    for each in files:
        try:
            found = safe_load(Path(each).read_bytes())
            current = current or str(found.get("current-context") or "")
            known += [str(context["name"]) for context in found.get("contexts") or ()]
        except (AttributeError, KeyError, OSError, TypeError, YAMLError):
            return "", ()
    return (stated or current, known) if known else ("", ())


class _Said(logging.Handler):
    """What was logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "root":  # as the package logs; what other threads say is not about this
            self.lines.append(record.getMessage())


def decoded(body: bytes) -> dict[str, Any]:
    """An object of the API. Raises NoAnswerError if it is not whole."""
    try:
        found = json.loads(body)
    except ValueError as error:
        raise NoAnswerError("the answer was cut short", sent=True) from error
    return dict(found)
