# ruff: noqa: E501 - repositories in a few lines
"""Start commands that a repository states outright, in whatever language it is written."""

from pathlib import Path

import pytest

from tests.unit.scaffold.recognise_cases import APP, UVICORN, Tree, recognised, remarks


def test_a_procfile_goes_before_what_the_sources_suggest(tmp_path: Path) -> None:
    procfile = "release: python migrate.py\nweb: uvicorn --workers 2 other:app --port ${PORT:-80}\n"
    found = recognised(tmp_path, {"main.py": APP, "Procfile": procfile})
    assert found.kind.value == "fastapi"
    assert found.start.value == f"uvicorn --workers 2 other:app {UVICORN}"
    assert found.start.place == "Procfile:2"
    assert found.migrate is not None
    assert found.migrate.value == "python migrate.py"


def test_a_procfile_alone_is_enough(tmp_path: Path) -> None:
    found = recognised(tmp_path, {"Procfile": "worker: x\nweb: bundle exec puma -p $PORT\n"})
    assert found.kind.value == "procfile"
    assert found.start.value == "bundle exec puma -p $PORT"
    assert not found.ready.certain


@pytest.mark.parametrize(
    ("dockerfile", "start"),
    [
        ('FROM a\nCMD ["./server", "--port", "8080"]\n', "./server --port 8080"),
        ("FROM a\nCMD gunicorn x:y -b :80\n",
         "gunicorn x:y --bind 127.0.0.1:$PORT --graceful-timeout 25 --keep-alive 75"),
        ('FROM a AS b\nCMD ["wrong"]\nFROM c\nENTRYPOINT ["./server"]\nCMD ["--x", "$PORT"]\n',
         "./server --x $PORT"),
        ("FROM a\n# CMD no\nCMD cd /srv && \\\n  ./run --port $PORT\n",
         "sh -c 'cd /srv && exec ./run --port $PORT'"),
    ],
)  # fmt: skip
def test_a_dockerfile_says_what_its_image_runs(dockerfile: str, start: str, tmp_path: Path) -> None:
    found = recognised(tmp_path, {"Dockerfile": dockerfile})
    assert found.kind.value == "dockerfile"
    assert found.start.value == start
    assert "not in a container" in remarks(found)


@pytest.mark.parametrize(
    ("dockerfile", "path"),
    [
        ("FROM a\nHEALTHCHECK CMD curl -f http://localhost:3000/healthz || exit 1\nCMD ./x\n", "/healthz"),
        ('FROM a\nHEALTHCHECK --interval=5s CMD ["wget", "-q", "http://127.0.0.1/up?x=1"]\nCMD ./x\n', "/up"),
        ("FROM a\nHEALTHCHECK NONE\nCMD ./x\n", "/"),
    ],
)  # fmt: skip
def test_the_health_check_of_an_image_is_the_readiness_check(
    dockerfile: str, path: str, tmp_path: Path
) -> None:
    found = recognised(tmp_path, {"Dockerfile": dockerfile})
    assert found.ready.value == found.live.value == path
    assert found.ready.certain is (path != "/")


@pytest.mark.parametrize(
    ("tree", "start", "migrate"),
    [
        ({"Procfile": "web: python manage.py migrate && gunicorn x:y\n"},
         "gunicorn x:y --bind 127.0.0.1:$PORT --graceful-timeout 25 --keep-alive 75",
         "python manage.py migrate"),
        ({"Dockerfile": "FROM a\nCMD alembic upgrade head && uvicorn x:y\n"},
         f"uvicorn x:y {UVICORN}", "alembic upgrade head"),
        ({"Dockerfile": 'FROM a\nCMD ["sh", "-c", "npm run migrate && node server.js"]\n'},
         "node server.js", "npm run migrate"),
        ({"package.json": '{"scripts": {"start": "prisma migrate deploy && node dist/main.js"}}'},
         "node dist/main.js", "npx prisma migrate deploy"),
        ({"Procfile": "release: ./migrate.sh\nweb: cd x && ./serve --port $PORT\n"},
         "sh -c 'cd x && exec ./serve --port $PORT'", "./migrate.sh"),
    ],
)  # fmt: skip
def test_a_migration_before_the_service_runs_once_and_not_in_every_process(
    tree: Tree, start: str, migrate: str, tmp_path: Path
) -> None:
    found = recognised(tmp_path, tree)
    assert found.start.value == start
    assert found.migrate is not None
    assert found.migrate.value == migrate


@pytest.mark.parametrize(
    ("manifest", "text", "database", "cache"),
    [
        ("Gemfile", 'gem "rails"\ngem "pg", "~> 1.5"\n', "Gemfile:2", ""),
        ("go.mod", "module x\nrequire (\n\tgithub.com/jackc/pgx/v5 v5.5.0\n)\n", "go.mod:3", ""),
        ("requirements.txt", "flask\npsycopg2==2.9\nredis\n", "requirements.txt:2", "requirements.txt:3"),
        ("package.json", '{\n"dependencies": {\n"pg": "8"}}', "package.json:3", ""),
        ("Cargo.toml", '[dependencies]\nredis = "0.25"\n', "", "Cargo.toml:2"),
        ("go.mod", "module x\n", "", ""),
    ],
)  # fmt: skip
def test_database_and_cache_of_a_service_in_any_language(
    manifest: str, text: str, database: str, cache: str, tmp_path: Path
) -> None:
    found = recognised(tmp_path, {"Procfile": "web: ./x $PORT\n", manifest: text})
    assert (found.database.place if found.database else "") == database
    assert (found.cache.place if found.cache else "") == cache
