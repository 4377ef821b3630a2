"""What can be asked about stacks: themselves, their events, resources and exports."""

from collections.abc import Iterable
from typing import Any

from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.parameters import mask
from cumulet.services.cloudformation.limits import PAGE_MAX
from cumulet.services.cloudformation.records import (
    EVENTS,
    EXPORTS,
    STACK_NAMES,
    STACKS,
    Event,
    Stack,
    StackResource,
    find_stack,
)
from cumulet.services.cloudformation.resolution import template_of
from cumulet.services.cloudformation.stacks import render_tags, stack_arn
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx


def _page(items: Iterable[dict[str, Any]], member: str, params: Params, size: int = PAGE_MAX) -> dict[str, Any]:
    """Return one page of what is asked for; the token is the number of items before it."""
    everything = list(items)
    start = _parse_token(params.get("NextToken"))
    output: dict[str, Any] = {member: everything[start : start + size]}
    if start + size < len(everything):
        output["NextToken"] = encode_token(start + size)
    return output


def _parse_token(token: str | None) -> int:
    return max(0, decode_token(token, int, lambda: validation_error("Invalid NextToken")) or 0)


def get_stack(tx: ReadTx, call: Call, name: str) -> Stack:
    """Return a stack, by id also a deleted one. Raises ValidationError."""
    stack = find_stack(tx, call.scope, name)
    if stack is None:
        raise validation_error(f"Stack with id {name} does not exist")
    return stack


def render_stack(stack: Stack) -> dict[str, Any]:
    """Return a stack as DescribeStacks shows it."""
    desired = stack.desired
    rendered: dict[str, Any] = {
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "CreationTime": stack.created_ms / 1000,
        "RollbackConfiguration": {},
        "StackStatus": stack.status,
        "DisableRollback": stack.on_failure == "DO_NOTHING",
        "NotificationARNs": [],
        "EnableTerminationProtection": stack.termination_protection,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        "Tags": render_tags(desired.tags) if desired else [],
        "Outputs": [
            {"OutputKey": output.key, "OutputValue": output.value}
            | ({"Description": output.description} if output.description else {})
            | ({"ExportName": output.export_name} if output.export_name else {})
            for output in stack.outputs
        ],
    }
    optional: dict[str, Any] = {
        "StackStatusReason": stack.reason,
        "ChangeSetId": stack.change_set_id,
        "LastUpdatedTime": stack.updated_ms and stack.updated_ms / 1000,
        "DeletionTime": stack.deleted_ms and stack.deleted_ms / 1000,
    }
    if desired is not None:
        optional |= {
            "Description": desired.description,
            "Capabilities": desired.capabilities,
            "Parameters": mask(template_of(desired).parameters, desired.parameters),
        }
    return rendered | {name: value for name, value in optional.items() if value}


@operation("DescribeStacks", resource=stack_arn, params="StackName NextToken")
def describe_stacks(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one stack, or all that were not deleted."""
    if (name := params.get("StackName")) is not None:
        return {"Stacks": [render_stack(get_stack(tx, call, name))]}
    live = (find_stack(tx, call.scope, named.stack_id) for named in STACK_NAMES.scan(tx, call.scope))
    return _page((render_stack(stack) for stack in live if stack is not None), "Stacks", params)


@operation("ListStacks", resource="*", params="NextToken StackStatusFilter")
def list_stacks(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return summaries of all stacks, deleted ones too, newest first."""
    wanted = params.get("StackStatusFilter")
    stacks = [stack for stack in STACKS.scan(tx, call.scope) if not wanted or stack.status in wanted]
    stacks.sort(key=lambda stack: -stack.created_ms)
    return _page(map(_render_summary, stacks), "StackSummaries", params)


def _render_summary(stack: Stack) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "CreationTime": stack.created_ms / 1000,
        "StackStatus": stack.status,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }
    optional = {
        "StackStatusReason": stack.reason,
        "TemplateDescription": stack.desired.description if stack.desired else "",
        "LastUpdatedTime": stack.updated_ms and stack.updated_ms / 1000,
        "DeletionTime": stack.deleted_ms and stack.deleted_ms / 1000,
    }
    return summary | {name: value for name, value in optional.items() if value}


