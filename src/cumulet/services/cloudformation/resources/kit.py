"""What a resource type is made of, and the desk at which its functions work.

A type is a small declaration: its properties, what their change means, its attributes, and three functions that call
the operations of its service as the stack's caller. Creating returns the physical id and the attributes; deleting what
is gone already succeeds, so that an interrupted deletion can be taken up again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from cumulet.clock import Clock
from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.cloudformation.answers import Answers
from cumulet.services.kit import Operations, Output, Principal
from cumulet.store.api import WriteTx
from cumulet.store.leases import Lease

T = TypeVar("T")
Properties: TypeAlias = Mapping[str, Any]

POLL_S = 0.02
SETTLE_S_MAX = 300


class ResourceFailed(Exception):
    """A resource cannot become what it should; the words are for the event's reason."""


@dataclass(frozen=True, slots=True)
class Made:
    """A resource that is there: its physical id (what Ref gives) and what Fn::GetAtt gives."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where one resource of one stack is worked on: who calls, under which names and tags."""

    operations: Operations
    lease: Lease
    """The stack's: nothing is changed for it by a node that is not to work on it any more."""
    clock: Clock
    principal: Principal
    scope: Scope
    logical_id: str
    type_name: str
    answers: Answers
    """Those of the stack's custom resources."""
    name: str
    """The name that the resource gets unless its properties give one."""
    tags: Mapping[str, str]
    """The stack's tags, which go to every resource that can carry tags."""
    capabilities: Sequence[str]
    """What the stack's caller has acknowledged, for the stacks within it."""
    note: Callable[[WriteTx, str], None]
    """Records in the stack under which physical id the resource is there."""
    done: list[str] = field(default_factory=list)
    """The operations that succeeded: without any, a failed creation has left nothing behind."""
    noted: list[str] = field(default_factory=list)
    """The physical ids that were recorded."""

    async def call(self, service: str, operation: str, params: Mapping[str, Any]) -> Output:
        """Return an operation's output; params that are None are left out, scalars get the model's types."""
        given = {name: value for name, value in params.items() if value is not None}
        output = await self.operations.call(
            self.principal, self.scope, service, operation, conform(service, operation, given), self.lease
        )
        self.done.append(operation)
        return output

    async def make(
        self, service: str, operation: str, params: Mapping[str, Any], identify: Callable[[Output], str]
    ) -> Output:
        """Call the operation that brings the resource into being; its physical id is recorded in the same transaction.

        Operations that make transactions of their own do not let that in; what they make is recorded when they return.
        """
        noting = replace(self, lease=_NotingLease(self.lease, lambda tx, output: self.note(tx, str(identify(output)))))
        output = await noting.call(service, operation, params)
        self.noted.append(str(identify(output)))
        return output

    async def drop(self, service: str, operation: str, params: Mapping[str, Any], *gone: str) -> None:
        """Call an operation that removes something; the errors named in `gone` mean that it was removed before."""
        try:
            await self.call(service, operation, params)
        except ServiceError as error:
            if error.code not in gone:
                raise

    async def settle(self, is_settled: Callable[[], Awaitable[bool]], seconds_max: float = SETTLE_S_MAX) -> None:
        """Return once `is_settled()` says so. Raises ResourceFailed when that takes too long."""
        start = self.clock.monotonic_s()
        while not await is_settled():
            if self.clock.monotonic_s() - start > seconds_max:
                raise ResourceFailed("Resource did not stabilize.")
            await self.clock.sleep(POLL_S)

    def merged_tags(self, properties: Properties) -> dict[str, str]:
        """Return the stack's tags and the resource's own, which win."""
        return {**self.tags, **own_tags(properties)}


class _NotingLease(Lease):
    """A lease in whose transactions a note is made of what they did."""

    def __init__(self, lease: Lease, note: Callable[[WriteTx, Any], None]) -> None:
        self._lease = lease
        self._note = note
        self.record, self.ended = lease.record, lease.ended

    @property
    def is_held(self) -> bool:
        return self._lease.is_held

    async def write(self, fn: Callable[[WriteTx], T]) -> T:
        def noted(tx: WriteTx) -> T:
            output = fn(tx)
            self._note(tx, output)
            return output

        return await self._lease.write(noted)


def own_tags(properties: Properties) -> dict[str, str]:
    """Return a resource's Tags property, which is a list or (API Gateway V2) a map, as a map."""
    tags = properties.get("Tags") or {}
    if isinstance(tags, Mapping):
        return dict(tags)
    return {as_text(tag["Key"], "#/Tags"): as_text(tag["Value"], "#/Tags") for tag in tags}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]] | None:
    """Return tags as a list of Key and Value; None if there are none."""
    return [{"Key": key, "Value": value} for key, value in tags.items()] or None


