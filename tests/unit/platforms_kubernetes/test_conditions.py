"""What the cluster's words about pods come to. The statuses are as a real cluster gave them."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendctl.platforms.base import Condition
from backendctl.platforms.kubernetes import conditions, manifests, words
from backendctl.platforms.kubernetes.conditions import Observed
from backendctl.platforms.kubernetes.trouble import FOREVER, Cause, Patience, Trouble

from .releases import IMAGE, SURROUNDINGS, release

RUNNING = {"running": {"startedAt": "2026-11-21T10:00:00Z"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}


def deployment(
    replicas: int = 1, been_ready: bool = False, failure: str = "", **processes: Any
) -> dict[str, Any]:
    made = manifests.deployment(release(replicas=replicas, **processes), SURROUNDINGS)
    told = [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}]
    if been_ready:
        told[0]["reason"] = "NewReplicaSetAvailable"
    if failure:
        told.append({"type": "ReplicaFailure", "status": "True", "message": failure})
    return {**made, "status": {"conditions": told}}


def pod(
    state: Mapping[str, Any] | None = None,
    *,
    ready: bool = False,
    restarts: int = 0,
    last: Mapping[str, Any] | None = None,
    name: str = "shop-r1-abc",
    unplaced: str = "",
) -> dict[str, Any]:
    spec = manifests.deployment(release(start=("app", "--host=127.0.0.1")), SURROUNDINGS)["spec"]
    told: list[dict[str, str]] = [{"type": "Ready", "status": str(ready)}]
    if unplaced:
        told.append(
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": unplaced,
            }
        )
    status = {
        "name": "service",
        "image": IMAGE,
        "ready": ready,
        "restartCount": restarts,
        "state": state or {},
        "lastState": {"terminated": last} if last else {},
    }
    return {
        "metadata": {"name": name},
        "spec": spec["template"]["spec"],
        "status": {"conditions": told, "containerStatuses": [status] if state else []},
    }


def over(code: int = 1, reason: str = "Error", **more: str) -> dict[str, Any]:
    return {"exitCode": code, "reason": reason, "finishedAt": "2026-11-21T10:00:05Z", **more}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def event(reason: str, message: str, last: str = "2026-11-21T10:00:00Z") -> dict[str, str]:
    return {"reason": reason, "message": message, "lastTimestamp": last}


def look(
    *pods: Mapping[str, Any],
    of: Mapping[str, Any] | None = None,
    events: tuple[Mapping[str, str], ...] = (),
) -> Observed:
    return Observed(
        of or deployment(len(pods)), pods, {each["metadata"]["name"]: events for each in pods}
    )


def found(observed: Observed) -> Trouble:
    trouble = conditions.trouble(observed)
    assert trouble is not None
    return trouble


# --- the release as a whole ---------------------------------------------------------------------


def test_a_release_that_is_not_there_or_has_no_pods_to_have_is_stopped() -> None:
    assert conditions.status(1, Observed(None)).condition is Condition.STOPPED
    assert conditions.status(1, look(of=deployment(0))).condition is Condition.STOPPED


def test_a_release_is_ready_once_every_replica_is() -> None:
    both = look(pod(RUNNING, ready=True), pod(RUNNING, ready=True, name="b"))
    seen = conditions.status(1, both)
    assert (seen.condition, seen.replicas, seen.ready) == (Condition.READY, 2, 2)
    one = look(pod(RUNNING, ready=True), pod(RUNNING, name="b"))
    assert conditions.status(1, one).condition is Condition.STARTING


def test_a_pod_that_is_moved_to_another_node_does_not_make_a_release_unready() -> None:
    moving = look(
        pod(RUNNING, ready=True),
        pod(waiting("ContainerCreating"), name="b"),
        of=deployment(2, been_ready=True),
    )
    assert conditions.status(1, moving).condition is Condition.READY
    assert conditions.status(1, moving).ready == 1


def test_a_pod_that_says_no_after_the_release_was_ready_makes_it_unready() -> None:
    said = event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    seen = conditions.status(
        1,
        look(
            pod(RUNNING, ready=True),
            pod(RUNNING, name="b"),
            of=deployment(2, been_ready=True),
            events=(said,),
        ),
    )
    assert (seen.condition, seen.detail) == (Condition.UNREADY, "GET / answered 503")


def test_a_release_all_of_whose_pods_are_gone_is_not_ready() -> None:
    gone = look(of=deployment(2, been_ready=True))
    assert conditions.status(1, gone).condition is Condition.UNREADY


def test_a_pod_on_its_way_out_counts_for_nothing() -> None:
    leaving = pod(RUNNING, ready=True)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert conditions.status(1, look(leaving)).ready == 0


def test_a_restart_that_was_made_good_is_counted_and_no_trouble() -> None:
    back = look(
        pod(RUNNING, ready=True, restarts=2, last=over(9)), of=deployment(1, been_ready=True)
    )
    seen = conditions.status(1, back)
    assert (seen.condition, seen.restarts) == (Condition.READY, 2)
    assert seen.last_restart == conditions.seconds("2026-11-21T10:00:05Z")


# --- ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        pod({"terminated": over(3)}),
        pod(BACK_OFF, restarts=1, last=over(3)),
        pod(RUNNING, restarts=1, last=over(3)),
    ],
    ids=["just ended", "waits to be restarted", "tries again"],
)
def test_a_process_that_died_before_it_was_ready_settles_the_outcome(told: dict[str, Any]) -> None:
    seen = conditions.status(1, look(told))
    assert seen.condition is Condition.CRASHING
    assert seen.detail == "a process died before it was ready: exit status 3"
    assert found(look(told)).ran


def test_one_of_several_that_crashes_is_enough() -> None:
    several = look(pod(RUNNING, ready=True), pod({"terminated": over(3)}, name="b"))
    assert conditions.status(1, several).condition is Condition.CRASHING


def test_a_process_that_took_too_much_memory_is_said_to_have() -> None:
    told = found(look(pod(BACK_OFF, restarts=1, last=over(137, "OOMKilled"))))
    assert told.cause is Cause.MEMORY
    assert told.said.startswith("a process was killed before it was ready: it took more memory")
    assert "256Mi" in told.said


def test_a_signal_is_named() -> None:
    assert "exit status 139 (SIGSEGV)" in found(look(pod({"terminated": over(139)}))).said
    assert words.exit_status(255) == "exit status 255"


def test_a_process_that_its_liveness_check_killed_is_told_from_one_that_died() -> None:
    said = found(
        look(
            pod(RUNNING, restarts=1, last=over(137)),
            events=(
                event("Killing", "Container service failed liveness probe, will be restarted"),
                event("Unhealthy", "Liveness probe failed: dial tcp 10.1.0.9:8000: i/o timeout"),
            ),
        )
    ).said
    assert said == (
        "a process was killed before it was ready: its liveness check failed: "
        "dial tcp 10.1.0.9:8000: i/o timeout"
    )


def test_a_program_that_is_not_in_the_image_is_named() -> None:
    message = (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        "runc create failed: unable to start container process: error during container init: exec: "
        '"no-such-program": executable file not found in $PATH: unknown'
    )
    told = look(pod({"terminated": over(128, "StartError", message=message)}))
    assert conditions.status(1, told).condition is Condition.FAILED
    assert found(told).said == (
        'its command cannot be started: exec: "no-such-program": executable file not found in $PATH'
    )


# --- what never began ---------------------------------------------------------------------------

NOT_FOUND = (
    "rpc error: code = NotFound desc = failed to pull and unpack image "
    '"127.0.0.1:5000/shop:none": failed to resolve reference "127.0.0.1:5000/shop:none": '
    "127.0.0.1:5000/shop:none: not found"
)
REFUSED = (
    'failed to pull image "127.0.0.1:1/shop:x": failed to do request: Head '
    '"http://127.0.0.1:1/v2/shop/manifests/x": dial tcp 127.0.0.1:1: connect: connection refused'
)


def test_an_image_that_is_not_there_is_known_at_once_in_the_registrys_words() -> None:
    told = found(look(pod(waiting("ErrImagePull", NOT_FOUND))))
    assert (told.cause, told.patience) == (Cause.IMAGE, 0.0)
    assert told.said.startswith("its image cannot be pulled: failed to pull and unpack image")
    assert told.said.endswith("127.0.0.1:5000/shop:none: not found" + f" ({IMAGE})")


def test_the_registrys_words_are_kept_while_the_kubelet_backs_off() -> None:
    long = f'Back-off pulling image "127.0.0.1:5000/shop:none": ErrImagePull: {NOT_FOUND}'
    short = 'Back-off pulling image "127.0.0.1:5000/shop:none"'
    failed = event("Failed", f'Failed to pull image "127.0.0.1:5000/shop:none": {NOT_FOUND}')
    at_first = found(look(pod(waiting("ErrImagePull", NOT_FOUND)))).said
    for message, events in ((long, ()), (short, (failed,))):
        assert (
            found(look(pod(waiting("ImagePullBackOff", message)), events=events)).said == at_first
        )


def test_a_registry_that_does_not_answer_is_given_a_little_time() -> None:
    told = found(look(pod(waiting("ErrImagePull", REFUSED))))
    assert 0 < told.patience <= 30


def test_a_name_that_is_none_is_not_waited_for() -> None:
    message = 'Failed to apply default image tag "A B": couldn\'t parse image name'
    assert found(look(pod(waiting("InvalidImageName", message)))).patience == 0


def test_no_room_names_what_is_short_and_what_a_pod_asks_for() -> None:
    message = (
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient memory. "
        "no new claims to deallocate, preemption: 0/3 nodes are available: 1 Preemption is not "
        "helpful for scheduling, 2 No preemption victims found for incoming pod."
    )
    told = found(look(pod(unplaced=message)))
    assert told.said == (
        "no node has enough memory free: 0/3 nodes are available: 1 node(s) had untolerated "
        "taint(s), 2 Insufficient memory; a pod asks for cpu 300m, memory 256Mi"
    )
    assert 0 < told.patience <= 30


def test_a_node_that_is_being_added_is_waited_for_and_a_refusal_to_add_one_is_not() -> None:
    unplaced = pod(unplaced="0/1 nodes are available: 1 Insufficient cpu.")
    coming = found(look(unplaced, events=(event("TriggeredScaleUp", "pod triggered scale-up"),)))
    assert coming.patience == FOREVER
    assert coming.said.startswith("a node is being added")
    assert found(look(unplaced, events=(event("NotTriggerScaleUp", ""),))).patience == 0


def test_a_quota_that_is_used_up_is_told_with_its_numbers() -> None:
    message = (
        'pods "shop-r1-6d-x" is forbidden: exceeded quota: small, requested: requests.cpu=300m, '
        "used: requests.cpu=900m, limited: requests.cpu=1"
    )
    told = found(look(of=deployment(1, failure=message)))
    assert told.cause is Cause.QUOTA
    assert told.said == (
        "the namespace's quota small is used up: a pod asks for requests.cpu=300m, used are "
        "requests.cpu=900m of requests.cpu=1"
    )


@pytest.mark.parametrize(
    ("message", "by", "why"),
    [
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "restricted:latest",
            "runAsNonRoot != true",
        ),
        (
            'admission webhook "policy.example" denied the request: no latest tag',
            "policy.example",
            "no latest tag",
        ),
        (
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'small' with binding 'all' denied "
            "request: too big",
            "small",
            "too big",
        ),
    ],
)
def test_a_policy_that_refuses_pods_is_named_with_its_reason(
    message: str, by: str, why: str
) -> None:
    told = found(look(of=deployment(1, failure=message)))
    assert (told.cause, told.patience) == (Cause.ADMISSION, 0.0)
    assert told.said == f"a policy of the cluster, {by}, does not admit its pods: {why}"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ('secret "shop-database" not found', "the Secret shop-database, which it needs, is not"),
        (
            "couldn't find key value in Secret shop-prod/shop-secret-api-key-v7",
            "Secret shop-secret-api-key-v7 has no key value, which it needs",
        ),
        ("container has runAsNonRoot and image will run as root (pod: ...)", "`USER 10001`"),
    ],
)
def test_what_a_container_lacks_is_named(message: str, said: str) -> None:
    told = found(look(pod(waiting("CreateContainerConfigError", message))))
    assert told.cause is Cause.CONFIGURATION
    assert said in told.said


def test_an_account_that_is_missing_is_named() -> None:
    message = (
        'pods "x" is forbidden: error looking up service account shop-prod/shop-service: '
        'serviceaccount "shop-service" not found'
    )
    assert "service account shop-service" in found(look(of=deployment(1, failure=message))).said


# --- what says no -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Readiness probe failed: HTTP probe failed with statuscode: 503", "GET / answered 503"),
        (
            "Readiness probe failed: HTTP probe failed with statuscode: 404",
            "GET / answered 404, is that the right path in backend.toml?",
        ),
        (
            "Startup probe failed: dial tcp 10.1.0.9:8000: connect: connection refused",
            "nothing listens on port 8000 yet; its command names 127.0.0.1, where nobody outside "
            "its pod reaches it: write $HOST there",
        ),
        (
            'Readiness probe failed: Get "http://10.1.0.9:8000/": context deadline exceeded '
            "(Client.Timeout exceeded while awaiting headers)",
            "GET / was not answered within 2 s",
        ),
    ],
)
def test_what_a_check_said_is_told_as_on_any_platform(message: str, said: str) -> None:
    told = found(look(pod(RUNNING), events=(event("Unhealthy", message),)))
    assert (told.said, told.patience) == (said, FOREVER)


def test_the_newest_answer_counts() -> None:
    first = event(
        "Unhealthy",
        "Startup probe failed: dial tcp 10.1.0.9:8000: connect: connection refused",
        "2026-11-21T10:00:00Z",
    )
    then = event(
        "Unhealthy",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
        "2026-11-21T10:00:09Z",
    )
    assert found(look(pod(RUNNING), events=(first, then))).said == "GET / answered 503"


# --- patience -----------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(0, 50), st.sampled_from([*Cause, None])), max_size=20),
    st.floats(0, 60),
)
def test_trouble_is_given_its_time_from_when_it_was_first_seen(
    steps: list[tuple[float, Cause | None]], given_to_it: float
) -> None:
    patience, now, first = Patience(), 0.0, {}
    for pause, cause in steps:
        now += pause
        over = patience.over(Trouble(cause, "", given_to_it) if cause else None, now)
        if cause is None:
            assert not over
        else:
            first.setdefault(cause, now)
            assert over == (now - first[cause] >= given_to_it)


def test_what_a_person_can_wait_out_is_never_over() -> None:
    patience = Patience()
    trouble = Trouble(Cause.UNREADY, "GET / answered 503", FOREVER)
    assert not patience.over(trouble, 0)
    assert not patience.over(trouble, 1e9)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_words_of_a_cluster_make_a_sentence(reason: str, message: str) -> None:
    for told in (
        pod(waiting(reason, message)),
        pod(waiting("CreateContainerError", message)),
        pod(waiting("ErrImagePull", message)),
        pod({"terminated": over(1, reason or "Error", message=message)}),
        pod(unplaced=message or "x"),
    ):
        seen = conditions.status(1, look(told, events=(event(reason, message),)))
        assert seen.condition is not Condition.READY
        assert "\n" not in seen.detail or "\n" in message
    assert words.refused(message).said
