"""Performs stack operations: an operation has a phase, and each phase is a loop over the stack's records.

    create  forward -> done | rollback -> ROLLBACK_COMPLETE
    update  forward -> cleanup -> done | rollback -> cleanup -> UPDATE_ROLLBACK_COMPLETE
    delete  delete -> done

Every step is recorded before and after it is taken, so that who finds an interrupted operation can take it up: a
forward phase is rolled back then, every other phase goes on where it stopped, since deleting twice does no harm.

Resources are made one after the other, each behind those that it refers to, and deleted in the reverse order.
"""

from dataclasses import replace as replaced
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.ids import UPPER_ALPHANUMERIC
from cumulet.scope import Scope
from cumulet.services.cloudformation.answers import Answers
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.order import find_dependencies, plan_order
from cumulet.services.cloudformation.core.template import Declaration, Template
from cumulet.services.cloudformation.progress import Journal
from cumulet.services.cloudformation.records import (
    EXPORTS,
    STACK_NAMES,
    Leftover,
    Operation,
    Output,
    Stack,
    StackResource,
)
from cumulet.services.cloudformation.resolution import pseudo_parameters, template_of, values_for
from cumulet.services.cloudformation.resources import TYPES
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    ResourceFailed,
    ResourceType,
    check_properties,
    make_name,
    own_tags,
    tag_list,
)
from cumulet.services.kit import Ground
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.leases import Lease

_EXISTS = {
    "AlreadyExistsException",
    "BucketAlreadyExists",
    "BucketAlreadyOwnedByYou",
    "ConflictException",
    "EntityAlreadyExists",
    "ResourceAlreadyExistsException",
    "ResourceConflictException",
    "ResourceInUseException",
}
_DONE = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
_REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."
INTERRUPTED = "The operation was interrupted by a restart of the server."


def reason_of(failure: Exception) -> str:
    """Return a resource's failure in the words of its event."""
    if isinstance(failure, ServiceError):
        if failure.code == "ValidationError":
            return failure.message
        kind = {
            "AccessDenied": "AccessDenied",
            "AccessDeniedException": "AccessDenied",
            "NotImplementedException": "GeneralServiceException",
        }.get(failure.code, "AlreadyExists" if failure.code in _EXISTS else "InvalidRequest")
        return f'Resource handler returned message: "{failure.message}" (HandlerErrorCode: {kind})'
    return str(failure)