Create: TypeAlias = Callable[[Desk, Properties], Awaitable[Made]]
Update: TypeAlias = Callable[[Desk, Made, Properties, Properties], Awaitable[Made]]
"""(desk, what is there, old properties, new properties)"""
Delete: TypeAlias = Callable[[Desk, str, Properties], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type: `AWS::Service::Thing`."""

    name: str
    create: Create
    delete: Delete
    update: Update | None
    """None if every property is immutable."""
    properties: frozenset[str]
    """`*` stands for whatever a template gives."""
    required: frozenset[str]
    immutable: frozenset[str]
    not_built: frozenset[str]
    """Properties that AWS has and that are refused by name."""
    attributes: frozenset[str]
    """`Name.*` stands for all attributes of that beginning, `*` for any."""
    name_property: str | None
    named_ahead: bool
    """Whether it is found under the name that the desk has for it, and made by an operation that cannot be noted."""
    name_max: int
    lower_case: bool
    taggable: bool
    revisited: bool
    """Whether an update visits it though nothing of it has changed in the template."""
    objects: frozenset[str]
    """Properties that are objects."""
    entries: Mapping[str, frozenset[str]]
    """Properties that are lists, with the keys that each entry must have; without any, the entries are texts."""


def resource_type(
    name: str,
    *,
    create: Create,
    delete: Delete,
    update: Update | None,
    properties: str,
    required: str = "",
    immutable: str = "",
    not_built: str = "",
    attributes: str = "",
    name_property: str | None = None,
    named_ahead: bool = False,
    name_max: int = 255,
    lower_case: bool = False,
    revisited: bool = False,
    objects: str = "",
    entries: Mapping[str, str] | None = None,
) -> ResourceType:
    """Declare a type; lists of names are words in a string. Without `update`, every property is immutable."""
    built = frozenset(properties.split())
    return ResourceType(
        name=name,
        create=create,
        delete=delete,
        update=update,
        properties=built,
        required=frozenset(required.split()),
        immutable=built if update is None else frozenset(immutable.split()),
        not_built=frozenset(not_built.split()),
        attributes=frozenset(attributes.split()),
        name_property=name_property,
        named_ahead=named_ahead,
        name_max=name_max,
        lower_case=lower_case,
        taggable="Tags" in built,
        revisited=revisited,
        objects=frozenset(objects.split()),
        entries={name: frozenset(keys.split()) for name, keys in (entries or {}).items()},
    )


def has_attribute(kind: ResourceType, name: str) -> bool:
    """Return whether Fn::GetAtt may give something of this name."""
    return not kind.attributes.isdisjoint({name, f"{name.partition('.')[0]}.*", "*"})


def check_properties(kind: ResourceType, logical_id: str, properties: Properties) -> None:
    """Raise ResourceFailed for a property that the type does not have, that is not built, or that is missing."""
    for name in sorted(properties):
        if name in kind.not_built:
            raise ResourceFailed(f"The property {name} of {kind.name} is not implemented by Cumulet.")
    problems = [
        f"#: extraneous key [{name}] is not permitted"
        for name in sorted(properties)
        if kind.properties.isdisjoint({name, "*"})
    ] + [f"#: required key [{name}] not found" for name in sorted(kind.required - properties.keys())]
    for name, value in properties.items():
        if name in kind.objects and not isinstance(value, Mapping):
            problems.append(f"#/{name}: expected type: JSONObject, found: {_type_of(value)}")
        elif name in kind.entries:
            problems += _entry_problems(name, value, kind.entries[name])
        elif name == kind.name_property and isinstance(value, (Mapping, list)):
            problems.append(f"#/{name}: expected type: String, found: {_type_of(value)}")
    if problems:
        raise ResourceFailed(
            f"Properties validation failed for resource {logical_id} with message:\n" + "\n".join(problems)
        )


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "Boolean"
    names = ((str, "String"), (int, "Integer"), (float, "Number"), (list, "JSONArray"), (Mapping, "JSONObject"))
    return next((name for kind, name in names if isinstance(value, kind)), "Null")


_TEXTS = frozenset(("Key", "Value", "PolicyName"))
"""Keys of entries by which these are told apart, before an operation looks at them."""


def _entry_problems(name: str, value: Any, keys: frozenset[str]) -> list[str]:
    if not isinstance(value, list):
        return [f"#/{name}: expected type: JSONArray, found: {_type_of(value)}"]
    problems = []
    for index, entry in enumerate(value):
        if not isinstance(entry, Mapping if keys else str):
            wanted = "JSONObject" if keys else "String"
            problems.append(f"#/{name}/{index}: expected type: {wanted}, found: {_type_of(entry)}")
        elif isinstance(entry, Mapping):
            problems += [f"#/{name}/{index}: required key [{key}] not found" for key in sorted(keys - entry.keys())]
            problems += [
                f"#/{name}/{index}/{key}: expected type: String, found: {_type_of(entry[key])}"
                for key in sorted(_TEXTS & entry.keys())
                if isinstance(entry[key], (Mapping, list))
            ]
    return problems


def as_text(value: Any, path: str) -> str:
    """Return a property that is a scalar as the text that templates take it for."""
    text: str = _conform_scalar("string", value, path)
    return text


def as_objects(value: Any, path: str) -> list[Mapping[str, Any]]:
    """Return a property that is a list of objects, or is not there."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise mistyped(path, "JSONArray", value)
    for index, entry in enumerate(value):
        if not isinstance(entry, Mapping):
            raise mistyped(f"{path}/{index}", "JSONObject", entry)
    return value


def refuse_changes(kind: str, names: str, old: Properties, new: Properties) -> None:
    """Raise ResourceFailed if one of these properties is to change: AWS does that in place, and it is not built."""
    for name in names.split():
        if old.get(name) != new.get(name):
            raise ResourceFailed(f"Changing the property {name} of {kind} is not implemented by Cumulet.")


def make_name(kind: ResourceType, stack_name: str, logical_id: str, chance: str) -> str:
    """Return `<stack>-<logical id>-<chance>`, shortened so that the type's service accepts it."""
    room = kind.name_max - len(chance) - 2
    stack = stack_name[: max(room // 2, room - len(logical_id))]
    name = f"{stack}-{logical_id[: room - len(stack)]}-{chance}"
    return name.lower() if kind.lower_case else name


def conform(service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return params with the scalars of the types that the service's model has.

    Templates say "256" and "true" where an API wants 256 and true, since parameters are strings. Raises ResourceFailed
    for a nested key that the model does not have.
    """
    from cumulet.wire.model import load_service

    model = load_service(service).find_operation(operation)
    if model is None or model.input is None:
        return dict(params)
    conformed: dict[str, Any] = _conform(model.input, params, "#")
    return conformed


def _conform(shape: Any, value: Any, path: str) -> Any:
    kind = shape.type
    if kind == "structure" and isinstance(value, Mapping):
        if extra := sorted(str(name) for name in value if name not in shape.members):
            raise ResourceFailed(
                f"Properties validation failed with message:\n{path}: extraneous key [{extra[0]}] is not permitted"
            )
        return {
            name: _conform(shape.members[name].shape, child, f"{path}/{name}")
            for name, child in value.items()
            if child is not None
        }
    if kind == "list" and isinstance(value, list):
        return [_conform(shape.member.shape, child, f"{path}/{index}") for index, child in enumerate(value)]
    if kind == "map" and isinstance(value, Mapping):
        return {str(name): _conform(shape.value.shape, child, f"{path}/{name}") for name, child in value.items()}
    if kind in ("blob", "timestamp"):
        return value
    if kind in _CONTAINERS:
        raise mistyped(path, _CONTAINERS[kind], value)
    return _conform_scalar(kind, value, path)


_CONTAINERS = {"structure": "JSONObject", "map": "JSONObject", "list": "JSONArray"}
_SCALARS = {"integer": "Integer", "long": "Integer", "float": "Number", "double": "Number", "boolean": "Boolean"}


def mistyped(path: str, wanted: str, value: Any) -> ResourceFailed:
    """Return the failure that says of which type a property should be."""
    return ResourceFailed(
        f"Properties validation failed with message:\n{path}: expected type: {wanted}, found: {_type_of(value)}"
    )


def _conform_scalar(kind: str, value: Any, path: str) -> Any:
    if isinstance(value, (Mapping, list)):
        raise mistyped(path, _SCALARS.get(kind, "String"), value)
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
    except ValueError:
        raise mistyped(path, "Number", text) from None
    if kind == "boolean":
        if text.lower() not in ("true", "false"):
            raise mistyped(path, "Boolean", text)
        return text.lower() == "true"
    return text
