"""From an OpenAPI document (3.0, 3.1) to a scenario that does no harm.

Reads and writes are linked by path: `POST /orders` creates what `GET /orders/{id}` reads, and
`GET /orders` shows ids too. What changes or deletes is only ever given ids that the test itself
created. A `POST` that neither creates (201, or a path with ids below it) nor acts on something
the test created could do anything, so it is left out unless its document gives it a weight.
"""

import random
import re
from collections.abc import Collection, Mapping
from typing import Any

from backendctl.loadtest.generate import UnsupportedError, compile_schema
from backendctl.loadtest.scenario import Operation, Parameter, Scenario

WEIGHT = "x-backendctl-weight"
"""Extension of an operation: its share of the traffic relative to the others; 0 leaves it out."""
WEIGHTS: Mapping[str, float] = {
    "get": 8.0,
    "head": 0.5,
    "post": 2.0,
    "put": 1.0,
    "patch": 1.0,
    "delete": 0.5,
}
"""Without the extension: mostly reads, as in most services."""
SAMPLES = 20
"""Generated values that are checked against the schema before any is sent."""
_PLACE = re.compile(r"\{([^{}]+)\}")
_UNIT = re.compile(r"^/\{[^{}]+\}")


def from_document(
    document: Mapping[str, Any],
    *,
    with_token: bool,
    skip: Collection[str] = (),
    source: str = "",
) -> Scenario:
    """The operations that can be sent, and for every other the reason why not."""
    reader = _Reader(document, with_token)
    operations, left_out = [], {}
    for path, item in (document.get("paths") or {}).items():
        for method in WEIGHTS:
            if method not in item or path in skip:
                continue
            name = f"{method.upper()} {path}"
            try:
                operations.append(reader.operation(path, method, item))
            except (_LeftOutError, UnsupportedError) as reason:
                left_out[name] = str(reason)
    operations, orphans = _drop_orphans(operations)
    return Scenario(
        operations=tuple(operations),
        components={"components": document.get("components", {})},
        left_out={**left_out, **orphans},
        source=source,
    )


class _LeftOutError(Exception):
    """Why an operation is not sent."""


