"""The engine's events, folded: what changes and why, what is under way, what was found."""

from typing import Any

from pulumi.automation.events import EngineEvent

from backendctl.provision.changes import Action
from backendctl.provision.events import Record, plain
from backendctl.provision.live import Expected, duration, standing
from backendctl.provision.timings import Timings
from backendctl.provision.upstream import Value, present, previewed

VPC = "urn:pulumi:prod::shop-network::aws:ec2/vpc:Vpc::main"
STACK = "urn:pulumi:prod::shop-network::pulumi:pulumi:Stack::shop-network-prod"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def event(kind: str, op: str, urn: str = VPC, **more: object) -> EngineEvent:
    kind_of = urn.split("::")[2]
    metadata = {"op": op, "urn": urn, "type": kind_of, "provider": "", **more}
    return EngineEvent.from_json({kind: {"metadata": metadata}})


def state(**inputs: object) -> dict:
    return {"type": "", "urn": VPC, "id": "vpc-1", "inputs": inputs, "outputs": inputs}


def test_a_replacement_is_one_change_with_its_reason() -> None:
    record = Record(Clock(), acts=True)
    states = {"old": state(cidrBlock="10.0.0.0/16"), "new": state(cidrBlock="10.1.0.0/16")}
    detailed = {"cidrBlock": {"diffKind": "update-replace", "inputDiff": True}}
    for op in ("create-replacement", "replace", "delete-replaced"):
        for kind in ("resourcePreEvent", "resOutputsEvent"):
            record.heard(event(kind, op, detailedDiff=detailed, keys=["cidrBlock"], **states))
    [change] = record.changes.values()
    assert change.action is Action.REPLACE
    assert change.reason() == (
        'cidrBlock changes from "10.0.0.0/16" to "10.1.0.0/16", which cannot be done in place'
    )
    assert record.applied() == ((VPC, Action.REPLACE),)


def test_what_a_comparison_finds_is_no_change_of_ours() -> None:
    record = Record(Clock(), acts=True)
    record.heard(event("resourcePreEvent", "refresh"))
    record.heard(event("resOutputsEvent", "delete", old=state(cidrBlock="10.0.0.0/16")))
    assert [each.action for each in record.found.values()] == [Action.DELETE]
    record.heard(event("resourcePreEvent", "create", new=state(cidrBlock="10.0.0.0/16")))
    record.heard(event("resOutputsEvent", "create", new=state(cidrBlock="10.0.0.0/16")))
    assert [each.action for each in record.changes.values()] == [Action.CREATE]
    assert record.applied() == ((VPC, Action.CREATE),)


def test_a_preview_has_applied_nothing() -> None:
    record = Record(Clock())
    record.heard(event("resourcePreEvent", "create"))
    record.heard(event("resOutputsEvent", "create"))
    assert record.applied() == ()


def test_what_is_under_way_says_how_long_and_what_to_expect() -> None:
    clock = Clock()
    record = Record(clock, acts=True)
    record.heard(event("resourcePreEvent", "create"))
    clock.now = 65
    timings = Timings().with_run("up", "network", 540, {(VPC, Action.CREATE): 120})
    line = standing("up", {"network": record}, {"network": Expected(14, 540)}, timings)
    assert line == (
        "up: network 0 of 14, 1 min 05 s of about 9 min 00 s "
        "(longest: ec2 Vpc main 1 min 05 s, took 2 min 00 s last time)"
    )
    record.heard(event("resOutputsEvent", "create"))
    assert record.slowest() is None
    assert record.finished[VPC][1] == 65


class WrittenMeanwhile(dict[str, Any]):
    """Another thread adds to it while it is looked through."""

    def items(self) -> Any:
        for each in super().items():
            self[f"{VPC}-{len(self)}"] = each[1]
            yield each


def test_what_is_under_way_is_told_while_more_is_heard() -> None:
    record = Record(Clock(), acts=True)
    record.finished = WrittenMeanwhile({VPC: (Action.CREATE, 1.0)})
    record.running = WrittenMeanwhile({VPC: (Action.CREATE, 0.0)})
    line = standing("up", {"network": record}, {}, Timings())
    assert line == "up: network 1, 0 s (longest: ec2 Vpc main 0 s)"


def test_problems_are_kept_without_the_engines_colours() -> None:
    record = Record(Clock())
    body = {"message": "<{%fg 1%}>no such thing<{%reset%}>\n", "color": "", "severity": "error"}
    record.heard(EngineEvent.from_json({"diagnosticEvent": {**body, "urn": VPC}}))
    assert [(each.message, each.urn) for each in record.problems] == [("no such thing", VPC)]
    assert plain("plain") == "plain"


def test_outputs_of_a_preview_keep_what_is_known() -> None:
    now = {"password": Value("old", secret=True)}
    found = previewed(
        {
            "vpc": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
            "name": "shop",
            "password": "[secret]",
            "token": "[secret]",
        },
        now,
    )
    assert found["vpc"] == Value(known=False)
    assert found["name"] == Value("shop")
    assert found["password"] is now["password"]
    assert found["token"] == Value(None, secret=True, known=False)
    assert "old" not in repr(found)


def test_outputs_of_a_state_know_which_are_secret() -> None:
    wrapped = {"4dabf18193072939515e22adb298388d": "1b47", "plaintext": '"x1"'}
    stack = {"type": "pulumi:pulumi:Stack", "outputs": {"a": 1, "b": {"inside": wrapped}}}
    assert present({"resources": [stack]}) == {
        "a": Value(1),
        "b": Value({"inside": "x1"}, secret=True),
    }


def test_durations_are_short() -> None:
    assert [duration(s) for s in (0.4, 59, 61, 3725)] == ["0 s", "59 s", "1 min 01 s", "1 h 02 min"]
