"""The entry point: all commands, and what becomes of whatever they raise."""

import os
import sys
import time
import traceback
from pathlib import Path

import typer

from backendctl import __version__, interrupts
from backendctl.cli import contract
from backendctl.cli.typed import requested_output, spoken_name
from backendctl.errors import BackendctlError, Exit


def application() -> typer.Typer:
    """The command tree. Imports only modules that import nothing heavy at their top."""
    from backendctl.cli import (
        about,
        advise,
        build,
        check,
        demo,
        doctor,
        infra,
        init,
        lifecycle,
        loadtest,
        new,
        release,
        rollout,
        secrets,
    )

    app = typer.Typer(
        name="backendctl",
        help="From one file of promises (backend.toml) to a running, load-tested, "
        "safely released backend service.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={
            "auto_envvar_prefix": "BACKENDCTL",
            "help_option_names": ["--help", "-h"],
        },
    )
    app.callback(invoke_without_command=True)(_version)
    contract.register(app, new.new, init.init, advise.advise)
    contract.register(app, lifecycle.up, lifecycle.dev, build.build)
    contract.register(app, release.deploy, release.rollback)
    app.add_typer(infra.app, name="infra")
    app.add_typer(check.app, name="check")
    app.add_typer(rollout.app, name="rollout")
    app.add_typer(loadtest.app, name="loadtest")
    contract.register(app, lifecycle.status, lifecycle.logs, lifecycle.execute)
    app.add_typer(secrets.app, name="secrets")
    contract.register(app, lifecycle.down, doctor.doctor, demo.demo, about.schema)
    return app


def _version(
    version: bool = typer.Option(
        False, "--version", show_envvar=False, envvar=[], help="Show the version and leave."
    ),
) -> None:
    if version:
        sys.stdout.write(f"backendctl {__version__}\n")
        raise typer.Exit


def main() -> None:
    """Run the command line and leave with the exit status of design 4's table."""
    interrupts.listen()
    sys.exit(_run())


def _run() -> int:
    try:
        result = application()(standalone_mode=False)
    except BackendctlError as error:
        return contract.fail(error)
    except typer.Abort:
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # the question is still on the line
        return contract.fail(_unanswered())
    except KeyboardInterrupt:
        return contract.fail(contract.interrupted())
    except typer.TyperException as error:
        return _misused(error)
    except Exception as error:
        return contract.fail(_bug(error))
    return result if isinstance(result, int) else int(Exit.OK)


def _misused(error: typer.TyperException) -> int:
    """A usage error; a group typed without a command is answered with its help."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is not None and message == context.get_help():
        if requested_output() in ("", contract.Output.TEXT):
            sys.stdout.write(message + "\n")
            return int(Exit.USAGE)
        message = "a command is missing"
    # Of the command that is known: of a mistyped one there is no help.
    known = spoken_name() if context is None else context.command_path.partition(" ")[2]
    help_line = f"backendctl {known} --help".replace("  ", " ")
    return contract.fail(BackendctlError("usage", message, next=(help_line,)))


def _unanswered() -> BackendctlError:
    return BackendctlError(
        "interrupted",
        "stopped at a question, before anything was done",
        state="nothing was changed",
    )


def _bug(error: Exception) -> BackendctlError:
    """One line on screen, the traceback in a file that only this user can read."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(state) / "backendctl"
    where = folder / f"traceback-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            traceback.print_exception(error, file=file)
        cause = f"the traceback is in {where}"
    except OSError as trouble:
        traceback.print_exception(error)
        cause = f"the traceback could not be kept in a file ({trouble})"
    return BackendctlError("bug", f"{type(error).__name__}: {error}", cause=cause)