class _Reader:
    def __init__(self, document: Mapping[str, Any], with_token: bool) -> None:
        self._document = document
        self._with_token = with_token
        self._paths: Mapping[str, Any] = document.get("paths") or {}

    def operation(self, path: str, method: str, item: Mapping[str, Any]) -> Operation:
        described = item[method]
        weight = float(described.get(WEIGHT, WEIGHTS[method]))
        if weight <= 0:
            raise _LeftOutError(f"its weight ({WEIGHT}) is 0")
        secured = self._secured(described)
        if secured and not self._with_token:
            raise _LeftOutError("it needs a token and there is no issuer to ask for one")
        parameters = self._parameters(item, described)
        body, media_type = self._body(described)
        creates = path if method == "post" and self._is_collection(path, described) else ""
        uses, rest = self._uses(path)
        own_only = method in ("put", "patch", "delete") or (method == "post" and bool(uses))
        self._refuse_harm(method, described, creates, uses)
        unknown = [p for p in rest if not _has_sample(parameters.get(("path", p)))]
        if unknown:
            raise _LeftOutError(f"nothing in the document creates or lists a valid {unknown[0]!r}")
        bound = len(_PLACE.findall(path)) - len(rest)
        bound_names = set(_PLACE.findall(path)[:bound])
        kept = tuple(
            _parameter(p, where, name)
            for (where, name), p in parameters.items()
            if not (where == "path" and name in bound_names)
        )
        for parameter in kept:
            self._check(parameter.schema, f"parameter {parameter.name!r}")
        if body is not None:
            self._check(body, "body")
        return Operation(
            method=method.upper(),
            path=path,
            weight=weight,
            expected=tuple(str(status) for status in described.get("responses", {})),
            parameters=kept,
            body=body,
            media_type=media_type,
            secured=secured,
            creates=creates,
            lists=path if method == "get" and self._has_units(path) else "",
            uses=uses,
            own_only=own_only,
            consumes=method == "delete",
        )

    # --- what an operation needs ---

    def _secured(self, described: Mapping[str, Any]) -> bool:
        needs = described.get("security", self._document.get("security", []))
        return bool(needs) and {} not in needs

    def _parameters(
        self, item: Mapping[str, Any], described: Mapping[str, Any]
    ) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Those that must be sent, and optional ones that come with an example."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for raw in [*item.get("parameters", ()), *described.get("parameters", ())]:
            parameter = self._resolve(raw)
            where, name = parameter["in"], parameter["name"]
            needed = parameter.get("required") or where == "path"
            if needed and where == "cookie":
                raise _LeftOutError(f"it needs the cookie {name!r}")
            if needed and "schema" not in parameter:
                raise _LeftOutError(f"parameter {name!r} has no schema")
            if needed or ("example" in parameter and where in ("query", "header")):
                found[where, name] = parameter
        return found

    def _body(self, described: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
        if "requestBody" not in described:
            return None, ""
        request = self._resolve(described["requestBody"])
        content = request.get("content", {})
        for media_type, media in content.items():
            plain = media_type.split(";")[0].strip()
            if plain.endswith(("json", "x-www-form-urlencoded")):
                return media.get("schema", {}), plain
        if request.get("required"):
            kinds = ", ".join(content) or "of no stated type"
            raise _LeftOutError(f"its body is {kinds}, not JSON")
        return None, ""

    def _resolve(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in part:
            found: Any = self._document
            for word in str(part["$ref"]).removeprefix("#/").split("/"):
                found = found.get(word) if isinstance(found, Mapping) else None
            if not isinstance(found, Mapping):
                raise _LeftOutError(f"it refers to {part['$ref']}, which is not in the document")
            part = found
        return part

    # --- links between operations ---

    def _has_units(self, path: str) -> bool:
        """Whether there is a path that adds one {id} to this one."""
        return any(
            other.startswith(path.rstrip("/") + "/{")
            and _UNIT.fullmatch(other[len(path.rstrip("/")) :].rstrip("/"))
            for other in self._paths
        )

    def _is_collection(self, path: str, described: Mapping[str, Any]) -> bool:
        return "201" in described.get("responses", {}) or self._has_units(path)

    def _uses(self, path: str) -> tuple[str, list[str]]:
        """The deepest collection on the way that yields ids, and the parameters it does not fill.

        Ids are remembered with those of the collections above them, so the deepest fills all.
        """
        names = _PLACE.findall(path)
        for depth in range(len(names), 0, -1):
            prefix = path[: list(_PLACE.finditer(path))[depth - 1].start()].rstrip("/")
            for candidate in (prefix, prefix + "/"):
                item = self._paths.get(candidate, {})
                if "post" in item or "get" in item:
                    return candidate, names[depth:]
        return "", names

    def _refuse_harm(
        self, method: str, described: Mapping[str, Any], creates: str, uses: str
    ) -> None:
        if method == "post" and not creates and not uses and WEIGHT not in described:
            raise _LeftOutError(
                "it may do anything: it creates nothing that can be read back "
                f"(set {WEIGHT} on it to send it)"
            )
        if method in ("put", "patch", "delete") or (method == "post" and uses):
            if not uses:
                raise _LeftOutError("it would change data that this test did not create")
            if "post" not in self._paths[uses]:
                raise _LeftOutError(f"there is no POST {uses} to create what it would change")

    def _check(self, schema: Mapping[str, Any], what: str) -> None:
        """Generated values must satisfy a validator that is not ours."""
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError, ValidationError

        root = {"components": self._document.get("components", {})}
        make = compile_schema(schema, root)
        validator = Draft202012Validator({**as_2020(schema), **as_2020(root)})
        rng = random.Random(0)  # noqa: S311 - test data
        for _ in range(SAMPLES):
            try:
                validator.validate(make(rng))
            except (ValidationError, SchemaError) as error:
                why = f"no valid {what} could be made: {error.message[:120]}"
                raise _LeftOutError(why) from error


def as_2020(part: Any) -> Any:
    """OpenAPI 3.0's own words (`nullable`, flags for exclusive bounds) in those of JSON Schema."""
    if isinstance(part, list):
        return [as_2020(each) for each in part]
    if not isinstance(part, Mapping):
        return part
    made = {k: as_2020(v) for k, v in part.items()}
    if isinstance(made.get("nullable"), bool) and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"] if made.pop("nullable") else made["type"]
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if made.get(key) is True and bound in made:
            made[key] = made.pop(bound)
        elif isinstance(made.get(key), bool):
            del made[key]
    return made


def _has_sample(parameter: Mapping[str, Any] | None) -> bool:
    """Whether the document itself says which values exist."""
    if parameter is None:
        return False
    schema = parameter.get("schema", {})
    return "example" in parameter or bool({"enum", "const", "example"} & set(schema))


def _parameter(described: Mapping[str, Any], where: str, name: str) -> Parameter:
    schema = described.get("schema", {})
    if "example" in described:
        schema = {"const": described["example"]}
    elif "example" in schema:
        schema = {"const": schema["example"]}
    return Parameter(name, where, schema)


def _drop_orphans(operations: list[Operation]) -> tuple[list[Operation], dict[str, str]]:
    """Leave out what depends on an operation that was itself left out, until nothing changes."""
    dropped: dict[str, str] = {}
    while True:
        created = {o.creates for o in operations if o.creates}
        known = created | {o.lists for o in operations if o.lists}
        orphans = [
            o for o in operations if o.uses and o.uses not in (created if o.own_only else known)
        ]
        if not orphans:
            return operations, dropped
        for orphan in orphans:
            dropped[orphan.name] = f"what would give it ids ({orphan.uses}) is itself left out"
        operations = [o for o in operations if o not in orphans]
