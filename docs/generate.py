"""Write the reference pages from the code; `--check` only says whether they are up to date."""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from backendctl.cli.contract import COMMON
from backendctl.cli.main import application
from backendctl.cli.schema import answer_schema
from backendctl.errors import ERRORS, EXIT_MEANING
from backendctl.spec.reference import reference_markdown
from backendctl.spec.schema import spec_schema

REFERENCE = Path(__file__).parent / "reference"


def pages() -> dict[str, str]:
    """File name -> contents of every generated page."""
    return {
        "commands.md": commands(),
        "backend-toml.md": reference_markdown(),
        "exit-codes.md": exit_codes(),
        "answer.schema.json": _json(answer_schema()),
        "backend.schema.json": _json(spec_schema()),
    }


def commands() -> str:
    """Every command with its help, options and environment variables."""
    root = typer.main.get_command(application())
    lines = [
        "# Commands",
        "",
        "Every command also takes `--env`, `--output text|json|jsonl`, `--yes`, `--verbose`,",
        "`--directory` and `--help`. Each option can be given by the environment variable beside",
        "it. Exit statuses: [exit-codes.md](exit-codes.md).",
    ]
    for path, each in _leaves(root, ()):
        lines += ["", f"## backendctl {' '.join(path)}", "", *_help(each)]
        own = [p for p in each.params if p.name not in (*COMMON, "help")]
        if own:
            lines += ["", "| | | |", "|---|---|---|"]
        for parameter in own:
            name = "`" + ", ".join(parameter.opts) + "`"
            if parameter.param_type_name == "argument":
                name = f"`{(parameter.metavar or parameter.name or '').upper()}`"
            derived = f"BACKENDCTL_{'_'.join(path)}_{parameter.name}".upper().replace("-", "_")
            variable = f"`{getattr(parameter, 'envvar', None) or derived}`"
            if parameter.param_type_name == "argument":
                variable = ""
            text = str(getattr(parameter, "help", "") or "").replace("|", "\\|")
            lines.append(f"| {name} | {text} | {variable} |")
    return "\n".join(lines) + "\n"


def exit_codes() -> str:
    """Exit statuses, and the error codes that lead to each."""
    lines = ["# Exit statuses and error codes", "", "| exit | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {meaning} |" for code, meaning in EXIT_MEANING.items()]
    lines += ["", "| error code | exit | meaning |", "|---|---|---|"]
    lines += [f"| `{code}` | {int(exit)} | {text} |" for code, (exit, text) in ERRORS.items()]
    return "\n".join(lines) + "\n"


def _leaves(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if not children:
        return [(path, command)]
    found = []
    for name in sorted(children):
        found += _leaves(children[name], (*path, name))
    return found


def _help(command: Any) -> list[str]:
    text, _, examples = (command.help or "").partition("\b\nExamples:\n")
    lines = text.strip().splitlines()
    if examples:
        lines += ["", "```", *(line.strip() for line in examples.splitlines()), "```"]
    return lines


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    stale = []
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        file = REFERENCE / name
        if file.exists() and file.read_text() == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            file.write_text(text)
    if stale and "--check" in sys.argv:
        sys.exit(f"out of date: {', '.join(stale)}; run `make docs`")


if __name__ == "__main__":
    main()
