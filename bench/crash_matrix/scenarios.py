"""The rollouts whose drivers are killed: each as what an engineer does, and how it ends alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backendctl.rollout.outcome import Outcome
from backendctl.spec.model import Strategy
from bench.shop.drivers import Cue, Death, Ended, Record, run
from bench.shop.environment import Shop

Drive = Callable[[Shop], Outcome | None]


@dataclass(frozen=True)
class Scenario:
    """One kind of rollout."""

    name: str
    drive: Drive
    """What the process that is killed does."""
    result: str
    """How it ends when nothing kills it."""
    cues: tuple[Cue, ...] = ()
    """What a person says meanwhile."""
    before: Callable[[Shop], None] = lambda _: None
    """What has happened to the environment when that process begins."""
    stable_goes: bool = False
    """It takes the stable release out of service on the way to its end."""
    first: bool = False
    """No release serves before it."""


def scenarios() -> Iterator[Scenario]:
    """All of them."""
    for strategy in Strategy:
        for migrate in (False, True):
            yield from _deploys(strategy, migrate)
    for migrate in (False, True):
        yield Scenario(
            f"rollback by hand, {_with(migrate)}",
            lambda shop: shop.rollback(),
            "promoted",
            before=_served_anew(migrate),
        )
    yield from _tried_on_copies()
    yield Scenario("resumed by another process", _resume, "promoted", before=_left_held)
    yield Scenario("recovery", lambda shop: shop.recover(), "restored", before=_left_at_a_step)
    yield Scenario("first release", lambda shop: shop.deploy(migrate=True), "promoted", first=True)


def _deploys(strategy: Strategy, migrate: bool) -> Iterator[Scenario]:
    named = f"{strategy}, {{}}, {_with(migrate)}"
    watched = "step" if strategy is Strategy.CANARY else "bake"

    def good(shop: Shop) -> Outcome:
        return shop.deploy(strategy, migrate=migrate)

    def bad(shop: Shop) -> Outcome:
        return shop.deploy(strategy, migrate=migrate, bad=True)

    pause_and_resume = (Cue(_enters(watched), "pause"), Cue(_holds), Cue(_measures, "resume"))
    yield Scenario(named.format("promote"), good, "promoted")
    yield Scenario(named.format("abort"), good, "restored", cues=(Cue(_enters(watched), "abort"),))
    yield Scenario(named.format("rollback"), bad, "restored")
    yield Scenario(named.format("hold"), good, "promoted", cues=pause_and_resume)


def _tried_on_copies() -> Iterator[Scenario]:
    """Reads are copied to the candidate before its first weight."""

    def good(shop: Shop) -> Outcome:
        return shop.deploy(mirror=50)

    def switched(shop: Shop) -> Outcome:
        return shop.deploy(Strategy.BLUE_GREEN, mirror=50)

    def bad(shop: Shop) -> Outcome:
        return shop.deploy(bad=True, mirror=100)

    yield Scenario("canary with copies, promote", good, "promoted")
    yield Scenario("blue-green with copies, promote", switched, "promoted")
    yield Scenario("canary with copies, rollback", bad, "restored")
    abort = (Cue(_enters("mirror"), "abort"),)
    yield Scenario("canary with copies, abort", good, "restored", cues=abort)


def _with(migrate: bool) -> str:
    return "migration" if migrate else "no migration"


def _enters(phase: str) -> Callable[[Record], bool]:
    return lambda record: record.get("phase") == phase


def _holds(record: Record) -> bool:
    return "hold" in record


def _measures(record: Record) -> bool:
    return bool(record["kind"] == "block")


# --- what happened before -----------------------------------------------------------------------


def _served_anew(migrate: bool) -> Callable[[Shop], None]:
    def before(shop: Shop) -> None:
        must_end("promoted", run(lambda: shop.deploy(migrate=migrate, unjudged=True)))

    return before


def _left_held(shop: Shop) -> None:
    """A driver died while its rollout was paused: it waits for a person."""
    _die(shop, _holds, Cue(_enters("step"), "pause"))


def _left_at_a_step(shop: Shop) -> None:
    _die(shop, _measures)


def _resume(shop: Shop) -> Outcome:
    return shop.say("resume")


def _die(shop: Shop, when: Callable[[Record], bool], *cues: Cue) -> None:
    """Let a driver die right after the first record of which `when` is true."""
    ended = run(lambda: shop.dying(Death(0, "after", when=when), cues).deploy())
    if not ended.killed:
        raise RuntimeError(f"the driver was not killed: {ended}")


def must_end(result: str, ended: Ended) -> None:
    """Raise RuntimeError if it did not: what follows would show nothing."""
    if ended.outcome is None or ended.outcome.result != result:
        raise RuntimeError(f"what should have been {result} was {ended}")
