"""PostgreSQL and Valkey. The only layer that knows SQL and keys."""
