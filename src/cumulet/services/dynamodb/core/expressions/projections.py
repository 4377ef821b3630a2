"""Projections: the parts of an item that a request asks for."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from cumulet.services.dynamodb.core.expressions.ast import Elements
from cumulet.services.dynamodb.core.expressions.conditions import render_path
from cumulet.services.dynamodb.core.expressions.grammar import parse_projection
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.values import Item, Value, invalid, kind_of

Projector: TypeAlias = Callable[[Mapping[str, Value]], Item]


_Tree: TypeAlias = "dict[str | int, _Tree | None]"
"""What to pick of a map or list; None takes all that is there."""


def bind_projection(text: str | None, placeholders: Placeholders) -> Projector | None:
    """Return the function that picks the projection from an item, or None without an expression."""
    if text is None:
        return None
    paths = [placeholders.elements(path, "ProjectionExpression") for path in parse_projection(text).paths]
    check_paths("ProjectionExpression", paths)
    return make_projector(paths)


def make_projector(paths: list[Elements]) -> Projector:
    """Return the function that picks these paths from an item. Paths that lead nowhere are left out."""
    if all(len(path) == 1 for path in paths):
        names: Any = [path[0] for path in paths]
        return lambda item: {name: item[name] for name in names if name in item}
    tree = _tree_of(paths)

    def project(item: Mapping[str, Value]) -> Item:
        picked = _pick({"M": item}, tree)
        return {} if picked is None else picked["M"]

    return project


def _tree_of(paths: list[Elements]) -> _Tree:
    root: _Tree = {}
    for path in paths:
        node = root
        for element in path[:-1]:
            node = node.setdefault(element, {})  # type: ignore[assignment]
        node[path[-1]] = None
    return root


def _pick(value: Value, tree: "_Tree | None") -> Value | None:
    """Return the part of a value that the tree names, or None if nothing of it is there.

    Elements of a list come closed up, in the list's order.
    """
    if tree is None:
        return value
    kind = kind_of(value)
    if kind == "M":
        content = value["M"]
        picked = {
            name: part
            for name, subtree in tree.items()
            if name in content and (part := _pick(content[name], subtree)) is not None
        }
        return {"M": picked} if picked else None
    if kind == "L":
        content = value["L"]
        elements = [
            part
            for index in sorted(index for index in tree if isinstance(index, int))
            if index < len(content) and (part := _pick(content[index], tree[index])) is not None
        ]
        return {"L": elements} if elements else None
    return None


def check_paths(name: str, paths: list[Elements]) -> None:
    """Raise ValidationException if two paths overlap or conflict. Takes time in proportion to the paths' length."""
    tree: dict[Any, Any] = {}
    for path in paths:
        node = tree
        for depth, element in enumerate(path):
            if _END in node:
                _clash(name, "overlap", node[_END], path)
            if node and depth and isinstance(next(iter(node)), int) is not isinstance(element, int):
                _clash(name, "conflict", _any_path(node), path)
            node = node.setdefault(element, {})
        if node:
            _clash(name, "overlap", _any_path(node), path)
        node[_END] = path


_END = ()


def _any_path(node: dict[Any, Any]) -> Elements:
    while _END not in node:
        node = next(iter(node.values()))
    return node[_END]  # type: ignore[no-any-return]


def _clash(name: str, verb: str, one: Elements, two: Elements) -> None:
    invalid(
        f"Invalid {name}: Two document paths {verb} with each other; must remove or rewrite one of these paths; "
        f"path one: {render_path(one)}, path two: {render_path(two)}"
    )
