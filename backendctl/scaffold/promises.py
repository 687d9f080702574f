"""A backend.toml made from answers, held to what the spec accepts before it is written."""

from backendctl.errors import BackendctlError
from backendctl.scaffold.questions import UNCHANGED


def refuse_unless_sound(spec: bytes) -> None:
    """Raises `scaffold.answer` with what the spec says about promises that cannot all hold."""
    from backendctl.spec.load import read_spec

    try:
        read_spec(spec, "backend.toml")
    except BackendctlError as error:
        problems = error.data.get("problems", [])
        if not problems:
            raise
        told = [f"{p['key']}: {p['message']}; accepted: {p['accepted']}" for p in problems]
        raise BackendctlError(
            "scaffold.answer",
            "the answers do not go together: " + told[0],
            cause="\n".join(told[1:]),
            state=UNCHANGED,
            data={"problems": problems},
        ) from error
