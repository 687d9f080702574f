"""Database and cache of a service in any language, by what its manifests depend on."""

import json
import re
from collections.abc import Mapping

from backendctl.scaffold.recognise import node_app, python_dependencies
from backendctl.scaffold.recognise.facts import Found
from backendctl.scaffold.recognise.repository import Repository, line_of

DRIVERS: Mapping[str, Mapping[str, str]] = {
    "Gemfile": {"postgresql": r"^\s*gem\s+['\"]pg['\"]", "valkey": r"^\s*gem\s+['\"]redis"},
    "go.mod": {
        "postgresql": r"github\.com/(lib/pq|jackc/pgx)\b",
        "valkey": r"github\.com/(redis/go-redis|go-redis/redis|valkey-io/valkey-go)\b",
    },
    "pom.xml": {"postgresql": r"<artifactId>postgresql<", "valkey": r"<artifactId>(jedis|lettuce)"},
    "build.gradle": {"postgresql": r"org\.postgresql:", "valkey": r"jedis|lettuce"},
    "build.gradle.kts": {"postgresql": r"org\.postgresql:", "valkey": r"jedis|lettuce"},
    "Cargo.toml": {
        "postgresql": r"^(tokio-)?postgres\b|^sqlx\b.*postgres|^diesel\b.*postgres",
        "valkey": r"^(redis|fred)\b",
    },
    "composer.json": {
        "postgresql": r'"ext-(pdo_)?pgsql"',
        "valkey": r'"(predis/predis|ext-redis)"',
    },
    "mix.exs": {"postgresql": r":postgrex\b", "valkey": r":redix\b"},
}
"""Manifest -> store -> what depends on it there."""


def database(repository: Repository) -> Found | None:
    """PostgreSQL, if a driver of it is a dependency."""
    return _store(repository, "postgresql", python_dependencies.POSTGRESQL, node_app.POSTGRESQL)


def cache(repository: Repository) -> Found | None:
    """Valkey, if a client of it, or of Redis, is a dependency."""
    return _store(repository, "valkey", python_dependencies.CACHE, node_app.CACHE)


def _store(
    repository: Repository, store: str, python: tuple[str, ...], node: tuple[str, ...]
) -> Found | None:
    found = python_dependencies.first_of(
        python_dependencies.dependencies(repository), python, store
    )
    if found is not None:
        return found
    for name in node:
        text = repository.text(node_app.PACKAGE)
        if name in _node_dependencies(text):
            line = line_of(text, rf'"{re.escape(name)}"\s*:')
            return Found(store, node_app.PACKAGE, line, f"{name} is a dependency")
    for manifest, drivers in DRIVERS.items():
        if line := line_of(repository.text(manifest), drivers[store]):
            return Found(store, manifest, line, "a driver of it is a dependency")
    return None


def _node_dependencies(text: str) -> Mapping[str, object]:
    try:
        body = json.loads(text) if text else {}
    except ValueError:
        return {}
    return (body.get("dependencies") or {}) if isinstance(body, dict) else {}
