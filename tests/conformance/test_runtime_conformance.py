"""What every platform does with a release, from its files to its end."""

import hashlib
import itertools
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.base import Condition, Routes

from .world import World, eventually


def test_a_release_comes_up_serves_hands_over_and_goes(world: World) -> None:
    first = world.up(GREETING="hello")
    world.serve(**{f"r{first.number}": 100})
    status, body = world.get()
    assert (status, body["release"], body["greeting"]) == (200, str(first.number), "hello")

    second = world.up(replicas=2)
    world.platform.router.apply(Routes({first.number: 50, second.number: 50}))
    assert eventually(
        lambda: (
            {world.get()[1]["release"] for _ in range(20)}
            == {str(first.number), str(second.number)}
        )
    )
    world.platform.router.apply(Routes({second.number: 100}))
    assert {world.get()[1]["release"] for _ in range(20)} == {str(second.number)}
    assert world.platform.router.drain(first.number, 5)
    world.platform.runtime.stop(first.number)
    world.platform.router.disconnect(first.number)
    assert first.number not in world.platform.runtime.running()
    assert world.platform.runtime.status(first.number).condition is Condition.STOPPED
    assert world.get()[0] == 200


def test_no_request_fails_while_releases_take_turns(world: World) -> None:
    first, second = world.up(), world.up()
    world.platform.router.apply(Routes({first.number: 100}))
    failed: list[object] = []
    done = threading.Event()

    def user() -> None:
        while not done.is_set():
            try:
                status, _ = world.get()
            except OSError as error:
                failed.append(error)
            else:
                if status != 200:
                    failed.append(status)

    users = [threading.Thread(target=user) for _ in range(2)]
    for thread in users:
        thread.start()
    for weight in (10, 50, 100, 0, 100):
        world.platform.router.apply(Routes({first.number: 100 - weight, second.number: weight}))
        done.wait(0.1)
    world.platform.router.apply(Routes({second.number: 100}))
    assert world.platform.router.drain(first.number, 5)
    world.platform.runtime.stop(first.number)
    done.set()
    for thread in users:
        thread.join()
    assert failed == []


def test_a_process_has_its_configuration_its_secrets_and_its_port(world: World) -> None:
    world.platform.secrets.set("API_KEY", "hunter2")
    release = world.up(GREETING="hi")
    world.platform.secrets.set("API_KEY", "changed afterwards")
    world.serve(**{f"r{release.number}": 100})
    _, body = world.get()
    assert body["secret"] == hashlib.sha256(b"hunter2").hexdigest()
    assert body["environment"] == world.platform.name
    assert body["arguments"][0].removeprefix("--port=").isdigit()
    assert "hunter2" not in repr(world.platform.store.releases())
    world.platform.secrets.unset("API_KEY")


def test_editing_files_does_not_disturb_what_runs(world: World) -> None:
    old = world.up()
    world.serve(**{f"r{old.number}": 100})
    source = world.tree / "app.py"
    source.write_text(source.read_text().replace('VERSION = "one"', 'VERSION = "two"'))
    world.get("/die")  # what comes back must be the old code too
    assert eventually(lambda: world.platform.runtime.status(old.number).restarts == 1, 30)
    assert eventually(lambda: world.get()[0] == 200, 30)
    assert world.get()[1]["version"] == "one"
    new = world.up()
    world.platform.router.apply(Routes({new.number: 100}))
    assert world.get()[1]["version"] == "two"
    assert new.package.code_digest != old.package.code_digest


def test_packaging_the_same_tree_again_gives_the_same(world: World) -> None:
    first = world.platform.runtime.package(world.tree, lambda _line: None)
    assert world.platform.runtime.package(world.tree, lambda _line: None) == first


def test_starting_and_stopping_twice_is_the_same_as_once(world: World) -> None:
    release = world.up()
    world.serve(**{f"r{release.number}": 100})
    instance = world.get()[1]["instance"]
    world.platform.runtime.start(release)
    assert world.get()[1]["instance"] == instance
    assert world.platform.runtime.status(release.number).restarts == 0
    world.platform.router.apply(Routes({}))
    for _ in range(2):
        world.platform.runtime.stop(release.number)
        assert release.number not in world.platform.runtime.running()
    world.platform.runtime.start(release)
    found = world.platform.runtime.await_ready(release, 20)
    assert found.condition is Condition.READY


