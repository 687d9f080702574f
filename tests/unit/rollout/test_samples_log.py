"""Log lines that are shown of a release that failed: health checks that went well say nothing."""

import pytest

from backendctl.rollout.samples import LOG_LINES, telling

CHECK = 'INFO:     127.0.0.1:40112 - "GET /readyz HTTP/1.1" 200 OK'


@pytest.mark.parametrize(
    "check", [CHECK, '{"method": "GET", "path": "/readyz", "status": 200}', '200 GET "/readyz?x=1"']
)
def test_health_checks_that_went_well_are_left_out(check: str) -> None:
    assert telling(["Traceback", *[check] * 50], "/readyz") == ["Traceback"]


@pytest.mark.parametrize(
    "line",
    [
        'INFO:     127.0.0.1:40112 - "GET /readyz HTTP/1.1" 503 Service Unavailable',
        'INFO:     127.0.0.1:40112 - "GET /readyz/more HTTP/1.1" 200 OK',
        "/readyz asked the database",
    ],
)
def test_what_else_is_said_of_the_path_is_kept(line: str) -> None:
    assert telling([CHECK, line, CHECK], "/readyz") == [line]


def test_where_there_is_nothing_else_they_are_shown() -> None:
    assert telling([CHECK] * 50, "/readyz") == [CHECK] * LOG_LINES


def test_users_requests_to_the_root_are_kept() -> None:
    lines = ["x", 'INFO: "GET / HTTP/1.1" 200 OK']
    assert telling(lines, "/") == lines
