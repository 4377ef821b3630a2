"""JSONPath as $input.path and parameter mappings use it (pure): names, indexes, wildcards, slices, descent, filters.

A path that names one place gives what is there, or None; one with a wildcard, a slice, a filter or a descent gives a
list. Where JSONPath leaves room, the library that API Gateway uses decides: https://github.com/json-path/JsonPath
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import effort
from cumulet.services.apigateway.mapping.effort import TemplateError
from cumulet.services.apigateway.mapping.jsonpath_syntax import Condition, Names, Path, Step, read

_PLACES_PER_STEP = 4
"""How many places are looked at in the time of one step of a template."""

_compile = lru_cache(maxsize=limits.COMPILED_MAX)(read)


def find(path: str, value: Any) -> Any:
    """Return what a path leads to. Raises TemplateError if the path cannot be read, or finds too much."""
    search = Search(value)
    try:
        return search.find(_compile(path), value)
    finally:
        effort.spend(search.spent // _PLACES_PER_STEP)


class Search:
    """One look into a value, and what it may still take: a filter in a filter looks at everything for each thing."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self.spent = 0

    def find(self, path: Path, start: Any) -> Any:
        """Return what a path leads to from `start`, which @ stands for; None for what is not there."""
        found = self.places(path, start)
        if path.is_length:
            found = [len(place) if isinstance(place, list | dict) else None for place in found]
        return found if not path.is_definite else found[0] if found else None

    def places(self, path: Path, start: Any) -> list[Any]:
        """Return every place that a path leads to."""
        found = [self._root if path.from_root else start]
        for step in path.steps:
            found = list(self._take(found, step))
        return found

    def spend(self, steps: int = 1) -> None:
        """Count what was taken. Raises TemplateError if that is too much."""
        self.spent += steps
        if self.spent > limits.TEMPLATE_STEPS_MAX:
            raise TemplateError("A JSONPath finds too much")

    def _take(self, holders: list[Any], step: Step) -> Iterator[Any]:
        below = self._all_below(holders) if step.descends else holders
        for holder in below:
            yield from self._children(holder, step)

    def _children(self, holder: Any, step: Step) -> Iterable[Any]:
        key = step.key
        if isinstance(key, Condition):
            # An object is asked about itself, a list about its members; whoever descends meets those by themselves.
            if isinstance(holder, dict):
                return (holder,) if self._holds(key, holder) else ()
            return (
                [member for member in holder if self._holds(key, member)]
                if isinstance(holder, list) and not step.descends
                else ()
            )
        if isinstance(key, tuple) and not isinstance(key, Names):
            self.spend(len(key))  # one may be named again and again, and each step multiplies them
        if isinstance(holder, dict):
            return _members(holder, key)
        return _items(holder, key) if isinstance(holder, list) else ()

    def _holds(self, condition: Condition, item: Any) -> bool:
        self.spend()
        return condition.holds(self, item)

    def _all_below(self, holders: list[Any]) -> Iterator[Any]:
        stack = holders[::-1]
        while stack:
            self.spend()
            yield (holder := stack.pop())
            children = list(holder.values()) if isinstance(holder, dict) else holder if isinstance(holder, list) else []
            stack.extend(reversed(children))


def _members(holder: dict[str, Any], key: Any) -> Iterable[Any]:
    if key is None:
        return holder.values()
    if isinstance(key, Names):
        found = {name: holder[name] for name in key.names if name in holder}
        return (found,) if key.is_last else found.values()
    return (holder[key],) if isinstance(key, str) and key in holder else ()


def _items(holder: list[Any], key: Any) -> Iterable[Any]:
    if key is None:
        return holder
    if isinstance(key, slice):
        return holder[key]
    wanted = key if isinstance(key, tuple) else (key,)
    return [holder[at] for at in wanted if isinstance(at, int) and -len(holder) <= at < len(holder)]
