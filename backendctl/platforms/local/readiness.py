"""Whether processes are ready: one question to each, and what the answers mean together."""

import http.client
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from backendctl.platforms.base import Condition
from backendctl.platforms.local.ports import HOST
from backendctl.platforms.local.supervisor import ProgramState, ProgramStatus

PATIENCE = 1.0
"""Seconds to wait for an answer. A dead process refuses at once; only a hung one takes so long."""

DIED = frozenset({ProgramState.BACKOFF, ProgramState.EXITED, ProgramState.FATAL})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process said when asked whether it is ready."""

    ready: bool
    words: str


def ask(port: int, path: str, patience: float = PATIENCE) -> Answer:
    """GET `path`, as the gateway's health check does; ready is any 2xx."""
    connection = http.client.HTTPConnection(HOST, port, timeout=patience)
    try:
        connection.request("GET", path, headers={"Host": HOST, "Connection": "close"})
        status = connection.getresponse().status
    except TimeoutError:
        return Answer(False, f"GET {path} was not answered within {patience:g} s")
    except ConnectionRefusedError:
        return Answer(False, f"nothing listens on port {port} yet")
    except (OSError, http.client.HTTPException) as error:
        return Answer(False, f"GET {path} failed: {error or type(error).__name__}")
    finally:
        connection.close()
    hint = ", is that the right path in backend.toml?" if 300 <= status < 500 else ""
    return Answer(200 <= status < 300, f"GET {path} answered {status}{hint}")


def ask_all(ports: Sequence[int], path: str) -> list[Answer]:
    """All at once, so that one that hangs does not delay the others."""
    if len(ports) == 1:
        return [ask(ports[0], path)]
    with ThreadPoolExecutor(max_workers=max(1, len(ports))) as pool:
        return list(pool.map(lambda port: ask(port, path), ports))


def condition(
    programs: Sequence[ProgramStatus], answers: Sequence[Answer], been_ready: bool
) -> Condition:
    """The state of a release as a whole, from one look at its processes."""
    states = {program.state for program in programs}
    if not programs or states == {ProgramState.STOPPED}:
        return Condition.STOPPED
    if ProgramState.FATAL in states:
        return Condition.FAILED
    if states & DIED:
        return Condition.CRASHING
    if all(answer.ready for answer in answers):
        return Condition.READY
    return Condition.UNREADY if been_ready else Condition.STARTING
