"""What an environment's stacks would register, without a cloud and without the engine.

The programs run against a monitor of ours that notes every resource with its inputs and options,
and invents what only AWS could say (ids, addresses). `check infra` and `infra cost` judge and
price these records; nothing of it says that AWS would accept them.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backendctl.provision.changes import name_of, type_of
from backendctl.provision.definition import Inputs, StackDefinition
from backendctl.shipped.stacks.record import Record
from backendctl.spec.model import Environment, Spec

if TYPE_CHECKING:
    from pulumi.runtime.mocks import MockMonitor, Mocks

STACK_TYPE = "pulumi:pulumi:Stack"
INVENTED: Mapping[str, Mapping[str, Any]] = {
    "aws:eks/cluster:Cluster": {
        "endpoint": "https://cluster.invalid",
        "certificateAuthority": {"data": "bm9uZQ=="},
        "vpcConfig": {"clusterSecurityGroupId": "sg-cluster"},
    },
    "aws:rds/instance:Instance": {
        "address": "database.invalid",
        "port": 5432,
        "dbName": "database",
        "masterUserSecrets": [
            {"secretArn": "arn:aws:secretsmanager:region:000000000000:secret:rds-database"}
        ],
    },
    "aws:elasticache/replicationGroup:ReplicationGroup": {
        "primaryEndpointAddress": "cache.invalid"
    },
    "aws:lb/loadBalancer:LoadBalancer": {
        "dnsName": "balancer.invalid",
        "arnSuffix": "app/balancer/0",
        "zoneId": "Z0",
    },
    "aws:lb/targetGroup:TargetGroup": {"arnSuffix": "targetgroup/gateway/0"},
    "aws:cloudformation/stack:Stack": {
        "outputs": {"SecretArn": "arn:aws:secretsmanager:secret", "UserId": "service"}
    },
    "aws:acm/certificate:Certificate": {
        "domainValidationOptions": [
            {
                "domainName": "host.invalid",
                "resourceRecordName": "_proof.host.invalid",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": "_proof.invalid",
            }
        ]
    },
    "aws:acm/certificateValidation:CertificateValidation": {},
    "aws:s3/bucket:Bucket": {"bucket": "bucket"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:route53/record:Record": {"fqdn": "host.invalid"},
    "aws:kms/key:Key": {"keyId": "key"},
    "aws:ec2/vpc:Vpc": {"cidrBlock": "172.31.0.0/16"},
}
"""Outputs that programs read and that are no inputs."""
ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": {
        "names": [f"zone-{letter}" for letter in "abcdef"],
        "zoneIds": [],
        "id": "zones",
    },
    "aws:eks/getAddonVersion:getAddonVersion": {"version": "v1-eksbuild.1", "id": "version"},
    "aws:ec2/getSubnets:getSubnets": {
        "ids": ["subnet-a", "subnet-b", "subnet-c"],
        "id": "subnets",
    },
}
"""Answers to what programs ask AWS."""
SUBNET = "aws:ec2/getSubnet:getSubnet"


def answer(token: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """What AWS is taken to say: each subnet lies in a zone that is called as it ends."""
    zone = {"availabilityZone": f"zone-{asked['id'][-1]}"} if token == SUBNET else {}
    return {**asked, **ANSWERS.get(token, {}), **zone}


def simulate(
    spec: Spec, environment: Environment, stacks: Iterable[StackDefinition]
) -> tuple[Record, ...]:
    """Every resource of the stacks, in the order of registration, stack by stack.

    Raises whatever a program raises, unchanged: it would fail in the engine likewise.
    """
    upstream: dict[str, Mapping[str, Any]] = {}
    records: list[Record] = []
    for stack in stacks:
        inputs = Inputs(spec, environment, {name: upstream[name] for name in stack.needs})
        found, outputs = _alone(stack, inputs)
        records += found
        upstream[stack.name] = outputs
    return tuple(records)


def _alone(stack: StackDefinition, inputs: Inputs) -> tuple[Sequence[Record], Mapping[str, Any]]:
    """Run one program in a thread and context of its own: Pulumi keeps its settings, its event
    loop and its root resource in those, and an engine may be at work beside it."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["value"] = _run(stack, inputs)
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=Context().run, args=(run,), name=f"simulate-{stack.name}")
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    found: tuple[Sequence[Record], Mapping[str, Any]] = outcome["value"]
    return found


