"""What runs in the cluster beside the service, the service's public address, and its alarms."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from backendctl.shipped.stacks import policies, versions
from backendctl.shipped.stacks.alarms import Watched, alarms
from backendctl.shipped.stacks.balancer import TARGET_PORT, Balancer, balancer
from backendctl.shipped.stacks.charts import (
    GATEWAY_LABEL,
    GATEWAY_NAMESPACE,
    GATEWAY_SERVICE,
    SERVICE_LOGS,
    SERVICE_METRICS,
    values,
)
from backendctl.shipped.stacks.cluster import ClusterOutputs
from backendctl.shipped.stacks.data import DataOutputs
from backendctl.shipped.stacks.inputs import FROM_STACK, AddonsInputs
from backendctl.shipped.stacks.network import NetworkOutputs
from backendctl.shipped.stacks.scope import Scope

SYSTEM = "kube-system"
GATEWAY_CLASS = "backendctl"
GATEWAY_CONTROLLER = "projectcontour.io/gateway-controller"
SECRET_STORE = "aws-secrets-manager"  # noqa: S105 - a name
MINUTES_5 = 300


@dataclass(frozen=True)
class AddonsOutputs:
    """Where the service is reached, and what else the `app` stack builds on."""

    url: pulumi.Input[str] = ""
    balancer_address: pulumi.Input[str] = ""
    gateway_class: pulumi.Input[str] = ""
    secret_store: pulumi.Input[str] = ""
    """Name of the ClusterSecretStore that reads the secrets of the data stack."""
    alarm_topic_arn: pulumi.Input[str] = ""
    alarm_names: pulumi.Input[list[str]] = field(default_factory=list)


def addons(
    inputs: AddonsInputs, network: NetworkOutputs, data: DataOutputs, cluster: ClusterOutputs
) -> AddonsOutputs:
    """Make them; in an adopted cluster only the alarms on our own data."""
    scope = Scope("addons", inputs.place)
    if inputs.adopted_cluster:
        topic, names = alarms(scope, inputs, Watched(data, None))
        return AddonsOutputs(alarm_topic_arn=topic, alarm_names=names)
    front = balancer(scope, inputs, network)
    inside = _Inside(scope, inputs, cluster)
    inside.install(network, data, front)
    inside.bind(front)
    store = inside.secret_store(data)
    topic, names = alarms(scope, inputs, Watched(data, front))
    return AddonsOutputs(
        url=front.url,
        balancer_address=front.address,
        gateway_class=GATEWAY_CLASS,
        secret_store=store,
        alarm_topic_arn=topic,
        alarm_names=names,
    )


class _Inside:
    """The cluster's own objects."""

    def __init__(self, scope: Scope, inputs: AddonsInputs, cluster: ClusterOutputs) -> None:
        self._scope, self._inputs, self._cluster = scope, inputs, cluster
        self._provider = kubernetes.Provider(
            "cluster",
            kubeconfig=cluster.kubeconfig,
            cluster_identifier=FROM_STACK,
            enable_server_side_apply=True,
            opts=pulumi.ResourceOptions(parent=scope.component),
        )
        self._installed: dict[str, Any] = {}

    def _options(self, after: Sequence[Any] = ()) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self._scope.component, provider=self._provider, depends_on=list(after) or None
        )

    def install(self, network: NetworkOutputs, data: DataOutputs, front: Balancer) -> None:
        """Every chart, after the rights its pods take."""
        place = self._inputs.place
        home = self._gateway_namespace()
        crds = self._chart(versions.GATEWAY_API, GATEWAY_NAMESPACE, after=[home])
        self._gateway_class(crds)
        self._chart(
            versions.CONTOUR,
            GATEWAY_NAMESPACE,
            after=[crds],
            given={"contour": {"ingressStatusAddress": front.address}},
        )
        controller = self._identity(
            "aws-load-balancer-controller", SYSTEM, _registering(front.target_group_arn)
        )
        self._chart(
            versions.LOAD_BALANCER_CONTROLLER,
            SYSTEM,
            after=[controller],
            given={"clusterName": self._cluster.cluster_name, "vpcId": network.vpc_id},
        )
        scaler = self._identity("cluster-autoscaler", SYSTEM, _scaling(place.name))
        self._chart(
            versions.AUTOSCALER,
            SYSTEM,
            after=[scaler],
            given={"autoDiscovery": {"clusterName": self._cluster.cluster_name}},
        )
        logs = self._log_groups(data)
        telemetry = self._identity("otel-collector", "observability", _telling(logs))
        self._chart(versions.OPENTELEMETRY, "observability", after=[telemetry])
        self._chart(versions.METRICS_SERVER, SYSTEM)

    def _chart(
        self,
        chart: versions.Chart,
        namespace: str,
        after: Sequence[Any] = (),
        given: Mapping[str, Any] | None = None,
    ) -> Any:
        release = kubernetes.helm.v3.Release(
            chart.name,
            name=chart.name,
            chart=chart.reference,
            version=chart.version,
            repository_opts={"repo": chart.repository} if chart.repository else None,
            namespace=namespace,
            create_namespace=True,
            atomic=True,
            cleanup_on_fail=True,
            timeout=MINUTES_5,
            values=_merged(values(chart, self._inputs), given or {}),
            opts=self._options(after),
        )
        self._installed[chart.name] = release
        return release

    def _gateway_namespace(self) -> Any:
        return kubernetes.core.v1.Namespace(
            "gateway",
            metadata={"name": GATEWAY_NAMESPACE, "labels": {GATEWAY_LABEL: "true"}},
            opts=self._options(),
        )

    def _gateway_class(self, crds: Any) -> None:
        kubernetes.apiextensions.CustomResource(
            "gateway-class",
            api_version="gateway.networking.k8s.io/v1",
            kind="GatewayClass",
            metadata={"name": GATEWAY_CLASS},
            spec={"controllerName": GATEWAY_CONTROLLER},
            opts=self._options([crds]),
        )

    def bind(self, front: Balancer) -> None:
        """Enter the gateway's pods into the load balancer, and take them out as they go."""
        kubernetes.apiextensions.CustomResource(
            "targets",
            api_version="elbv2.k8s.aws/v1beta1",
            kind="TargetGroupBinding",
            metadata={"name": "gateway", "namespace": GATEWAY_NAMESPACE},
            spec={
                "targetGroupARN": front.target_group_arn,
                "targetType": "ip",
                "serviceRef": {"name": GATEWAY_SERVICE, "port": TARGET_PORT},
            },
            opts=self._options(
                [
                    self._installed[versions.LOAD_BALANCER_CONTROLLER.name],
                    self._installed[versions.CONTOUR.name],
                ]
            ),
        )

    def secret_store(self, data: DataOutputs) -> str:
        """Where pods' secrets come from: those of the data stack, and the service's own."""
        place = self._inputs.place
        identity = self._identity("external-secrets", "external-secrets", _reading(place, data))
        operator = self._chart(versions.EXTERNAL_SECRETS, "external-secrets", after=[identity])
        kubernetes.apiextensions.CustomResource(
            "secret-store",
            api_version="external-secrets.io/v1",
            kind="ClusterSecretStore",
            metadata={"name": SECRET_STORE},
            spec={
                "provider": {"aws": {"service": "SecretsManager", "region": place.region}},
                "conditions": [{"namespaces": [self._inputs.namespace]}],
            },
            opts=self._options([operator]),
        )
        return SECRET_STORE

    def _identity(self, name: str, namespace: str, policy: pulumi.Input[str]) -> Any:
        """A role for the service account of that name, taken by EKS Pod Identity."""
        place, scope = self._inputs.place, self._scope
        role = aws.iam.Role(
            name,
            description=f"Pods of {name} in {place.name}",
            assume_role_policy=policies.pods(),
            tags=place.tagged(name),
            opts=scope.options(),
        )
        rights = aws.iam.RolePolicy(name, role=role.id, policy=policy, opts=scope.options())
        return aws.eks.PodIdentityAssociation(
            name,
            cluster_name=self._cluster.cluster_name,
            namespace=namespace,
            service_account=name,
            role_arn=role.arn,
            tags=place.tagged(name),
            opts=scope.options(after=[rights]),
        )

    def _log_groups(self, data: DataOutputs) -> list[Any]:
        place = self._inputs.place
        return [
            aws.cloudwatch.LogGroup(
                kind,
                name=f"/{place.name}/{kind}",
                retention_in_days=self._inputs.log_days,
                kms_key_id=data.data_key_arn,
                tags=place.tagged(kind),
                opts=self._scope.options(),
            )
            for kind in (SERVICE_LOGS, SERVICE_METRICS)
        ]


