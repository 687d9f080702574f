"""What `infra destroy`, `unlock` and `up` ask of the engines, in which order, and what stops it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backendctl.errors import BackendctlError
from backendctl.provision.definition import StackDefinition
from backendctl.provision.locks import StackLock
from backendctl.provision.order import Outcome, beneath, layers
from backendctl.spec.model import Environment, Load, PlatformName, Service, Spec
from backendctl.workflows.infra import destroy, meant, preview, recovery
from backendctl.workflows.infra.opened import Opened

DATABASE, KEY, NODES = "rds/instance:Instance", "kms/key:Key", "eks/nodeGroup:NodeGroup"
STACKS = (
    StackDefinition("network", lambda _inputs: None),
    StackDefinition("data", lambda _inputs: None, needs=("network",)),
    StackDefinition("cluster", lambda _inputs: None, needs=("network",)),
)


class Silent:
    """Whoever is told and says nothing."""

    def __getattr__(self, _name: str) -> Callable[..., Any]:
        return lambda *_arguments, **_named: self

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *_error: object) -> None: ...


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:prod::shop::aws:{kind}::{name}"


def resource(kind: str, name: str, **more: Any) -> Mapping[str, Any]:
    return {"urn": urn(kind, name), "type": f"aws:{kind}", "custom": True, "id": name, **more}


def whole() -> dict[str, dict[str, Any]]:
    """A network, a database with its key, and nodes."""
    database = {"deletionProtection": True, "finalSnapshotIdentifier": "shop-prod-final"}
    return {
        "network": {"resources": [resource("ec2/vpc:Vpc", "vpc")]},
        "data": {
            "resources": [
                resource(DATABASE, "database", protect=True, inputs=database),
                resource(
                    KEY,
                    "key",
                    protect=True,
                    retainOnDelete=True,
                    inputs={"deletionProtection": True},
                ),
            ]
        },
        "cluster": {"resources": [resource(NODES, "nodes")]},
        "adopted": {},
    }


@dataclass
class Engines:
    """In the place of Infrastructure: keeps what it is asked for."""

    folder: Path
    held: Mapping[str, Mapping[str, Any]]
    locks: Mapping[str, Sequence[StackLock]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def backend(self) -> "Engines":
        return self

    state_folder = None

    def project(self, name: str) -> str:
        return name

    def states(self) -> Mapping[str, Outcome[Any]]:
        return {name: Outcome(name, state) for name, state in self.held.items()}

    def told_locks(self, name: str) -> Sequence[StackLock]:
        return self.locks.get(name, ())

    def beneath(self, kept: Any) -> frozenset[str]:
        return beneath(layers(STACKS), kept)

    def bases(self) -> Mapping[str, str]:
        return {}

    def release(self, urns: Mapping[str, Any], _outputs: Any) -> Mapping[str, Outcome[Any]]:
        self.asked.append(("release", dict(urns)))
        return {}

    def destroy(
        self, names: Sequence[str], _counts: Any, *, keep_protected: bool
    ) -> Mapping[str, Outcome[Any]]:
        self.asked.append(("destroy", (sorted(names), keep_protected)))
        return {}

    def up(self, plan: Any, _counts: Any) -> Mapping[str, Outcome[Any]]:
        self.asked.append(("up", plan))
        return {}

    def on_each(
        self, operation: str, names: Sequence[str], work: Callable[[Any], Any]
    ) -> Mapping[str, Outcome[Any]]:
        return {name: Outcome(name, work(Engine(self, operation, name))) for name in names}


@dataclass
class Engine:
    """One stack's."""

    of: Engines
    operation: str
    name: str

    def backup(self) -> bytes:
        self.of.asked.append(("backup", self.name))
        return b"{}"

    def unlock(self) -> None:
        self.of.asked.append(("unlock", self.name))

    def repair(self, existing: Mapping[str, str]) -> None:
        self.of.asked.append(("repair", (self.name, dict(existing))))

    def unprotect(self, urns: Sequence[str]) -> None:
        self.of.asked.append(("unprotect", (self.name, list(urns))))


@dataclass(frozen=True)
class Here(Opened):
    engines: Engines = field(kw_only=True)
    elsewhere: bool = False

    def infrastructure(self, *_arguments: Any, **_named: Any) -> Any:
        return self.engines

    def confirm_target(self) -> None:
        if self.elsewhere:
            raise BackendctlError("infra.cluster", "another cluster by now", state="nothing")


def opened(folder: Path, held: Mapping[str, Mapping[str, Any]], **more: Any) -> Here:
    environment = Environment(name="prod", platform=PlatformName.AWS)
    spec = Spec(
        service=Service(name="shop", start=("serve",)),
        load=Load(peak_rps=10, peak_users=10, sustained_users=5, think_time=1),
        environments={"prod": environment},
    )
    locks = more.pop("locks", {})
    engines = Engines(folder, held, locks)
    return Here(folder, spec, environment, (), engines=engines, **more)


CUT_OFF = {"resource": {"urn": urn(DATABASE, "database"), "inputs": {}}, "type": "creating"}


# --- destroy ----------------------------------------------------------------------------------


