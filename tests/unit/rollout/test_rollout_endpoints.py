"""One endpoint breaks: from the gateway's breakdown to the reason, the journal and `explain`."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.errors import BackendctlError
from backendctl.platforms.base import ArmSample, Breakdown, FailedRequest, Latencies, Sample
from backendctl.platforms.endpoints import OTHER
from backendctl.rollout.breakdowns import MOST_CLIENTS, MOST_ENDPOINTS, MOST_SEEN
from backendctl.rollout.judge import shipped
from backendctl.rollout.observe import block_between
from backendctl.rollout.records import check
from backendctl.rollout.samples import (
    MOST_REQUESTS,
    Samples,
    from_record,
    in_words,
    to_record,
    varied,
)
from backendctl.rollout.verdict import Block, to_json
from backendctl.workflows.rollouts import explain_rollout
from tests.fakes.platform import START, Behaviour, fake_platform
from tests.fakes.rollouts import Desk, means

REPORT = "GET /report/{id}"


def failure(at: float, endpoint: str = REPORT, status: int | None = 500) -> FailedRequest:
    return FailedRequest(at, endpoint, status, "", 12.0)


# --- blocks -----------------------------------------------------------------------------------


def sample(at: float, candidate: Breakdown | None, stable: Breakdown | None) -> Sample:
    def arm(number: int, found: Breakdown | None) -> ArmSample:
        requests = int(at) * 100
        latencies = Latencies((1000.0,), (requests,), requests)
        return ArmSample(number, requests, int(at), 0, latencies, 1, found)

    return Sample(at, {1: arm(1, stable), 2: arm(2, candidate)})


def between(before: Sample, after: Sample) -> Block:
    block, problem = block_between(
        before, after, start=0.0, end=10.0, candidate=2, stable=1, thresholds={"slo_p99": 1.0}
    )
    assert problem == ""
    return block


def test_a_block_holds_what_was_added_to_each_endpoint() -> None:
    before = sample(1, Breakdown({"GET /a": 3}, {"GET /b": 1}), Breakdown({"GET /a": 5}))
    after = sample(
        2, Breakdown({"GET /a": 5, "GET /c": 1}, {"GET /b": 1}), Breakdown({"GET /a": 5})
    )
    block = between(before, after)
    assert block.candidate is not None
    assert block.stable is not None
    assert block.candidate.endpoints == {"errors": {"GET /a": 2, "GET /c": 1}}
    assert block.stable.endpoints == {}


def test_a_gateway_that_cannot_tell_requests_apart_gives_plain_blocks() -> None:
    block = between(sample(1, None, None), sample(2, None, None))
    assert block.candidate is not None
    assert (block.candidate.endpoints, block.candidate.clients) == ({}, {})


def test_a_block_names_the_worst_clients_and_which_of_them_stable_saw() -> None:
    failing = {f"c{i}": {"GET /a": i} for i in range(1, 9)}
    seen = {**{f"c{i}": 1 for i in range(1, 9)}, **{f"d{i}": 50 for i in range(20)}}
    block = between(
        sample(1, Breakdown(), Breakdown()),
        sample(2, Breakdown(clients=failing), Breakdown(seen=seen)),
    )
    assert block.candidate is not None
    assert block.stable is not None
    assert list(block.candidate.clients) == ["c8", "c7", "c6", "c5"]
    assert len(block.candidate.clients) == MOST_CLIENTS
    assert set(block.stable.seen) == {f"c{i}" for i in range(1, 9)}
    assert len(block.stable.seen) == MOST_SEEN


def test_a_block_of_the_busiest_service_stays_small() -> None:
    names = {f"GET /some-endpoint/{{id}}/{i:02d}": 1000 for i in range(41)}
    clients = {f"{i:08x}": names for i in range(1000)}
    full = Breakdown(names, names, clients, dict.fromkeys(clients, 10))
    block = between(sample(1, Breakdown(), Breakdown()), sample(2, full, full))
    assert len(json.dumps(to_json(block))) < 8_000


counts = st.dictionaries(
    st.integers(0, 30).map(lambda i: f"GET /{i:02d}"), st.integers(1, 9), max_size=31
)


@given(counts, counts)
def test_rare_endpoints_of_a_block_are_counted_together_and_alike_for_both_arms(
    mine: dict[str, int], theirs: dict[str, int]
) -> None:
    ours = Breakdown(mine, clients={"c": mine})
    block = between(sample(1, Breakdown(), Breakdown()), sample(2, ours, Breakdown(theirs)))
    assert block.candidate is not None
    assert block.stable is not None
    told = [arm.endpoints.get("errors", {}) for arm in (block.candidate, block.stable)]
    assert [sum(each.values()) for each in told] == [sum(mine.values()), sum(theirs.values())]
    names = {*told[0], *told[1]} - {OTHER}
    assert len(names) == min(MOST_ENDPOINTS, len({*mine, *theirs}))
    for name in names:
        assert [each.get(name, 0) for each in told] == [mine.get(name, 0), theirs.get(name, 0)]
    assert block.candidate.clients.get("c", {}) == told[0]


# --- a whole rollout --------------------------------------------------------------------------


@pytest.fixture
def desk() -> Desk:
    """Release 2 fails one endpoint that has 2 % of the traffic; both fail 0.2 % elsewhere."""
    fake = fake_platform()
    desk = Desk(fake)
    fake.env.behaviours[1] = Behaviour(errors=0.002, endpoints={"GET /": 0.002})
    assert desk.deploy().result == "promoted"
    desk.fake.env.behaviours[2] = Behaviour(
        errors=0.022,
        endpoints={REPORT: 0.02, "GET /": 0.002},
        failures=tuple(failure(START + i) for i in range(9)),
        log=("listening", "DATABASE_URL=postgresql://app:hunter2secret@127.0.0.1/app refused"),
    )
    return desk


def test_the_release_is_undone_and_the_reason_names_the_endpoint(desk: Desk) -> None:
    found = desk.deploy()
    assert found.result == "restored"
    assert found.reason.startswith(f"{REPORT}: candidate failed ")
    assert "stable 0; all endpoints: candidate failed" in found.reason


def test_its_journal_replays_to_the_same_decisions(desk: Desk) -> None:
    found = desk.deploy()
    records = desk.fake.store.records(found.rollout)
    assert any("endpoints" in json.dumps(record) for record in records)
    assert check(records, shipped()) == []


def test_explain_shows_what_the_candidate_failed_and_logged_without_secrets(desk: Desk) -> None:
    found = desk.deploy()
    told = explain_rollout(desk.fake.platform, found.rollout, means(desk.fake))
    assert len(told.samples.requests) == MOST_REQUESTS
    assert told.samples.requests[-1] == failure(START + 8)
    assert any("refused" in line for line in told.samples.log)
    assert "hunter2secret" not in json.dumps(to_record(told.samples))


def test_a_store_that_keeps_no_examples_does_not_stop_an_undoing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise BackendctlError("platform.disk-full", "no space left")

    monkeypatch.setattr(desk.fake.store, "keep_samples", full)
    found = desk.deploy()
    assert found.result == "restored"
    told = explain_rollout(desk.fake.platform, found.rollout, means(desk.fake))
    assert told.samples == Samples()


# --- examples ---------------------------------------------------------------------------------

failed = st.lists(
    st.builds(
        failure,
        st.integers(0, 50).map(float),
        st.sampled_from(["GET /a", "GET /b", "POST /c"]),
        st.sampled_from([500, 503, None]),
    )
)


@given(failed)
def test_examples_are_few_in_order_and_of_as_many_kinds_as_there_are(
    requests: list[FailedRequest],
) -> None:
    found = varied(requests)
    assert len(found) == min(MOST_REQUESTS, len(requests)) or len(set(requests)) < MOST_REQUESTS
    assert list(found) == sorted(found, key=lambda each: each.at)
    assert set(found) <= set(requests)
    kinds = {(each.endpoint, each.status) for each in requests}
    assert len({(e.endpoint, e.status) for e in found}) == min(MOST_REQUESTS, len(kinds))


@given(failed)
def test_examples_survive_being_kept(requests: list[FailedRequest]) -> None:
    kept = Samples(varied(requests), ("a line",))
    assert from_record(json.loads(json.dumps(to_record(kept)))) == kept


def test_an_example_reads_as_a_sentence() -> None:
    cut = replace(failure(START, status=None), problem="the release reset the request")
    assert in_words(failure(START)).endswith(f"{REPORT} answered 500 after 12 ms")
    assert in_words(cut).endswith("got no whole answer after 12 ms (the release reset the request)")