@operation("DescribeStackEvents", resource=stack_arn, params="StackName NextToken")
def describe_stack_events(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a stack's events, newest first."""
    stack = find_stack(tx, call.scope, params["StackName"])
    if stack is None:
        raise validation_error(f"Stack [{params['StackName']}] does not exist")
    events = EVENTS.scan(tx, call.scope, stack.stack_id, reverse=True)
    return _page((_render_event(stack, event) for event in events), "StackEvents", params)


def _render_event(stack: Stack, event: Event) -> dict[str, Any]:
    rendered = {
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "EventId": event.event_id,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.type,
        "Timestamp": event.timestamp_ms / 1000,
        "ResourceStatus": event.status,
    }
    optional = {
        "ResourceStatusReason": event.reason,
        "ResourceProperties": event.properties,
        "ClientRequestToken": event.token,
    }
    return rendered | {name: value for name, value in optional.items() if value}


def _render_resource(stack: Stack, resource: StackResource, time_member: str) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type,
        time_member: resource.updated_ms / 1000,
        "ResourceStatus": resource.status,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }
    if resource.reason:
        rendered["ResourceStatusReason"] = resource.reason
    return rendered


@operation(
    "DescribeStackResources",
    resource=stack_arn,
    params="StackName LogicalResourceId PhysicalResourceId",
)
def describe_stack_resources(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a stack's resources; the stack may be named by the physical id of one of them."""
    name, physical_id = params.get("StackName"), params.get("PhysicalResourceId")
    if (name is None) == (physical_id is None):
        raise validation_error("Exactly one of StackName and PhysicalResourceId must be specified")
    if name is not None:
        stack = get_stack(tx, call, name)
    else:
        stack = next(
            (
                stack
                for stack in STACKS.scan(tx, call.scope)
                if any(resource.physical_id == physical_id for resource in stack.resources.values())
                and stack.deleted_ms is None
            ),
            None,
        ) or _no_stack_for(physical_id)
    wanted = params.get("LogicalResourceId")
    return {
        "StackResources": [
            {
                "StackName": stack.name,
                "StackId": stack.stack_id,
                **_render_resource(stack, resource, "Timestamp"),
            }
            for resource in stack.resources.values()
            if wanted in (None, resource.logical_id)
        ][:PAGE_MAX]
    }


def _no_stack_for(physical_id: str | None) -> Stack:
    raise validation_error(f"Stack for {physical_id} does not exist")


@operation("DescribeStackResource", resource=stack_arn, params="StackName LogicalResourceId")
def describe_stack_resource(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one resource of a stack."""
    name, logical_id = params["StackName"], params["LogicalResourceId"]
    stack = find_stack(tx, call.scope, name)
    if stack is None:
        raise validation_error(f"Stack '{name}' does not exist")
    resource = stack.resources.get(logical_id)
    if resource is None:
        raise validation_error(f"Resource {logical_id} does not exist for stack {name}")
    return {
        "StackResourceDetail": {
            "StackName": stack.name,
            "StackId": stack.stack_id,
            **_render_resource(stack, resource, "LastUpdatedTimestamp"),
        }
    }


@operation("ListStackResources", resource=stack_arn, params="StackName NextToken")
def list_stack_resources(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return summaries of a stack's resources."""
    stack = get_stack(tx, call, params["StackName"])
    rendered = (_render_resource(stack, resource, "LastUpdatedTimestamp") for resource in stack.resources.values())
    return _page(rendered, "StackResourceSummaries", params)


@operation("ListExports", resource="*", params="NextToken")
def list_exports(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the account's exported outputs."""
    exports = (
        {"ExportingStackId": export.stack_id, "Name": export.name, "Value": export.value}
        for export in EXPORTS.scan(tx, call.scope)
    )
    return _page(exports, "Exports", params)


@operation("ListImports", resource="*", params="ExportName NextToken")
def list_imports(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the stacks that import an export."""
    name = params["ExportName"]
    users = [stack.name for stack in STACKS.scan(tx, call.scope) if name in stack.imports]
    if not users:
        raise validation_error(f"Export '{name}' is not imported by any stack.")
    start = _parse_token(params.get("NextToken"))
    return {"Imports": users[start:]}
