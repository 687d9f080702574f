"""The service's public address: load balancer, certificate, name, and what may come in.

It is made here and not by a controller in the cluster, so that rules see it, its address outlives
the cluster's objects, and destroying the network never finds a load balancer nobody knows of.
"""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from backendctl.shipped.stacks import policies
from backendctl.shipped.stacks.charts import BALANCER_IDLE
from backendctl.shipped.stacks.inputs import AddonsInputs
from backendctl.shipped.stacks.network import ANYWHERE, NetworkOutputs
from backendctl.shipped.stacks.scope import Scope
from backendctl.shipped.stacks.versions import TLS_POLICY

TARGET_PORT = 80
"""Of the gateway's Service."""
POD_PORT = 8080
"""Of its pods, which run without root."""
HEALTH_PORT = 8002
IPV6_ANYWHERE = "::/0"
MANAGED_RULES = (
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesSQLiRuleSet",
)
ONLY_COUNTED = {"AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY",)}
"""Of a group, rules that refuse what is no attack: every body over 8 KiB."""


@dataclass(frozen=True)
class Balancer:
    """What else has to know of it."""

    url: pulumi.Input[str]
    address: pulumi.Input[str]
    arn_suffix: pulumi.Input[str]
    target_group_arn: pulumi.Input[str]
    target_group_suffix: pulumi.Input[str]


def balancer(scope: Scope, inputs: AddonsInputs, network: NetworkOutputs) -> Balancer:
    """Make it: open to the world on 443 (and 80, which only redirects) where `host` is stated;
    without a name there can be no certificate, and it stays inside the network."""
    place, public = inputs.place, bool(inputs.host)
    logs = _logs(scope, inputs)
    made = aws.lb.LoadBalancer(
        "balancer",
        name=f"lb-{place.within(29)}",  # no balancer's name may begin with `internal-`
        load_balancer_type="application",
        internal=not public,
        subnets=network.balancer_subnet_ids,
        security_groups=[_group(scope, inputs, network, public).id],
        drop_invalid_header_fields=True,
        desync_mitigation_mode="defensive",
        enable_deletion_protection=public and not place.releasing,
        enable_http2=True,
        idle_timeout=BALANCER_IDLE,
        access_logs={"bucket": logs.bucket, "enabled": True},
        tags=place.tagged("balancer"),
        # One name: when `host` is added or taken away, the former has to go first. Only an address
        # that users know is protected from that.
        opts=pulumi.ResourceOptions.merge(
            scope.holds_data() if public else scope.options(),
            pulumi.ResourceOptions(delete_before_replace=True),
        ),
    )
    targets = aws.lb.TargetGroup(
        "gateway",
        name=place.within(32),
        vpc_id=network.vpc_id,
        target_type="ip",
        protocol="HTTP",
        port=POD_PORT,
        deregistration_delay=inputs.drain_seconds,
        load_balancing_algorithm_type="least_outstanding_requests",
        health_check={
            "path": "/ready",
            "port": str(HEALTH_PORT),
            "protocol": "HTTP",
            "interval": 5,
            "timeout": 2,
            "healthy_threshold": 2,
            "unhealthy_threshold": 2,
        },
        tags=place.tagged("gateway"),
        opts=scope.options(),
    )
    _listeners(scope, inputs, made, targets, public)
    if inputs.firewall:
        _firewall(scope, inputs, made)
    return Balancer(
        url=f"https://{inputs.host}" if public else pulumi.Output.concat("http://", made.dns_name),
        address=made.dns_name,
        arn_suffix=made.arn_suffix,
        target_group_arn=targets.arn,
        target_group_suffix=targets.arn_suffix,
    )


def _group(scope: Scope, inputs: AddonsInputs, network: NetworkOutputs, public: bool) -> Any:
    place = inputs.place
    group = aws.ec2.SecurityGroup(
        "balancer",
        vpc_id=network.vpc_id,
        description="Load balancer of the service",
        tags=place.tagged("balancer"),
        opts=scope.options(),
    )

    def opens(name: str, rule: Any, to: Any, port: int, **source: Any) -> None:
        rule(
            name,
            security_group_id=to,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            tags=place.tagged(name),
            opts=scope.options(),
            **source,
        )

    incoming, outgoing = aws.vpc.SecurityGroupIngressRule, aws.vpc.SecurityGroupEgressRule
    if public:
        for port in (443, 80):
            words = "Users" if port == 443 else "Users, redirected to HTTPS"
            opens(f"users-{port}", incoming, group.id, port, description=words, cidr_ipv4=ANYWHERE)
    else:
        opens(
            "workload-80",
            incoming,
            group.id,
            80,
            description="From nodes and pods only",
            referenced_security_group_id=network.workload_group_id,
        )
    for port in (POD_PORT, HEALTH_PORT):
        words = "Gateway" if port == POD_PORT else "Health of the gateway"
        opens(
            f"gateway-{port}-out",
            outgoing,
            group.id,
            port,
            description=words,
            referenced_security_group_id=network.workload_group_id,
        )
        opens(
            f"gateway-{port}-in",
            incoming,
            network.workload_group_id,
            port,
            description=f"{words}, from the load balancer",
            referenced_security_group_id=group.id,
        )
    return group