class Execution:
    """One operation on one stack."""

    def __init__(self, ground: Ground, lease: Lease, scope: Scope, stack_id: str) -> None:
        self._ground = ground
        self._lease = lease
        self._scope = scope
        self._stack_id = stack_id
        self._journal = Journal(ground.store, lease, ground.clock, ground.ids, scope, stack_id)

    async def run(self, *, resumed: bool = False) -> None:
        """Return when the stack has come to rest."""
        stack = await self._journal.load()
        if resumed and stack.operation is not None and stack.operation.phase == "forward":
            await self._fail(INTERRUPTED)
        while (operation := (await self._journal.load()).operation) is not None:
            if operation.phase == "forward":
                await self._go_forward(operation)
            elif operation.phase == "rollback" and operation.kind == "create":
                await self._roll_back_creation(operation)
            elif operation.phase == "rollback":
                await self._roll_back_update(operation)
            elif operation.phase == "cleanup":
                await self._clean_up(operation)
            else:
                await self._delete(operation)

    async def give_up(self) -> None:
        """Leave a stack whose operation met a bug in a state that says so, rather than in progress for ever."""

        def stop(stack: Stack, tx: WriteTx) -> None:
            stack.operation = None

        stack = await self._journal.load()
        if stack.operation is not None:
            status = stack.status.replace("_COMPLETE_CLEANUP_IN_PROGRESS", "_FAILED").replace("_IN_PROGRESS", "_FAILED")
            await self._journal.stack_is(status, "Internal Failure", also=stop)

    # Forward

    async def _go_forward(self, operation: Operation) -> None:
        stack = await self._journal.load()
        target = operation.target
        if target is None:
            raise validation_error("a stack is created or updated to something")
        template = template_of(target)
        exports = await self._ground.store.read(self._read_exports)
        imported: set[str] = set()

        def find_export(name: str) -> str | None:
            imported.add(name)
            return exports.get(name)

        resources = stack.resources
        pseudo = pseudo_parameters(self._scope, stack.name, stack.stack_id)
        values = values_for(template, target, pseudo, resources, find_export)
        dependencies = find_dependencies(template, values.conditions)
        for name in plan_order(dependencies):
            declaration = template.resources[name]
            resource = resources.get(name) or StackResource(name, declaration.type)
            verb = "UPDATE" if name in operation.before else "CREATE"
            try:
                properties = values.resolve(dict(declaration.properties))
                made = await self._make(stack.name, operation, resource, declaration, properties, dependencies[name])
            except (ServiceError, ResourceFailed) as failure:
                failed = (await self._journal.load()).resources.get(name, resource)
                await self._journal.resource_is(failed, f"{verb}_FAILED", reason_of(failure), touch=True)
                what = "create" if verb == "CREATE" else "update"
                await self._fail(f"The following resource(s) failed to {what}: [{name}].")
                return
            resources[name] = made
        try:
            outputs = [
                _render_output(name, values.resolve(output))
                for name, output in template.outputs.items()
                if output.get("Condition") is None or values.conditions[output["Condition"]]
            ]
        except ServiceError as failure:
            await self._fail(failure.message)
            return
        if (problem := await self._journal.publish(outputs, sorted(imported))) is not None:
            await self._fail(problem)
            return
        await self._finish_forward(operation, template, dependencies)

    def _read_exports(self, tx: ReadTx) -> dict[str, str]:
        return {export.name: export.value for export in EXPORTS.scan(tx, self._scope)}

    async def _finish_forward(
        self, operation: Operation, template: Template, wanted: dict[str, tuple[str, ...]]
    ) -> None:
        if operation.kind == "create":

            def created(stack: Stack, tx: WriteTx) -> None:
                stack.desired, stack.operation = operation.target, None

            await self._journal.stack_is("CREATE_COMPLETE", also=created)
            return

        def updated(stack: Stack, tx: WriteTx) -> None:
            current = stack.operation
            stack.desired = operation.target
            if current is not None:
                current.phase = "cleanup"
                for name in [name for name in stack.resources if name not in wanted]:
                    gone = stack.resources.pop(name)
                    current.leftovers.append(Leftover(gone, gone.deletion_policy))

        await self._journal.stack_is("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", also=updated)

    async def _make(
        self,
        stack_name: str,
        operation: Operation,
        resource: StackResource,
        declaration: Declaration,
        properties: dict[str, Any],
        depends_on: tuple[str, ...],
    ) -> StackResource:
        """Return the resource as it is when it has become what the template says."""
        kind = TYPES[declaration.type]
        target_tags = operation.target.tags if operation.target else {}
        wanted = msgspec.structs.replace(
            resource,
            type=declaration.type,
            properties=properties,
            tags=target_tags if kind.taggable else {},
            depends_on=depends_on,
            deletion_policy=declaration.deletion_policy,
            update_replace_policy=declaration.update_replace_policy,
        )
        is_new = resource.logical_id not in operation.before
        if not is_new and resource.type == declaration.type:
            is_same = resource.properties == properties and resource.tags == wanted.tags and resource.status in _DONE
            if is_same and not kind.revisited:

                def keep(stack: Stack) -> None:
                    stack.resources[wanted.logical_id] = wanted

                if wanted != resource:
                    await self._journal.change(keep)
                return wanted
            changed = {
                name
                for name in resource.properties.keys() | properties.keys()
                if resource.properties.get(name) != properties.get(name)
            }
            if not changed & kind.immutable and kind.update is not None:
                return await self._update(operation, kind, resource, wanted)
        return await self._create(stack_name, operation, kind, resource, wanted, is_new)

    def _desk(self, operation: Operation, resource: StackResource, name: str = "") -> Desk:
        return Desk(
            operations=self._ground.operations,
            lease=self._lease,
            clock=self._ground.clock,
            principal=operation.caller,
            scope=self._scope,
            logical_id=resource.logical_id,
            type_name=resource.type,
            answers=Answers(self._ground, self._lease, self._scope, self._stack_id),
            name=name or resource.physical_id,
            tags=resource.tags,
            capabilities=operation.target.capabilities if operation.target else (),
            note=lambda tx, physical_id: self._journal.note(tx, resource.logical_id, physical_id),
        )

    async def _create(
        self,
        stack_name: str,
        operation: Operation,
        kind: ResourceType,
        old: StackResource,
        wanted: StackResource,
        is_new: bool,
    ) -> StackResource:
        verb = "CREATE" if is_new else "UPDATE"
        given_name = wanted.properties.get(kind.name_property) if kind.name_property else None
        chance = self._ground.ids.token(12, UPPER_ALPHANUMERIC)
        name = str(given_name) if given_name else make_name(kind, stack_name, wanted.logical_id, chance)
        if not is_new:
            if given_name and old.type == wanted.type and str(given_name) == old.physical_id:
                raise ResourceFailed(
                    "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename"
                    f" {name} and update the stack again."
                )
            await self._leave(old, wanted)
        reason = "" if is_new else _REPLACING
        wanted.physical_id, wanted.attributes = "", {}
        try:
            check_properties(kind, wanted.logical_id, wanted.properties)
        except ResourceFailed:
            # Nothing is made of such properties, so nothing must be deleted by them either.
            await self._journal.resource_is(wanted, f"{verb}_IN_PROGRESS", reason, touch=True)
            raise
        # Its physical id is recorded in the transaction that makes the resource (`Desk.make`), so that no crash leaves
        # behind what nobody knows of. Where that is not possible a generated name, which cannot be anybody else's, is
        # recorded ahead; decision 0042 tells what is left.
        wanted.physical_id = name if kind.named_ahead and not given_name else ""
        await self._journal.resource_is(wanted, f"{verb}_IN_PROGRESS", reason, touch=True)
        desk = self._desk(operation, wanted, name)
        try:
            made = await kind.create(desk, wanted.properties)
        except (ServiceError, ResourceFailed):
            # Half made, it goes when the stack is rolled back. If nothing was made, whatever bears the name stays.
            unnoted = name if kind.named_ahead and desk.done else ""
            wanted.physical_id = desk.noted[-1] if desk.noted else unnoted
            await self._journal.change(lambda stack: stack.resources.__setitem__(wanted.logical_id, wanted))
            raise
        _take(wanted, made)
        await self._journal.resource_is(wanted, f"{verb}_IN_PROGRESS", "Resource creation Initiated")
        await self._journal.resource_is(wanted, f"{verb}_COMPLETE")
        return wanted

    async def _leave(self, old: StackResource, wanted: StackResource) -> None:
        """Note what another resource takes the place of: it goes when the rest is done."""

        def leave(stack: Stack) -> None:
            if stack.operation is not None:
                stack.operation.leftovers.append(Leftover(old, wanted.update_replace_policy))

        await self._journal.change(leave)

    async def _update(
        self, operation: Operation, kind: ResourceType, old: StackResource, wanted: StackResource
    ) -> StackResource:
        try:
            check_properties(kind, wanted.logical_id, wanted.properties)
        except ResourceFailed:
            # It stays what it was, so rolling back has nothing to undo.
            await self._journal.resource_is(msgspec.structs.replace(old), "UPDATE_IN_PROGRESS", touch=True)
            raise
        await self._journal.resource_is(wanted, "UPDATE_IN_PROGRESS", touch=True)
        await self._apply_update(operation, kind, old, wanted)
        await self._journal.resource_is(wanted, "UPDATE_COMPLETE")
        return wanted

    async def _apply_update(
        self, operation: Operation, kind: ResourceType, old: StackResource, wanted: StackResource
    ) -> None:
        if kind.update is None:
            raise ResourceFailed(f"{wanted.type} cannot be updated in place")
        made = Made(old.physical_id, old.attributes)
        # Stack tags count as the resource's own, so that the update sees which of them went.
        before = _with_tags(old)
        desk = self._desk(operation, wanted)
        try:
            changed = await kind.update(desk, made, before, wanted.properties)
        except (ServiceError, ResourceFailed):
            if not desk.done:
                # It is what it was, so rolling back has nothing to undo.
                unchanged = msgspec.structs.replace(old)
                await self._journal.change(lambda stack: stack.resources.__setitem__(old.logical_id, unchanged))
            raise
        _take(wanted, changed)
        if wanted.physical_id != old.physical_id:
            # A custom resource's function has made another in its place.
            await self._leave(old, wanted)

    # Failure

    async def _fail(self, reason: str) -> None:
        def turn(stack: Stack, tx: WriteTx) -> None:
            operation = stack.operation
            if operation is None:
                return
            if operation.on_failure == "DO_NOTHING":
                stack.desired = operation.target if operation.kind == "create" else stack.desired
                stack.operation = None
            elif operation.on_failure == "DELETE":
                operation.phase, operation.kind = "delete", "delete"
                stack.desired = operation.target
            else:
                operation.phase = "rollback"
                stack.desired = operation.target if operation.kind == "create" else stack.desired

        operation = (await self._journal.load()).operation
        if operation is None:
            return
        if operation.on_failure == "DO_NOTHING":
            status = f"{operation.kind.upper()}_FAILED"
        elif operation.on_failure == "DELETE":
            status = "DELETE_IN_PROGRESS"
        elif operation.kind == "create":
            status, reason = "ROLLBACK_IN_PROGRESS", f"{reason} Rollback requested by user."
        else:
            status = "UPDATE_ROLLBACK_IN_PROGRESS"
        await self._journal.stack_is(status, reason, also=turn)

    async def _roll_back_creation(self, operation: Operation) -> None:
        failed: list[str] = []
        blocked: set[str] = set()
        resources = (await self._journal.load()).resources
        for name in reversed(operation.touched):
            resource = resources[name]
            if resource.status == "DELETE_COMPLETE" or name in blocked:
                continue
            retained = resource.deletion_policy == "Retain" and not operation.retain_except_on_create
            if not await self._remove(operation, resource, retained=retained):
                failed.append(name)
                blocked |= _all_dependencies(resource, resources)

        def done(stack: Stack, tx: WriteTx) -> None:
            stack.operation = None

        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            await self._journal.stack_is("ROLLBACK_FAILED", reason, also=done)
        else:
            await self._journal.stack_is("ROLLBACK_COMPLETE", also=done)

    async def _roll_back_update(self, operation: Operation) -> None:
        for name in operation.touched:
            current, before = (await self._journal.load()).resources.get(name), operation.before.get(name)
            if current is None or (before is not None and current == before):
                continue
            if before is None:
                await self._leave_behind(current, None)
            elif (
                current.properties == before.properties
                and current.tags == before.tags
                and not TYPES[current.type].revisited
            ):
                # It failed, or was replaced in vain, before anything changed.
                await self._journal.resource_is(msgspec.structs.replace(before), before.status)
            elif _is_same(current, before):
                if not await self._put_back(operation, current, before):
                    return
            else:
                await self._leave_behind(current, before)

        def turn(stack: Stack, tx: WriteTx) -> None:
            if stack.operation is not None:
                stack.operation.phase = "cleanup"
                # What a replacement would have left behind is in use again.
                stack.operation.leftovers = [
                    left
                    for left in stack.operation.leftovers
                    if not _is_same(left.resource, stack.resources.get(left.resource.logical_id))
                ]

        await self._journal.stack_is("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", also=turn)

    async def _leave_behind(self, current: StackResource, before: StackResource | None) -> None:
        """Mark what the failed update made for deletion, and show what was there before in its place."""

        def change(stack: Stack) -> None:
            if before is None:
                stack.resources.pop(current.logical_id, None)
            else:
                stack.resources[before.logical_id] = before
            if current.physical_id and stack.operation is not None:
                stack.operation.leftovers.append(Leftover(current, "Delete"))

        await self._journal.change(change)

    async def _put_back(self, operation: Operation, current: StackResource, before: StackResource) -> bool:
        wanted = msgspec.structs.replace(before)
        await self._journal.resource_is(
            msgspec.structs.replace(current), "UPDATE_IN_PROGRESS", "Rolling back to the previous properties"
        )
        try:
            await self._apply_update(operation, TYPES[before.type], current, wanted)
        except (ServiceError, ResourceFailed) as failure:
            await self._journal.resource_is(current, "UPDATE_FAILED", reason_of(failure))

            def stop(stack: Stack, tx: WriteTx) -> None:
                stack.operation = None

            reason = f"The following resource(s) failed to update: [{current.logical_id}]. "
            await self._journal.stack_is("UPDATE_ROLLBACK_FAILED", reason, also=stop)
            return False
        await self._journal.resource_is(wanted, "UPDATE_COMPLETE")
        return True

    # Cleanup and deletion

    async def _clean_up(self, operation: Operation) -> None:
        """Delete what the update has replaced or removed. A failure to do so leaves the update what it is."""
        for left in _deletion_order([left.resource for left in operation.leftovers]):
            policy = next(item.policy for item in operation.leftovers if item.resource is left)
            if left.physical_id:
                await self._remove(operation, left, retained=policy != "Delete", kept=False)

            def struck(stack: Stack, left: StackResource = left) -> None:
                if stack.operation is not None:
                    stack.operation.leftovers = [item for item in stack.operation.leftovers if item.resource != left]

            await self._journal.change(struck)

        def done(stack: Stack, tx: WriteTx) -> None:
            stack.operation = None

        rolled_back = (await self._journal.load()).status.startswith("UPDATE_ROLLBACK")
        await self._journal.stack_is("UPDATE_ROLLBACK_COMPLETE" if rolled_back else "UPDATE_COMPLETE", also=done)

    async def _delete(self, operation: Operation) -> None:
        if (problem := await self._journal.publish([], [])) is not None:

            def keep(stack: Stack, tx: WriteTx) -> None:
                stack.operation = None

            await self._journal.stack_is("DELETE_FAILED", problem, also=keep)
            return
        failed: list[str] = []
        blocked: set[str] = set()
        for resource in _deletion_order(list((await self._journal.load()).resources.values())):
            if resource.status in ("DELETE_COMPLETE", "DELETE_SKIPPED"):
                continue
            if resource.logical_id in blocked:
                continue
            retained = resource.deletion_policy != "Delete" or resource.logical_id in operation.retain
            if not await self._remove(operation, resource, retained=retained):
                failed.append(resource.logical_id)
                blocked |= _all_dependencies(resource, (await self._journal.load()).resources)

        def failed_for_now(stack: Stack, tx: WriteTx) -> None:
            stack.operation = None

        def gone(stack: Stack, tx: WriteTx) -> None:
            stack.operation = None
            stack.deleted_ms = self._ground.clock.now_ms()
            STACK_NAMES.delete(tx, self._scope, stack.name)

        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            await self._journal.stack_is("DELETE_FAILED", reason, also=failed_for_now)
        else:
            await self._journal.stack_is("DELETE_COMPLETE", also=gone)

    async def _remove(
        self, operation: Operation, resource: StackResource, *, retained: bool, kept: bool = True
    ) -> bool:
        """Delete one resource, or say why not; return whether the stack may go on without it."""
        resource = msgspec.structs.replace(resource)
        if retained:
            await self._journal.resource_is(resource, "DELETE_SKIPPED", kept=kept)
            return True
        await self._journal.resource_is(resource, "DELETE_IN_PROGRESS", kept=kept)
        if resource.physical_id:
            desk = replaced(self._desk(operation, resource), tags={})
            try:
                await TYPES[resource.type].delete(desk, resource.physical_id, resource.properties)
            except (ServiceError, ResourceFailed) as failure:
                await self._journal.resource_is(resource, "DELETE_FAILED", reason_of(failure), kept=kept)
                return False
        await self._journal.resource_is(resource, "DELETE_COMPLETE", kept=kept)
        return True


