"""Stacks run in the order of what they need, side by side where they can, and stop together."""

import os
import signal
import threading

import pytest

from backendctl import interrupts
from backendctl.errors import BackendctlError
from backendctl.provision.definition import StackDefinition
from backendctl.provision.order import beneath, layers, run


def stacks(**needs: tuple[str, ...]) -> list[StackDefinition]:
    return [StackDefinition(name, lambda _inputs: None, wants) for name, wants in needs.items()]


AWS = stacks(
    network=(),
    data=("network",),
    cluster=("network",),
    addons=("data", "cluster"),
    app=("cluster", "addons"),
)


def test_a_stack_comes_after_what_it_needs() -> None:
    done: list[str] = []
    outcomes = run(layers(AWS), lambda name: done.append(name), lambda: ())
    assert all(each.succeeded for each in outcomes.values())
    for each in AWS:
        assert all(done.index(need) < done.index(each.name) for need in each.needs)


def test_a_destruction_goes_the_other_way() -> None:
    done: list[str] = []
    run(layers(AWS, reverse=True), lambda name: done.append(name), lambda: ())
    assert done[0] == "app"
    assert done[-1] == "network"


def test_stacks_that_do_not_need_each_other_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=5)

    def work(name: str) -> None:
        if name in ("data", "cluster"):
            meeting.wait()  # broken, and raised, if the other never comes

    assert all(each.succeeded for each in run(layers(AWS), work, lambda: ()).values())


def test_what_needs_a_failed_stack_is_left_alone_and_the_rest_goes_on() -> None:
    def work(name: str) -> str:
        if name == "data":
            raise BackendctlError("infra.failed", "no")
        return name

    found = run(layers(AWS), work, lambda: ())
    assert found["cluster"].succeeded
    assert found["data"].error is not None
    assert found["addons"].skipped == "it needs data, which did not succeed"
    assert found["app"].skipped == "it needs addons, which did not succeed"


def test_a_bug_is_raised_and_not_swallowed() -> None:
    def work(_name: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(layers(stacks(a=())), work, lambda: ())


def test_circles_and_missing_needs_are_refused() -> None:
    with pytest.raises(ValueError, match="need each other: a, b"):
        layers(stacks(a=("b",), b=("a",)))
    with pytest.raises(ValueError, match="no stack is called x"):
        layers(stacks(a=("x",)))


class Engine:
    """Works until it is asked to stop."""

    def __init__(self) -> None:
        self.begun, self.asked = threading.Event(), threading.Event()

    def stop(self) -> None:
        self.asked.set()


def test_what_is_kept_keeps_all_that_it_stands_on() -> None:
    needs = layers(AWS)
    assert beneath(needs, ()) == frozenset()
    assert beneath(needs, {"network"}) == frozenset()
    assert beneath(needs, {"data"}) == {"network"}
    assert beneath(needs, {"app"}) >= {"network", "cluster"}


def test_a_signal_stops_what_runs_and_begins_nothing_more() -> None:
    engine = Engine()
    told: list[int] = []
    said = threading.Event()
    interrupts.heed()  # whatever another test of this process was sent
    former = signal.signal(signal.SIGTERM, interrupts.receive)

    def work(name: str) -> None:
        assert name == "network", "something began after the signal"
        engine.begun.set()
        assert engine.asked.wait(5)
        assert said.wait(5)
        raise BackendctlError("interrupted", "stopped")

    def heard(asked: int) -> None:
        told.append(asked)
        said.set()

    def tell() -> None:
        engine.begun.wait(5)
        os.kill(os.getpid(), signal.SIGTERM)

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        found = run(layers(AWS), work, lambda: (engine,), on_stop=heard)
    finally:
        teller.join()
        signal.signal(signal.SIGTERM, former)
    assert found["network"].error is not None
    assert all(found[name].skipped for name in ("data", "cluster", "addons", "app"))
    assert told == [1]
    assert not interrupts.unheeded()
