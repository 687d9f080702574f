"""A release as JSON can say it, and back: the same wherever it is stored."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from backendctl.platforms.base import Configuration, Package, Processes, Release, SchemaRange


def to_record(release: Release) -> Mapping[str, Any]:
    """Any kind of mapping will do for its configuration."""
    configuration = release.configuration
    return {
        "number": release.number,
        "package": asdict(release.package),
        "configuration": {
            "values": dict(configuration.values),
            "secrets": dict(configuration.secrets),
        },
        "processes": asdict(release.processes),
        "created": release.created,
        "created_by": release.created_by,
        "note": release.note,
    }


def from_record(body: Mapping[str, Any]) -> Release:
    """What `to_record` and JSON made of one."""
    package, processes = dict(body["package"]), dict(body["processes"])
    schema = package.pop("schema")
    return Release(
        **{
            **body,
            "package": Package(**package, schema=SchemaRange.from_json(schema) if schema else None),
            "configuration": Configuration(**body["configuration"]),
            "processes": Processes(
                **{
                    **processes,
                    "start": tuple(processes["start"]),
                    "migrate": tuple(processes["migrate"]),
                    "contract": tuple(processes.get("contract", ())),
                }
            ),
        }
    )
