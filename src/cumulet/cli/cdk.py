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

    Raises CliError if there are several: one of them has to be named.
    """
    found = sorted(folder.glob(f"*{SUFFIX}"))
    if len(found) > 1:
        raise CliError(f"there are several templates in {folder}, name one: {', '.join(path.name for path in found)}")
    return found[0] if found else None


def localise(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template with the CDK's assets as local folders and files, and nothing that asks for its bootstrap."""
    settled = dict(template)
    parameter = _members(template, "Parameters").get(_VERSION)
    if isinstance(parameter, dict) and str(parameter.get("Default")).startswith("/cdk-bootstrap/"):
        for section, name in (("Parameters", _VERSION), ("Rules", _ITS_RULE)):
            settled[section] = {key: value for key, value in _members(template, section).items() if key != name}
            if not settled[section]:
                del settled[section]
    if resources := _members(template, "Resources"):
        settled["Resources"] = {
            name: _with_local_asset(resource) if isinstance(resource, dict) else resource
            for name, resource in resources.items()
            if not (isinstance(resource, dict) and resource.get("Type") == _COUNTER)
        }
    return settled


def _members(template: dict[str, Any], section: str) -> dict[str, Any]:
    found = template.get(section)
    return found if isinstance(found, dict) else {}


def _with_local_asset(resource: dict[str, Any]) -> dict[str, Any]:
    metadata = _members(resource, "Metadata")
    if not isinstance(metadata.get(_PATH), str) or not isinstance(metadata.get(_PROPERTY), str):
        return resource
    properties = {**_members(resource, "Properties"), metadata[_PROPERTY]: metadata[_PATH]}
    # `cdk synth` has built it, as far as it is to be built.
    return {**resource, "Properties": properties, "Metadata": {**metadata, "SkipBuild": True}}
