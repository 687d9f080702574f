"""What of a migration's command is passed on when its SQL is asked for."""

import pytest

from backendctl.platforms.local.schema import global_arguments


@pytest.mark.parametrize(
    ("command", "passed"),
    [
        ("alembic upgrade head", []),
        (
            "alembic -c conf/db.ini -x tenant=a upgrade head",
            ["-c", "conf/db.ini", "-x", "tenant=a"],
        ),
        ("uv run python -m alembic --name main upgrade heads", ["--name", "main"]),
        ("python manage.py migrate --noinput", []),
    ],
)
def test_alembics_own_options_are_kept(command: str, passed: list[str]) -> None:
    assert global_arguments(command.split()) == passed
