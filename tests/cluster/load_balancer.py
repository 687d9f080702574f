"""Gives every Service of type LoadBalancer an address, as a cloud would.

A program of the node: `python -m tests.cluster.load_balancer KUBECONFIG NETWORK`. The addresses
are routed to the node, where kube-proxy hands their connections to the Service's pods.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.api import client

Service = dict[str, Any]


def assignments(
    services: Iterable[Service], network: IPv4Network
) -> dict[tuple[str, str], IPv4Address]:
    """An address for each Service (namespace, name) that waits for one; none is given twice."""
    given: set[str] = set()
    waiting: list[tuple[str, str]] = []
    for service in services:
        if service["spec"].get("type") != "LoadBalancer":
            continue
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
        given |= {entry["ip"] for entry in ingress if "ip" in entry}
        if not ingress:
            waiting.append((service["metadata"]["namespace"], service["metadata"]["name"]))
    free = (address for address in network.hosts() if str(address) not in given)
    return dict(zip(sorted(waiting), itertools.islice(free, len(waiting)), strict=True))


def serve(api: httpx.Client, network: IPv4Network) -> None:
    """Watch the Services; ends when the watch does (whoever started us starts us again)."""
    listed = api.get("/api/v1/services").raise_for_status().json()
    known = {(s["metadata"]["namespace"], s["metadata"]["name"]): s for s in listed["items"]}
    _assign(api, known.values(), network)
    watch = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
    with api.stream("GET", "/api/v1/services", params=watch, timeout=None) as changes:
        changes.raise_for_status()
        for line in changes.iter_lines():
            change = json.loads(line)
            if change["type"] == "ERROR":
                return
            service = change["object"]
            key = (service["metadata"]["namespace"], service["metadata"]["name"])
            if change["type"] == "DELETED":
                known.pop(key, None)
            else:
                known[key] = service
                _assign(api, known.values(), network)


def _assign(api: httpx.Client, services: Iterable[Service], network: IPv4Network) -> None:
    for (namespace, name), address in assignments(services, network).items():
        answer = api.patch(
            f"/api/v1/namespaces/{namespace}/services/{name}/status",
            headers={"Content-Type": "application/merge-patch+json"},
            content=json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": str(address)}]}}}),
        )
        if answer.status_code != httpx.codes.NOT_FOUND:  # deleted meanwhile
            answer.raise_for_status()


def main() -> None:
    kubeconfig, network = Path(sys.argv[1]), IPv4Network(sys.argv[2])
    with client(kubeconfig) as api:
        while True:
            try:
                serve(api, network)
            except httpx.TransportError as cut:
                print(f"the watch was cut: {cut}", file=sys.stderr, flush=True)
                time.sleep(1)


if __name__ == "__main__":
    main()