def test_a_status_counts_the_replicas(world: World) -> None:
    release = world.up(replicas=2)
    found = world.platform.runtime.status(release.number)
    assert (found.condition, found.replicas, found.ready) == (Condition.READY, 2, 2)


def test_a_release_that_was_never_started_is_stopped(world: World) -> None:
    assert world.platform.runtime.status(9999).condition is Condition.STOPPED


# --- releases that fail -------------------------------------------------------------------------


def test_a_release_that_does_not_start_is_known_at_once_with_its_last_words(world: World) -> None:
    release = world.release(EXIT_AT_START="3")
    world.start(release)
    began = time.monotonic()
    found = world.platform.runtime.await_ready(release, 60)
    assert time.monotonic() - began < 20
    assert found.condition in (Condition.CRASHING, Condition.FAILED)
    assert "exit status 3" in found.detail
    assert "cannot reach the flux capacitor" in found.detail


def test_a_release_that_never_becomes_ready_is_given_its_time_and_no_more(world: World) -> None:
    release = world.release(READY="no")
    world.start(release)
    assert eventually(lambda: "503" in world.platform.runtime.status(release.number).detail, 30)
    began = time.monotonic()
    found = world.platform.runtime.await_ready(release, 1.5)
    assert 1.5 <= time.monotonic() - began < 4
    assert found.condition is Condition.UNREADY
    assert "503" in found.detail
    assert world.platform.runtime.status(release.number).condition is Condition.STARTING


def test_a_release_that_dies_while_it_is_waited_for_is_not_waited_out(world: World) -> None:
    release = world.release(READY="no", DIE_AFTER="2.5")
    world.start(release)
    began = time.monotonic()
    found = world.platform.runtime.await_ready(release, 60)
    assert time.monotonic() - began < 20
    assert found.condition is Condition.CRASHING
    assert "exit status 9" in found.detail


def test_a_release_that_dies_after_it_was_ready_shows_as_restarts(world: World) -> None:
    release = world.up(DIE_AFTER="6")
    assert eventually(lambda: world.platform.runtime.status(release.number).restarts >= 1, 30)


def test_a_process_that_is_killed_comes_back(world: World) -> None:
    release = world.up()
    world.serve(**{f"r{release.number}": 100})
    instance = world.get()[1]["instance"]
    world.get("/die")
    assert eventually(lambda: world.get()[0] == 200 and world.get()[1]["instance"] != instance, 30)
    assert world.platform.runtime.status(release.number).restarts == 1


def test_one_of_two_processes_that_is_not_ready_makes_the_release_unready(world: World) -> None:
    release = world.release(replicas=2, READY="no")
    world.start(release)
    found = world.platform.runtime.await_ready(release, 1)
    assert (found.replicas, found.ready) == (2, 0)


def test_a_release_that_is_not_healthy_is_not_connected(world: World) -> None:
    release = world.release(READY="no")
    world.start(release)
    with pytest.raises(BackendctlError) as caught:
        world.platform.router.connect(release.number, 1)
    assert caught.value.code == "platform.gateway"


# --- jobs and logs ------------------------------------------------------------------------------


def test_a_job_runs_in_the_releases_surroundings(world: World) -> None:
    release = world.release(GREETING="hi")
    seen: list[str] = []
    script = 'echo "$GREETING from $BACKENDCTL_RELEASE in $(ls)"; echo oops >&2'
    done = world.platform.runtime.run_job(
        release, "greet", ("sh", "-c", script.replace("$", "$$")), 20, seen.append
    )
    assert done.exit_status == 0
    assert sorted(seen) == [f"hi from {release.number} in app.py", "oops"]
    assert list(done.tail) == seen


