"""What a process is given: variables in arguments, and none of the shell's own secrets."""

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.variables import expand, inherited, sensitive

KNOWN = {"PORT": "8000", "API_KEY": "s3cret", "A": "x"}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("$PORT", "8000"),
        ("--bind=127.0.0.1:${PORT}", "--bind=127.0.0.1:8000"),
        ("$A$PORT", "x8000"),
        ("cost $$5", "cost $5"),
        ("$$PORT", "$PORT"),
        ("no dollar", "no dollar"),
        ("100$", "100$"),
        ("$5", "$5"),
    ],
)
def test_names_in_arguments_are_replaced(argument: str, expected: str) -> None:
    assert expand(["serve", argument], KNOWN, ()) == ("serve", expected)


def test_a_name_that_is_not_set_is_refused_with_those_that_are() -> None:
    with pytest.raises(BackendctlError, match=r"\$PROT") as caught:
        expand(["serve", "$PROT"], KNOWN, ())
    assert "PORT" in caught.value.cause
    assert "s3cret" not in str(vars(caught.value))


def test_a_secret_never_becomes_an_argument() -> None:
    with pytest.raises(BackendctlError, match="API_KEY") as caught:
        expand(["serve", "--key=$API_KEY"], KNOWN, {"API_KEY"})
    assert "s3cret" not in str(vars(caught.value))


def test_what_carries_a_password_is_sensitive() -> None:
    assert sensitive(
        {
            "DATABASE_URL": "postgresql://app:pw@127.0.0.1:5432/app",
            "REDIS_URL": "redis://:pw@127.0.0.1:6379/0",
            "PGPASSWORD": "pw",
            "AUTH_JWKS_URL": "http://127.0.0.1:9000/jwks.json",
            "PORT": "8000",
            "ODD_URL": "http://[broken",
        }
    ) == {"DATABASE_URL", "REDIS_URL", "PGPASSWORD", "ODD_URL"}


def test_only_a_few_harmless_variables_are_inherited() -> None:
    shell = {"HOME": "/h", "LANG": "C", "https_proxy": "p", "AWS_SECRET_ACCESS_KEY": "s", "X": "y"}
    assert inherited(shell) == {"HOME": "/h", "LANG": "C", "https_proxy": "p"}
