"""Templates of the CDK, without what only `cdk deploy` can do: assets beside them, and a bootstrap stack to ask about.

`cdk synth` writes both for a person to see: where an asset lies is in its resource's metadata.
https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html
"""

from pathlib import Path
from typing import Any

from cumulet.cli.console import CliError

SUFFIX = ".template.json"
_PATH, _PROPERTY = "aws:asset:path", "aws:asset:property"
_VERSION, _ITS_RULE = "BootstrapVersion", "CheckBootstrapVersion"
_COUNTER = "AWS::CDK::Metadata"
"""A resource that tells the CDK's makers who uses what, and does nothing."""


def find_template_of_cdk(folder: Path) -> Path | None:
    """Return the template of the only stack in a folder that `cdk synth` made; None if it made none.

    Those of stacks within stacks do not count. Raises CliError if there are several: one of them has to be named.
    """
    found = sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.endswith(f".nested{SUFFIX}"))
    if len(found) > 1:
        raise CliError(f"there are several templates in {folder}, name one: {', '.join(path.name for path in found)}")
    return found[0] if found else None


def localise(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template with the CDK's assets as local folders and files, and nothing that asks for its bootstrap."""
    settled = dict(template)
    parameter = members_of(template, "Parameters").get(_VERSION)
    if isinstance(parameter, dict) and str(parameter.get("Default")).startswith("/cdk-bootstrap/"):
        for section, name in (("Parameters", _VERSION), ("Rules", _ITS_RULE)):
            settled[section] = {key: value for key, value in members_of(template, section).items() if key != name}
            if not settled[section]:
                del settled[section]
    if resources := members_of(template, "Resources"):
        settled["Resources"] = {
            name: _with_local_asset(name, resource) if isinstance(resource, dict) else resource
            for name, resource in resources.items()
            if not (isinstance(resource, dict) and resource.get("Type") == _COUNTER)
        }
    return settled


def members_of(parent: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what a template has at a place; nothing where that is no object, which the stack will tell."""
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _with_local_asset(name: str, resource: dict[str, Any]) -> dict[str, Any]:
    metadata = members_of(resource, "Metadata")
    place, wanted = metadata.get(_PATH), metadata.get(_PROPERTY)
    if not isinstance(place, str) or not isinstance(wanted, str):
        return resource
    if wanted == "Code.ImageUri":
        raise CliError(f"{name} is a container image that `cdk deploy` would build of {place}: build it, and name it")
    properties = {**members_of(resource, "Properties"), wanted: place}
    # `cdk synth` has built it, as far as it is to be built.
    return {**resource, "Properties": properties, "Metadata": {**metadata, "SkipBuild": True}}
