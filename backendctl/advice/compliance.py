"""What each regime asks of the system. Not legal advice: the articles to read, and their gist."""

from backendctl.advice.rules import Finding, rule
from backendctl.spec.model import Regime, Spec

TOPIC = "Compliance"
INPUTS = ("compliance", "service.residency", "auth.issuer")


def _applies(spec: Spec, regime: Regime) -> bool:
    return regime in spec.compliance


def _authentication(spec: Spec, need: str) -> str:
    return "" if spec.auth.issuer else f"; auth.issuer is missing: {need}"


@rule(
    TOPIC,
    INPUTS,
    "45 CFR 164.312(a)(2)(iv), (b), (d), (e); 164.308(a)(7), (b); 164.316(b)(2)(i) (HIPAA Security "
    "Rule)",
)
def hipaa(spec: Spec) -> Finding | None:
    if not _applies(spec, Regime.HIPAA):
        return None
    return Finding(
        "Encrypt at rest and in transit; record every access to health data; a contingency plan "
        "with backups, recovery and drills; a business associate agreement with each provider"
        + _authentication(spec, "each person must be authenticated"),
        "encryption 164.312(a)(2)(iv) and (e), audit controls 164.312(b), contingency plan "
        "164.308(a)(7), associates 164.308(b); documentation is kept for six years, "
        "164.316(b)(2)(i)",
        "hipaa no longer under compliance",
    )


@rule(
    TOPIC,
    INPUTS,
    "PCI DSS v4.0.1, requirements 1.4, 3.5.1, 4.2.1, 6.4.2, 8.2.1, 10.5.1, 11.3.1, 11.3.2, 11.4.5",
)
def pci_dss(spec: Spec) -> Finding | None:
    if not _applies(spec, Regime.PCI_DSS):
        return None
    return Finding(
        "Keep card numbers out (a provider's hosted fields); segment what must hold them; scan "
        "every three months inside and, by an approved vendor, outside; keep audit logs 12 months"
        + _authentication(spec, "access must be by individual account (8.2.1)"),
        "segmentation is tested yearly (11.4.5), scans 11.3.1 and 11.3.2, stored numbers "
        "unreadable 3.5.1, strong cryptography in transit 4.2.1, a web application firewall "
        "6.4.2, logs 10.5.1 with three months at hand",
        "pci-dss no longer under compliance",
    )


@rule(TOPIC, INPUTS, "16 CFR 312.5, 312.6, 312.8, 312.10 (COPPA Rule)")
def coppa(spec: Spec) -> Finding | None:
    if not _applies(spec, Regime.COPPA):
        return None
    return Finding(
        "Ask age before anything else; no data of a child under 13 without a parent's verified "
        "consent; parents can see and delete it; delete it once it has served its purpose",
        "consent 312.5, parents' access 312.6, security 312.8, retention and deletion 312.10",
        "coppa no longer under compliance",
    )


@rule(
    TOPIC,
    (*INPUTS, "product.transfer_basis"),
    "Regulation (EU) 2016/679 (GDPR), Articles 15, 17, 20, 25, 28, 30, 32, 33, 35 and Chapter V",
)
def gdpr(spec: Spec) -> Finding | None:
    if not _applies(spec, Regime.GDPR):
        return None
    residency = spec.service.residency
    place = (
        f'data stays in "{residency}"'
        if residency
        else "no residency is stated: decide it, each transfer out of the EEA needs a ground"
    )
    return Finding(
        "Export and erasure per person, backups included in the plan; a record of processing; a "
        "contract with each processor; breaches reported within 72 hours; logs without personal "
        "data",
        f"{place}; access and portability 15 and 20, erasure 17, by design 25, processors 28, "
        "records 30, security 32, breach 33, impact assessment 35",
        "gdpr no longer under compliance, or service.residency",
    )


@rule(TOPIC, INPUTS, "California Civil Code 1798.100, .105, .110, .120, .130(a)(2), .150 (CCPA)")
def ccpa(spec: Spec) -> Finding | None:
    if not _applies(spec, Regime.CCPA):
        return None
    return Finding(
        "Answer requests to know and to delete within 45 days; an opt-out of sale and sharing that "
        "is honoured downstream; encrypt personal data, since a breach of clear data is actionable",
        "know 1798.110, delete 1798.105, opt out 1798.120, 45 days 1798.130(a)(2), breach 1798.150",
        "ccpa no longer under compliance",
    )


RULES = (hipaa, pci_dss, coppa, gdpr, ccpa)
