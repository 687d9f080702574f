# ruff: noqa: E501 - repositories in a few lines
"""Start commands rewritten to listen on 127.0.0.1:$PORT."""

import shlex

import pytest
from hypothesis import given, settings, strategies

from backendctl.scaffold.recognise.servers import SERVERS, listening
from backendctl.spec.command import parse_command

UVICORN = "--host 127.0.0.1 --port $PORT --timeout-graceful-shutdown 25 --timeout-keep-alive 75"
GUNICORN = "--bind 127.0.0.1:$PORT --graceful-timeout 25 --keep-alive 75"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("uvicorn main:app", f"uvicorn main:app {UVICORN}"),
        ("uvicorn main:app --reload --host=0.0.0.0 --port 80", f"uvicorn main:app {UVICORN}"),
        (
            "uvicorn main:app --uds /tmp/x.sock --workers 2",
            f"uvicorn main:app --workers 2 {UVICORN}",
        ),
        (
            "uvicorn a:b --timeout-keep-alive 5",
            "uvicorn a:b --timeout-keep-alive 5 --host 127.0.0.1 --port $PORT "
            "--timeout-graceful-shutdown 25",
        ),
        ("python -m uvicorn a:b --port ${PORT:-8000}", f"python -m uvicorn a:b {UVICORN}"),
        ("poetry run uvicorn a:b", f"uvicorn a:b {UVICORN}"),
        ("/srv/venv/bin/uvicorn a:b", f"/srv/venv/bin/uvicorn a:b {UVICORN}"),
        ("exec gunicorn shop.wsgi -b 0.0.0.0:8000", f"gunicorn shop.wsgi {GUNICORN}"),
        ("gunicorn shop.wsgi -b:8000 --daemon", f"gunicorn shop.wsgi {GUNICORN}"),
        ("gunicorn -w 4 shop.wsgi", f"gunicorn -w 4 shop.wsgi {GUNICORN}"),
        (
            "daphne shop.asgi:application -p 80",
            "daphne shop.asgi:application -b 127.0.0.1 -p $PORT",
        ),
        ("hypercorn a:b --bind 0.0.0.0:1", f"hypercorn a:b {GUNICORN}"),
        ("fastapi dev main.py", "fastapi run main.py --host 127.0.0.1 --port $PORT"),
        ("waitress-serve --port=1 a:b", "waitress-serve a:b --listen 127.0.0.1:$PORT"),
        ("A=1 B='x y' uvicorn a:b", f"env A=1 'B=x y' uvicorn a:b {UVICORN}"),
        ("sh -c 'uvicorn a:b --port $PORT'", f"uvicorn a:b {UVICORN}"),
        ("cd api && uvicorn a:b", f"sh -c 'cd api && exec uvicorn a:b {UVICORN}'"),
        ("node server.js", "node server.js"),
        ("bundle exec puma -p $PORT", "bundle exec puma -p $PORT"),
    ],
)
def test_known_servers_are_told_where_to_listen(written: str, expected: str) -> None:
    found = listening(written)
    assert found.line == expected
    assert found.listens


@pytest.mark.parametrize("written", ["./run-it", "java -jar app.jar", "a | b", "echo 'unclosed"])
def test_what_shows_no_port_is_said_to_be_unknown(written: str) -> None:
    assert not listening(written).listens


WORDS = strategies.sampled_from(
    ["main:app", "--workers", "2", "--reload", "-b", "0.0.0.0:80", "--port=1", "--log-level", "info",
     "--host", "::", "-w", "'a b'", "$PORT", "-p"]
)  # fmt: skip


@settings(deadline=None)
@given(strategies.sampled_from(sorted(SERVERS)), strategies.lists(WORDS, max_size=8))
def test_any_arguments_give_one_plain_command_and_again_the_same(
    name: str, words: list[str]
) -> None:
    once = listening(" ".join([name, *words])).line
    assert parse_command(once)
    assert sorted(shlex.split(listening(once).line)) == sorted(shlex.split(once))
    assert sum("$PORT" in word for word in shlex.split(once)) >= 1
    assert not set(SERVERS[name].drop) & set(shlex.split(once))
