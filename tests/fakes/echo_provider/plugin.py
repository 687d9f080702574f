"""Puts the echo provider where the engine looks for plugins."""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

VERSION = "7.51.1"
"""That of pulumi-aws in constraints.txt: the engine asks for exactly this one."""
SERVER = Path(__file__).with_name("server.py")


def install(pulumi_home: Path, name: str = "aws", version: str = VERSION) -> None:
    """An executable that serves every type of that package."""
    folder = pulumi_home / "plugins" / f"resource-{name}-v{version}"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"pulumi-resource-{name}"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SERVER}" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def surroundings(cloud: Path, rules: Path) -> Mapping[str, str]:
    """The environment by which the provider finds its cloud and its rules."""
    for folder in (cloud, rules):
        folder.mkdir(parents=True, exist_ok=True)
    return {"ECHO_STATE": str(cloud), "ECHO_RULES": str(rules), **_quiet()}


def _quiet() -> Mapping[str, str]:
    """The engine asks for nothing outside: no update check, no plugin download."""
    return {
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.environ["PATH"],
    }