def _merged(chosen: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a chart, and what only the other resources say."""
    both = {
        key: _merged(chosen[key], value)
        for key, value in given.items()
        if isinstance(value, Mapping) and key in chosen
    }
    return {**chosen, **given, **both}


# --- what each may do -------------------------------------------------------------------------


def _written(*statements: Mapping[str, Any]) -> str:
    return json.dumps(policies.document(*statements))


def _registering(target_group: pulumi.Input[str]) -> pulumi.Output[str]:
    """The load balancer is ours, not the controller's: it may enter targets into one group."""
    looking = policies.statement(
        (
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ),
        ("*",),
    )
    return pulumi.Output.from_input(target_group).apply(
        lambda arn: _written(
            looking,
            policies.statement(
                (
                    "elasticloadbalancing:RegisterTargets",
                    "elasticloadbalancing:DeregisterTargets",
                ),
                (arn,),
            ),
        )
    )


def _scaling(cluster: str) -> str:
    looking = policies.statement(
        (
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "autoscaling:DescribeLaunchConfigurations",
            "autoscaling:DescribeScalingActivities",
            "autoscaling:DescribeTags",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:GetInstanceTypesFromInstanceRequirements",
        ),
        ("*",),
    )
    owned = {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}": "owned"}}
    changing = policies.statement(
        (
            "autoscaling:SetDesiredCapacity",
            "autoscaling:TerminateInstanceInAutoScalingGroup",
        ),
        ("arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/*",),
        owned,
    )
    return _written(looking, changing)


def _telling(groups: Sequence[Any]) -> pulumi.Output[str]:
    traces = policies.statement(
        (
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
        ),
        ("*",),
    )
    return pulumi.Output.all(*[group.arn for group in groups]).apply(
        lambda arns: _written(
            traces,
            policies.statement(
                ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
                [f"{arn}:*" for arn in arns],
            ),
        )
    )


def _reading(place: Any, data: DataOutputs) -> pulumi.Output[str]:
    """Secrets of this environment by name, the database's by ARN, and the key they are under."""
    own = f"arn:aws:secretsmanager:{place.region}:{place.account}:secret:{place.name}/*"

    def written(given: Sequence[str]) -> str:
        *databases, key = given
        readable = [own, *(arn for arn in databases if arn)]
        actions = ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")
        decrypting = policies.statement(("kms:Decrypt",), (key,))
        return _written(policies.statement(actions, readable), *([decrypting] if key else []))

    return pulumi.Output.all(
        data.database_secret_arn, data.database_master_secret_arn, data.data_key_arn
    ).apply(written)
