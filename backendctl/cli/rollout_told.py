"""The past of rollouts as `history` and `explain` show it to a person."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from backendctl.rollout.explain import Explanation, Line
    from backendctl.rollout.history import Summary


def show_history(console: "Console", where: str, listed: "list[Summary]") -> None:
    """A line for each rollout, and below it who overrode what and why it ended as it did."""
    from backendctl.rollout.wording import moment

    if not listed:
        console.print(f"{where} has had no rollout yet.", markup=False)
    for each in listed:
        result = "held" if each.held else "under way"
        if each.ended is not None:
            result = each.stands.partition(":")[0]
        over = "the first" if each.stable is None else f"over {each.stable}"
        line = f"{each.rollout}  {moment(each.began)}  {result:<9} {each.kind}, release "
        console.print(f"{line}{each.candidate} {over}, by {each.begun_by}", markup=False)
        if each.override:
            console.print(
                f"      {each.override} skipped its judgement: {each.override_reason}",
                markup=False,
            )
        if each.mirrored:
            console.print(f"      {each.mirrored}", markup=False)
        if each.ended is None:
            console.print(f"      {each.stands}", markup=False)
        elif each.why:
            console.print(f"      {each.why}", markup=False)


def show_timeline(console: "Console", found: "Explanation") -> None:
    """Every decision of one rollout."""
    console.print(found.headline, markup=False)
    for line in found.timeline:
        if line.what != "phase hold":  # the line after it says why
            console.print(_timeline_text(line), markup=False)
    for text in sample_lines(found):
        console.print(text, markup=False)


def sample_lines(found: "Explanation") -> "Iterable[str]":
    """Requests that the candidate failed, and what it logged when they were looked at."""
    from backendctl.rollout.samples import in_words

    if found.samples.requests:
        yield "Requests that the candidate failed, the last of each kind:"
    for request in found.samples.requests:
        yield f"  {in_words(request)}"
    # In a cluster no examples of requests are kept; nobody asks for the lines of a release that
    # neither failed a request nor was convicted by its numbers.
    failed = found.samples.requests or found.by_copies or found.numbers
    if failed and found.samples.log and not found.tail:
        yield "What it had logged last by then:"
        yield from (f"  | {line}" for line in found.samples.log)


def _timeline_text(line: "Line") -> str:
    from backendctl.rollout.wording import moment

    said = line.detail
    if line.what == "judged continue":
        said = line.what  # the rest is long, and in the JSON
    elif not line.what.startswith("phase ") and line.what != "held (paused)":
        said = line.what + (f": {said}" if said else "")
    return f"  {moment(line.at)}  {said}"


def number_lines(numbers: Any, by_copies: bool = False) -> "Iterable[str]":
    """The numbers of the judgement that decided; `by_copies`: of copies and their originals."""
    from backendctl.rollout.wording import metric_in_words

    share = f"{numbers['percent']} %" + (" of reads copied" if by_copies else "")
    arms = "copies and {:,} originals" if by_copies else "candidate and {:,} stable requests"
    yield (
        f"  evidence against it {numbers['evidence']:.3g} (undone at {numbers['evidence_limit']:g})"
        f", at {share}, {numbers['candidate_requests']:,} {arms.format(numbers['stable_requests'])}"
    )
    for name, each in numbers["metrics"].items():
        yield f"  {metric_in_words(name, each)}"
