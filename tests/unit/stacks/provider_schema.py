"""Holds a resource's inputs against what the installed provider's classes accept.

Nested inputs are given as plain dictionaries, of which Python itself checks no key; the classes
beside them (`aws.eks.ClusterVpcConfigArgs`) say what there is. Runs over records, so that it sees
what really would be sent.
"""

import importlib
import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi import _types

from backendctl.shipped.stacks.record import Record


def mistakes(record: Record) -> Iterator[str]:
    """Keys that the provider does not know, keys that it needs, values of another kind."""
    yield from _wrong(record.properties, _arguments(record.type), record.title)


def _arguments(token: str) -> type:
    """`aws:rds/instance:Instance` -> `pulumi_aws.rds.InstanceArgs`."""
    package, path, name = token.split(":")
    module = path.split("/")[0]
    resource = getattr(importlib.import_module(f"pulumi_{package}.{module}"), name)
    own = importlib.import_module(resource.__module__)
    # Where a nested class has the plain name, the resource's own is called InitArgs.
    found: type = getattr(own, f"{name}InitArgs", None) or getattr(own, f"{name}Args")
    return found


def _wrong(given: Mapping[str, Any], arguments: type, path: str) -> Iterator[str]:
    kinds = _types.input_type_types(arguments)
    names = _types.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments.__init__).parameters
    for python, pulumi in names.items():
        needed = python in parameters and parameters[python].default is inspect.Parameter.empty
        if needed and given.get(pulumi) is None:
            yield f"{path}: `{python}` is needed"
    for key, value in given.items():
        if key not in kinds:
            yield f"{path}: `{key}` is not known; there are {sorted(kinds)}"
        elif value is not None:
            yield from _value(value, kinds[key], f"{path}.{key}")


def _value(value: Any, kind: Any, path: str) -> Iterator[str]:
    inner = _inside(kind)
    if _types.is_input_type(inner):
        if isinstance(value, str) and inner.__name__ == "PolicyDocumentArgs":
            return
        if not isinstance(value, Mapping):
            yield f"{path}: {value!r} is no table"
        else:
            yield from _wrong(value, inner, path)
    elif typing.get_origin(inner) in (list, Sequence, typing.get_origin(Sequence[str])):
        if not isinstance(value, list | tuple):
            yield f"{path}: {value!r} is no list"
            return
        (element,) = typing.get_args(inner)
        for number, each in enumerate(value):
            yield from _value(each, element, f"{path}[{number}]")
    elif inner in (str, bool, int, float) and not _fits(value, inner):
        yield f"{path}: {value!r} is no {inner.__name__}"


def _fits(value: Any, kind: type) -> bool:
    """Numbers come over the wire as floats."""
    if kind is bool:
        return isinstance(value, bool)
    if kind in (int, float):
        whole = isinstance(value, int | float) and not isinstance(value, bool)
        return whole and (kind is float or float(value).is_integer())
    return isinstance(value, kind)


def _inside(kind: Any) -> Any:
    """What a value is, without Optional, Input and the dictionary beside the class."""
    kind = _types.unwrap_type(_types.unwrap_optional_type(kind))
    arguments = typing.get_args(kind)
    for each in arguments:
        if _types.is_input_type(each):
            return each
    return kind
