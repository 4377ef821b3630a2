"""Operations that begin to change a stack: create, update, delete, and its protection."""

import re
from collections.abc import Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.limits import STACKS_MAX
from cumulet.services.cloudformation.plane import CloudFormationPlane
from cumulet.services.cloudformation.preparation import prepare
from cumulet.services.cloudformation.progress import record_stack
from cumulet.services.cloudformation.records import (
    CHANGE_SETS,
    CLOUDFORMATION_HOST,
    STACK_NAMES,
    STACKS,
    Desired,
    Operation,
    Stack,
    StackName,
    find_stack,
    save_stack,
)
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.leases import LeaseRecord

_STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
_UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


def stack_arn(call: Call, params: Params) -> str:
    """Return the ARN that policies name for operations on a stack."""
    name = params.get("StackName")
    if name and name.startswith("arn:"):
        return str(name)
    return f"arn:aws:cloudformation:{call.scope.region}:{call.scope.account}:stack/{name or '*'}/*"


def tags_of(tx: ReadTx, call: Call, arn: str) -> Mapping[str, str]:
    """Return the tags of the stack that an ARN names, be it by its name alone."""
    if not arn.startswith("arn:aws:cloudformation:") or ":stack/" not in arn:
        return {}
    name = arn.partition(":stack/")[2].partition("/")[0]
    named = STACK_NAMES.find(tx, call.scope, name)
    stack = None if named is None else STACKS.find(tx, call.scope, named.stack_id)
    return {} if stack is None or stack.desired is None else stack.desired.tags


