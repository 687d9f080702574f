"""Tells Prometheus which pods to scrape (Debian's is built without looking at Kubernetes itself).

A program of the node: `python -m tests.cluster.discovery KUBECONFIG PORT`. Pods say so by the
usual annotations: prometheus.io/scrape, prometheus.io/port, prometheus.io/path.
"""

import json
import sys
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.api import client

_ANNOTATION = "prometheus.io/"


def targets(pods: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pods that want to be scraped, in Prometheus' form of HTTP service discovery."""
    found = []
    for pod in pods:
        annotations = pod["metadata"].get("annotations", {})
        address = pod.get("status", {}).get("podIP")
        port = annotations.get(f"{_ANNOTATION}port")
        running = pod.get("status", {}).get("phase") == "Running"
        if annotations.get(f"{_ANNOTATION}scrape") != "true" or not (address and port and running):
            continue
        found.append(
            {
                "targets": [f"{address}:{port}"],
                "labels": {
                    "namespace": pod["metadata"]["namespace"],
                    "pod": pod["metadata"]["name"],
                    "__metrics_path__": annotations.get(f"{_ANNOTATION}path", "/metrics"),
                },
            }
        )
    return found


class _Handler(BaseHTTPRequestHandler):
    api: httpx.Client

    def do_GET(self) -> None:
        pods = self.api.get("/api/v1/pods", params={"resourceVersion": "0"}).raise_for_status()
        answer = json.dumps(targets(pods.json()["items"])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """One line a second would bury what matters."""


def main() -> None:
    with client(Path(sys.argv[1])) as _Handler.api:
        HTTPServer(("127.0.0.1", int(sys.argv[2])), _Handler).serve_forever()


if __name__ == "__main__":
    main()
