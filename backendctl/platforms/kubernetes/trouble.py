"""The ways in which a pod does not come up, and how long each is given to mend itself."""

from dataclasses import dataclass, field
from enum import StrEnum

FOREVER = float("inf")


class Cause(StrEnum):
    """The worst first."""

    MEMORY = "out of memory"
    PROBE = "killed by its probe"
    CRASH = "ended"
    START = "cannot be started"
    CONFIGURATION = "configuration"
    IMAGE = "image"
    ADMISSION = "not admitted"
    QUOTA = "quota"
    REFUSED = "refused"
    UNSCHEDULABLE = "unschedulable"
    UNREADY = "not ready"

    @property
    def rank(self) -> int:
        return list(Cause).index(self)

    @property
    def ended(self) -> bool:
        """Whether a process was there and is not any more, or could not be made at all."""
        return self in (Cause.MEMORY, Cause.PROBE, Cause.CRASH, Cause.START)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod is not ready."""

    cause: Cause
    said: str
    """For a person, in one line."""
    patience: float = 0.0
    """Seconds that it is given to go away, from when it was first seen."""
    pod: str = ""
    container: str = ""

    @property
    def ran(self) -> bool:
        """Whether there is a log to look into."""
        return bool(self.container) and self.cause in (
            Cause.MEMORY,
            Cause.PROBE,
            Cause.CRASH,
            Cause.UNREADY,
        )


@dataclass
class Patience:
    """How long each cause has been seen, by one clock of ours: that of the cluster may differ."""

    _since: dict[Cause, float] = field(default_factory=dict)

    def over(self, found: Trouble | None, now: float) -> bool:
        """Whether this trouble has lasted as long as it is given. `now`: monotonic seconds.

        Trouble that comes and goes (a pull that is tried again) counts from its first time.
        """
        if found is None:
            return False
        return now - self._since.setdefault(found.cause, now) >= found.patience