# --- listeners --------------------------------------------------------------------------------


def _listeners(scope: Scope, inputs: AddonsInputs, made: Any, targets: Any, public: bool) -> None:
    place = inputs.place
    forward = {"type": "forward", "target_group_arn": targets.arn}
    if not public:
        aws.lb.Listener(
            "inside",
            load_balancer_arn=made.arn,
            port=80,
            protocol="HTTP",
            default_actions=[forward],
            tags=place.tagged("inside"),
            opts=scope.options(),
        )
        return
    aws.lb.Listener(
        "https",
        load_balancer_arn=made.arn,
        port=443,
        protocol="HTTPS",
        ssl_policy=TLS_POLICY,
        certificate_arn=_certificate(scope, inputs),
        default_actions=[forward],
        tags=place.tagged("https"),
        opts=scope.options(),
    )
    redirect = {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"}
    aws.lb.Listener(
        "http",
        load_balancer_arn=made.arn,
        port=80,
        protocol="HTTP",
        default_actions=[{"type": "redirect", "redirect": redirect}],
        tags=place.tagged("http"),
        opts=scope.options(),
    )
    if inputs.zone:
        aws.route53.Record(
            "host",
            zone_id=inputs.zone,
            name=inputs.host,
            type="A",
            aliases=[
                {"name": made.dns_name, "zone_id": made.zone_id, "evaluate_target_health": True}
            ],
            opts=scope.options(),
        )


def _certificate(scope: Scope, inputs: AddonsInputs) -> pulumi.Input[str]:
    if inputs.certificate:
        return inputs.certificate
    made = aws.acm.Certificate(
        "host",
        domain_name=inputs.host,
        validation_method="DNS",
        key_algorithm="EC_prime256v1",
        tags=inputs.place.tagged("host"),
        opts=scope.options(),
    )
    asked = made.domain_validation_options[0]
    record = aws.route53.Record(
        "proof",
        zone_id=inputs.zone,
        name=asked["resource_record_name"],
        type=asked["resource_record_type"],
        records=[asked["resource_record_value"]],
        ttl=300,
        allow_overwrite=True,
        opts=scope.options(),
    )
    proven = aws.acm.CertificateValidation(
        "host",
        certificate_arn=made.arn,
        validation_record_fqdns=[record.fqdn],
        opts=scope.options(),
    )
    arn: pulumi.Output[str] = proven.certificate_arn
    return arn


# --- access log, firewall ---------------------------------------------------------------------


def _logs(scope: Scope, inputs: AddonsInputs) -> Any:
    """Every request's line. Load balancers write to buckets under S3's own key only (Elastic Load
    Balancing documentation, "Enable access logs")."""
    place = inputs.place
    bucket = aws.s3.Bucket(
        "access-logs",
        bucket_prefix=f"{place.within(29)}-access-",
        force_destroy=place.releasing,
        tags=place.tagged("access-logs"),
        opts=scope.holds_data(),
    )
    aws.s3.BucketPublicAccessBlock(
        "access-logs",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=scope.options(),
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        "access-logs",
        bucket=bucket.bucket,
        rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
        opts=scope.options(),
    )
    aws.s3.BucketLifecycleConfiguration(
        "access-logs",
        bucket=bucket.bucket,
        rules=[
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "expiration": {"days": inputs.log_days},
            }
        ],
        opts=scope.options(),
    )
    return aws.s3.BucketPolicy(
        "access-logs",
        bucket=bucket.bucket,
        policy=bucket.arn.apply(lambda arn: json.dumps(_log_policy(str(arn), place.account))),
        opts=scope.options(),
    )


def _log_policy(bucket: str, account: str) -> dict[str, Any]:
    written = {
        "Sid": "AccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": ["s3:PutObject"],
        "Resource": [f"{bucket}/AWSLogs/{account}/*"],
    }
    encrypted = {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:*"],
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return policies.document(written, encrypted)


def _firewall(scope: Scope, inputs: AddonsInputs, made: Any) -> None:
    """AWS's managed rules against common attacks (PCI DSS 4.0.1, requirement 6.4.2)."""
    place = inputs.place

    def seen(name: str) -> dict[str, Any]:
        return {
            "cloudwatch_metrics_enabled": True,
            "sampled_requests_enabled": True,
            "metric_name": name,
        }

    acl = aws.wafv2.WebAcl(
        "firewall",
        scope="REGIONAL",
        description=f"Requests to {place.name}",
        default_action={"allow": {}},
        visibility_config=seen(place.name),
        rules=[
            {
                "name": name,
                "priority": number,
                "override_action": {"none": {}},
                "statement": {
                    "managed_rule_group_statement": {
                        "vendor_name": "AWS",
                        "name": name,
                        "rule_action_overrides": [
                            {"name": each, "action_to_use": {"count": {}}}
                            for each in ONLY_COUNTED.get(name, ())
                        ],
                    }
                },
                "visibility_config": seen(name),
            }
            for number, name in enumerate(MANAGED_RULES)
        ],
        tags=place.tagged("firewall"),
        opts=scope.options(),
    )
    aws.wafv2.WebAclAssociation(
        "firewall", resource_arn=made.arn, web_acl_arn=acl.arn, opts=scope.options()
    )