def new_stack_id(call: Call, name: str) -> str:
    """Return the id of a stack that is to be made."""
    if not _STACK_NAME.fullmatch(name) or len(name) > 128:
        raise validation_error(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must"
            " satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    return f"arn:aws:cloudformation:{call.scope.region}:{call.scope.account}:stack/{name}/{call.ids.uuid()}"


def add_stack_name(tx: WriteTx, call: Call, stack: Stack) -> None:
    """Give a new stack its name. Raises LimitExceededException."""
    if sum(1 for _ in tx.scan(*STACK_NAMES.family.range(call.scope))) >= STACKS_MAX:
        raise ServiceError("LimitExceededException", f"Limit for stack has been exceeded: {STACKS_MAX}", status=400)
    STACK_NAMES.save(tx, call.scope, stack.name, record=StackName(stack.stack_id))


def choose_on_failure(params: Params) -> str:
    """Return what is to happen when an operation fails: ROLLBACK, DELETE or DO_NOTHING."""
    disable, on_failure = params.get("DisableRollback"), params.get("OnFailure")
    if disable is not None and on_failure is not None:
        raise validation_error("Only one of parameters [DisableRollback, OnFailure] can be specified")
    return str(on_failure or ("DO_NOTHING" if disable else "ROLLBACK"))


def begin(
    tx: WriteTx,
    call: Call,
    stack: Stack,
    kind: str,
    target: Desired | None,
    status: str,
    on_failure: str,
    params: Params,
) -> None:
    """Record that a stack begins to change; whoever runs the operation takes it from there."""
    stack.status, stack.reason = status, "User Initiated"
    stack.operation = Operation(
        kind=kind,
        phase="delete" if kind == "delete" else "forward",
        target=target,
        caller=call.principal.through(CLOUDFORMATION_HOST),
        before=dict(stack.resources) if kind == "update" else {},
        on_failure=on_failure,
        retain=list(params.get("RetainResources") or []),
        retain_except_on_create=bool(params.get("RetainExceptOnCreate")),
        token=params.get("ClientRequestToken") or "",
    )
    stack.token = stack.operation.token
    if kind != "delete":
        stack.on_failure = on_failure
    if kind == "update":
        stack.updated_ms = call.now_ms
    record_stack(tx, call.scope, stack, call.now_ms, call.ids.uuid())


def check_updatable(stack: Stack) -> None:
    """Raise ValidationError unless a stack is at rest in a state that can be updated."""
    if stack.status not in _UPDATABLE:
        raise validation_error(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")


def _repeats(stack: Stack | None, params: Params) -> bool:
    """Return whether a request is the one that the stack's last operation came from."""
    token = params.get("ClientRequestToken")
    return bool(stack and token and stack.token == token)


@operation(
    "CreateStack",
    resource=stack_arn,
    params="StackName TemplateBody TemplateURL Parameters DisableRollback RollbackConfiguration NotificationARNs"
    " Capabilities OnFailure Tags ClientRequestToken EnableTerminationProtection RetainExceptOnCreate",
    missing="service roles, notifications, rollback triggers, timeouts, stack policies",
)
async def create_stack(call: Call, plane: CloudFormationPlane, params: Params) -> Output:
    """Begin to create a stack."""
    name, on_failure = params["StackName"], choose_on_failure(params)
    stack_id = new_stack_id(call, name)
    existing = await plane.ground.store.read(lambda tx: find_stack(tx, call.scope, name))
    if existing is not None and _repeats(existing, params):
        return {"StackId": existing.stack_id}
    _check_free(existing, name)
    prepared = await prepare(call, plane, params, None, stack_id, is_change_set=False)

    def write(tx: WriteTx) -> LeaseRecord:
        _check_free(find_stack(tx, call.scope, name), name)
        stack = Stack(
            stack_id=stack_id,
            name=name,
            status="CREATE_IN_PROGRESS",
            created_ms=call.now_ms,
            desired=prepared.desired,
            termination_protection=bool(params.get("EnableTerminationProtection")),
        )
        add_stack_name(tx, call, stack)
        begin(tx, call, stack, "create", prepared.desired, "CREATE_IN_PROGRESS", on_failure, params)
        return plane.claim(tx, stack_id)

    await plane.begin(call.scope, stack_id, await plane.ground.store.write(write))
    return {"StackId": stack_id}


def _check_free(existing: Stack | None, name: str) -> None:
    if existing is not None:
        raise ServiceError("AlreadyExistsException", f"Stack [{name}] already exists", status=400)


@operation(
    "UpdateStack",
    resource=stack_arn,
    params="StackName TemplateBody TemplateURL UsePreviousTemplate Parameters Capabilities RollbackConfiguration"
    " NotificationARNs Tags DisableRollback ClientRequestToken RetainExceptOnCreate",
    missing="service roles, notifications, rollback triggers, stack policies",
)
async def update_stack(call: Call, plane: CloudFormationPlane, params: Params) -> Output:
    """Begin to update a stack."""
    stack = await plane.ground.store.read(lambda tx: get_live(tx, call, params["StackName"]))
    if _repeats(stack, params):
        return {"StackId": stack.stack_id}
    check_updatable(stack)
    on_failure = choose_on_failure(params)
    prepared = await prepare(call, plane, params, stack, stack.stack_id, is_change_set=False)
    if prepared.plan.is_empty:
        raise validation_error("No updates are to be performed.")

    def write(tx: WriteTx) -> LeaseRecord:
        current = get_live(tx, call, stack.stack_id)
        check_updatable(current)
        begin(tx, call, current, "update", prepared.desired, "UPDATE_IN_PROGRESS", on_failure, params)
        return plane.claim(tx, stack.stack_id)

    await plane.begin(call.scope, stack.stack_id, await plane.ground.store.write(write))
    return {"StackId": stack.stack_id}


def get_live(tx: ReadTx, call: Call, name_or_id: str) -> Stack:
    """Return a stack that was not deleted. Raises ValidationError."""
    stack = find_stack(tx, call.scope, name_or_id)
    if stack is None or stack.deleted_ms is not None:
        raise validation_error(f"Stack [{name_or_id}] does not exist")
    return stack


@operation("DeleteStack", resource=stack_arn, params="StackName RetainResources ClientRequestToken")
async def delete_stack(call: Call, plane: CloudFormationPlane, params: Params) -> Output:
    """Begin to delete a stack; deleting one that is not there succeeds."""

    def write(tx: WriteTx) -> tuple[str, LeaseRecord] | None:
        stack = find_stack(tx, call.scope, params["StackName"])
        if stack is None or stack.deleted_ms is not None:
            return None
        if stack.termination_protection:
            raise validation_error(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if stack.operation is not None:
            if stack.operation.kind == "delete":
                return None
            # AWS can delete a stack that is being created; here the creation is awaited first.
            raise validation_error(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        retain = params.get("RetainResources") or []
        if retain and stack.status != "DELETE_FAILED":
            raise validation_error(
                f"Invalid operation on stack [{stack.stack_id}]. When you delete a stack, specify which resources to"
                " retain only when the stack is in the DELETE_FAILED state."
            )
        if unknown := [name for name in retain if name not in stack.resources]:
            raise validation_error(f"Resources to retain [{', '.join(unknown)}] do not exist in stack [{stack.name}]")
        CHANGE_SETS.delete_all(tx, call.scope, stack.stack_id)
        begin(tx, call, stack, "delete", stack.desired, "DELETE_IN_PROGRESS", "ROLLBACK", params)
        return stack.stack_id, plane.claim(tx, stack.stack_id)

    begun = await plane.ground.store.write(write)
    if begun is not None:
        await plane.begin(call.scope, *begun)
    return {}


@operation("UpdateTerminationProtection", resource=stack_arn, params="EnableTerminationProtection StackName")
def update_termination_protection(call: Call, tx: WriteTx, params: Params) -> Output:
    """Allow or forbid that a stack is deleted."""
    stack = get_live(tx, call, params["StackName"])
    stack.termination_protection = params["EnableTerminationProtection"]
    save_stack(tx, call.scope, stack)
    return {"StackId": stack.stack_id}


def render_tags(tags: dict[str, str]) -> list[dict[str, Any]]:
    """Return tags as CloudFormation lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
