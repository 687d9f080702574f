"""Several stacks in the order of what they need, in parallel where none needs another."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from backendctl import interrupts
from backendctl.errors import BackendctlError
from backendctl.provision.definition import StackDefinition

T = TypeVar("T")
TICK = 0.2
"""Seconds between two looks at what runs."""
MOST_AT_ONCE = 4


class Stoppable(Protocol):
    """Something under way that can be asked to end."""

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How one stack's part ended."""

    stack: str
    result: T | None = None
    error: BackendctlError | None = None
    skipped: str = ""
    """Why it was not tried."""

    @property
    def succeeded(self) -> bool:
        return self.error is None and not self.skipped


def layers(
    definitions: Sequence[StackDefinition], reverse: bool = False
) -> Mapping[str, frozenset[str]]:
    """For each stack, those among the others that must be done before it; the other way round for
    a destruction. Raises ValueError on a circle or a need that nobody meets."""
    names = {each.name for each in definitions}
    needs = {each.name: frozenset(each.needs) for each in definitions}
    unmet = {need for each in needs.values() for need in each} - names
    if unmet:
        raise ValueError(f"no stack is called {', '.join(sorted(unmet))}")
    if reverse:
        needs = {
            name: frozenset(other for other, wants in needs.items() if name in wants)
            for name in names
        }
    _refuse_circle(needs)
    return needs


def beneath(needs: Mapping[str, frozenset[str]], kept: Collection[str]) -> frozenset[str]:
    """What the stacks in `kept` stand on, and what that stands on."""
    found: set[str] = set()
    waiting = list(kept)
    while waiting:
        for need in needs[waiting.pop()] - found:
            found.add(need)
            waiting.append(need)
    return frozenset(found)


def _refuse_circle(needs: Mapping[str, frozenset[str]]) -> None:
    left = dict(needs)
    while left:
        free = [name for name, wants in left.items() if not wants & left.keys()]
        if not free:
            raise ValueError(f"these stacks need each other: {', '.join(sorted(left))}")
        for name in free:
            del left[name]


def run(
    needs: Mapping[str, frozenset[str]],
    work: Callable[[str], T],
    running: Callable[[], Sequence[Stoppable]],
    on_tick: Callable[[], None] = lambda: None,
    on_stop: Callable[[int], None] = lambda _asked: None,
) -> Mapping[str, Outcome[T]]:
    """Call `work` for each stack once those it needs have succeeded.

    A stack whose need failed is skipped; the others go on. At a signal everything in `running` is
    asked to stop, again at each further signal, and nothing new begins; `on_stop` is told how often
    that was, if anything still runs. The outcomes say how each one ended. BackendctlErrors become
    outcomes, anything else is raised when all have ended.
    """
    outcomes: dict[str, Outcome[T]] = {}
    futures: dict[Future[T], str] = {}
    surprise: BaseException | None = None
    asked = told = 0
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        while len(outcomes) < len(needs):
            try:
                if not asked:
                    begin_ready(
                        needs, outcomes, futures, lambda f, name: submit(pool, f, work, name)
                    )
                if not futures:
                    break
                if asked > told:
                    told = asked
                    on_stop(asked)
                done, _ = wait(futures, TICK, FIRST_COMPLETED)
                on_tick()
                # The outcome first: a signal in between finds the future done once more.
                for future in done:
                    name, error = futures[future], future.exception()
                    if error is None:
                        outcomes[name] = Outcome(name, future.result())
                    elif isinstance(error, BackendctlError):
                        outcomes[name] = Outcome(name, error=error)
                    else:
                        surprise = surprise or error
                        outcomes[name] = Outcome(name, skipped="a bug of ours")
                    del futures[future]
            except KeyboardInterrupt:
                interrupts.heed()
                asked += 1
                for future in [each for each in futures if each.cancel()]:
                    del futures[future]  # its work had not begun, and now never will
                for each in running():
                    each.stop()
    if surprise is not None:
        raise surprise
    for name in needs:
        if name not in outcomes:
            outcomes[name] = Outcome(name, skipped="it was stopped before it began")
    return outcomes


def begin_ready(
    needs: Mapping[str, frozenset[str]],
    outcomes: dict[str, Outcome[T]],
    futures: dict[Future[T], str],
    begin: Callable[[Future[T], str], None],
) -> None:
    """Begin each stack whose needs are done; skip those whose need will never be."""
    for name in needs:
        if name in outcomes or name in futures.values():
            continue
        lost = [n for n in sorted(needs[name]) if n in outcomes and not outcomes[n].succeeded]
        if lost:
            outcomes[name] = Outcome(name, skipped=f"it needs {lost[0]}, which did not succeed")
        elif all(need in outcomes for need in needs[name]):
            # Known before it begins: a signal in between must not lose sight of what runs.
            future: Future[T] = Future()
            futures[future] = name
            begin(future, name)


def submit(
    pool: ThreadPoolExecutor, future: Future[T], work: Callable[[str], T], name: str
) -> None:
    """Have the pool do the work, unless the future is cancelled by then."""

    def carry_out() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work(name))
        except BaseException as error:
            future.set_exception(error)

    pool.submit(carry_out)
