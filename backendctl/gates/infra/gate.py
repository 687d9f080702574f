"""The gate's one entry: records in, answer out."""

from collections.abc import Mapping, Sequence
from datetime import date

from backendctl.gates.infra import data, identity, network, upkeep
from backendctl.gates.infra.rules import Judged, Rule
from backendctl.gates.results import Answer, Checked, Finding
from backendctl.gates.waivers import Waiver
from backendctl.shipped.stacks import versions
from backendctl.shipped.stacks.record import Record
from backendctl.spec.model import Spec

GATE = "infra"
RULES: tuple[Rule, ...] = (*network.RULES, *data.RULES, *identity.RULES, *upkeep.RULES)
NAMES: tuple[str, ...] = tuple(each.name for each in RULES)


def judge(
    spec: Spec,
    records: Mapping[str, Sequence[Record]],
    waivers: Sequence[Waiver],
    today: date,
) -> Answer:
    """Hold every environment's resources against every rule."""
    findings: list[Finding] = []
    subjects = dict.fromkeys(NAMES, 0)
    for name, found in records.items():
        judged = Judged(spec, spec.environments[name], found, today)
        for each in RULES:
            subjects[each.name] += each.subjects(judged)
            for breach in each.look(judged):
                excuse = _excuse(each.name, breach.subject, name, waivers, today)
                finding = Finding(
                    each.name, breach.subject, breach.message, breach.remedy, name, excuse
                )
                findings.append(finding)
    return Answer(
        gate=GATE,
        findings=tuple(each for each in findings if each.waiver is None),
        waived=tuple(each for each in findings if each.waiver is not None),
        checked=tuple(
            Checked(each.name, each.reason, each.source, subjects[each.name]) for each in RULES
        ),
        remarks=(
            *_remarks(findings, waivers, frozenset(records), today),
            versions_as_of(today),
        ),
        looked_at={name: len(found) for name, found in records.items()},
    )


def _excuse(
    rule: str, subject: str, environment: str, waivers: Sequence[Waiver], today: date
) -> Waiver | None:
    return next((each for each in waivers if each.covers(rule, subject, environment, today)), None)


def versions_as_of(today: date) -> str:
    """How old the table is by which versions are judged."""
    days = (today - versions.READ).days
    said = f"supported versions: as AWS's calendars were read on {versions.READ}"
    if days <= versions.MOST_AGE:
        return said
    return (
        f"{said}, {days} days ago. That is too long: support may have ended, and newer versions of "
        "AWS and of the charts are not known here. A newer backendctl has a newer table"
    )


def _remarks(
    findings: Sequence[Finding],
    waivers: Sequence[Waiver],
    environments: frozenset[str],
    today: date,
) -> list[str]:
    used = {id(each.waiver) for each in findings if each.waiver is not None}
    remarks = []
    for each in waivers:
        what = f"the waiver of {each.rule} for {each.subject}"
        if each.until < today:
            remarks.append(f"{what} expired on {each.until}; it excuses nothing any more")
        elif each.made > today:
            remarks.append(f"{what} begins on {each.made}; it excuses nothing yet")
        elif id(each) not in used and (not each.environment or each.environment in environments):
            remarks.append(f"{what} covers nothing that was found; it can go")
    return remarks
