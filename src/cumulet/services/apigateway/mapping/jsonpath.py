"""JSONPath as $input.path and parameter mappings use it: names, indexes, wildcards, slices, descent (pure).

A path that names one place gives what is there, or None; one with a wildcard, a slice or a descent gives a list.
https://github.com/json-path/JsonPath
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping.values import TemplateError

_STEP = re.compile(
    r"(\.\.)?(?:\.?([A-Za-z0-9_$@-]+|\*)|\.?\[\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|(-?\d+)|(\*)"
    r"|(-?\d*:-?\d*)|([^\]]*))\s*\])"
)
_Step = tuple[bool, str | int | slice | None]
"""Whether it descends, and a name, an index, a slice, or None for every child."""


@lru_cache(maxsize=limits.COMPILED_MAX)
def _compile(path: str) -> tuple[tuple[_Step, ...], bool]:
    """Return the steps of a path, and whether it names one place."""
    rest = path.strip()
    if not rest.startswith("$"):
        rest = f"$.{rest}"
    steps: list[_Step] = []
    definite, at = True, 1
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None or len(steps) >= limits.TEMPLATE_DEPTH_MAX:
            raise TemplateError(f"The JSONPath {path} cannot be read")
        if found[8] is not None:
            raise NotImplementedHere(f"The JSONPath expression [{found[8]}]")
        descends = bool(found[1])
        key: str | int | slice | None
        if found[5] is not None:
            key = int(found[5])
        elif found[7] is not None:
            first, _, last = found[7].partition(":")
            key = slice(int(first) if first else None, int(last) if last else None)
        else:
            quoted = found[3] if found[3] is not None else found[4]
            key = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else found[2]
            if (key == "*" and quoted is None) or found[6]:
                key = None
        definite = definite and not descends and isinstance(key, str | int)
        steps.append((descends, key))
        at = found.end()
    return tuple(steps), definite


def find(path: str, value: Any) -> Any:
    """Return what a path leads to. Raises TemplateError if the path cannot be read."""
    steps, definite = _compile(path)
    found: Iterable[Any] = (value,)
    for descends, key in steps:
        if descends:
            found = _all_below(found)
        found = list(_step(found, key))
    listed = list(found)
    if not definite:
        return listed
    return listed[0] if listed else None


def _step(holders: Iterable[Any], key: str | int | slice | None) -> Iterator[Any]:
    for holder in holders:
        if isinstance(holder, dict):
            if key is None:
                yield from holder.values()
            elif isinstance(key, str) and key in holder:
                yield holder[key]
        elif isinstance(holder, list):
            if key is None:
                yield from holder
            elif isinstance(key, slice):
                yield from holder[key]
            elif isinstance(key, int) and -len(holder) <= key < len(holder):
                yield holder[key]


def _all_below(holders: Iterable[Any]) -> list[Any]:
    below: list[Any] = []
    stack = list(holders)[::-1]
    while stack:
        holder = stack.pop()
        below.append(holder)
        if len(below) > limits.TEMPLATE_STEPS_MAX:
            raise TemplateError("A JSONPath finds too much")
        children = list(holder.values()) if isinstance(holder, dict) else holder if isinstance(holder, list) else []
        stack.extend(reversed(children))
    return below
