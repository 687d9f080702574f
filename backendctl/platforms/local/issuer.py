"""A token issuer for tests: signs with a key of this environment, which no other one accepts.

The process serves two public documents and holds no key; whoever may read the environment's
private folder may mint.
"""

import http.client
import json
import secrets
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from backendctl.errors import BackendctlError
from backendctl.filesystem import atomic_write, make_folder
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.ports import HOST, Ports
from backendctl.platforms.local.server import OnLine
from backendctl.platforms.local.supervisor import Program

ISSUER = "issuer"
ALGORITHM = "RS256"
_KEY_BITS = 2048
_TIMEOUT = 2.0
_STOP_GRACE = 5.0
_DISCOVERY = ".well-known/openid-configuration"
_JWKS = "jwks.json"


class Issuer:
    """The issuer of an environment."""

    name = ISSUER
    variables: tuple[str, ...] = ("AUTH_ISSUER", "AUTH_AUDIENCE", "AUTH_JWKS_URL")

    def __init__(self, layout: Layout, audience: str) -> None:
        self._layout = layout
        self._audience = audience

    def prepare(self, port: int, on_line: OnLine) -> Program:  # noqa: ARG002 - nothing takes long
        folder = make_folder(self._layout.issuer)
        if not _key_file(self._layout).exists():
            _make_key(self._layout)
        audience = json.dumps({"audience": self._audience}).encode()
        settings = _settings_file(self._layout)
        if not settings.exists() or settings.read_bytes() != audience:
            atomic_write(settings, audience)
        argv = (sys.executable, "-I", "-m", __name__, str(folder / _JWKS), str(port))
        return Program(self.name, (*argv, self._layout.environment), folder, stop_grace=_STOP_GRACE)

    def ready(self, port: int) -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT)
        try:
            connection.request("GET", f"/{self._layout.environment}/{_DISCOVERY}")
            document = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        return bool(document["issuer"] == _url(port, self._layout.environment))

    def address(self, port: int) -> str:
        return _url(port, self._layout.environment)

    def bindings(self, port: int) -> Mapping[str, str]:
        url = _url(port, self._layout.environment)
        return {
            "AUTH_ISSUER": url,
            "AUTH_AUDIENCE": self._audience,
            "AUTH_JWKS_URL": f"{url}/{_JWKS}",
        }


def mint_token(layout: Layout, claims: Mapping[str, Any], ttl: float) -> str:
    """A signed token of this environment's test issuer, valid for `ttl` seconds from now.

    `claims` are added to, or replace, the standard ones (iss, aud, sub, iat, exp, jti). Raises
    BackendctlError `missing.environment` when the environment has no issuer.
    """
    import jwt

    port = Ports(layout).assigned(ISSUER)
    key = _key_file(layout)
    if port is None or not key.exists():
        raise BackendctlError(
            "missing.environment",
            "the environment has no test issuer",
            cause="it was never up, or backend.toml asks for no authentication",
            next=("backendctl up",),
        )
    now = int(time.time())
    standard = {
        "iss": _url(port, layout.environment),
        "aud": json.loads(_settings_file(layout).read_bytes())["audience"],
        "sub": "test-user",
        "iat": now,
        "exp": now + max(1, round(ttl)),
        "jti": secrets.token_hex(8),
    }
    kid = json.loads((layout.issuer / _JWKS).read_bytes())["keys"][0]["kid"]
    return jwt.encode(
        {**standard, **claims}, key.read_bytes(), algorithm=ALGORITHM, headers={"kid": kid}
    )


def _url(port: int, environment: str) -> str:
    return f"http://{HOST}:{port}/{environment}"


def _key_file(layout: Layout) -> Path:
    return layout.issuer / "key.pem"


def _settings_file(layout: Layout) -> Path:
    return layout.issuer / "settings.json"


def _make_key(layout: Layout) -> None:
    import hashlib

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm

    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    public: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    kid = hashlib.sha256(public["n"].encode()).hexdigest()[:16]
    public = {**public, "kid": kid, "alg": ALGORITHM, "use": "sig"}
    atomic_write(layout.issuer / _JWKS, json.dumps({"keys": [public]}).encode())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Last: where there is a key there are its public documents.
    atomic_write(_key_file(layout), private)


# --- the process ------------------------------------------------------------------------------


def documents(keys: bytes, port: int, environment: str) -> dict[str, bytes]:
    """What the process serves, by path."""
    url = _url(port, environment)
    discovery = {
        "issuer": url,
        "jwks_uri": f"{url}/{_JWKS}",
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }
    return {
        f"/{environment}/{_DISCOVERY}": json.dumps(discovery).encode(),
        f"/{environment}/{_JWKS}": keys,
    }


def serve(keys: Path, port: int, environment: str) -> None:
    """Serve the documents until stopped."""
    served = documents(keys.read_bytes(), port, environment)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = served.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing worth a log: two public documents."""

    with ThreadingHTTPServer((HOST, port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
