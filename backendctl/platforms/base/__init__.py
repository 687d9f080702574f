"""The seam behind which a platform stands.

Everything above it (rollouts, load tests, workflows) knows an environment only through these
types. Each platform implements all of them, and one conformance suite runs on every platform.
"""

from backendctl.platforms.base.away import (
    ERRAND_FOLDER,
    ERRAND_SECRETS,
    INDEX_VARIABLE,
    LOAD_PODS,
    Away,
    Errand,
    Underway,
)
from backendctl.platforms.base.foundation import WATCHDOG, Foundation, ServiceStatus
from backendctl.platforms.base.meter import (
    ArmSample,
    Breakdown,
    FailedRequest,
    Latencies,
    Meter,
    Mirrored,
    Sample,
    Span,
)
from backendctl.platforms.base.platform import Platform
from backendctl.platforms.base.progress import OnLine, unheard
from backendctl.platforms.base.releases import (
    Configuration,
    Package,
    Processes,
    Release,
    SchemaRange,
)
from backendctl.platforms.base.router import (
    MIRROR_HEADER,
    MIRROR_PATIENCE,
    PREVIEW_COOKIE,
    PREVIEW_HEADER,
    Router,
    Routes,
)
from backendctl.platforms.base.runtime import (
    LOCK_KEPT,
    MIGRATION,
    Condition,
    Invocation,
    JobResult,
    ReleaseStatus,
    Runtime,
)
from backendctl.platforms.base.schema import MigrationScript, Rehearsal, Schema
from backendctl.platforms.base.secrets import Secrets
from backendctl.platforms.base.store import SAMPLES_KEPT, Grant, Holder, PersonCommand, Store

__all__ = [
    "ERRAND_FOLDER",
    "ERRAND_SECRETS",
    "INDEX_VARIABLE",
    "LOAD_PODS",
    "LOCK_KEPT",
    "MIGRATION",
    "MIRROR_HEADER",
    "MIRROR_PATIENCE",
    "PREVIEW_COOKIE",
    "PREVIEW_HEADER",
    "SAMPLES_KEPT",
    "WATCHDOG",
    "ArmSample",
    "Away",
    "Breakdown",
    "Condition",
    "Configuration",
    "Errand",
    "FailedRequest",
    "Foundation",
    "Grant",
    "Holder",
    "Invocation",
    "JobResult",
    "Latencies",
    "Meter",
    "MigrationScript",
    "Mirrored",
    "OnLine",
    "Package",
    "PersonCommand",
    "Platform",
    "Processes",
    "Rehearsal",
    "Release",
    "ReleaseStatus",
    "Router",
    "Routes",
    "Runtime",
    "Sample",
    "Schema",
    "SchemaRange",
    "Secrets",
    "ServiceStatus",
    "Span",
    "Store",
    "Underway",
    "unheard",
]
