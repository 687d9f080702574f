"""How Alembic is asked for the SQL of a migration, and of which it need not be asked."""

import pytest

from backendctl.platforms.migration_scripts import does_nothing, global_arguments


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


@pytest.mark.parametrize(
    ("body", "nothing"), [("pass", True), ('"""Merge."""', True), ("op.drop_table('a')", False)]
)
def test_a_merge_of_branches_does_nothing(body: str, nothing: bool) -> None:
    source = f"down_revision = ('a', 'b')\n\ndef upgrade() -> None:\n    {body}\n"
    assert does_nothing(source) is nothing
