"""What every gate answers: `pass`, `finding` or `tool-error`, and what it looked at.

A gate that looked at nothing did not pass. A finding that a waiver covers is still reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from backendctl.gates.waivers import Waiver


class Result(StrEnum):
    """Of a gate as a whole."""

    PASS = "pass"  # noqa: S105 - no password
    FINDING = "finding"
    TOOL_ERROR = "tool-error"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it has to be."""

    rule: str
    subject: str
    """What it is about, such as `data/database`."""
    message: str
    remedy: str
    environment: str = ""
    waiver: Waiver | None = None

    def to_data(self) -> dict[str, Any]:
        """As the JSON answer shows it."""
        shown = {
            "rule": self.rule,
            "environment": self.environment,
            "subject": self.subject,
            "message": self.message,
            "remedy": self.remedy,
        }
        return shown if self.waiver is None else {**shown, "waiver": self.waiver.to_data()}


@dataclass(frozen=True, slots=True)
class Checked:
    """One rule, and how many things it was held against."""

    rule: str
    reason: str
    source: str
    subjects: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What one gate found."""

    gate: str
    findings: Sequence[Finding] = ()
    """Those that no waiver covers."""
    waived: Sequence[Finding] = ()
    checked: Sequence[Checked] = ()
    remarks: Sequence[str] = ()
    """Waivers that expired or cover nothing."""
    error: str = ""
    """Why the gate could not be run."""
    looked_at: Mapping[str, int] = field(default_factory=dict)
    """Environment -> number of resources."""

    @property
    def result(self) -> Result:
        """Of the whole: nothing looked at is no pass."""
        if self.error or not sum(self.looked_at.values()):
            return Result.TOOL_ERROR
        return Result.FINDING if self.findings else Result.PASS

    def to_data(self) -> dict[str, Any]:
        """As the JSON answer shows it."""
        return {
            "gate": self.gate,
            "result": str(self.result),
            "looked_at": dict(self.looked_at),
            "findings": [each.to_data() for each in self.findings],
            "waived": [each.to_data() for each in self.waived],
            "checked": [
                {
                    "rule": each.rule,
                    "reason": each.reason,
                    "source": each.source,
                    "subjects": each.subjects,
                }
                for each in self.checked
            ],
            "remarks": list(self.remarks),
            "error": self.error,
        }
