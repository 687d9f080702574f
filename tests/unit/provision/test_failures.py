"""Failures are grouped by cause, say what to type, and quote no secret."""

import pytest
from pulumi.automation import CommandError, CommandResult

from backendctl.errors import BackendctlError, Exit
from backendctl.provision.changes import Action
from backendctl.provision.events import Problem, Record
from backendctl.provision.failures import Context, Stop, failed, first_lines, grouped
from backendctl.provision.scrub import Scrubber

DB = "urn:pulumi:prod::shop-data::aws:rds/instance:Instance::db"
VPC = "urn:pulumi:prod::shop-network::aws:ec2/vpc:Vpc::main"


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("ExpiredToken: The security token included in the request is expired", "credentials"),
        ("AccessDenied: User is not authorized to perform rds:CreateDBInstance", "permission"),
        ('pods "x" is forbidden: exceeded quota: shop, requested: pods=1', "quota"),
        ("VpcLimitExceeded: The maximum number of VPCs has been reached", "quota"),
        ("DBInstanceAlreadyExists: DB instance already exists", "exists"),
        ("configured Kubernetes cluster is unreachable: dial tcp 1.2.3.4:443", "unreachable"),
        ("'watchdog' timed out waiting to be Ready", "timeout"),
        ("DependencyViolation: The subnet has dependencies", "in-use"),
        ('admission webhook "x" denied the request', "refused"),
        ("resource violates plan: properties changed: +-tags", "plan"),
        ("as it is currently marked for protection", "protected"),
        ("python inline source runtime error: KeyError", "program"),
        ("the moon is in the wrong place", "other"),
    ],
)
def test_a_message_has_its_cause(message: str, cause: str) -> None:
    [group] = grouped([Problem(message, DB)])
    assert group.cause.name == cause
    assert group.cause.next
    assert "rds Instance db" in group.in_words()


def test_resources_with_one_cause_are_one_group() -> None:
    said = [Problem("AccessDenied", DB), Problem("update failed"), Problem("AccessDenied", VPC)]
    [group] = grouped(said)
    assert [each.urn for each in group.problems] == [DB, VPC]
    assert "rds Instance db, ec2 Vpc main" in group.in_words()


def test_a_summary_alone_is_still_something() -> None:
    assert len(grouped([Problem("update failed")])) == 1


def test_the_first_lines_leave_out_what_says_nothing() -> None:
    message = "2 errors occurred:\n\t* first thing\n\t* second thing\n\n"
    assert first_lines(message) == "first thing second thing"


def test_secrets_are_taken_out_of_text_however_they_are_quoted() -> None:
    scrub = Scrubber()
    scrub.add({"password": 'hunter"2', "port": 54321, "list": ["another-one"]})
    said = scrub("""bad 'hunter"2', "hunter\\"2", another-one, port 54321""")
    assert said == """bad '[secret]', "[secret]", [secret], port [secret]"""


def test_short_values_do_not_blot_out_ordinary_words() -> None:
    scrub = Scrubber()
    scrub.add("is")
    assert scrub("this is it") == "this is it"


def stopped(stop: Stop, *done: str) -> BackendctlError:
    """The error of an operation that was asked to end while it acted."""
    record = Record(lambda: 0.0, acts=True)
    record.finished |= dict.fromkeys(done, (Action.CREATE, 1.0))
    context = Context("data", "brought up", record, Scrubber(), lambda: stop)
    with pytest.raises(BackendctlError) as raised, failed(context):
        raise CommandError(CommandResult("", "error: cancelled", -9))
    assert raised.value.exit == Exit.INTERRUPTED
    return raised.value


def test_one_that_was_stopped_says_what_was_done_and_that_it_is_not_locked() -> None:
    error = stopped(Stop(1, locked=False), DB)
    assert error.state == "already applied: rds Instance db (create); it is not locked"
    assert error.next == ("backendctl infra preview",)


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        (Stop(3, locked=True), "its LOCK IS STILL THERE"),
        (Stop(1, locked=None), "whether its lock was given back is not known"),
        (Stop(2, locked=False), "whether it was done is not known; it is not locked"),
    ],
)
def test_a_lock_is_not_said_to_be_given_back_when_it_was_not(stop: Stop, said: str) -> None:
    error = stopped(stop)
    assert said in error.state
    assert error.next == ("backendctl infra unlock",)
