"""Transitions of a stack and its resources: each is one transaction that changes the records and appends an event."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cumulet.clock import Clock
from cumulet.errors import InvariantViolated
from cumulet.ids import Ids
from cumulet.scope import Scope
from cumulet.services.cloudformation.records import (
    EXPORTS,
    STACKS,
    Event,
    Export,
    Output,
    Stack,
    StackResource,
    save_event,
    save_stack,
)
from cumulet.store.api import Store, WriteTx
from cumulet.store.leases import Lease, give_back

STACK_TYPE = "AWS::CloudFormation::Stack"


def iso(timestamp_ms: int) -> str:
    """Return a time as event ids and templates have it."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def record_stack(tx: WriteTx, scope: Scope, stack: Stack, now_ms: int, event_id: str) -> None:
    """Save a stack whose status has changed, and the event that says so."""
    event = Event(
        event_id=event_id,
        logical_id=stack.name,
        physical_id=stack.stack_id,
        type=STACK_TYPE,
        status=stack.status,
        reason=stack.reason,
        timestamp_ms=now_ms,
        token=stack.operation.token if stack.operation else "",
    )
    save_event(tx, scope, stack, event)
    save_stack(tx, scope, stack)


class Journal:
    """The records of one stack, for its executor: the only one who changes them while an operation is under way.

    Every change is made under the stack's lease. Raises LeaseLost when another node performs the operation.
    """

    def __init__(self, store: Store, lease: Lease, clock: Clock, ids: Ids, scope: Scope, stack_id: str) -> None:
        self._store = store
        self._lease = lease
        self._clock = clock
        self._ids = ids
        self._scope = scope
        self._stack_id = stack_id

    async def load(self) -> Stack:
        """Return the stack as it is."""
        return await self._store.read(self._get)

    def _get(self, tx: Any) -> Stack:
        stack = STACKS.find(tx, self._scope, self._stack_id)
        if stack is None:
            raise InvariantViolated(f"stack {self._stack_id} has an operation under way and no record")
        return stack

    async def change(self, change: Callable[[Stack], None]) -> Stack:
        """Apply a change that is no event of its own."""

        def body(tx: WriteTx) -> Stack:
            stack = self._get(tx)
            change(stack)
            save_stack(tx, self._scope, stack)
            return stack

        return await self._lease.write(body)

    def note(self, tx: WriteTx, logical_id: str, physical_id: str) -> None:
        """Record where a resource is, in the transaction that has made it."""
        stack = self._get(tx)
        stack.resources[logical_id].physical_id = physical_id
        save_stack(tx, self._scope, stack)

    async def stack_is(
        self, status: str, reason: str = "", also: Callable[[Stack, WriteTx], None] | None = None
    ) -> Stack:
        """Give the stack a status."""
        now_ms, event_id = self._clock.now_ms(), self._ids.uuid()

        def body(tx: WriteTx) -> Stack:
            stack = self._get(tx)
            stack.status, stack.reason = status, reason
            if also is not None:
                also(stack, tx)
            record_stack(tx, self._scope, stack, now_ms, event_id)
            if stack.operation is None:
                # Here and not later: who sees the stack at rest may begin the next operation, on any node.
                give_back(tx, self._lease.record)
            return stack

        return await self._lease.write(body)

    async def resource_is(
        self, resource: StackResource, status: str, reason: str = "", *, kept: bool = True, touch: bool = False
    ) -> None:
        """Give a resource a status; `kept` says whether the stack's list shows it. `touch` marks it for rollback."""
        now_ms = self._clock.now_ms()
        resource.status, resource.reason, resource.updated_ms = status, reason, now_ms

        def body(tx: WriteTx) -> None:
            stack = self._get(tx)
            if kept:
                stack.resources[resource.logical_id] = resource
            if touch and stack.operation is not None and resource.logical_id not in stack.operation.touched:
                stack.operation.touched.append(resource.logical_id)
            event = Event(
                event_id=f"{resource.logical_id}-{status}-{iso(now_ms)}",
                logical_id=resource.logical_id,
                physical_id=resource.physical_id,
                type=resource.type,
                status=status,
                reason=reason,
                timestamp_ms=now_ms,
                properties=json.dumps(resource.properties) if resource.properties else "",
                token=stack.operation.token if stack.operation else "",
            )
            save_event(tx, self._scope, stack, event)
            save_stack(tx, self._scope, stack)

        await self._lease.write(body)

    async def publish(self, outputs: list[Output], imports: list[str]) -> str | None:
        """Make these the stack's outputs and exports; return why that is not possible, if it is not."""

        def body(tx: WriteTx) -> str | None:
            stack = self._get(tx)
            wanted = {output.export_name: output for output in outputs if output.export_name}
            if (problem := self._export_problem(tx, stack, wanted)) is not None:
                return problem
            for export in list(EXPORTS.scan(tx, self._scope)):
                if export.stack_id == stack.stack_id and export.name not in wanted:
                    EXPORTS.delete(tx, self._scope, export.name)
            for name, output in wanted.items():
                EXPORTS.save(tx, self._scope, name, record=Export(name, output.value, stack.stack_id))
            stack.outputs, stack.imports = outputs, imports
            save_stack(tx, self._scope, stack)
            return None

        return await self._lease.write(body)

    def _export_problem(self, tx: WriteTx, stack: Stack, wanted: Mapping[str, Output]) -> str | None:
        for name in wanted:
            other = EXPORTS.find(tx, self._scope, name)
            if other is not None and other.stack_id != stack.stack_id:
                return f"Export with name {name} is already exported by stack {other.stack_id.split('/')[1]}."
        for export in EXPORTS.scan(tx, self._scope):
            if export.stack_id != stack.stack_id:
                continue
            kept = wanted.get(export.name)
            if kept is not None and kept.value == export.value:
                continue
            users = [other.name for other in STACKS.scan(tx, self._scope) if export.name in other.imports]
            if users:
                verb = "updated" if kept is not None else "deleted"
                return f"Export {export.name} cannot be {verb} as it is in use by {', '.join(users)}"
        return None
