"""The cluster, what runs in it, and its address."""

import json

import pytest

from backendctl.provision.aws import AWS_STACKS
from backendctl.provision.simulate import simulate
from backendctl.shipped.stacks import versions
from backendctl.shipped.stacks.cluster import kubeconfig
from tests.aws_environments import PUBLIC, one, registered, whole

pytestmark = pytest.mark.xdist_group("stacks")


def test_the_api_server_answers_inside_only_unless_networks_are_named() -> None:
    closed = one(registered("prod"), "cluster/cluster", ":Cluster").properties["vpcConfig"]
    assert (closed["endpointPrivateAccess"], closed["endpointPublicAccess"]) == (True, False)
    opened = registered("prod", 'api_access = ["203.0.113.0/24"]')
    config = one(opened, "cluster/cluster", ":Cluster").properties["vpcConfig"]
    assert config["endpointPublicAccess"] is True
    assert config["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_the_control_plane_writes_all_its_logs_and_encrypts_secrets() -> None:
    cluster = one(registered("prod"), "cluster/cluster", ":Cluster").properties
    assert len(cluster["enabledClusterLogTypes"]) == 5
    assert cluster["encryptionConfig"]["resources"] == ["secrets"]
    assert cluster["accessConfig"]["authenticationMode"] == "API"


def test_named_roles_administer_the_cluster_and_its_maker_does_not() -> None:
    records = registered("prod", 'admins = ["arn:aws:iam::123456789012:role/platform"]')
    config = one(records, "cluster/cluster", ":Cluster").properties["accessConfig"]
    assert config["bootstrapClusterCreatorAdminPermissions"] is False
    entry = one(records, "cluster/admin-0", ":AccessEntry").properties
    assert entry["principalArn"] == "arn:aws:iam::123456789012:role/platform"


def test_a_kubeconfig_holds_no_credential() -> None:
    body = json.loads(kubeconfig("shop-prod", "https://x", "bm9uZQ==", "eu-central-1"))
    (user,) = body["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] == "aws"


def test_every_chart_has_one_pinned_version() -> None:
    releases = {
        each.name: each.properties
        for each in registered("prod")
        if each.type == "kubernetes:helm.sh/v3:Release"
    }
    assert set(releases) == {chart.name for chart in versions.CHARTS}
    for chart in versions.CHARTS:
        assert releases[chart.name]["version"] == chart.version
        assert chart.version.lstrip("v")[0].isdigit()


def test_what_pods_may_do_is_tied_to_the_service_account_that_their_chart_makes() -> None:
    records = registered("prod")
    charts = {e.name: e.properties for e in records if e.type.endswith(":Release")}
    accounts = {
        json.dumps(values).count(f'"name": "{each.properties["serviceAccount"]}"')
        for each in records
        if each.type.endswith(":PodIdentityAssociation")
        for values in [[chart["values"] for chart in charts.values()]]
    }
    assert accounts == {1}


def test_with_a_host_users_come_in_by_https_and_80_only_redirects() -> None:
    records = registered("prod")
    https = one(records, "addons/https").properties
    assert (https["protocol"], https["sslPolicy"]) == ("HTTPS", versions.TLS_POLICY)
    (action,) = one(records, "addons/http").properties["defaultActions"]
    assert action["type"] == "redirect"
    assert one(records, "addons/host", ":Record").properties["zoneId"] == "Z0123"


def test_without_a_host_nothing_is_open_to_the_internet() -> None:
    records = registered("prod", "")
    assert one(records, "addons/balancer", ":LoadBalancer").properties["internal"] is True
    open_to_all = [e for e in records if e.properties.get("cidrIpv4") == "0.0.0.0/0"]
    assert {each.title for each in open_to_all} == {"network/workload-out"}


@pytest.mark.parametrize(("regime", "there"), [("pci-dss", True), ("", False)])
def test_card_data_stands_behind_a_firewall(regime: str, there: bool) -> None:
    made = [e for e in registered("prod", PUBLIC, regime) if e.type.endswith(":WebAcl")]
    assert bool(made) is there


def test_alarms_burn_at_the_workbooks_rates_of_the_promised_error_budget() -> None:
    records, budget = registered("prod"), 1 - whole("prod").slo.availability
    for name, times in (("fast-3600", 14.4), ("slow-21600", 6.0), ("creeping-259200", 1.0)):
        alarm = one(records, f"addons/burn-{name}").properties
        assert alarm["threshold"] == pytest.approx(min(1.0, times * budget))
    rule = one(records, "addons/burn-fast", ":CompositeAlarm").properties["alarmRule"]
    assert rule == 'ALARM("shop-prod-burn-fast-3600") AND ALARM("shop-prod-burn-fast-300")'


def test_no_alarm_looks_back_further_than_cloudwatch_does() -> None:
    """Periods of a day at most; a week in all, a day for periods under an hour."""
    for each in registered("prod"):
        if not each.type.endswith(":MetricAlarm"):
            continue
        queries = [
            q["metric"]["period"] for q in each.properties.get("metricQueries", ()) if "metric" in q
        ]
        period = max([*queries, each.properties.get("period", 0)])
        span = period * each.properties["evaluationPeriods"]
        assert period <= 86400, each.title
        assert span <= (86400 if period < 3600 else 7 * 86400), each.title


def test_each_alarm_watches_something_that_is_there() -> None:
    watched = {e.name for e in registered("prod") if e.type.endswith(":MetricAlarm")}
    assert {"database-cpu", "database-storage", "database-connections"} <= watched
    assert {"cache-memory-1", "cache-memory-2"} <= watched


def test_who_takes_a_role_comes_after_its_rights_and_goes_before_them() -> None:
    """Else EKS and its nodes cannot delete the interfaces and groups they made in the VPC."""
    records = registered("prod")
    attached, written = (
        f"aws:iam/{kind}:{kind[0].upper()}{kind[1:]}::"
        for kind in ("rolePolicyAttachment", "rolePolicy")
    )
    for title, kind, rights in (
        ("cluster/cluster", ":Cluster", f"{attached}cluster-AmazonEKSClusterPolicy"),
        ("cluster/nodes", ":NodeGroup", f"{attached}node-AmazonEKSWorkerNodePolicy"),
        ("cluster/nodes", ":NodeGroup", f"{attached}node-AmazonEC2ContainerRegistryPullOnly"),
        ("cluster/vpc-cni", ":Addon", f"{attached}vpc-cni-AmazonEKS_CNI_Policy"),
        ("network/flow", ":FlowLog", f"{written}flow"),
        ("addons/external-secrets", ":PodIdentityAssociation", f"{written}external-secrets"),
    ):
        assert rights in one(records, title, kind).needs, title


def test_naming_admins_later_does_not_replace_the_cluster() -> None:
    cluster = one(registered("prod"), "cluster/cluster", ":Cluster")
    assert cluster.ignored == ("accessConfig.bootstrapClusterCreatorAdminPermissions",)


def test_nodes_are_upgraded_with_the_control_plane() -> None:
    records = registered("prod")
    of_nodes = one(records, "cluster/nodes", ":NodeGroup").properties["version"]
    assert of_nodes == one(records, "cluster/cluster", ":Cluster").properties["version"]


def test_the_least_number_of_nodes_does_not_follow_the_load() -> None:
    """EKS refuses one over the present number, which is the autoscaler's to say."""
    little = whole("prod")
    load = little.load.model_copy(update={"peak_rps": 4000.0})
    data = little.data.model_copy(update={"max_connections": 2000})
    much = little.model_copy(update={"load": load, "data": data})
    sizes = [
        one(simulate(spec, spec.environments["prod"], AWS_STACKS), "cluster/nodes", ":NodeGroup")
        for spec in (little, much)
    ]
    scaling = [each.properties["scalingConfig"] for each in sizes]
    assert scaling[0]["minSize"] == scaling[1]["minSize"] == 3
    assert scaling[0]["desiredSize"] < scaling[1]["desiredSize"]
    assert {each.ignored for each in sizes} == {("scalingConfig.desiredSize",)}


def test_both_disks_of_a_node_are_encrypted() -> None:
    disks = one(registered("prod"), "cluster/nodes", ":LaunchTemplate").properties[
        "blockDeviceMappings"
    ]
    assert [each["deviceName"] for each in disks] == ["/dev/xvda", "/dev/xvdb"]
    assert {each["ebs"]["encrypted"] for each in disks} == {"true"}


def test_add_ons_follow_the_clusters_version() -> None:
    addons = [each for each in registered("prod") if each.type.endswith(":Addon")]
    assert len(addons) == 4
    assert {each.properties["addonVersion"] for each in addons} == {"v1-eksbuild.1"}


def test_the_firewall_lets_bodies_through_that_are_only_large() -> None:
    """The first 8 KiB are looked at all the same."""
    acl = one(registered("prod", PUBLIC, "pci-dss"), "addons/firewall", ":WebAcl").properties
    groups = {each["name"]: each["statement"]["managedRuleGroupStatement"] for each in acl["rules"]}
    [counted] = groups["AWSManagedRulesCommonRuleSet"]["ruleActionOverrides"]
    assert counted == {"name": "SizeRestrictions_BODY", "actionToUse": {"count": {}}}
    assert not groups["AWSManagedRulesSQLiRuleSet"]["ruleActionOverrides"]