def test_data_is_released_where_it_is_protected_and_all_goes_but_the_key(tmp_path: Path) -> None:
    here = opened(tmp_path, whole())
    gone = destroy.destroy(here, Silent(), lambda _losses: None, delete_data=True)
    assert here.engines.asked == [
        ("unprotect", ("data", [urn(KEY, "key")])),
        ("release", {"data": [urn(DATABASE, "database")]}),
        ("destroy", (["cluster", "data", "network"], False)),
    ]
    assert [each.title for each in gone.kept] == ["kms Key key"]


def test_what_is_kept_keeps_what_it_stands_on(tmp_path: Path) -> None:
    here = opened(tmp_path, whole())
    gone = destroy.destroy(here, Silent(), lambda _losses: None, keep_data=True)
    assert here.engines.asked == [("destroy", (["cluster", "data"], True))]
    assert gone.losses.standing == ("network",)
    assert {each.title for each in gone.kept} == {"rds Instance database", "kms Key key"}


@pytest.mark.parametrize(
    ("change", "flags", "code"),
    [
        ({}, {}, "infra.protected"),
        ({"skipFinalSnapshot": True}, {"delete_data": True}, "infra.protected"),
        ({"pending": [CUT_OFF]}, {"delete_data": True}, "infra.pending"),
        ({"elsewhere": True}, {"delete_data": True}, "infra.cluster"),
    ],
)
def test_nothing_is_deleted_when_it_is_refused(
    tmp_path: Path, change: dict[str, Any], flags: dict[str, bool], code: str
) -> None:
    states = whole()
    if "pending" in change:
        states["data"]["pending_operations"] = change["pending"]
    if "skipFinalSnapshot" in change:
        states["data"]["resources"][0]["inputs"] |= change
    here = opened(tmp_path, states, elsewhere=change.get("elsewhere", False))
    with pytest.raises(BackendctlError) as raised:
        destroy.destroy(here, Silent(), lambda _losses: None, **flags)
    assert raised.value.code == code
    assert here.engines.asked == []


def test_nothing_is_deleted_when_a_person_says_no(tmp_path: Path) -> None:
    here = opened(tmp_path, whole())

    def no(_losses: destroy.Losses) -> None:
        raise BackendctlError("usage", "no")

    with pytest.raises(BackendctlError, match="no"):
        destroy.destroy(here, Silent(), no, delete_data=True)
    assert here.engines.asked == []


# --- unlock -----------------------------------------------------------------------------------


def lock(alive: bool | None) -> dict[str, Sequence[StackLock]]:
    return {"data": [StackLock("ana@laptop", 7, "2026-11-21T10:00:00Z", alive)]}


def test_a_lock_of_a_run_that_lives_is_left_alone(tmp_path: Path) -> None:
    here = opened(tmp_path, whole(), locks=lock(alive=True))
    with pytest.raises(BackendctlError) as raised:
        recovery.unlock(here, Silent(), lambda _damage: None)
    assert raised.value.code == "infra.locked"
    assert here.engines.asked == []


def test_a_state_is_backed_up_before_its_lock_is_taken_and_it_is_repaired(tmp_path: Path) -> None:
    states = whole()
    states["data"]["pending_operations"] = [CUT_OFF]
    here = opened(tmp_path, states, locks=lock(alive=False))
    done = recovery.unlock(
        here, Silent(), lambda _damage: None, {urn(DATABASE, "database"): "shop-prod"}
    )
    assert here.engines.asked == [
        ("backup", "data"),
        ("unlock", "data"),
        ("repair", ("data", {urn(DATABASE, "database"): "shop-prod"})),
    ]
    [backup] = done.backups
    assert Path(backup).read_bytes() == b"{}"
    assert done.forgotten == []


# --- up ---------------------------------------------------------------------------------------


def previewed() -> Any:
    class Found:
        changes, plan = 1, "the plan that was shown"

        def counts(self) -> dict[str, int]:
            return {}

    return Found()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_up_does_what_was_shown_and_only_where_it_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    here = opened(tmp_path, whole(), elsewhere=elsewhere)
    monkeypatch.setattr(preview, "preview", lambda _opened, _progress: previewed())
    if elsewhere:
        with pytest.raises(BackendctlError, match="another cluster by now"):
            preview.up(here, Silent(), lambda _previewed: None)
    else:
        preview.up(here, Silent(), lambda _previewed: None)
    assert here.engines.asked == ([] if elsewhere else [("up", "the plan that was shown")])


def test_a_plan_from_a_file_asks_for_the_gateway_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = opened(tmp_path, whole())

    def absent(_spec: Spec, _environment: Environment) -> None:
        raise BackendctlError("platform.gateway", "the cluster has no Gateway")

    monkeypatch.setattr(preview, "require_gateway", absent)
    with pytest.raises(BackendctlError, match="no Gateway"):
        preview.up(here, Silent(), lambda _previewed: None, tmp_path / "plan.json")
    assert here.engines.asked == []


@pytest.mark.parametrize("there", [False, True])
def test_without_the_program_that_gives_tokens_nothing_is_begun_on_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """The cluster would be made, a quarter of an hour later its first object could not."""
    program = tmp_path / "aws"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755 if there else 0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    here = opened(tmp_path, whole())
    if there:
        meant.require_gateway(here.spec, here.environment)
        return
    with pytest.raises(BackendctlError) as raised:
        preview.preview(here, Silent())
    assert raised.value.code == "missing.tool"
    assert here.engines.asked == []
