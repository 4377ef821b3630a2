"""In which order resources are made: each after everything that it refers to."""

from collections.abc import Iterable, Mapping

from cumulet.services.cloudformation.core.errors import validation_error
from cumulet.services.cloudformation.core.intrinsics import find_references
from cumulet.services.cloudformation.core.template import Template


def find_dependencies(template: Template, conditions: Mapping[str, bool]) -> dict[str, tuple[str, ...]]:
    """Return what each resource that is to exist depends on, by logical id."""
    there = {
        name
        for name, resource in template.resources.items()
        if resource.condition is None or conditions[resource.condition]
    }
    return {
        name: tuple(
            dict.fromkeys(
                other
                for other in (
                    *template.resources[name].depends_on,
                    *(
                        reference.logical_id
                        for reference in find_references(template.resources[name].properties, conditions)
                    ),
                )
                if other in there
            )
        )
        for name in template.resources
        if name in there
    }


def plan_order(dependencies: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names so that each comes behind its dependencies, and otherwise in the order given.

    Raises ValidationError for a circle, naming those in it.
    """
    order: list[str] = []
    left = {name: {other for other in others if other in dependencies} for name, others in dependencies.items()}
    while left:
        free = [name for name, others in left.items() if not others]
        if not free:
            raise validation_error(f"Circular dependency between resources: [{', '.join(_in_circles(left))}]")
        order += free
        for name in free:
            del left[name]
        for others in left.values():
            others.difference_update(free)
    return order


def _in_circles(left: Mapping[str, set[str]]) -> list[str]:
    """Return those names that are in a circle themselves, leaving out what only waits for one."""
    return [name for name in left if name in _reach(left, name)]


def _reach(left: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    open_names = list(left[start])
    while open_names:
        name = open_names.pop()
        if name not in seen:
            seen.add(name)
            open_names += left[name]
    return seen
