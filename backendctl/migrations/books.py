"""Where each migration tool keeps its record in the database, and how to read it."""

from collections.abc import Mapping
from dataclasses import dataclass

from backendctl.migrations.revisions import Tool


@dataclass(frozen=True, slots=True)
class Book:
    """One tool's record."""

    table: str
    query: str
    """Its answer's first column holds the names, as `Revision` has them."""


BOOKS: Mapping[Tool, Book] = {
    Tool.ALEMBIC: Book("alembic_version", "SELECT version_num FROM alembic_version"),
    Tool.DJANGO: Book("django_migrations", "SELECT app || '.' || name FROM django_migrations"),
    Tool.DBMATE: Book("schema_migrations", "SELECT version FROM schema_migrations"),
    Tool.FLYWAY: Book(
        "flyway_schema_history",
        "SELECT version FROM flyway_schema_history WHERE success AND version IS NOT NULL",
    ),
    # The last only; `dirty` says that it failed half-way, which the tool itself then refuses.
    Tool.GOLANG_MIGRATE: Book("schema_migrations", "SELECT version::text FROM schema_migrations"),
    Tool.GOOSE: Book(
        "goose_db_version",
        "SELECT version_id::text FROM goose_db_version WHERE is_applied AND version_id > 0",
    ),
    Tool.KNEX: Book("knex_migrations", "SELECT name FROM knex_migrations"),
    Tool.NODE_PG_MIGRATE: Book("pgmigrations", "SELECT name FROM pgmigrations"),
    Tool.PRISMA: Book(
        "_prisma_migrations",
        "SELECT migration_name FROM _prisma_migrations "
        "WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL",
    ),
}
