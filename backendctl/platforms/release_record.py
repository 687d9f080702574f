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
        "package": package_to_record(release.package),
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
    processes = dict(body["processes"])
    return Release(
        **{
            **body,
            "package": package_from_record(body["package"]),
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


def package_to_record(package: Package) -> Mapping[str, Any]:
    """A package alone."""
    return asdict(package)


def package_from_record(body: Mapping[str, Any]) -> Package:
    """What `package_to_record` and JSON made of one."""
    package = dict(body)
    schema = package.pop("schema")
    return Package(**package, schema=SchemaRange.from_json(schema) if schema else None)
