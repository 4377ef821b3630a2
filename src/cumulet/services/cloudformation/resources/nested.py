"""AWS::CloudFormation::Stack: a stack within a stack, whose outputs are attributes.

An update of the outer stack always visits it, since what lies at a template's URL may be another template by now.
Rolled back, it becomes what the template at its former URL says.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stack.html
"""

from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.limits import STACK_DEPTH_MAX
from cumulet.services.cloudformation.records import CLOUDFORMATION_HOST
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    ResourceFailed,
    as_text,
    resource_type,
    tag_list,
)

SECONDS_MAX = 24 * 3600
"""On AWS a stack within a stack takes as long as it takes, unless its template says otherwise."""

_CODE = "ValidationError"
_NOTHING_TO_DO = "No updates are to be performed."


async def _call(desk: Desk, operation: str, params: Properties) -> Any:
    return await desk.call("cloudformation", operation, params)


def _wanted(desk: Desk, properties: Properties) -> dict[str, Any]:
    parameters = [
        # Lists become what a parameter of a list type takes.
        {
            "ParameterKey": name,
            "ParameterValue": ",".join(as_text(part, f"#/Parameters/{name}") for part in value)
            if isinstance(value, list)
            else as_text(value, f"#/Parameters/{name}"),
        }
        for name, value in (properties.get("Parameters") or {}).items()
    ]
    return {
        "TemplateURL": properties["TemplateURL"],
        "Parameters": parameters,
        "Capabilities": list(desk.capabilities),
        "Tags": tag_list(desk.merged_tags(properties)) or [],
    }


async def _find(desk: Desk, stack_id: str) -> dict[str, Any] | None:
    """Return what a stack is; None if there is none."""
    try:
        stack: dict[str, Any] = (await _call(desk, "DescribeStacks", {"StackName": stack_id}))["Stacks"][0]
    except ServiceError as error:
        if error.code != _CODE:
            raise
        return None
    return stack


async def _settled(desk: Desk, stack_id: str) -> dict[str, Any] | None:
    found: list[dict[str, Any] | None] = []

    async def is_settled() -> bool:
        found[:] = [await _find(desk, stack_id)]
        return found[0] is None or not found[0]["StackStatus"].endswith("_IN_PROGRESS")

    await desk.settle(is_settled, SECONDS_MAX)
    return found[0]


async def _finished(desk: Desk, stack_id: str, verb: str) -> Made:
    """Return the stack with its outputs. Raises ResourceFailed unless it has become what it should."""
    stack = await _settled(desk, stack_id)
    if stack is None or stack["StackStatus"] != f"{verb.upper()}_COMPLETE":
        reason = await _reason(desk, stack_id)
        raise ResourceFailed(f"Embedded stack {stack_id} was not successfully {verb}d: {reason}")
    outputs = {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in stack.get("Outputs", [])}
    return Made(stack["StackId"], outputs)


async def _reason(desk: Desk, stack_id: str) -> str:
    """Return why a stack's last operation failed, as its newest event that says so has it."""
    page: dict[str, Any] = {"NextToken": None}
    while "NextToken" in page:
        page = await _call(desk, "DescribeStackEvents", {"StackName": stack_id, "NextToken": page["NextToken"]})
        for event in page["StackEvents"]:
            if (
                event["PhysicalResourceId"] == event["StackId"]
                and event["ResourceStatus"].endswith(("ROLLBACK_IN_PROGRESS", "FAILED"))
                and event.get("ResourceStatusReason")
            ):
                return str(event["ResourceStatusReason"])
    return "it is not there any more"


async def _create(desk: Desk, properties: Properties) -> Made:
    if desk.principal.through_services.count(CLOUDFORMATION_HOST) >= STACK_DEPTH_MAX:
        raise ResourceFailed(f"There may be no more than {STACK_DEPTH_MAX} stacks within one another.")
    output = await _call(desk, "CreateStack", {"StackName": desk.name, **_wanted(desk, properties)})
    desk.noted.append(output["StackId"])  # by its id it is still found when it has failed and is deleted
    return await _finished(desk, output["StackId"], "create")


async def _update(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    stack_id = made.physical_id
    await _settled(desk, stack_id)  # after a restart it may be rolling back by itself
    try:
        await _call(desk, "UpdateStack", {"StackName": stack_id, **_wanted(desk, new)})
    except ServiceError as error:
        if (error.code, error.message) != (_CODE, _NOTHING_TO_DO):
            raise
        return made
    return await _finished(desk, stack_id, "update")


async def _delete(desk: Desk, stack_id: str, properties: Properties) -> None:
    await _settled(desk, stack_id)
    await _call(desk, "DeleteStack", {"StackName": stack_id})
    stack = await _settled(desk, stack_id)
    if stack is not None and stack["StackStatus"] != "DELETE_COMPLETE":
        reason = await _reason(desk, stack_id)
        raise ResourceFailed(f"Embedded stack {stack_id} was not successfully deleted: {reason}")


STACK = resource_type(
    "AWS::CloudFormation::Stack",
    objects="Parameters",
    entries={"Tags": "Key Value"},
    create=_create,
    update=_update,
    delete=_delete,
    properties="Parameters Tags TemplateURL",
    required="TemplateURL",
    not_built="NotificationARNs TimeoutInMinutes",
    attributes="Outputs.*",
    named_ahead=True,
    name_max=128,
    revisited=True,
)
