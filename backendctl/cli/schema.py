"""The JSON Schema of every answer given with `--output json`."""

from typing import Any

from backendctl.cli.answer import SCHEMA
from backendctl.errors import ERRORS, Exit


def answer_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the envelope."""
    error = {
        "type": "object",
        "required": ["code", "message", "cause", "state", "next"],
        "additionalProperties": False,
        "properties": {
            "code": {"enum": sorted(ERRORS)},
            "message": {"type": "string"},
            "cause": {"type": "string", "description": "why, as far as is known"},
            "state": {"type": "string", "description": "what state things are in now"},
            "next": {"type": "array", "items": {"type": "string"}},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Answer of backendctl",
        "type": "object",
        "required": ["schema", "command", "ok", "exit", "data", "error"],
        "additionalProperties": False,
        "properties": {
            "schema": {"const": SCHEMA},
            "command": {"type": "string"},
            "ok": {"type": "boolean"},
            "exit": {"type": "integer", "description": f"one of {sorted(int(e) for e in Exit)}"},
            "data": {"type": "object"},
            "error": {"anyOf": [error, {"type": "null"}]},
        },
    }
