"""The types of the fields of `Spec`: how a value is written in the file and how it is held.

One definition serves reading (`load`), editing (`edit`), the published JSON Schema and the
reference page (`schema`).
"""

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from backendctl.spec import calendar, units
from backendctl.spec.command import ONE_COMMAND, CommandError, parse_command

FROM_FILE = "from_file"
"""Key of the validation context: values are as people write them, not as they are held."""


def refused(message: str, accepted: str) -> PydanticCustomError:
    """A validation error that says what would be accepted."""
    return PydanticCustomError("refused", "{message}", {"message": message, "accepted": accepted})


@dataclass(frozen=True, slots=True)
class Written:
    """Marks a number that is written as a quantity of `unit`.

    Outside a file (`FROM_FILE` not in the context) a number stands for what is held.
    """

    unit: units.Unit

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_before_validator_function(self._parse, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        bounds = {
            key: value
            for key, value in handler(schema).items()
            if key in ("exclusiveMinimum", "minimum", "exclusiveMaximum", "maximum")
        }
        text = {"type": "string", "pattern": self.unit.pattern}
        if not self.unit.plain:
            zero = "exclusiveMinimum" not in bounds
            return {"anyOf": [text, {"const": 0}]} if zero else text
        number = {"type": "integer" if self.unit.whole else "number", "minimum": 0, **bounds}
        if self.unit.most is not None:
            number.setdefault("maximum", self.unit.most)
        return {"anyOf": [text, number]}

    def _parse(self, value: object, info: ValidationInfo) -> object:
        try:
            if isinstance(value, str) or (info.context or {}).get(FROM_FILE):
                return self.unit.parse(value)
            return value
        except units.UnitError as error:
            raise refused(str(error), self.unit.accepted) from error


@dataclass(frozen=True, slots=True)
class Form:
    """Marks a text that has to match `pattern`; `accepted` says so in words."""

    accepted: str
    pattern: str

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise refused("not of the form that is needed", self.accepted)
        return value


def _command(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        if (info.context or {}).get(FROM_FILE):
            raise refused("not one line of text", ONE_COMMAND)
        return value
    try:
        return parse_command(value)
    except CommandError as error:
        raise refused(str(error), error.accepted) from error


class _OneLine:
    """In the file, an argv is one line of text."""

    @staticmethod
    def __get_pydantic_json_schema__(
        schema: CoreSchema,
        handler: GetJsonSchemaHandler,
    ) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}


def unit_at(field: FieldInfo | None) -> units.Unit | None:
    """The unit in which a field is written, if it is a quantity, or one that may be absent."""
    if field is None:
        return None
    found = list(field.metadata)
    if get_origin(field.annotation) in (types.UnionType, Union):
        for kind in get_args(field.annotation):
            found += getattr(kind, "__metadata__", ())
    return next((each.unit for each in found if isinstance(each, Written)), None)


Seconds = Annotated[float, Written(units.DURATION)]
Fraction = Annotated[float, Written(units.FRACTION)]
Growth = Annotated[float, Written(units.GROWTH)]
Bytes = Annotated[int, Written(units.SIZE)]
PerSecond = Annotated[float, Written(units.RATE)]
Count = Annotated[int, Written(units.COUNT)]
Argv = Annotated[tuple[str, ...], BeforeValidator(_command), _OneLine]

LABEL = r"^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$"
Label = Annotated[
    str,
    Form(
        "lower-case letters, digits and hyphens, beginning with a letter, at most 40: it becomes a "
        "host name and a folder",
        LABEL,
    ),
]
UrlPath = Annotated[str, Form('a path that begins with "/", such as "/readyz"', r"^/[^\s?#]*$")]
OptionalUrlPath = Annotated[
    str, Form('a path that begins with "/", or "" for none', r"^(?:/[^\s?#]*)?$")
]
Url = Annotated[
    str,
    Form(
        "a URL that begins with http:// or https:// and holds no password",
        r"^https?://[^\s/@]+(?:/[^\s]*)?$",
    ),
]
OptionalUrl = Annotated[
    str,
    Form(
        'a URL that begins with http:// or https:// and holds no password, or "" for none',
        r"^(?:https?://[^\s/@]+(?:/[^\s]*)?)?$",
    ),
]
Place = Annotated[
    str,
    Form(
        'a zone such as "eu", "us", "uk", or a region such as "eu-central-1"',
        r"^(?:[a-z0-9][a-z0-9-]{0,30})?$",
    ),
]
Account = Annotated[str, Form("twelve digits; " + '"" for none', r"^(?:[0-9]{12})?$")]
VpcId = Annotated[
    str, Form('the id of a VPC, "vpc-..."; "" for one of its own', r"^(?:vpc-[0-9a-f]+)?$")
]
Network = Annotated[
    str,
    Form(
        'a network that is not the whole internet, such as "203.0.113.0/24"',
        r"^(?:[0-9]{1,3}\.){3}[0-9]{1,3}/(?:[89]|[12][0-9]|3[0-2])$",
    ),
]
RoleArn = Annotated[
    str,
    Form(
        'the ARN of an IAM role, "arn:aws:iam::ACCOUNT:role/NAME"',
        r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$",
    ),
]
CertificateArn = Annotated[
    str,
    Form(
        'the ARN of a certificate, "arn:aws:acm:REGION:ACCOUNT:certificate/ID"; "" for one of its '
        "own",
        r"^(?:arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+)?$",
    ),
]
HostedZone = Annotated[
    str,
    Form('the id of a Route 53 zone, such as "Z0123456789ABC"; "" for none', r"^(?:Z[A-Z0-9]+)?$"),
]
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
VariableName = Annotated[
    str, Form("letters, digits and underscores, not beginning with a digit", VARIABLE)
]
SecretName = Annotated[
    str,
    Form(
        'the name of a secret: capital letters, digits and underscores; "" for none',
        r"^(?:[A-Z][A-Z0-9_]{0,127})?$",
    ),
]
NAMESPACE = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ObjectName = Annotated[
    str,
    Form(
        "lower-case letters, digits, hyphens and dots, as Kubernetes names its objects; "
        '"" for the default',
        r"^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)?$",
    ),
]
Namespace = Annotated[
    str,
    Form(
        'lower-case letters, digits and hyphens, at most 63; "" for the default',
        rf"^(?:{NAMESPACE})?$",
    ),
]
ObjectReference = Annotated[
    str,
    Form(
        '"namespace/name" of an object in the cluster; "" for none',
        rf"^(?:{NAMESPACE}/[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?)?$",
    ),
]
HostName = Annotated[
    str,
    Form(
        'a host name such as "shop.example.com", without scheme, port or path; "" for any',
        r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*)?$",
    ),
]
Registry = Annotated[
    str,
    Form(
        'where images are pushed, without scheme, such as "ghcr.io/acme"; "" for nowhere',
        r"^(?:[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9._-]+)*)?$",
    ),
]
StateUrl = Annotated[
    str,
    Form(
        'where Pulumi keeps state, such as "s3://acme-state/shop?region=eu-central-1"; "" for a '
        "folder in the project",
        r"^(?:(?:s3|gs|azblob|file)://\S+)?$",
    ),
]
SecretsProvider = Annotated[
    str,
    Form(
        'what encrypts secrets in the state, such as "awskms://alias/shop?region=eu-central-1"; "" '
        "for a phrase",
        r"^(?:passphrase|(?:awskms|gcpkms|azurekeyvault|hashivault)://\S+)?$",
    ),
]
Image = Annotated[
    str,
    Form(
        'an image with a version, such as "ghcr.io/acme/backendctl:1.4.0" or one by digest; "" for '
        "none",
        r"^(?:[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9._-]+)*"
        r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127}(?:@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64}))?$",
    ),
]
Port = Annotated[int, Field(ge=1, le=65535), Written(units.COUNT)]
Replicas = Annotated[int, Field(ge=1), Written(units.COUNT)]
Percent = Annotated[int, Field(ge=1, le=99), Written(units.PERCENT)]
"""Of traffic, while another release has the rest."""
Share = Annotated[int, Field(ge=1, le=100), Written(units.PERCENT)]
"""Of traffic, in percent; 100 is all of it."""


def _window(written: str) -> str:
    try:
        calendar.Window.parse(written)
    except calendar.CalendarError as error:
        raise refused(str(error), calendar.WINDOW_FORM) from error
    return written


def _freeze(written: str) -> str:
    try:
        calendar.Freeze.parse(written)
    except calendar.CalendarError as error:
        raise refused(str(error), calendar.FREEZE_FORM) from error
    return written


WindowText = Annotated[str, AfterValidator(_window)]
FreezeText = Annotated[str, AfterValidator(_freeze)]


def named(value: object) -> object:
    """A table of tables, each told the name it stands under: [environments.prod] is "prod"."""
    if not isinstance(value, Mapping):
        return value
    return {name: _with_name(name, entry) for name, entry in value.items()}


def named_list(value: object) -> object:
    """The same for a table of tables that is held as a tuple."""
    if not isinstance(value, Mapping):
        return value
    return tuple(_with_name(name, entry) for name, entry in value.items())


def _with_name(name: str, entry: object) -> object:
    return {**entry, "name": name} if isinstance(entry, Mapping) else entry
