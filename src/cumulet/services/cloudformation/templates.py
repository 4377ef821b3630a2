"""Operations on templates alone: get, summarise, validate."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.include import FUNCTION
from cumulet.services.cloudformation.core.parameters import is_no_echo
from cumulet.services.cloudformation.core.template import (
    Template,
    check_sections,
    find_transforms,
    read_template,
    refuse_nulls,
)
from cumulet.services.cloudformation.core.text import parse_text
from cumulet.services.cloudformation.describe import get_stack
from cumulet.services.cloudformation.plane import CloudFormationPlane
from cumulet.services.cloudformation.preparation import fetch_body, needed_capabilities
from cumulet.services.cloudformation.records import CHANGE_SETS, Desired
from cumulet.services.cloudformation.resolution import KNOWN_TYPES, check_attributes
from cumulet.services.cloudformation.stacks import stack_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx


@operation("GetTemplate", resource=stack_arn, params="StackName ChangeSetName TemplateStage")
def get_template(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a stack's or change set's template, as it was sent or after its transforms."""
    if params.get("StackName") is None:
        raise validation_error("StackName is required")
    stack = get_stack(tx, call, params["StackName"])
    desired: Desired | None = stack.desired
    if (name := params.get("ChangeSetName")) is not None:
        found = CHANGE_SETS.find(
            tx, call.scope, stack.stack_id, name.split("/")[1] if name.startswith("arn:") else name
        )
        if found is None:
            raise ServiceError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", status=404)
        desired = found.desired
    if desired is None:
        raise validation_error(f"Stack [{stack.name}] has no template yet")
    if params.get("TemplateStage", "Original") == "Processed":
        return {"TemplateBody": desired.processed, "StagesAvailable": ["Original", "Processed"]}
    return {"TemplateBody": desired.body, "StagesAvailable": ["Original", "Processed"]}


async def _read(call: Call, plane: CloudFormationPlane, params: Params) -> tuple[Mapping[str, Any], Template | None]:
    """Return the sections of the template at hand and, unless a transform must come first, the checked template."""
    body = await fetch_body(call, plane, params)
    name = params.get("StackName")
    if body is None and name is not None:
        stack = await plane.ground.store.read(lambda tx: get_stack(tx, call, name))
        body = stack.desired.body if stack.desired else None
    if body is None:
        raise validation_error("Either Template URL or Template Body must be specified.")
    raw = await asyncio.to_thread(parse_text, body)
    if find_transforms(raw):
        # AWS does not run transforms here either; it names the capability instead.
        check_sections(raw, frozenset({"Globals", FUNCTION}))
        return raw, None
    refuse_nulls(raw)
    template = read_template(raw, KNOWN_TYPES)
    check_attributes(template)
    return raw, template


def _capabilities(raw: Mapping[str, Any], template: Template | None) -> dict[str, Any]:
    if template is None:
        return {
            "Capabilities": ["CAPABILITY_AUTO_EXPAND"],
            "CapabilitiesReason": "The following resource(s) require capabilities: [transforms]",
            "DeclaredTransforms": list(find_transforms(raw)),
        }
    needed = needed_capabilities(template)
    if not needed:
        return {}
    kinds = sorted({item.type for item in template.resources.values() if item.type.startswith("AWS::IAM::")})
    reason = f"The following resource(s) require capabilities: [{', '.join(kinds)}]"
    return {"Capabilities": needed, "CapabilitiesReason": reason}


def _parameters(raw: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    declared = raw.get("Parameters") or {}
    if not isinstance(declared, dict) or not all(isinstance(value, dict) for value in declared.values()):
        raise validation_error("Template format error: Every Parameters member must be an object.")
    return declared


def _render_parameter(name: str, declaration: Mapping[str, Any]) -> dict[str, Any]:
    rendered: dict[str, Any] = {"ParameterKey": name, "NoEcho": is_no_echo(declaration)}
    if "Default" in declaration:
        rendered["DefaultValue"] = str(declaration["Default"])
    if declaration.get("Description"):
        rendered["Description"] = str(declaration["Description"])
    return rendered


@operation("ValidateTemplate", resource="*", params="TemplateBody TemplateURL")
async def validate_template(call: Call, plane: CloudFormationPlane, params: Params) -> Output:
    """Check a template and return its parameters and the capabilities that it needs."""
    raw, template = await _read(call, plane, params)
    output: dict[str, Any] = {
        "Parameters": [_render_parameter(name, declared) for name, declared in _parameters(raw).items()],
        **_capabilities(raw, template),
    }
    if raw.get("Description"):
        output["Description"] = raw["Description"]
    return output


@operation(
    "GetTemplateSummary",
    resource=stack_arn,
    params="TemplateBody TemplateURL StackName",
    missing="resource identifiers for imports",
)
async def get_template_summary(call: Call, plane: CloudFormationPlane, params: Params) -> Output:
    """Return what a template or a stack's template declares."""
    raw, template = await _read(call, plane, params)
    parameters = []
    for name, declared in _parameters(raw).items():
        rendered = _render_parameter(name, declared) | {"ParameterType": str(declared.get("Type", "String"))}
        allowed = declared.get("AllowedValues")
        rendered["ParameterConstraints"] = {"AllowedValues": [str(value) for value in allowed]} if allowed else {}
        parameters.append(rendered)
    resources = raw["Resources"].values()
    output: dict[str, Any] = {
        "Parameters": parameters,
        "ResourceTypes": sorted({str(item["Type"]) for item in resources if isinstance(item, dict) and "Type" in item}),
        **_capabilities(raw, template),
    }
    if raw.get("Description"):
        output["Description"] = raw["Description"]
    if raw.get("AWSTemplateFormatVersion"):
        output["Version"] = raw["AWSTemplateFormatVersion"]
    if raw.get("Metadata"):
        output["Metadata"] = json.dumps(raw["Metadata"])
    return output
