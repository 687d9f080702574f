"""How clients talk to the service."""

from backendctl.advice.rules import Finding, rule
from backendctl.spec.model import Client, Spec

TOPIC = "API"
VARIED = 3
"""Kinds of client outside our services from which each wants a different cut of the data."""


@rule(
    TOPIC,
    ("product.clients",),
    "RFC 9110 (HTTP Semantics); OpenAPI Specification 3.1; GraphQL specification, October 2021; "
    'gRPC documentation, "Core concepts, architecture and lifecycle"',
)
def style(spec: Spec) -> Finding:
    clients = set(spec.product.clients)
    outside = clients - {Client.SERVICE}
    names = ", ".join(sorted(clients))
    if not outside:
        return Finding(
            "gRPC with protocol buffers",
            f"only our own services call ({names}): one typed contract, HTTP/2 streams, generated "
            "clients; no browser has to read it",
            "web, mobile or partner under product.clients",
        )
    between = "; gRPC between our own services" if Client.SERVICE in clients else ""
    if len(outside) >= VARIED:
        return Finding(
            f"GraphQL for our own clients, REST for partners{between}",
            f"{len(outside)} varied kinds of client ({names}) want different cuts of the same "
            "data; a partner's contract has to be cacheable and simple to sign",
            f"fewer than {VARIED} of web, mobile, partner under product.clients",
        )
    return Finding(
        f"REST over HTTP with an OpenAPI 3.1 document{between}",
        f"{len(outside)} kind{'s' * (len(outside) > 1)} of client ({names}): caches, gateways and "
        "rate limits work by URL and method, and GraphQL's flexibility has nobody to serve",
        "all of web, mobile and partner under product.clients (GraphQL), or only service (gRPC)",
    )


@rule(
    TOPIC,
    ("product.clients",),
    "RFC 9745 (Deprecation header); RFC 8594 (Sunset header); RFC 9110 section 12 (content "
    "negotiation)",
)
def versioning(spec: Spec) -> Finding:
    clients = set(spec.product.clients)
    strangers = sorted(clients & {Client.MOBILE, Client.PARTNER})
    if clients == {Client.SERVICE}:
        return Finding(
            "In the package name (shop.v1), with only compatible changes inside a version",
            "only our own services call, and they are generated from the same .proto files",
            "any other kind under product.clients",
        )
    if strangers:
        return Finding(
            "In the URL (/v1), old versions with Deprecation and Sunset headers for a stated time",
            f"{' and '.join(strangers)} clients are not updated when we release; a version in the "
            "URL shows in logs, routes, caches and metrics",
            "only web and service under product.clients",
        )
    return Finding(
        "By header (a media type such as application/vnd.shop.v2+json), URLs stay as they are",
        "all clients are ours and are released with the service, so at most two versions live "
        "side by side, for as long as a rollout takes",
        "mobile or partner under product.clients",
    )


RULES = (style, versioning)
