"""EKS: the control plane, who may use it, and the nodes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from backendctl.shipped.stacks import policies
from backendctl.shipped.stacks.inputs import ClusterInputs, Place
from backendctl.shipped.stacks.network import NetworkOutputs
from backendctl.shipped.stacks.scope import Scope

LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
MANAGED = "arn:aws:iam::aws:policy"
BOTTLEROCKET_SYSTEM = "/dev/xvda"
BOTTLEROCKET_DATA = "/dev/xvdb"
"""Bottlerocket keeps images and containers on its second disk, itself on the first."""
BOTTLEROCKET_SYSTEM_GIB = 4


@dataclass(frozen=True)
class ClusterOutputs:
    """How the cluster is reached. No credential: whoever connects brings their own to AWS."""

    cluster_name: pulumi.Input[str]
    endpoint: pulumi.Input[str]
    certificate_authority: pulumi.Input[str]
    kubeconfig: pulumi.Input[str]
    """Asks `aws eks get-token` for a token that lasts 15 minutes."""


def cluster(inputs: ClusterInputs, network: NetworkOutputs) -> ClusterOutputs:
    """Make the cluster, or look up the one that was adopted."""
    scope = Scope("cluster", inputs.place)
    if inputs.adopted:
        found = aws.eks.Cluster.get("cluster", inputs.adopted, opts=scope.options())
        return _outputs(inputs.place, found)
    made = _control_plane(scope, inputs, network)
    _admins(scope, inputs, made)
    _api_from_inside(scope, inputs, network, made)
    before = [
        _addon(scope, inputs, made, "eks-pod-identity-agent"),
        _addon(scope, inputs, made, "kube-proxy"),
        _network_addon(scope, inputs, made),
    ]
    nodes = _nodes(scope, inputs, network, made, before)
    _addon(scope, inputs, made, "coredns", after=[nodes])
    return _outputs(inputs.place, made)


def _outputs(place: Place, found: Any) -> ClusterOutputs:
    authority = found.certificate_authority.apply(lambda given: given["data"] if given else "")
    return ClusterOutputs(
        cluster_name=found.name,
        endpoint=found.endpoint,
        certificate_authority=authority,
        kubeconfig=pulumi.Output.all(found.name, found.endpoint, authority).apply(
            lambda of: kubeconfig(str(of[0]), str(of[1]), str(of[2]), place.region)
        ),
    )


def kubeconfig(name: str, endpoint: str, authority: str, region: str) -> str:
    """A kubeconfig that holds no secret."""
    token = ["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"]
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "aws",
            "args": token,
            "interactiveMode": "Never",
        }
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {"server": endpoint, "certificate-authority-data": authority},
                }
            ],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )


# --- control plane ----------------------------------------------------------------------------


def _control_plane(scope: Scope, inputs: ClusterInputs, network: NetworkOutputs) -> Any:
    place = inputs.place
    key = _key(scope, place)
    role, rights = _role(scope, place, "cluster", "eks.amazonaws.com", ("AmazonEKSClusterPolicy",))
    logs = aws.cloudwatch.LogGroup(
        "cluster",
        name=f"/aws/eks/{place.name}/cluster",
        retention_in_days=inputs.log_days,
        kms_key_id=key.arn,
        tags=place.tagged("cluster"),
        opts=scope.options(),
    )
    return aws.eks.Cluster(
        "cluster",
        name=place.name,
        version=inputs.version,
        role_arn=role.arn,
        upgrade_policy={"support_type": "STANDARD"},
        access_config={
            "authentication_mode": "API",
            "bootstrap_cluster_creator_admin_permissions": not inputs.admins,
        },
        vpc_config={
            "subnet_ids": network.private_subnet_ids,
            "endpoint_private_access": True,
            "endpoint_public_access": bool(inputs.api_access),
            "public_access_cidrs": list(inputs.api_access) or None,
        },
        encryption_config={"provider": {"key_arn": key.arn}, "resources": ["secrets"]},
        enabled_cluster_log_types=list(LOGS),
        bootstrap_self_managed_addons=False,
        zonal_shift_config={"enabled": True},
        deletion_protection=not place.releasing,
        tags=place.tagged("cluster"),
        opts=pulumi.ResourceOptions.merge(
            scope.holds_data(after=[logs, *rights]),
            # Looked at by EKS only when the cluster is made; another value would replace it.
            pulumi.ResourceOptions(
                ignore_changes=["accessConfig.bootstrapClusterCreatorAdminPermissions"]
            ),
        ),
    )


def _key(scope: Scope, place: Place) -> Any:
    """Encrypts the cluster's Secrets (envelope encryption in etcd) and its log."""
    group = f"arn:aws:logs:{place.region}:{place.account}:log-group:/aws/eks/{place.name}/cluster"
    return aws.kms.Key(
        "cluster",
        description=f"Secrets and log of the cluster {place.name}",
        enable_key_rotation=True,
        deletion_window_in_days=30,
        policy=policies.key_policy(place.account, policies.key_for_logs(place.region, group)),
        tags=place.tagged("cluster"),
        opts=scope.holds_data(),
    )


def _admins(scope: Scope, inputs: ClusterInputs, made: Any) -> None:
    for number, principal in enumerate(inputs.admins):
        entry = aws.eks.AccessEntry(
            f"admin-{number}",
            cluster_name=made.name,
            principal_arn=principal,
            tags=inputs.place.tagged(f"admin-{number}"),
            opts=scope.options(),
        )
        aws.eks.AccessPolicyAssociation(
            f"admin-{number}",
            cluster_name=made.name,
            principal_arn=entry.principal_arn,
            policy_arn=ADMIN,
            access_scope={"type": "cluster"},
            opts=scope.options(),
        )


