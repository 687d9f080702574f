"""Exceptions: dated, reasoned, expiring, and never silent."""

from datetime import date
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.gates.infra.gate import NAMES, judge, versions_as_of
from backendctl.gates.results import Result
from backendctl.gates.waivers import FILE, Waiver, load_waivers
from backendctl.shipped.stacks.record import Record
from tests.aws_environments import bare

TODAY = date(2026, 11, 21)
TAGS = {"service": "shop", "environment": "prod", "managed-by": "backendctl"}
BASTION = Record(
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "bastion-22",
    "network",
    {"cidrIpv4": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "tags": TAGS},
)
WRITTEN = """\
[[waiver]]
rule = "no-open-ingress"
subject = "network/bastion-*"
reason = "partner connects until their VPN is up"
by = "ana@example.com"
made = 2026-11-01
until = 2026-12-31
"""


def waivers(tmp_path: Path, text: str) -> tuple[Waiver, ...]:
    (tmp_path / FILE).write_text(text)
    return tuple(load_waivers(tmp_path, NAMES))


def test_without_a_file_nothing_is_excused(tmp_path: Path) -> None:
    assert load_waivers(tmp_path, NAMES) == ()


def test_a_waiver_excuses_what_it_names_and_the_finding_is_still_told(tmp_path: Path) -> None:
    answer = judge(bare(), {"prod": [BASTION]}, waivers(tmp_path, WRITTEN), TODAY)
    assert answer.result is Result.PASS
    (excused,) = answer.waived
    assert excused.to_data()["waiver"]["until"] == "2026-12-31"
    assert answer.remarks == (versions_as_of(TODAY),)


@pytest.mark.parametrize(
    ("change", "today", "remark"),
    [
        (("until = 2026-12-31", "until = 2026-11-20"), TODAY, "expired on 2026-11-20"),
        (("made = 2026-11-01", "made = 2026-11-22"), TODAY, "begins on 2026-11-22"),
        (("network/bastion-*", "network/other"), TODAY, "covers nothing"),
        (("no-open-ingress", "flow-logs"), TODAY, "covers nothing"),
    ],
)
def test_one_that_does_not_hold_excuses_nothing_and_is_named(
    tmp_path: Path, change: tuple[str, str], today: date, remark: str
) -> None:
    written = waivers(tmp_path, WRITTEN.replace(*change))
    answer = judge(bare(), {"prod": [BASTION]}, written, today)
    assert answer.result is Result.FINDING
    assert remark in answer.remarks[0]


def test_a_waiver_of_another_environment_excuses_nothing_here(tmp_path: Path) -> None:
    written = waivers(tmp_path, WRITTEN + 'environment = "staging"\n')
    answer = judge(bare(), {"prod": [BASTION]}, written, TODAY)
    assert answer.result is Result.FINDING
    assert answer.remarks == (versions_as_of(TODAY),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("no-open-ingress", "no-open-ingres"), "there is no rule 'no-open-ingres'"),
        (("partner connects until their VPN is up", "because"), "shorter than 15 characters"),
        (("until = 2026-12-31\n", ""), "`until` is missing"),
        (("until = 2026-12-31", 'until = "soon"'), "`until` is missing or no date"),
        (("until = 2026-12-31", "until = 2029-12-31"), "longer than 366 days"),
        (("until = 2026-12-31", "until = 2026-10-31"), "ends before it was made"),
        (('by = "ana@example.com"\n', ""), "`by` is missing"),
        (("by =", "author ="), "'author' is not known"),
        (("[[waiver]]", "[waiver]"), "written as [[waiver]]"),
        (("[[waiver]]", "[[waivers]]"), "'waivers' is not known"),
        (("[[waiver]]", "[[waiver"), "Expected"),
    ],
)
def test_a_waiver_without_what_it_needs_is_refused(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(BackendctlError) as refused:
        waivers(tmp_path, WRITTEN.replace(*change))
    assert refused.value.code == "gate.waivers"
    assert said in refused.value.cause
