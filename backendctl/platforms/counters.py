"""Arithmetic on counters that only rise until they begin anew. Pure."""

from backendctl.platforms.base import ArmSample, Latencies, Sample, Span


def began_anew(first: ArmSample, last: ArmSample) -> bool:
    """Whether a counter fell between the two: what it had counted in between is lost."""
    pairs = [
        (first.requests, last.requests),
        (first.errors, last.errors),
        (first.masked, last.masked),
        (first.refused, last.refused),
        (first.latencies.total, last.latencies.total),
        *zip(first.latencies.at_most, last.latencies.at_most, strict=False),
        *zip(_above(first.latencies), _above(last.latencies), strict=False),
    ]
    # A gateway that has timed nothing yet may not know its edges yet.
    untimed = not first.latencies.edges_ms and not first.latencies.total
    same_edges = untimed or first.latencies.edges_ms == last.latencies.edges_ms
    return not same_edges or any(new < old for old, new in pairs)


def _above(latencies: Latencies) -> list[int]:
    """Requests above each edge; cumulative too, so these never fall within a series either."""
    return [latencies.total - count for count in latencies.at_most]


def spans_between(before: Sample, after: Sample) -> list[Span]:
    """What each release did between two samples.

    Releases that are not in both, or whose counters began anew, are left out, and so is everything
    where the clock was set back in between.
    """
    if after.at <= before.at:
        return []
    found = []
    for number in sorted(before.arms.keys() & after.arms.keys()):
        first, last = before.arms[number], after.arms[number]
        if began_anew(first, last):
            continue
        old, new = first.latencies, last.latencies
        counted = old.at_most or (0,) * len(new.at_most)
        at_most = tuple(b - a for a, b in zip(counted, new.at_most, strict=True))
        errors = last.errors + last.masked - first.errors - first.masked
        found.append(
            Span(
                number=number,
                start=before.at,
                end=after.at,
                requests=max(last.requests - first.requests, errors),
                errors=errors,
                latencies=Latencies(new.edges_ms, at_most, new.total - old.total),
            )
        )
    return found