def _api_from_inside(
    scope: Scope, inputs: ClusterInputs, network: NetworkOutputs, made: Any
) -> None:
    """EKS's own group lets nodes reach the API server and nobody else: backendctl runs elsewhere
    in the network, or comes in by a VPN."""
    aws.vpc.SecurityGroupIngressRule(
        "api-in",
        security_group_id=made.vpc_config["cluster_security_group_id"],
        description="API server, from inside the network",
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        cidr_ipv4=network.cidr,
        tags=inputs.place.tagged("api-in"),
        opts=scope.options(),
    )


def _role(
    scope: Scope, place: Place, name: str, service: str, managed: tuple[str, ...]
) -> tuple[Any, list[Any]]:
    """The role, and what gives it its rights: whoever takes it has to be gone before they are, or
    leaves behind what it could no longer delete (network interfaces, security groups)."""
    trust = policies.pods() if service == "pods" else policies.trusts(service)
    role = aws.iam.Role(
        name,
        description=f"{name.capitalize()} of {place.name}",
        assume_role_policy=trust,
        tags=place.tagged(name),
        opts=scope.options(),
    )
    rights = [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy}",
            role=role.name,
            policy_arn=f"{MANAGED}/{policy}",
            opts=scope.options(),
        )
        for policy in managed
    ]
    return role, rights


# --- add-ons that nodes need to be nodes ------------------------------------------------------


def _addon(
    scope: Scope,
    inputs: ClusterInputs,
    made: Any,
    name: str,
    after: list[Any] | None = None,
    **more: Any,
) -> Any:
    """Its version is EKS's default for the cluster's, at each `up`: the two are tested together
    there, and EKS upgrades none by itself."""
    default = aws.eks.get_addon_version_output(
        addon_name=name, kubernetes_version=inputs.version, opts=scope.invoke()
    )
    return aws.eks.Addon(
        name,
        addon_name=name,
        addon_version=default.version,
        cluster_name=made.name,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="PRESERVE",
        tags=inputs.place.tagged(name),
        opts=scope.options(after=after or []),
        **more,
    )


def _network_addon(scope: Scope, inputs: ClusterInputs, made: Any) -> Any:
    """Pod addresses; with network policies enforced, which the service's own rest on."""
    role, rights = _role(scope, inputs.place, "vpc-cni", "pods", ("AmazonEKS_CNI_Policy",))
    return _addon(
        scope,
        inputs,
        made,
        "vpc-cni",
        after=rights,
        configuration_values=json.dumps({"enableNetworkPolicy": "true"}),
        pod_identity_associations=[{"role_arn": role.arn, "service_account": "aws-node"}],
    )


# --- nodes ------------------------------------------------------------------------------------


def _nodes(
    scope: Scope, inputs: ClusterInputs, network: NetworkOutputs, made: Any, before: list[Any]
) -> Any:
    place = inputs.place
    role, rights = _role(
        scope,
        place,
        "node",
        "ec2.amazonaws.com",
        ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"),
    )
    template = _template(scope, inputs, network, made)
    return aws.eks.NodeGroup(
        "nodes",
        cluster_name=made.name,
        version=inputs.version,  # said, so that nodes are upgraded after the control plane
        node_role_arn=role.arn,
        subnet_ids=network.private_subnet_ids,
        ami_type="BOTTLEROCKET_x86_64",
        capacity_type="ON_DEMAND",
        instance_types=[inputs.instance_type],
        launch_template={"id": template.id, "version": _written(template.latest_version)},
        scaling_config={
            "min_size": inputs.least_nodes,
            "desired_size": inputs.nodes,
            "max_size": inputs.most_nodes,
        },
        update_config={"max_unavailable": 1},
        node_repair_config={"enabled": True},
        tags=place.tagged("nodes"),
        opts=pulumi.ResourceOptions.merge(
            scope.options(after=[*before, *rights]),
            # The autoscaler's to change, and no drift.
            pulumi.ResourceOptions(ignore_changes=["scalingConfig.desiredSize"]),
        ),
    )


def _written(version: pulumi.Output[int]) -> pulumi.Output[str]:
    return version.apply(lambda number: str(int(number)))


def _template(scope: Scope, inputs: ClusterInputs, network: NetworkOutputs, made: Any) -> Any:
    place = inputs.place
    named: Mapping[str, str] = place.tagged("node")
    return aws.ec2.LaunchTemplate(
        "nodes",
        name_prefix=f"{place.name}-",
        update_default_version=True,
        vpc_security_group_ids=[
            made.vpc_config["cluster_security_group_id"],
            network.workload_group_id,
        ],
        # IMDSv2 with one hop: pods cannot take the node's credentials.
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,
        },
        block_device_mappings=[
            {
                "device_name": device,
                "ebs": {
                    "volume_size": gib,
                    "volume_type": "gp3",
                    "encrypted": "true",
                    "delete_on_termination": "true",
                },
            }
            for device, gib in (
                (BOTTLEROCKET_SYSTEM, BOTTLEROCKET_SYSTEM_GIB),
                (BOTTLEROCKET_DATA, inputs.node_disk_gib),
            )
        ],
        monitoring={"enabled": True},
        tag_specifications=[
            {"resource_type": kind, "tags": dict(named)} for kind in ("instance", "volume")
        ],
        tags=named,
        opts=scope.options(),
    )
