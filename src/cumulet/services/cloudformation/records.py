"""What CloudFormation remembers: stacks with their resources, events, change sets, exports, operations under way."""

from typing import Any

import msgspec

from cumulet.scope import SYSTEM, Scope
from cumulet.services.kit import Principal
from cumulet.store import keyspace
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.records import Records


class StackResource(msgspec.Struct):
    """One resource of a stack, as it was last seen."""

    logical_id: str
    type: str
    physical_id: str = ""
    status: str = ""
    reason: str = ""
    updated_ms: int = 0
    properties: dict[str, Any] = {}
    """Resolved, as they were given to the service."""
    attributes: dict[str, Any] = {}
    """What Fn::GetAtt gives."""
    tags: dict[str, str] = {}
    """The stack's tags that it was made with."""
    deletion_policy: str = "Delete"
    update_replace_policy: str = "Delete"
    depends_on: tuple[str, ...] = ()


class Desired(msgspec.Struct):
    """What a stack is to be: its template and all that was said beside it."""

    body: str
    """The template as it was sent."""
    processed: str
    """The same after its transforms, as JSON; equal to `body` in meaning if there are none."""
    parameters: dict[str, str]
    tags: dict[str, str]
    capabilities: list[str]
    description: str = ""


class Leftover(msgspec.Struct):
    """A resource that was replaced or removed and is deleted when the rest is done."""

    resource: StackResource
    policy: str


CLOUDFORMATION_HOST = "cloudformation.amazonaws.com"
"""Through which a stack's resources are called for (aws:CalledVia)."""


class Operation(msgspec.Struct):
    """What a stack is busy with, in such detail that another process can take it up."""

    kind: str
    """create, update or delete."""
    phase: str
    """forward, rollback, cleanup or delete: see executor.py."""
    target: Desired | None
    caller: Principal
    before: dict[str, StackResource] = {}
    """The resources as they were when an update began, to roll back to."""
    touched: list[str] = []
    """What the forward phase has begun to change, in order."""
    leftovers: list[Leftover] = []
    on_failure: str = "ROLLBACK"
    """ROLLBACK, DELETE or DO_NOTHING."""
    retain: list[str] = []
    retain_except_on_create: bool = False
    reason: str = ""
    token: str = ""


class Output(msgspec.Struct):
    key: str
    value: str
    description: str = ""
    export_name: str = ""


class Stack(msgspec.Struct):
    stack_id: str
    name: str
    status: str
    created_ms: int
    desired: Desired | None
    """What the stack is; None for one that exists only as the place of a change set."""
    reason: str = ""
    updated_ms: int | None = None
    deleted_ms: int | None = None
    on_failure: str = "ROLLBACK"
    termination_protection: bool = False
    change_set_id: str = ""
    resources: dict[str, StackResource] = {}
    outputs: list[Output] = []
    imports: list[str] = []
    token: str = ""
    """The client's token of the last operation: the same one again is the same request."""
    operation: Operation | None = None


class Event(msgspec.Struct):
    event_id: str
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str
    timestamp_ms: int
    properties: str = ""
    token: str = ""


class ChangeSet(msgspec.Struct):
    change_set_id: str
    name: str
    stack_id: str
    stack_name: str
    kind: str
    """CREATE or UPDATE."""
    created_ms: int
    status: str
    execution_status: str
    desired: Desired | None
    changes: list[dict[str, Any]]
    reason: str = ""
    description: str = ""
    on_stack_failure: str = ""
    seen_ms: int | None = None
    """The stack's update time when this was made: a later one makes it obsolete."""


class StackName(msgspec.Struct):
    stack_id: str


class Export(msgspec.Struct):
    name: str
    value: str
    stack_id: str


class Busy(msgspec.Struct):
    """A stack with an operation under way, for whoever starts the server next."""

    account: str
    region: str
    stack_id: str


class Answer(msgspec.Struct):
    """What was sent to the URL of a custom resource's answer; None while it is awaited."""

    body: bytes | None = None


STACKS = Records(keyspace.CFN_STACK, Stack)
STACK_NAMES = Records(keyspace.CFN_STACK_NAME, StackName)
EVENTS = Records(keyspace.CFN_EVENT, Event)
CHANGE_SETS = Records(keyspace.CFN_CHANGE_SET, ChangeSet)
EXPORTS = Records(keyspace.CFN_EXPORT, Export)
BUSY = Records(keyspace.CFN_BUSY, Busy)
ANSWERS = Records(keyspace.CFN_ANSWER, Answer)


def find_stack(tx: ReadTx, scope: Scope, name_or_id: str) -> Stack | None:
    """Return a stack by its id (deleted ones too) or by its name (live ones only)."""
    if name_or_id.startswith("arn:"):
        return STACKS.find(tx, scope, name_or_id)
    named = STACK_NAMES.find(tx, scope, name_or_id)
    return None if named is None else STACKS.find(tx, scope, named.stack_id)


def save_stack(tx: WriteTx, scope: Scope, stack: Stack) -> None:
    """Write a stack, and whether it is busy."""
    STACKS.save(tx, scope, stack.stack_id, record=stack)
    if stack.operation is not None:
        BUSY.save(tx, SYSTEM, stack.stack_id, record=Busy(scope.account, scope.region, stack.stack_id))
    else:
        BUSY.delete(tx, SYSTEM, stack.stack_id)


def save_event(tx: WriteTx, scope: Scope, stack: Stack, event: Event) -> None:
    """Append to a stack's events."""
    last = next(iter(tx.scan(*EVENTS.family.range(scope, stack.stack_id), limit=1, reverse=True)), None)
    sequence = EVENTS.family.parts_of(last[0])[1] + 1 if last else 1
    EVENTS.save(tx, scope, stack.stack_id, sequence, record=event)
