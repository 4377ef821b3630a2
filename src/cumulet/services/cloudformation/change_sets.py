"""Change sets: a plan that is looked at before it is carried out. `aws cloudformation deploy` uses only them."""

import re
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.cloudformation.core.diff import PropertyChange, ResourceChange
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.parameters import mask
from cumulet.services.cloudformation.plane import CloudFormationPlane
from cumulet.services.cloudformation.preparation import Prepared, prepare
from cumulet.services.cloudformation.progress import record_stack
from cumulet.services.cloudformation.records import CHANGE_SETS, ChangeSet, Stack, find_stack
from cumulet.services.cloudformation.resolution import template_of
from cumulet.services.cloudformation.stacks import (
    add_stack_name,
    begin,
    check_updatable,
    get_live,
    new_stack_id,
    render_tags,
    stack_arn,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.leases import LeaseRecord

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


@operation(
    "CreateChangeSet",
    resource=stack_arn,
    params="StackName ChangeSetName ChangeSetType TemplateBody TemplateURL UsePreviousTemplate Parameters Capabilities"
    " RollbackConfiguration NotificationARNs Tags Description OnStackFailure IncludeNestedStacks",
    missing="service roles, notifications, rollback triggers, changes within nested stacks, imports of resources",
)
async def create_change_set(call: Call, plane: CloudFormationPlane, params: Params) -> Output:
    """Plan how a stack comes to be what the request says, and keep the plan."""
    name, stack_name, kind = params["ChangeSetName"], params["StackName"], params.get("ChangeSetType", "UPDATE")
    if not _NAME.fullmatch(name):
        raise validation_error(
            f"1 validation error detected: Value '{name}' at 'changeSetName' failed to satisfy constraint: Member must"
            " satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    if kind == "IMPORT":
        raise NotImplementedHere("ChangeSetType=IMPORT of cloudformation:CreateChangeSet")
    if params.get("IncludeNestedStacks"):
        raise NotImplementedHere("IncludeNestedStacks=true of cloudformation:CreateChangeSet")
    stack = await plane.ground.store.read(lambda tx: _stack_for(tx, call, stack_name, name, kind))
    stack_id = stack.stack_id if stack else new_stack_id(call, stack_name)
    prepared = await prepare(call, plane, params, stack, stack_id, is_change_set=True)
    change_set = _new_change_set(call, params, prepared, stack, stack_id)

    def write(tx: WriteTx) -> None:
        current = _stack_for(tx, call, stack_name, name, kind)
        if current is None:
            in_review = _stack_in_review(call, stack_id, stack_name)
            add_stack_name(tx, call, in_review)
            record_stack(tx, call.scope, in_review, call.now_ms, call.ids.uuid())
        elif current.stack_id != stack_id:
            raise validation_error(f"Stack [{stack_name}] does not exist")
        if CHANGE_SETS.find(tx, call.scope, stack_id, name) is not None:
            raise ServiceError("AlreadyExistsException", f"ChangeSet {name} already exists", status=400)
        CHANGE_SETS.save(tx, call.scope, stack_id, name, record=change_set)

    await plane.ground.store.write(write)
    return {"Id": change_set.change_set_id, "StackId": stack_id}


def _stack_for(tx: ReadTx, call: Call, stack_name: str, name: str, kind: str) -> Stack | None:
    stack = find_stack(tx, call.scope, stack_name)
    if stack is not None and stack.deleted_ms is not None:
        stack = None
    if kind == "CREATE":
        if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise validation_error(
                f"Stack [{stack_name}] already exists and cannot be created again with the changeSet [{name}]."
            )
        return stack
    if stack is None:
        raise validation_error(f"Stack [{stack_name}] does not exist")
    check_updatable(stack)
    return stack


def _stack_in_review(call: Call, stack_id: str, name: str) -> Stack:
    return Stack(
        stack_id=stack_id,
        name=name,
        status="REVIEW_IN_PROGRESS",
        created_ms=call.now_ms,
        desired=None,
        reason="User Initiated",
    )


def _new_change_set(call: Call, params: Params, prepared: Prepared, stack: Stack | None, stack_id: str) -> ChangeSet:
    name = params["ChangeSetName"]
    nothing = prepared.plan.is_empty
    return ChangeSet(
        change_set_id=f"arn:aws:cloudformation:{call.scope.region}:{call.scope.account}:changeSet/{name}/{call.ids.uuid()}",
        name=name,
        stack_id=stack_id,
        stack_name=stack_id.split("/")[1],
        kind=params.get("ChangeSetType", "UPDATE"),
        created_ms=call.now_ms,
        status="FAILED" if nothing else "CREATE_COMPLETE",
        execution_status="UNAVAILABLE" if nothing else "AVAILABLE",
        reason=NO_CHANGES if nothing else "",
        desired=prepared.desired,
        changes=[_render_change(change, stack) for change in prepared.plan.changes],
        description=params.get("Description", ""),
        on_stack_failure=params.get("OnStackFailure", ""),
        seen_ms=stack.updated_ms if stack else None,
    )


def _render_change(change: ResourceChange, stack: Stack | None) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "Action": change.action,
        "LogicalResourceId": change.logical_id,
        "ResourceType": change.type,
        "Scope": [],
        "Details": [],
    }
    if change.physical_id:
        rendered["PhysicalResourceId"] = change.physical_id
    if change.action == "Remove" and stack is not None:
        policy = stack.resources[change.logical_id].deletion_policy
        rendered["PolicyAction"] = "Delete" if policy == "Delete" else "Retain"
    if change.action == "Modify":
        certain = any(item.recreates and item.cause is None for item in change.properties)
        rendered["Replacement"] = "True" if certain else "Conditional" if change.replaces else "False"
        if change.replaces and stack is not None:
            policy = stack.resources[change.logical_id].update_replace_policy
            rendered["PolicyAction"] = "ReplaceAndDelete" if policy == "Delete" else "ReplaceAndRetain"
        rendered["Scope"] = (["Properties"] if change.properties else []) + (["Tags"] if change.tags_changed else [])
        rendered["Details"] = [_render_detail(item) for item in change.properties]
        if not rendered["Scope"]:  # a nested stack, which may change by itself
            automatic = {"Target": {"Attribute": "Properties"}, "Evaluation": "Dynamic", "ChangeSource": "Automatic"}
            rendered |= {"Scope": ["Properties"], "Details": [automatic]}
    return {"Type": "Resource", "ResourceChange": rendered}


def _render_detail(change: PropertyChange) -> dict[str, Any]:
    recreation = "Never" if not change.recreates else "Always" if change.cause is None else "Conditionally"
    detail: dict[str, Any] = {
        "Target": {"Attribute": "Properties", "Name": change.name, "RequiresRecreation": recreation},
        "Evaluation": "Static" if change.cause is None else "Dynamic",
        "ChangeSource": "DirectModification",
    }
    if change.cause is not None:
        detail["ChangeSource"] = "ResourceAttribute" if "." in change.cause else "ResourceReference"
        detail["CausingEntity"] = change.cause
    return detail


def _get(tx: ReadTx, call: Call, params: Params) -> tuple[ChangeSet, Stack]:
    name, stack_name = params["ChangeSetName"], params.get("StackName")
    found: ChangeSet | None = None
    if name.startswith("arn:"):
        found = next((item for item in CHANGE_SETS.scan(tx, call.scope) if item.change_set_id == name), None)
    elif stack_name is None:
        raise validation_error("StackName must be specified if ChangeSetName is not specified as an ARN.")
    else:
        stack = find_stack(tx, call.scope, stack_name)
        if stack is None:
            raise validation_error(f"Stack [{stack_name}] does not exist")
        found = CHANGE_SETS.find(tx, call.scope, stack.stack_id, name)
    stack = None if found is None else find_stack(tx, call.scope, found.stack_id)
    if found is None or stack is None:
        raise ServiceError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", status=404)
    return found, stack


def _execution_status(change_set: ChangeSet, stack: Stack) -> str:
    if change_set.execution_status == "EXECUTE_IN_PROGRESS" and stack.operation is None:
        failed = "ROLLBACK" in stack.status or stack.status.endswith("FAILED")
        return "EXECUTE_FAILED" if failed else "EXECUTE_COMPLETE"
    if change_set.execution_status == "AVAILABLE" and change_set.seen_ms != stack.updated_ms:
        return "OBSOLETE"
    return change_set.execution_status


@operation("DescribeChangeSet", resource=stack_arn, params="ChangeSetName StackName")
def describe_change_set(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a change set with its changes."""
    change_set, stack = _get(tx, call, params)
    output = {
        **_render_summary(change_set, stack),
        "Changes": change_set.changes,
        "RollbackConfiguration": {},
        "NotificationARNs": [],
    }
    desired = change_set.desired
    if desired is not None:
        output |= {
            "Parameters": mask(template_of(desired).parameters, desired.parameters),
            "Capabilities": desired.capabilities,
            "Tags": render_tags(desired.tags),
        }
    if change_set.on_stack_failure:
        output["OnStackFailure"] = change_set.on_stack_failure
    return output


def _render_summary(change_set: ChangeSet, stack: Stack) -> dict[str, Any]:
    summary = {
        "ChangeSetId": change_set.change_set_id,
        "ChangeSetName": change_set.name,
        "StackId": change_set.stack_id,
        "StackName": change_set.stack_name,
        "Status": change_set.status,
        "ExecutionStatus": _execution_status(change_set, stack),
        "CreationTime": change_set.created_ms / 1000,
        "IncludeNestedStacks": False,
    }
    if change_set.reason:
        summary["StatusReason"] = change_set.reason
    if change_set.description:
        summary["Description"] = change_set.description
    return summary


@operation("ListChangeSets", resource=stack_arn, params="StackName", missing="paging: all are listed at once")
def list_change_sets(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a stack's change sets."""
    stack = get_live(tx, call, params["StackName"])
    return {"Summaries": [_render_summary(item, stack) for item in CHANGE_SETS.scan(tx, call.scope, stack.stack_id)]}


@operation("DeleteChangeSet", resource=stack_arn, params="ChangeSetName StackName")
def delete_change_set(call: Call, tx: WriteTx, params: Params) -> Output:
    """Drop a change set; dropping one that is not there succeeds."""
    try:
        change_set, stack = _get(tx, call, params)
    except ServiceError as error:
        if error.code == "ChangeSetNotFound":
            return {}
        raise
    if _execution_status(change_set, stack) == "EXECUTE_IN_PROGRESS":
        raise _wrong_status(change_set, "deleted", "EXECUTE_IN_PROGRESS")
    CHANGE_SETS.delete(tx, call.scope, change_set.stack_id, change_set.name)
    return {}


def _wrong_status(change_set: ChangeSet, verb: str, status: str) -> ServiceError:
    return ServiceError(
        "InvalidChangeSetStatus",
        f"ChangeSet [{change_set.change_set_id}] cannot be {verb} in its current execution status of [{status}]",
        status=400,
    )


@operation(
    "ExecuteChangeSet",
    resource=stack_arn,
    params="ChangeSetName StackName ClientRequestToken DisableRollback RetainExceptOnCreate",
)
async def execute_change_set(call: Call, plane: CloudFormationPlane, params: Params) -> Output:
    """Begin to carry out a change set; the others of its stack are dropped."""

    def write(tx: WriteTx) -> tuple[str, LeaseRecord]:
        change_set, stack = _get(tx, call, params)
        status = _execution_status(change_set, stack)
        if status != "AVAILABLE" or change_set.desired is None:
            raise _wrong_status(change_set, "executed", status)
        if params.get("DisableRollback") is not None and change_set.on_stack_failure:
            raise validation_error("DisableRollback cannot be specified when the change set has OnStackFailure")
        on_failure = change_set.on_stack_failure or ("DO_NOTHING" if params.get("DisableRollback") else "ROLLBACK")
        CHANGE_SETS.delete_all(tx, call.scope, stack.stack_id)
        executed = msgspec.structs.replace(change_set, execution_status="EXECUTE_IN_PROGRESS")
        CHANGE_SETS.save(tx, call.scope, stack.stack_id, change_set.name, record=executed)
        stack.change_set_id = change_set.change_set_id
        if stack.status == "REVIEW_IN_PROGRESS":
            stack.desired = change_set.desired
            begin(tx, call, stack, "create", change_set.desired, "CREATE_IN_PROGRESS", on_failure, params)
        else:
            check_updatable(stack)
            begin(tx, call, stack, "update", change_set.desired, "UPDATE_IN_PROGRESS", on_failure, params)
        return stack.stack_id, plane.claim(tx, stack.stack_id)

    await plane.begin(call.scope, *await plane.ground.store.write(write))
    return {}
