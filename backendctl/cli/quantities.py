"""Durations and rates on the command line, written as in backend.toml."""

from typing import TYPE_CHECKING

from backendctl.errors import BackendctlError

if TYPE_CHECKING:
    from backendctl.spec.units import Unit


def duration(option: str, written: str | None) -> float | None:
    """Seconds; None if the option was not given. Raises `usage`."""
    from backendctl.spec.units import DURATION

    return _parse(option, written, DURATION)


def rate(option: str, written: str | None) -> float | None:
    """Per second; None if the option was not given. Raises `usage`."""
    from backendctl.spec.units import RATE

    return _parse(option, written, RATE)


def _parse(option: str, written: str | None, unit: "Unit") -> float | None:
    from backendctl.spec.units import UnitError

    if not written:
        return None
    try:
        return unit.parse(float(written) if unit.plain and written.isdecimal() else written)
    except UnitError:
        raise BackendctlError(
            "usage",
            f"{option}: {written!r} is not {unit.name}",
            cause=f"accepted: {unit.accepted}",
            state="nothing was changed",
        ) from None