def test_a_failing_job_says_how_it_ended(world: World) -> None:
    release = world.release()
    done = world.platform.runtime.run_job(
        release, "migrate", ("sh", "-c", "echo 'no such table'; exit 4"), 20, lambda _line: None
    )
    assert (done.exit_status, done.tail) == (4, ("no such table",))


def test_a_job_is_ended_at_its_deadline(world: World) -> None:
    release = world.release()
    began = time.monotonic()
    done = world.platform.runtime.run_job(
        release, "migrate", ("sh", "-c", "echo begun; sleep 60"), 1.5, lambda _line: None
    )
    assert done.exit_status == 124
    assert done.tail == ("begun",)
    assert time.monotonic() - began < 25


def test_a_job_that_cannot_be_run_has_no_result(world: World) -> None:
    release = world.release()
    with pytest.raises(BackendctlError, match="no-such-program") as caught:
        world.platform.runtime.run_job(release, "x", ("no-such-program",), 20, lambda _line: None)
    assert caught.value.code == "release.start"


def test_a_persons_command_runs_where_the_release_runs(world: World) -> None:
    release = world.up(GREETING="hi")
    script = "import os, sys; print(os.environ['GREETING'], sys.argv[1]); sys.exit(7)"
    call = world.platform.runtime.in_release(release, ("python3", "-c", script, "$GREETING"))
    done = subprocess.run(
        call.argv,
        cwd=call.directory,
        env=dict(call.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "hi $GREETING\n"), done.stderr


def test_the_logs_are_those_of_the_release_last_line_last(world: World) -> None:
    release = world.up()
    assert list(world.platform.runtime.logs(release.number, 10))[-1] == "version one starts"


def test_the_logs_of_a_stopped_release_are_kept_whole_or_said_to_be_gone(world: World) -> None:
    release = world.up()
    world.platform.runtime.stop(release.number)
    try:
        found = list(world.platform.runtime.logs(release.number, 1))
    except BackendctlError as error:
        found = [error.code]
    assert found in (["bye"], ["missing.data"])


def test_the_logs_of_several_processes_tell_them_apart(world: World) -> None:
    release = world.up(replicas=2)
    lines = [
        line
        for line in world.platform.runtime.logs(release.number, 10)
        if line.endswith("version one starts")
    ]
    assert len(set(lines)) == 2
    assert all(line.startswith("[") for line in lines)


def test_logs_are_followed_until_the_release_is_stopped(world: World) -> None:
    release = world.up()
    lines = world.platform.runtime.logs(release.number, 10, follow=True)
    first = next(lines)
    threading.Timer(0.3, lambda: world.platform.runtime.stop(release.number)).start()
    rest = list(itertools.islice(lines, 5))
    assert (first, rest) == ("version one starts", ["bye"])


def test_logs_of_an_unknown_release_are_not_invented(world: World) -> None:
    with pytest.raises(BackendctlError):
        list(world.platform.runtime.logs(9999, 10))


def test_a_command_that_is_not_there_is_named_and_never_ready(world: World) -> None:
    release = world.release()
    broken = replace(release, processes=replace(release.processes, start=("no-such-program",)))
    began = time.monotonic()
    try:
        world.start(broken)
        found = world.platform.runtime.await_ready(broken, 60)
        ended, said = found.condition.value, found.detail
    except BackendctlError as error:  # a platform that sees it before anything is started
        ended, said = error.code, error.message
        assert release.number not in world.platform.runtime.running()
    assert ended in ("release.start", Condition.FAILED.value)
    assert "no-such-program" in said
    assert time.monotonic() - began < 20
    world.platform.runtime.stop(release.number)
    assert world.platform.runtime.status(release.number).condition is Condition.STOPPED


def test_a_secret_is_never_an_argument(world: World) -> None:
    world.platform.secrets.set("API_KEY", "hunter2")
    release = world.release()
    start = (*release.processes.start, "--key=$API_KEY")
    with pytest.raises(BackendctlError) as caught:
        world.start(replace(release, processes=replace(release.processes, start=start)))
    assert caught.value.code == "release.start"
    assert "hunter2" not in repr(vars(caught.value))
    world.platform.secrets.unset("API_KEY")
