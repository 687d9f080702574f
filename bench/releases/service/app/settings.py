"""What the environment says."""

import os
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    database_url: str = field(default_factory=lambda: os.environ["DATABASE_URL"])
    pool_size: int = 8
    """Connections of each process."""
    pool_timeout: float = 5.0
    """Seconds a request waits for one."""
    memory_limit: int = 250_000_000
    """Bytes resident; a process above it is killed, as a container's limit does."""


settings = Settings()
