"""Talk to the cluster's API server without kubectl."""

import json
import ssl
import tempfile
from base64 import b64decode
from pathlib import Path

import httpx


def client(kubeconfig: Path) -> httpx.Client:
    """A client for the API server that a kubeconfig of ours names."""
    config = json.loads(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(
        cadata=b64decode(cluster["certificate-authority-data"]).decode()
    )
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(b64decode(user["client-certificate-data"]))
        pair.write(b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return httpx.Client(base_url=cluster["server"], verify=context, timeout=10)
