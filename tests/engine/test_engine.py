"""The real engine with an echo of AWS: order, plans, secrets, protection, interruption, recovery.

No cluster and no AWS is asked anything; what AWS itself would say is not tested here.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.provision.changes import Action, name_of
from backendctl.provision.definition import Inputs, StackDefinition
from backendctl.provision.locks import read_locks
from backendctl.provision.upstream import present
from backendctl.workflows.infra import destroy, drift, recovery
from backendctl.workflows.infra.preview import telling
from tests.cluster.session import CHECKOUT
from tests.commands import Project
from tests.engine.world import AWS, Silent, World, in_flight, sound
from tests.fakes.echo_provider import plugin
from tests.waiting import eventually

pytestmark = pytest.mark.engine

SECRET = "correct-horse-battery-staple"


ON_AWS = """
[service]
name = "shop"
start = "serve"
[load]
peak_rps = 10
[environments.prod]
platform = "aws"
region = "eu-central-1"
account = "123456789012"
"""


def network(inputs: Inputs) -> None:
    import pulumi

    options = pulumi.ResourceOptions(version=plugin.VERSION)
    vpc = pulumi.CustomResource("aws:ec2/vpc:Vpc", "main", {"cidrBlock": "10.0.0.0/16"}, options)
    for zone in "ab":
        pulumi.CustomResource(
            "aws:ec2/subnet:Subnet", zone, {"vpcId": vpc.id, "name": f"subnet-{zone}"}, options
        )
    pulumi.export("vpc_id", vpc.id)
    pulumi.export("password", pulumi.Output.secret(SECRET))


def data(inputs: Inputs) -> None:
    import pulumi

    pulumi.CustomResource(
        "aws:rds/instance:Instance",
        "database",
        {
            "identifier": "shop-prod",
            "vpcId": inputs.upstream["network"]["vpc_id"],
            "password": inputs.upstream["network"]["password"],
            "finalSnapshotIdentifier": "shop-prod-final",
            "deletionProtection": not inputs.releasing,
        },
        pulumi.ResourceOptions(version=plugin.VERSION, protect=not inputs.releasing),
    )

    pulumi.CustomResource(
        "aws:kms/key:Key",
        "key",
        {"description": "opens the snapshots"},
        pulumi.ResourceOptions(version=plugin.VERSION, protect=True, retain_on_delete=True),
    )


def cluster(inputs: Inputs) -> None:
    import pulumi

    pulumi.CustomResource(
        "aws:eks/cluster:Cluster",
        "cluster",
        {"name": "shop-prod", "vpcId": inputs.upstream["network"]["vpc_id"]},
        pulumi.ResourceOptions(version=plugin.VERSION),
    )


STACKS = (
    StackDefinition("network", network, plugins=AWS),
    StackDefinition("data", data, needs=("network",), plugins=AWS),
    StackDefinition("cluster", cluster, needs=("network",), plugins=AWS),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pulumi")
    plugin.install(folder)
    return folder


@pytest.fixture
def world(tmp_path: Path, home: Path) -> World:
    return World(tmp_path / "shop", home, STACKS)


@pytest.fixture
def network_only(tmp_path: Path, home: Path) -> Iterator[World]:
    return World(tmp_path / "shop", home, STACKS[:1])


def test_stacks_come_up_in_order_and_stay_as_they_are(world: World) -> None:
    infrastructure, previews = world.preview()
    told = {each.stack: each for each in previews}
    assert {name: len(telling(each.changes)) for name, each in told.items()} == {
        "network": 3,
        "data": 2,
        "cluster": 1,
    }
    assert "rds Instance database: vpcId" in told["data"].unknown
    plan = infrastructure.plan(previews, "a test")

    world.rule("slow-shop-prod", "2")
    world.heard.clear()
    done = {name: sound(each) for name, each in infrastructure.up(plan).items()}
    assert sum(len(each.changed) for each in done.values()) == 3 + 2 + 1
    assert done["network"].outputs["password"].secret
    # Data and cluster need only the network: each began before the other was done.
    moments = [(name_of(step.urn), step.state) for _stack, step in world.heard]
    assert moments.index(("b", "done")) < moments.index(("database", "begun"))
    begun = [moments.index((name, "begun")) for name in ("database", "cluster")]
    ended = [moments.index((name, "done")) for name in ("database", "cluster")]
    assert max(begun) < min(ended)

    _, again = world.preview()
    assert [each.changed for each in again] == [(), (), ()]

    # Secrets: by value, in all that was written, and in what is told.
    written = {**world.files(), Path("plan"): plan.to_bytes()}
    assert len(written) > 5
    assert [str(file) for file, body in written.items() if SECRET.encode() in body] == []
    assert SECRET not in repr((world.heard, previews, again, done))
    state = sound(world.infrastructure().states()["network"])
    assert present(state)["password"].value == SECRET
    assert oct((world.backend().folder / "passphrase").stat().st_mode & 0o777) == "0o600"

    # Protection: looked for first, nothing deleted; then a release, and the snapshot is named.
    before = sorted(file.name for file in world.cloud.iterdir())
    with pytest.raises(BackendctlError) as raised:
        destroy.destroy(world.opened(), Silent(), lambda _losses: None)
    assert raised.value.code == "infra.protected"
    assert "rds Instance database (shop-prod)" in raised.value.message
    assert sorted(file.name for file in world.cloud.iterdir()) == before
    world.heard.clear()
    gone = destroy.destroy(world.opened(), Silent(), lambda _losses: None, delete_data=True)
    assert [file.name.partition("-")[0] for file in world.cloud.iterdir()] == ["key"]
    assert "final snapshot: shop-prod-final" in list(gone.lines())
    deleted = [
        name_of(step.urn)
        for _stack, step in world.heard
        if step.action is Action.DELETE and step.state == "done"
    ]
    assert deleted.index("database") < deleted.index("main")
    assert deleted.index("b") < deleted.index("main")


def test_what_was_not_in_the_plan_is_not_done(network_only: World) -> None:
    world = network_only
    infrastructure, previews = world.preview()
    plan = infrastructure.plan(previews, "a test")

    def more(inputs: Inputs) -> None:
        import pulumi

        network(inputs)
        pulumi.CustomResource(
            "aws:ec2/vpc:Vpc",
            "another",
            {"cidrBlock": "10.9.0.0/16"},
            pulumi.ResourceOptions(version=plugin.VERSION),
        )

    other = world.infrastructure([replace(STACKS[0], program=more)])
    error = other.up(plan)["network"].error
    assert error is not None
    assert error.code == "infra.deviated"
    assert "another" in error.cause
    kinds = [file.name.partition("-")[0] for file in world.cloud.iterdir()]
    assert kinds.count("vpc") <= 1
    assert ("already applied" in error.state) == bool(kinds)


def test_a_providers_message_is_told_without_the_secret_it_quotes(world: World) -> None:
    world.rule("fail-shop-prod", "AccessDenied: password '{password}' of {identifier} is too weak")
    world.stacks = STACKS[:2]
    found = world.up()
    error = found["data"].error
    assert error is not None
    said = f"{error.message} {error.cause} {error.state} {error.data}"
    assert "AccessDenied: password '[secret]' of shop-prod is too weak" in said
    assert SECRET not in said
    assert SECRET.encode() not in b"".join(world.files().values())


def test_a_stop_reaches_the_engine_and_leaves_no_lock(network_only: World) -> None:
    world = network_only
    hang = world.rule("hang-subnet-a")
    infrastructure, previews = world.preview()
    plan = infrastructure.plan(previews, "a test")
    world.awaited = "a"
    world.begun.clear()

    def interrupt() -> None:
        assert world.begun.wait(60)
        [engine] = infrastructure._running()
        engine.stop()
        hang.unlink()

    asked = threading.Thread(target=interrupt)
    asked.start()
    error = infrastructure.up(plan)["network"].error
    asked.join()
    assert error is not None
    assert error.code == "interrupted"
    assert "ec2 Vpc main (create)" in error.state
    assert world.locks() == []
    sound(world.up()["network"])  # and it goes on from there
    _, again = world.preview()
    assert again[0].changed == ()
    assert sum(file.name.startswith("subnet-") for file in world.cloud.iterdir()) == 2


def test_a_killed_engine_is_explained_and_repaired(network_only: World) -> None:
    world = network_only
    hang = world.rule("hang-subnet-a")
    infrastructure, previews = world.preview()
    plan = infrastructure.plan(previews, "a test")
    world.awaited = "a"
    world.begun.clear()

    def kill() -> None:
        assert world.begun.wait(60)
        [engine] = infrastructure._running()
        assert engine.pid is not None
        written = world.backend().folder / "state/.pulumi/stacks/shop-network/prod.json"
        assert eventually(lambda: ("Subnet", "a") in in_flight(written))
        os.kill(engine.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    error = infrastructure.up(plan)["network"].error
    killer.join()
    hang.unlink()
    assert error is not None
    assert error.code == "infra.failed"

    state = world.backend().state_folder
    assert state is not None
    [lock] = read_locks(state, "shop-network", "prod")
    assert lock.alive is False
    # Killed while it wrote, an engine may leave this empty, and then reads its state no more.
    (state / ".pulumi/stacks/shop-network/prod.json.attrs").write_bytes(b"")
    refused = world.infrastructure().preview()["network"].error
    assert refused is not None
    assert refused.code == "infra.pending", (refused.message, refused.cause)
    assert refused.next == ("backendctl infra unlock",)

    seen: list[str] = []
    repaired = recovery.unlock(world.opened(), Silent(), lambda damage: seen.extend(damage.lines()))
    assert any("which is gone" in line for line in seen)
    assert any("Subnet a was being created" in line for line in seen)
    assert [Path(each).exists() for each in repaired.backups] == [True]
    assert SECRET.encode() not in Path(repaired.backups[0]).read_bytes()
    # The other subnet may have been under way too.
    assert "a" in {name_of(each.urn) for each in repaired.forgotten}
    assert world.locks() == []
    sound(world.up()["network"])
    _, again = world.preview()
    assert again[0].changed == ()


def test_a_signal_to_the_command_reaches_the_engine(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, home, STACKS[:1])
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PULUMI_HOME", str(home))
    monkeypatch.setenv("BACKENDCTL_PULUMI", os.environ["BACKENDCTL_TEST_PULUMI"])
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    project = Project(tmp_path, (sys.executable, "-m", "tests.engine.command"))
    project.write("backend.toml", ON_AWS)
    state = world.backend().folder / "state/.pulumi/stacks/shop-network/prod.json"

    def stopped(kind: str, name: str) -> "subprocess.Popen[str]":
        """A command that was asked to stop while this is being created."""
        command = project.start("infra", "up", "--env", "prod", "--yes")
        assert eventually(lambda: (kind, name) in in_flight(state), 60)
        command.send_signal(signal.SIGINT)
        assert command.stderr is not None
        assert any("stopping: what is in flight" in line for line in command.stderr)
        return command

    hang = world.rule("hang-unnamed")  # the VPC
    command = stopped("Vpc", "main")
    hang.unlink()
    said = project.said(command.wait(60), *command.communicate())
    assert (said.exit, said.code) == (130, "interrupted"), said.text
    assert "already applied: ec2 Vpc main (create); it is not locked" in said.text
    assert "Bringing the stacks up: stopped" in said.stderr
    assert world.locks() == []
    assert [file.name.partition("-")[0] for file in world.cloud.iterdir()] == ["vpc"]

    hang = world.rule("hang-subnet-a")
    command = stopped("Subnet", "a")
    [lock] = world.locks()
    os.kill(json.loads(lock.read_text())["pid"], signal.SIGKILL)
    said = project.said(command.wait(60), *command.communicate())
    hang.unlink()
    assert (said.exit, said.code) == (130, "interrupted"), said.text
    assert "its LOCK IS STILL THERE" in said.text
    assert said.answer["error"]["next"] == ["backendctl infra unlock --env prod"]
    unlocked = project.run("infra", "unlock", "--env", "prod", "--yes")
    assert unlocked.exit == 0, unlocked.text
    assert world.locks() == []


def nodes(_inputs: Inputs) -> None:
    """As the stacks make them: how many there are is the autoscaler's to say."""
    import pulumi

    pulumi.CustomResource(
        "aws:eks/nodeGroup:NodeGroup",
        "nodes",
        {"scalingConfig": {"minSize": 3, "desiredSize": 3, "maxSize": 9}},
        pulumi.ResourceOptions(
            version=plugin.VERSION, ignore_changes=["scalingConfig.desiredSize"]
        ),
    )


def test_what_grows_by_itself_is_no_drift_and_nothing_to_put_back(
    tmp_path: Path, home: Path
) -> None:
    world = World(tmp_path / "shop", home, [StackDefinition("network", nodes, plugins=AWS)])
    sound(world.up()["network"])
    [file] = world.cloud.glob("nodegroup-*.json")

    def changed(most: int) -> None:
        body = json.loads(file.read_bytes())
        for part in ("inputs", "outputs"):
            body[part]["scalingConfig"] = {"minSize": 3, "desiredSize": 7, "maxSize": most}
        file.write_text(json.dumps(body))

    changed(most=9)
    found = drift.drift(world.opened(), Silent())
    assert list(found.lines()) == ["network: as the stack made it"]
    _, [again] = world.preview()
    assert list(telling(again.changes)) == []
    changed(most=4)
    [told] = drift.drift(world.opened(), Silent()).stacks["network"]
    assert "scalingConfig.maxSize" in {each.path for each in told.properties}
    # What drift shows, `up` puts back: a preview looks at what is really there first.
    _, [restoring] = world.preview()
    assert [each.action for each in telling(restoring.changes)] == [Action.UPDATE]