def _is_same(one: StackResource, other: StackResource | None) -> bool:
    """Return whether two records are of one physical resource, which an update in place has changed at most."""
    # A stage's physical id is its name, which the stage of another API can bear as well.
    if other is None or (one.type, one.physical_id) != (other.type, other.physical_id):
        return False
    kind = TYPES[one.type]
    differing = {
        name
        for name in one.properties.keys() | other.properties.keys()
        if one.properties.get(name) != other.properties.get(name)
    }
    return not differing or (kind.update is not None and not differing & kind.immutable)


def _take(resource: StackResource, made: Made) -> None:
    resource.physical_id = str(made.physical_id)  # a name may be given as a number
    resource.attributes = dict(made.attributes)


def _with_tags(resource: StackResource) -> dict[str, Any]:
    if not resource.tags:
        return resource.properties
    return {**resource.properties, "Tags": tag_list({**resource.tags, **own_tags(resource.properties)})}


def _render_output(name: str, resolved: dict[str, Any]) -> Output:
    value = resolved.get("Value")
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise validation_error(
            f"Template format error: The Value field of every Outputs member must evaluate to a String ({name})"
        )
    export = resolved.get("Export") or {}
    if not isinstance(export, dict):
        raise validation_error(f"Template format error: [/Outputs/{name}/Export] Every Export member must be an object")
    return Output(name, str(value), str(resolved.get("Description", "")), str(export.get("Name", "")))


def _deletion_order(resources: list[StackResource]) -> list[StackResource]:
    """Return resources so that each comes before those that it depends on."""
    order: list[StackResource] = []
    left = list(resources)
    while left:
        needed = {name for resource in left for name in resource.depends_on if name != resource.logical_id}
        free = [resource for resource in left if resource.logical_id not in needed]
        if not free:
            # A replaced and a new resource can depend on each other's names; any order is right then.
            free = [left[-1]]
        order += reversed(free)
        left = [resource for resource in left if not any(resource is other for other in free)]
    return order


def _all_dependencies(resource: StackResource, resources: dict[str, StackResource]) -> set[str]:
    found: set[str] = set()
    open_names = list(resource.depends_on)
    while open_names:
        name = open_names.pop()
        if name not in found and name in resources:
            found.add(name)
            open_names += resources[name].depends_on
    return found
