"""Who the caller is, and where the proof of it lives."""

from backendctl.advice.prices import FREE_USERS, MONTHLY_USER
from backendctl.advice.rules import Finding, number, rule
from backendctl.spec.model import Client, Spec

TOPIC = "Identity"
OWN_TEAM = 10
"""Engineers from which running an identity server can be somebody's job."""
OWN_USERS = 500_000
"""Monthly users whose price, see `identity_cost`, is about $88,000 a year: an engineer's."""


def identity_cost(monthly_users: int) -> float:
    """Dollars a month for a bought identity service."""
    return max(0, monthly_users - FREE_USERS) * MONTHLY_USER


@rule(
    TOPIC,
    ("auth.issuer", "team.size", "product.monthly_users", "service.residency", "compliance"),
    "NIST SP 800-63B (authenticators: verification, throttling, recovery); OWASP ASVS, chapter on "
    "authentication; Amazon Cognito pricing (Essentials)",
)
def build_or_buy(spec: Spec) -> Finding:
    size, monthly = spec.team.size, spec.product.monthly_users
    cost = (
        f"{number(monthly)} users a month cost about ${number(identity_cost(monthly))} a month"
        if monthly
        else f"product.monthly_users is not stated; the first {FREE_USERS:,} a month are free"
    )
    large = size > OWN_TEAM and monthly > OWN_USERS
    where = f' that keeps data in "{spec.service.residency}"' if spec.service.residency else ""
    if large:
        return Finding(
            f"Run an identity server (such as Keycloak) of your own{where}; never write one",
            f"{cost} to buy, and {size} engineers can make it somebody's job; passwords, recovery "
            "and second factors are still not code of yours",
            f"at most {OWN_TEAM} engineers or {OWN_USERS:,} users a month",
        )
    has = f"; {spec.auth.issuer} is stated" if spec.auth.issuer else "; auth.issuer is not stated"
    return Finding(
        f"Buy: an OpenID Connect provider{where}",
        f"{cost}, and passwords, recovery and second factors are no work for {size} engineers{has}",
        f"more than {OWN_TEAM} engineers and more than {OWN_USERS:,} users a month",
    )


@rule(
    TOPIC,
    ("product.clients", "auth.issuer"),
    "RFC 9700 (Best Current Practice for OAuth 2.0 Security); RFC 9068 (JWT access tokens); RFC "
    '8252 (OAuth 2.0 for Native Apps); RFC 6265 (cookies); IETF draft "OAuth 2.0 for '
    'Browser-Based Applications"; RFC 7523 (private_key_jwt); RFC 8705 (mutual TLS)',
)
def sessions_or_tokens(spec: Spec) -> Finding:
    clients = set(spec.product.clients)
    places = {
        Client.WEB: "web: in the server, behind a __Host- cookie (HttpOnly, Secure, "
        "SameSite=Lax); never in localStorage, where any script reads it",
        Client.MOBILE: "mobile: Keychain or Keystore, authorization code with PKCE",
        Client.PARTNER: "partner: client credentials with private_key_jwt (RFC 7523)",
        Client.SERVICE: "service: client credentials bound to mutual TLS",
    }
    where = "; ".join(text for client, text in places.items() if client in clients)
    names = ", ".join(sorted(clients))
    if clients == {Client.WEB}:
        return Finding(
            "A session in a cookie",
            f"product.clients = {names}: only web pages call, and a session is revoked at "
            f"once and carries no rights that could be copied. It lives {where}",
            "mobile, partner or service under product.clients",
        )
    return Finding(
        "Access tokens of at most 15 minutes, refresh tokens rotated at each use",
        f"product.clients = {names}: a cookie does not reach all of them. Tokens live: {where}",
        'product.clients = ["web"]',
    )


RULES = (build_or_buy, sessions_or_tokens)
