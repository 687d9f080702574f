"""CloudWatch alarms from the promises.

Burn rates of the error budget over two windows each, as in Google's Site Reliability Workbook,
chapter 5: 14.4 times over 1 h and 5 min, 6 times over 6 h and 30 min, once over 3 d and 6 h. An
alarm rings when both of its windows say so: the long one that it matters, the short one that it
is still so.
"""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from backendctl.shipped.stacks.balancer import Balancer
from backendctl.shipped.stacks.data import DataOutputs
from backendctl.shipped.stacks.inputs import CONNECTIONS_SHARE, AddonsInputs
from backendctl.shipped.stacks.scope import Scope

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BURN_RATES: tuple[tuple[str, float, int, int], ...] = (
    ("fast", 14.4, HOUR, 5 * MINUTE),
    ("slow", 6.0, 6 * HOUR, 30 * MINUTE),
    ("creeping", 1.0, 3 * DAY, 6 * HOUR),
)
"""Name, times the error budget, long and short window in seconds."""
CPU_PERCENT = 90.0
MEMORY_PERCENT = 80.0


@dataclass(frozen=True)
class Watched:
    """What there is to watch."""

    data: DataOutputs
    front: Balancer | None


def alarms(
    scope: Scope, inputs: AddonsInputs, watched: Watched
) -> tuple[pulumi.Input[str], pulumi.Input[list[str]]]:
    """Make them and the topic they tell; returns its ARN and their names."""
    topic = _topic(scope, inputs, watched.data)
    made: list[Any] = []
    if watched.front is not None:
        made += _burning(scope, inputs, watched.front, topic)
        made += _slow(scope, inputs, watched.front, topic)
    if inputs.database:
        made += _database(scope, inputs, watched.data, topic)
    if inputs.cache_nodes:
        made += _cache(scope, inputs, watched.data, topic)
    return topic.arn, pulumi.Output.all(*[each.name for each in made])


def _topic(scope: Scope, inputs: AddonsInputs, data: DataOutputs) -> Any:
    place = inputs.place
    topic = aws.sns.Topic(
        "alarms",
        name=f"{place.name}-alarms",
        kms_master_key_id=data.data_key_arn,
        tags=place.tagged("alarms"),
        opts=scope.options(),
    )
    for number, contact in enumerate(inputs.alarms.contacts):
        aws.sns.TopicSubscription(
            f"contact-{number}",
            topic=topic.arn,
            protocol="email",
            endpoint=contact,
            opts=scope.options(),
        )
    return topic


# --- what users see ---------------------------------------------------------------------------


def _burning(scope: Scope, inputs: AddonsInputs, front: Balancer, topic: Any) -> list[Any]:
    place, made = inputs.place, []
    for name, times, long, short in BURN_RATES:
        windows = []
        for window in (long, short):
            alarm = _share_of_errors(
                scope,
                inputs,
                front,
                f"burn-{name}-{window}",
                window,
                times * inputs.alarms.error_budget,
            )
            windows.append(alarm)
        both = pulumi.Output.all(*[each.name for each in windows]).apply(
            lambda names: " AND ".join(f'ALARM("{each}")' for each in names)
        )
        aws.cloudwatch.CompositeAlarm(
            f"burn-{name}",
            alarm_name=f"{place.name}-error-budget-{name}",
            alarm_description=f"The error budget is used up {times:g} times too fast",
            alarm_rule=both,
            alarm_actions=[topic.arn],
            ok_actions=[topic.arn],
            tags=place.tagged(f"burn-{name}"),
            opts=scope.options(),
        )
        made += windows
    return made


