"""`python -m tests.cluster up|down|env|test [--state DIR]`."""

import argparse
import shlex
import sys
from pathlib import Path

from tests.cluster import lifecycle, preconditions, session, toolchain
from tests.cluster.commands import ClusterError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in {
        "up": "start a cluster; one that ran with this state is ended first",
        "down": "end the cluster and remove its state",
        "env": "print what to export in order to use the cluster",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", type=Path, required=True)
    commands.add_parser("build", help="build the programs only")
    commands.add_parser("lacking", help="print why no cluster can run here; nothing when it can")
    testing = commands.add_parser("test", help="run the tests that need a cluster, on one of ours")
    testing.add_argument("pytest", nargs="*", help="arguments for pytest")
    engine = commands.add_parser("engine", help="run the tests that need the pulumi program alone")
    engine.add_argument("pytest", nargs="*", help="arguments for pytest")
    asked = parser.parse_args()
    try:
        if asked.command == "build":
            for build in toolchain.EVERYTHING:
                print(toolchain.built(build), flush=True)
        elif asked.command == "lacking":
            print("\n".join(preconditions.lacking()))
        elif asked.command == "test":
            return session.run_tests(asked.pytest)
        elif asked.command == "engine":
            return session.run_engine_tests(asked.pytest)
        elif asked.command == "up":
            lifecycle.up(asked.state)
        elif asked.command == "down":
            lifecycle.down(asked.state)
        else:
            for name, value in lifecycle.opened(asked.state).environment().items():
                print(f"export {name}={shlex.quote(value)}")
    except ClusterError as failed:
        print(f"test cluster: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
