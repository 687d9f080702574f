"""The judges that are compared, each in a file of its own behind `base.Engine`."""

from bench.verdict.engines.argo import Argo
from bench.verdict.engines.base import COMMON, NATIVE, Ending, Engine, Rollout, Setting
from bench.verdict.engines.flagger import Flagger
from bench.verdict.engines.kayenta import Kayenta
from bench.verdict.engines.ours import Ours, Plain

ENGINES: tuple[Engine, ...] = (
    Ours(NATIVE),
    Flagger(NATIVE, threshold=1),
    Flagger(NATIVE, threshold=10),
    Argo(NATIVE, least=0.95),
    Argo(NATIVE, least=None),
    Kayenta(NATIVE),
    Ours(COMMON),
    Flagger(COMMON, threshold=1),
    Flagger(COMMON, threshold=10),
    Argo(COMMON, least=0.95),
    Argo(COMMON, least=None),
    Kayenta(COMMON),
)

__all__ = [
    "COMMON",
    "ENGINES",
    "NATIVE",
    "Ending",
    "Engine",
    "Kayenta",
    "Ours",
    "Plain",
    "Rollout",
    "Setting",
]