def _run(stack: StackDefinition, inputs: Inputs) -> tuple[Sequence[Record], Mapping[str, Any]]:
    import asyncio

    import pulumi
    from pulumi.runtime import mocks, settings
    from pulumi.runtime.stack import run_in_stack

    records: list[Record] = []
    exported: dict[str, Any] = {}
    project = inputs.spec.service.name
    settings.configure(
        mocks.MockSettings(  # type: ignore[no-untyped-call]
            monitor=_monitor(stack.name, records, exported),
            monitor_features=set(),
            engine=mocks.MockEngine(None),
            project=project,
            stack=stack.name,
            dry_run=False,
            organization="",
            callbacks=None,
        )
    )
    settings.SETTINGS.outputs = set()  # what a program that failed before left there

    def program() -> None:
        upstream = {
            name: {key: pulumi.Output.from_input(value) for key, value in values.items()}
            for name, values in inputs.upstream.items()
        }
        stack.program(replace(inputs, upstream=upstream))

    asyncio.run(run_in_stack(program))
    return records, exported


def _mocks() -> "Mocks":
    from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

    class Invented(Mocks):
        """Inputs come back as outputs, with what only a cloud could add."""

        def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
            identity = args.resource_id or f"{args.typ.rpartition(':')[2]}/{args.name}"
            made = {
                "arn": f"arn:aws:{args.typ.split(':')[1].split('/')[0]}:::{args.name}",
                "name": args.name,
                "bucket": args.name,
            }
            return identity, {**INVENTED.get(args.typ, {}), **made, **_known(args.inputs)}

        def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
            return dict(answer(args.token, args.args)), []

    return Invented()


def _known(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs without those whose outputs say more (a cluster's network configuration)."""
    return {key: value for key, value in inputs.items() if key != "vpcConfig"}


def _monitor(stack: str, records: list[Record], exported: dict[str, Any]) -> "MockMonitor":
    from pulumi.runtime import rpc
    from pulumi.runtime.mocks import MockMonitor

    class Noting(MockMonitor):
        """Notes what Pulumi's own mocks do not show: protection, retention, parents, aliases."""

        def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - Pulumi's name
            self._note(request, rpc.deserialize_properties(request.object, keep_unknowns=True))
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]

        def ReadResource(self, request: Any) -> Any:  # noqa: N802 - Pulumi's name
            self._note(request, {"id": request.id}, adopted=True)
            return super().ReadResource(request)  # type: ignore[no-untyped-call]

        def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - Pulumi's name
            if request.urn.split("::")[2] == STACK_TYPE:
                exported.update(rpc.deserialize_properties(request.outputs))
            return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]

        def _note(self, request: Any, inputs: Any, adopted: bool = False) -> None:
            if not getattr(request, "custom", True):
                return
            plain, secret = _opened(inputs)
            records.append(
                Record(
                    type=request.type,
                    name=request.name,
                    stack=stack,
                    properties=plain,
                    protected=getattr(request, "protect", False),
                    retained=getattr(request, "retainOnDelete", False),
                    adopted=adopted,
                    parent=request.parent,
                    aliases=tuple(_alias(each) for each in getattr(request, "aliases", ())),
                    deleted_first=getattr(request, "deleteBeforeReplace", False),
                    ignored=tuple(getattr(request, "ignoreChanges", ())),
                    needs=frozenset(map(_type_and_name, request.dependencies)),
                    secret=secret,
                )
            )

    return Noting(_mocks())


def _type_and_name(urn: str) -> str:
    return f"{type_of(urn)}::{name_of(urn)}"


def _alias(given: Any) -> str:
    """The URN that a resource had, or the part of it that changed: its type or its name."""
    return str(given.urn or given.spec.name or given.spec.type)


def _opened(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Inputs as plain values, and which of them were marked secret."""
    from pulumi.runtime import rpc

    secret = frozenset(key for key, value in inputs.items() if rpc.is_rpc_secret(value))
    plain = {key: rpc.unwrap_rpc_secret(value) for key, value in inputs.items()}
    return plain, secret
