# ruff: noqa: N802 (names are those of the protocol)
"""The provider: inputs come back as outputs, identifiers are invented, a file is the cloud.

What is in the "cloud" is one JSON file a resource under ECHO_STATE, so that a test can look at it,
change it behind the engine's back, and import from it. Behaviour is asked for by files in
ECHO_RULES, named `OPERATION-NAME` after the resource's `name` (or `Name` tag, `identifier`):

* `fail-NAME`: creating or changing it fails with the file's text; `{NAME}` in the text stands for
  that input, as providers quote inputs in their errors;
* `slow-NAME`: it takes the file's seconds;
* `hang-NAME`: it takes until the file is gone.

Some properties force a replacement, as with the real provider: REPLACING. As AWS does, it deletes
nothing that is protected from it (PROTECTING), nor a bucket that may hold something.
"""

import json
import os
import sys
import time
import uuid
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from backendctl.provision.simulate import INVENTED, answer

REPLACING = {"cidrBlock", "availabilityZone", "engine", "identifier", "vpcId"}
PROTECTING = ("deletionProtection", "enableDeletionProtection")
BUCKET = "aws:s3/bucket:Bucket"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


class Echo(provider_pb2_grpc.ResourceProviderServicer):
    """Every resource type is accepted."""

    def __init__(self, cloud: Path, rules: Path) -> None:
        self.cloud, self.rules = cloud, rules
        self.cancelled = False

    # --- the provider itself ---

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=True, accept_outputs=True
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="7.51.1")

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True
        )

    def Cancel(self, request: Any, context: Any) -> Any:
        self.cancelled = True
        return empty_pb2.Empty()

    # --- functions ---

    def Invoke(self, request: Any, context: Any) -> Any:
        given = MessageToDict(request.args)
        return provider_pb2.InvokeResponse(
            **{"return": _struct({"id": "echo", **answer(request.tok, given)})}
        )

    # --- resources ---

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        old = MessageToDict(request.old_inputs) or MessageToDict(request.olds)
        new = MessageToDict(request.news)
        for path in request.ignoreChanges:
            old, new = _without(old, path.split(".")), _without(new, path.split("."))
        keys = sorted(
            key for key in {*old, *new} if old.get(key) != new.get(key) and not key.startswith("__")
        )
        detailed = {}
        for key in keys:
            kind = "ADD" if key not in old else "DELETE" if key not in new else "UPDATE"
            kind += "_REPLACE" if key in REPLACING else ""
            detailed[key] = provider_pb2.PropertyDiff(
                kind=provider_pb2.PropertyDiff.Kind.Value(kind), inputDiff=True
            )
        change = provider_pb2.DiffResponse
        return provider_pb2.DiffResponse(
            changes=change.DIFF_SOME if keys else change.DIFF_NONE,
            diffs=keys,
            replaces=[key for key in keys if key in REPLACING],
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        token = _token(request)
        inputs = MessageToDict(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(
                id="", properties=_struct(_outputs(token, inputs, ""))
            )
        self._obey(inputs, context)
        identifier = _invented(token, inputs)
        outputs = _outputs(token, inputs, identifier)
        self._keep(identifier, token, outputs, inputs)
        return provider_pb2.CreateResponse(id=identifier, properties=_struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        found = self._found(_token(request), request.id)
        if found is None:
            return provider_pb2.ReadResponse(id="")
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=_struct(_as_known(found["outputs"], MessageToDict(request.properties))),
            inputs=_struct(_as_known(found["inputs"], MessageToDict(request.inputs))),
        )

    def Update(self, request: Any, context: Any) -> Any:
        token = _token(request)
        inputs = MessageToDict(request.news)
        outputs = _outputs(token, inputs, request.id)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=_struct(outputs))
        self._obey(inputs, context)
        self._keep(request.id, token, outputs, inputs)
        return provider_pb2.UpdateResponse(properties=_struct(outputs))

    def Delete(self, request: Any, context: Any) -> Any:
        outputs = MessageToDict(request.properties)
        self._obey(outputs, context)
        held = next((key for key in PROTECTING if outputs.get(key)), "")
        if _token(request) == BUCKET and not outputs.get("forceDestroy"):
            held = "BucketNotEmpty"
        if held:
            context.abort(grpc.StatusCode.UNKNOWN, f"cannot be deleted: {held}")
        self._file(_token(request), request.id).unlink(missing_ok=True)
        return empty_pb2.Empty()

    # --- the cloud ---

    def _obey(self, inputs: dict[str, Any], context: Any) -> None:
        name = _name(inputs)
        slow, hang, fail = (self.rules / f"{word}-{name}" for word in ("slow", "hang", "fail"))
        if slow.exists():
            time.sleep(float(slow.read_text()))
        while hang.exists() and not self.cancelled:
            time.sleep(0.02)
        if hang.exists():
            context.abort(grpc.StatusCode.CANCELLED, "operation canceled")
        if fail.exists():
            text = fail.read_text().format(**{k: _plain(v) for k, v in inputs.items()})
            context.abort(grpc.StatusCode.UNKNOWN, text)

    def _file(self, token: str, identifier: str) -> Path:
        """Several resources may go by one id: a bucket, and each of its settings."""
        kind = token.rpartition(":")[2].lower()
        return self.cloud / f"{kind}-{identifier.replace('/', '_')}.json"

    def _keep(
        self, identifier: str, token: str, outputs: dict[str, Any], inputs: dict[str, Any]
    ) -> None:
        body = {
            "id": identifier,
            "type": token,
            "at": time.time(),
            "outputs": _plain(outputs),
            "inputs": _plain(inputs),
        }
        self._file(token, identifier).write_text(json.dumps(body))

    def _found(self, token: str, identifier: str) -> dict[str, Any] | None:
        file = self._file(token, identifier)
        return json.loads(file.read_text()) if file.exists() else None


def _token(request: Any) -> str:
    return str(request.urn.split("::")[2].rpartition("$")[2])


def _invented(token: str, inputs: dict[str, Any]) -> str:
    kind = token.rpartition(":")[2].lower()
    stated = _plain(inputs.get("identifier") or inputs.get("bucket"))
    return stated or f"{kind}-{uuid.uuid4().hex[:8]}"


def _outputs(token: str, inputs: dict[str, Any], identifier: str) -> dict[str, Any]:
    """What the cloud would add: an ARN, addresses; unknown while there is no identifier."""
    arn = f"arn:aws:echo:eu-central-1:123456789012:{identifier}"
    named = {"arn": arn, "name": identifier, "bucket": identifier}
    added = {**named, "endpoint": f"{identifier}.echo.internal", **INVENTED.get(token, {})}
    if not identifier:
        added = _unknown(added)
    return _merged(added, inputs)


def _unknown(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unknown(each) for key, each in value.items()}
    return [_unknown(each) for each in value] if isinstance(value, list) else UNKNOWN


def _merged(added: Any, inputs: Any) -> Any:
    """The inputs, and below them what was added."""
    if not isinstance(added, dict) or not isinstance(inputs, dict):
        return inputs
    both = {key: _merged(added[key], inputs[key]) for key in added.keys() & inputs.keys()}
    return {**added, **inputs, **both}


def _name(inputs: dict[str, Any]) -> str:
    tags = inputs.get("tags") or {}
    for key in ("name", "identifier", "bucket"):
        if inputs.get(key):
            return str(_plain(inputs[key]))
    return str(tags.get("Name", "unnamed"))


def _without(value: Any, path: list[str]) -> Any:
    """The same without what stands at that path."""
    if not isinstance(value, dict) or path[0] not in value:
        return value
    rest = {key: each for key, each in value.items() if key != path[0]}
    return {**rest, path[0]: _without(value[path[0]], path[1:])} if path[1:] else rest


def _plain(value: Any) -> Any:
    """Without the engine's wrapping of secrets: a cloud knows its values in clear."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return _plain(value["value"])
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _as_known(now: Any, known: Any) -> Any:
    """What is there now; where it is what the engine knows to be secret, marked as it marks it."""
    if _plain(known) == now:
        return known
    if isinstance(now, dict) and isinstance(known, dict):
        return {key: _as_known(value, known.get(key)) for key, value in now.items()}
    return now


def _struct(value: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(value)
    return made


def main() -> None:
    """Serve while the engine lives; it learns the port from the first line."""
    cloud, rules = Path(os.environ["ECHO_STATE"]), Path(os.environ["ECHO_RULES"])
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Echo(cloud, rules), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    engine = os.getppid()
    while os.getppid() == engine:  # one that is killed closes nothing
        server.wait_for_termination(0.2)


if __name__ == "__main__":
    main()
