"""From an old and a new template to a `ChangePlan`: which resources are added, modified, replaced, removed, and why.

Ids and attributes of resources are not known while planning; a placeholder with the resource's name stands for them, so
that both templates are compared with like values.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cumulet.errors import NotImplementedHere
from cumulet.services.cloudformation.core.elsewhere import is_elsewhere
from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.intrinsics import LATER, Values, evaluate_conditions, find_references
from cumulet.services.cloudformation.core.order import find_dependencies, plan_order
from cumulet.services.cloudformation.core.parameters import typed_values
from cumulet.services.cloudformation.core.template import Template

Action = Literal["Add", "Modify", "Remove"]


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property that is to change. `cause` is the resource (`A` or `A.Attribute`) whose replacement changes it."""

    name: str
    recreates: bool
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What is to happen to one resource."""

    action: Action
    logical_id: str
    type: str
    physical_id: str = ""
    properties: tuple[PropertyChange, ...] = ()
    tags_changed: bool = False

    @property
    def replaces(self) -> bool:
        """Whether a new resource takes the old one's place."""
        return any(change.recreates for change in self.properties)

    def __str__(self) -> str:
        sign = {"Add": "+", "Modify": "~", "Remove": "-"}[self.action]
        what = ", ".join(change.name + (" (recreates)" if change.recreates else "") for change in self.properties)
        return f"{sign} {self.logical_id} ({self.type})" + (f": {what}" if what else "")


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """Everything that would happen, in the order in which it would."""

    changes: tuple[ResourceChange, ...]
    besides: bool = False
    """Something else than a resource changes: outputs, stack tags, policies."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all would happen."""
        return not self.changes and not self.besides

    def __str__(self) -> str:
        return "\n".join(map(str, self.changes)) or "no resource changes"


@dataclass(frozen=True, slots=True)
class Kind:
    """What planning must know of a resource type."""

    immutable: frozenset[str] = frozenset()
    """Properties whose change needs a new resource."""
    taggable: bool = False
    revisited: bool = False
    """Whether it is updated, whatever the template says of it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A template with its parameters applied: what is to exist, as far as it is known before it does."""

    template: Template
    conditions: Mapping[str, bool]
    dependencies: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    resources: Mapping[str, Mapping[str, Any]]
    """Properties by logical id."""
    outputs: Any
    tags: Mapping[str, str]


def make_picture(
    template: Template,
    parameters: Mapping[str, str],
    pseudo: Mapping[str, Any],
    find_export: Callable[[str], str | None],
    tags: Mapping[str, str],
) -> Picture:
    """Return what a template stands for. Raises ValidationError for circles and for functions that make no sense."""
    values = Values(
        parameters={**pseudo, **typed_values(template.parameters, parameters)},
        mappings=template.mappings,
        resource=lambda logical_id, attribute: f"{LATER}{logical_id}.{attribute or 'Ref'}",
        find_export=find_export,
    )
    conditions = evaluate_conditions(template.conditions, values)
    values = Values(values.parameters, values.mappings, values.resource, find_export, conditions)
    dependencies = find_dependencies(template, conditions)
    order = plan_order(dependencies)
    outputs = {
        name: values.resolve({member: value for member, value in output.items() if member != "Condition"})
        for name, output in template.outputs.items()
        if output.get("Condition") is None or conditions[output["Condition"]]
    }
    return Picture(
        template=template,
        conditions=conditions,
        dependencies=dependencies,
        order=tuple(order),
        resources={name: values.resolve(dict(template.resources[name].properties)) for name in order},
        outputs=outputs,
        tags=tags,
    )


def refuse_elsewhere(picture: Picture) -> None:
    """Raise NotImplementedHere if resources of types that nobody here makes are to exist; conditions may spare them."""
    types = sorted({picture.template.resources[name].type for name in picture.order})
    if elsewhere := [name for name in types if is_elsewhere(name)]:
        raise NotImplementedHere(f"The resource type {', '.join(elsewhere)}")


def plan_changes(
    old: Picture | None, new: Picture, physical_ids: Mapping[str, str], kinds: Mapping[str, Kind]
) -> ChangePlan:
    """Return what must happen to come from the old picture to the new one. Raises ValidationError for other types."""
    before: Mapping[str, Mapping[str, Any]] = old.resources if old else {}
    if old is not None:
        _check_types(old, new)
    tags_changed = old is not None and dict(old.tags) != dict(new.tags)
    changes: list[ResourceChange] = []
    replaced: set[str] = set()
    for name in new.order:
        kind = new.template.resources[name].type
        if old is None or name not in before:
            changes.append(ResourceChange("Add", name, kind))
            continue
        facts = kinds.get(kind, Kind())
        properties = tuple(_property_changes(old, new, name, facts, replaced))
        retagged = tags_changed and facts.taggable
        if properties or retagged or facts.revisited:
            change = ResourceChange("Modify", name, kind, physical_ids.get(name, ""), properties, retagged)
            changes.append(change)
            if change.replaces:
                replaced.add(name)
    if old is not None:
        changes += [
            ResourceChange("Remove", name, old.template.resources[name].type, physical_ids.get(name, ""))
            for name in reversed(old.order)
            if name not in new.resources
        ]
    besides = old is not None and (
        old.outputs != new.outputs or tags_changed or _policies(old.template) != _policies(new.template)
    )
    return ChangePlan(tuple(changes), besides)


def _check_types(old: Picture, new: Picture) -> None:
    # The words: https://github.com/aws/aws-sam-cli/issues/6786
    kept = [name for name in new.order if name in old.resources]
    if changed := [name for name in kept if old.template.resources[name].type != new.template.resources[name].type]:
        raise validation_error(
            "Update of resource type is not permitted. The new template modifies resource type of the following"
            f" resources: [{', '.join(changed)}]"
        )


def _property_changes(
    old: Picture, new: Picture, name: str, facts: Kind, replaced: set[str]
) -> Iterable[PropertyChange]:
    before, after = old.resources[name], new.resources[name]
    for member in sorted(before.keys() | after.keys()):
        if before.get(member) != after.get(member):
            yield PropertyChange(member, member in facts.immutable)
        elif replaced:
            declared = new.template.resources[name].properties.get(member)
            for reference in find_references(declared, new.conditions):
                if reference.logical_id in replaced:
                    cause = reference.logical_id + (f".{reference.attribute}" if reference.attribute else "")
                    yield PropertyChange(member, member in facts.immutable, cause)
                    break


def _policies(template: Template) -> dict[str, tuple[str, str]]:
    return {name: (item.deletion_policy, item.update_replace_policy) for name, item in template.resources.items()}
