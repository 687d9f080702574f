"""Where a place is: zones of law, and the cloud regions inside them."""

import re

EEA = ("eu",)
ADEQUATE = ("uk", "ch", "jp", "kr", "nz", "il", "ca", "ar")
"""Outside the EEA with an adequacy decision of the European Commission (GDPR Article 45); Canada
for commercial organisations. The United States only for organisations certified under the EU-US
Data Privacy Framework, so `us` is not among them."""

_REGIONS = {
    "eu": r"(eu-(central|north|south|west)-\d|europe-(central|north|southwest|west)\d"
    r"|(west|north)europe|(germany|france|sweden|poland|italy|spain)[a-z]+)",
    "uk": r"(eu-west-2|europe-west2|uk(south|west))",
    "ch": r"(eu-central-2|europe-west6|switzerland[a-z]+)",
    "us": r"(us-(gov-)?(east|west|central|south)\d?-?\d?|(east|west|central)us\d?"
    r"|(north|south|west)centralus\d?)",
    "ca": r"(ca-(central|west)-\d|northamerica-northeast\d|canada[a-z]+)",
    "jp": r"(ap-northeast-[13]|asia-northeast[12]|japan[a-z]+)",
    "kr": r"(ap-northeast-2|asia-northeast3|korea[a-z]+)",
    "au": r"(ap-southeast-[24]|australia-southeast\d|australia[a-z]+\d?)",
    "in": r"(ap-south-[12]|asia-south[12]|(central|south|west)india)",
    "sg": r"(ap-southeast-1|asia-southeast1|southeastasia)",
    "br": r"(sa-east-1|southamerica-east1|brazil[a-z]+)",
    "il": r"(il-central-1|me-west1|israelcentral)",
}
_EXACT_FIRST = ("uk", "ch")
"""Their regions carry names that look like the EU's."""

AWS_REGION = {
    "eu": "eu-central-1",
    "uk": "eu-west-2",
    "ch": "eu-central-2",
    "us": "us-east-1",
    "ca": "ca-central-1",
    "jp": "ap-northeast-1",
    "kr": "ap-northeast-2",
    "au": "ap-southeast-2",
    "in": "ap-south-1",
    "sg": "ap-southeast-1",
    "br": "sa-east-1",
    "il": "il-central-1",
}
"""A region of AWS in each zone."""


def zone_of(place: str) -> str | None:
    """The zone of law a zone or region lies in; None if it is not known."""
    if place in _REGIONS:
        return place
    ordered = (*_EXACT_FIRST, *(zone for zone in _REGIONS if zone not in _EXACT_FIRST))
    return next((zone for zone in ordered if re.fullmatch(_REGIONS[zone], place)), None)
