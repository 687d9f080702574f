"""What an undecided rollout still lacks, in one sentence; the numbers have the details."""

from backendctl.rollout.states import State
from backendctl.rollout.verdict import Judgement, Plan
from backendctl.rollout.verdict.parameters import NO_STEP_UP
from backendctl.rollout.verdict.words import duration, events


def so_far(state: State, judgement: Judgement) -> str:
    """`Nothing bad seen so far; about 1,450 more requests of the candidate (...) until it can
    pass, slowest: ...`, for a judgement that is `continue`."""
    text = _seen(judgement)
    plan = state.verdict
    if plan is not None and state.judged_stage == state.plan.bake_stage:
        text += f"; it is watched at 100 % for {duration(state.plan.bake)}"
    elif plan is not None:
        text += f"; {_lacking(plan, judgement)}"
    if state.blind:
        text += f". The newest measurement is not whole: {state.blind}"
    return text


def no_verdict(state: State, judgement: Judgement) -> str:
    """As `so_far`, where the deadline of a step came first."""
    numbers = judgement.numbers
    text = "no verdict by the deadline"
    if not numbers["candidate_requests"] + numbers["stable_requests"]:
        return f"{text}: there was no traffic"
    if any(each["stable_breaks_limit"] for each in numbers["metrics"].values()):
        text += ", and stable breaks the limit as well, so that the limit cannot decide"
    return f"{text}. {so_far(state, judgement)}"


def _seen(judgement: Judgement) -> str:
    numbers = judgement.numbers
    evidence, limit = numbers["evidence"], numbers["evidence_limit"]
    if evidence >= limit and "evidence_without_worst_client" in numbers:
        return "All evidence against the candidate rests on one client"
    if max(evidence, numbers["evidence_without_speed_limit"]) >= NO_STEP_UP:
        return f"There is evidence against the candidate ({evidence:.3g}; undone at {limit:g})"
    return "Nothing bad seen so far"


def _lacking(plan: Plan, judgement: Judgement) -> str:
    numbers = judgement.numbers
    seen, counted = numbers["candidate_requests"], numbers["counted_seconds"]
    left = plan.step_time - counted
    lacking = {
        name: each["requests_needed"]
        for name, each in numbers["metrics"].items()
        if not each["certified"]
    }
    unknown = [name for name, needed in lacking.items() if needed is None]
    known = {name: needed for name, needed in lacking.items() if needed}
    slowest = unknown[0] if unknown else max(known, key=lambda each: known[each], default=None)
    needed = max([*known.values(), plan.min_requests - seen, 0])
    if unknown:
        text = "how many more requests of the candidate it needs is not known yet"
    elif needed:
        text = f"about {_rounded(needed)} more requests of the candidate"
        if seen and counted > 0:
            at_this_rate = max(needed * counted / seen, left)
            text += f" (about {duration(at_this_rate)} at the present rate)"
        text += " until it can pass"
    elif left > 0:
        text = f"this step lasts at least {duration(left)} more"
    else:
        return "it can pass with the next measurements that speak for it"
    if slowest is None:
        return text
    counts = events(slowest, numbers["metrics"][slowest]["threshold_s"])
    return f"{text}, slowest: {counts}"


def _rounded(n: int) -> str:
    """Three digits are more than an estimate knows."""
    return f"{round(n, min(0, 3 - len(str(n)))):,}"
