"""Whose lock it is, whether its run lives, and what was cut off."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from backendctl.errors import Exit
from backendctl.provision.locks import (
    Pending,
    age,
    locked,
    natural_id,
    pending,
    read_locks,
    told_locks,
)


def lock(folder: Path, pid: int, host: str, since: str = "") -> None:
    where = folder / ".pulumi" / "locks" / "organization" / "shop-app" / "prod"
    where.mkdir(parents=True, exist_ok=True)
    body = {"pid": pid, "username": "ann", "hostname": host}
    body["timestamp"] = since or datetime.now(UTC).isoformat()
    (where / f"{pid}.json").write_text(json.dumps(body))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_locks_tell_the_living_from_the_dead_and_the_far(tmp_path: Path) -> None:
    here, gone = socket.gethostname(), dead_pid()
    lock(tmp_path, os.getpid(), here)
    lock(tmp_path, gone, here)
    lock(tmp_path, 1, "elsewhere")
    found = {each.pid: each.alive for each in read_locks(tmp_path, "shop-app", "prod")}
    assert found == {os.getpid(): True, gone: False, 1: None}
    assert read_locks(tmp_path, "shop-app", "staging") == ()


def test_a_number_that_another_process_was_given_since_is_not_the_lock_s_run(
    tmp_path: Path,
) -> None:
    lock(tmp_path, os.getpid(), socket.gethostname(), since="2026-01-01T00:00:00.123456789+01:00")
    [found] = read_locks(tmp_path, "shop-app", "prod")
    assert found.alive is False


def test_a_refusal_of_the_engine_names_owner_and_time() -> None:
    text = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) "
        "to end or delete the lock file with `pulumi cancel`.\n  s3://b/.pulumi/locks/x.json: "
        "created by ann@laptop (pid 4711) at 2026-11-21T22:03:02+01:00"
    )
    [found] = told_locks(text)
    assert (found.owner, found.pid, found.alive) == ("ann@laptop", 4711, None)
    error = locked("app", text)
    assert error.exit is Exit.LOCKED
    assert "ann@laptop (process 4711), on another machine, since 2026-11-21" in error.message


def test_the_age_of_a_lock_is_read_from_any_precision() -> None:
    now = datetime(2026, 11, 22, 0, 1, 0, tzinfo=UTC)
    assert age("2026-11-22T00:00:00.123456789Z", now) == 60 - 0.123456
    assert age("yesterday", now) is None


def test_what_was_cut_off_is_explained_and_looked_up_by_its_name() -> None:
    deployment = {
        "pending_operations": [
            {
                "type": "creating",
                "resource": {
                    "urn": "urn:pulumi:prod::shop-app::kubernetes:core/v1:ConfigMap::web",
                    "inputs": {"metadata": {"name": "web", "namespace": "shop-prod"}},
                },
            },
            {
                "type": "creating",
                "resource": {"urn": "urn:pulumi:prod::shop-network::aws:ec2/vpc:Vpc::main"},
            },
        ]
    }
    one, other = pending(deployment)
    assert natural_id(one) == "shop-prod/web"
    assert natural_id(other) is None
    assert one.in_words() == "ConfigMap web was being created: whether it exists is not known"
    database = "urn:pulumi:prod::shop-data::aws:rds/instance:Instance::db"
    assert natural_id(Pending(database, "creating", "", {"identifier": "shop"})) == "shop"
    assert natural_id(Pending(database, "creating", "", {"identifier": {"secret": 1}})) is None