def _share_of_errors(
    scope: Scope, inputs: AddonsInputs, front: Balancer, name: str, window: int, limit: float
) -> Any:
    """Requests that failed, of all, summed over the window, so that a burst counts by its requests
    and not by its minutes. A period is a day at most (CloudWatch API, PutMetricAlarm): of a longer
    window each day has to be over, which rings later than a sum over all of it would."""
    period, count = min(window, DAY), max(1, window // DAY)
    place, dimensions = inputs.place, {"LoadBalancer": front.arn_suffix}

    def summed(key: str, metric: str) -> dict[str, Any]:
        return {
            "id": key,
            "metric": {
                "namespace": "AWS/ApplicationELB",
                "metric_name": metric,
                "dimensions": dimensions,
                "period": period,
                "stat": "Sum",
            },
        }

    failed = "FILL(target, 0) + FILL(own, 0)"
    return aws.cloudwatch.MetricAlarm(
        name,
        name=f"{place.name}-{name}",
        alarm_description=f"Share of failed requests over {window // MINUTE} min",
        comparison_operator="GreaterThanThreshold",
        threshold=min(1.0, limit),
        evaluation_periods=count,
        datapoints_to_alarm=count,
        treat_missing_data="notBreaching",
        metric_queries=[
            {
                "id": "share",
                "expression": f"IF(requests > 0, ({failed}) / requests, 0)",
                "label": "share of failed requests",
                "return_data": True,
            },
            summed("requests", "RequestCount"),
            summed("target", "HTTPCode_Target_5XX_Count"),
            summed("own", "HTTPCode_ELB_5XX_Count"),
        ],
        tags=place.tagged(name),
        opts=scope.options(),
    )


def _slow(scope: Scope, inputs: AddonsInputs, front: Balancer, topic: Any) -> list[Any]:
    promised = {"p95": inputs.alarms.p95, "p99": inputs.alarms.p99}
    return [
        _simple(
            scope,
            inputs,
            topic,
            f"latency-{name}",
            f"{name} of the answer time is over the promise of {seconds:g} s",
            namespace="AWS/ApplicationELB",
            metric_name="TargetResponseTime",
            extended_statistic=name,
            dimensions={"LoadBalancer": front.arn_suffix},
            threshold=seconds,
            evaluate_low_sample_count_percentiles="ignore",
        )
        for name, seconds in promised.items()
    ]


# --- what users will see soon -----------------------------------------------------------------


def _database(scope: Scope, inputs: AddonsInputs, data: DataOutputs, topic: Any) -> list[Any]:
    limits = inputs.alarms
    common = {
        "namespace": "AWS/RDS",
        "dimensions": {"DBInstanceIdentifier": data.database_id},
        "statistic": "Average",
    }
    rows: list[tuple[str, str, str, float, str]] = [
        ("cpu", "CPUUtilization", "Processor of the database is busy", CPU_PERCENT, "over"),
        (
            "storage",
            "FreeStorageSpace",
            "Storage of the database runs out",
            float(limits.least_storage_bytes),
            "under",
        ),
    ]
    if limits.max_connections:
        most = limits.max_connections * CONNECTIONS_SHARE
        words = f"Over {CONNECTIONS_SHARE:.0%} of the database's connections are in use"
        rows.append(("connections", "DatabaseConnections", words, most, "over"))
    return [
        _simple(
            scope,
            inputs,
            topic,
            f"database-{name}",
            words,
            metric_name=metric,
            threshold=threshold,
            comparison_operator="LessThanThreshold" if side == "under" else "GreaterThanThreshold",
            **common,
        )
        for name, metric, words, threshold, side in rows
    ]


def _cache(scope: Scope, inputs: AddonsInputs, data: DataOutputs, topic: Any) -> list[Any]:
    rows = (
        ("memory", "DatabaseMemoryUsagePercentage", "Memory of the cache is full", MEMORY_PERCENT),
        ("cpu", "EngineCPUUtilization", "The cache's one thread is busy", CPU_PERCENT),
    )
    return [
        _simple(
            scope,
            inputs,
            topic,
            f"cache-{name}-{node}",
            words,
            namespace="AWS/ElastiCache",
            metric_name=metric,
            dimensions={"CacheClusterId": _member(data, node)},
            statistic="Maximum",
            threshold=threshold,
        )
        for name, metric, words, threshold in rows
        for node in range(1, inputs.cache_nodes + 1)
    ]


def _member(data: DataOutputs, node: int) -> pulumi.Output[str]:
    """ElastiCache numbers the nodes of a group and counts each for itself."""
    return pulumi.Output.from_input(data.cache_id).apply(lambda group: f"{group}-{node:03}")


def _simple(
    scope: Scope, inputs: AddonsInputs, topic: Any, name: str, words: str, **metric: Any
) -> Any:
    """Three of five minutes over a threshold."""
    place = inputs.place
    return aws.cloudwatch.MetricAlarm(
        name,
        name=f"{place.name}-{name}",
        alarm_description=words,
        period=MINUTE,
        evaluation_periods=5,
        datapoints_to_alarm=3,
        treat_missing_data="notBreaching",
        alarm_actions=[topic.arn],
        ok_actions=[topic.arn],
        tags=place.tagged(name),
        opts=scope.options(),
        **{"comparison_operator": "GreaterThanThreshold", **metric},
    )
