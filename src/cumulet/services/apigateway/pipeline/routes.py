"""The route table: from method and path segments to a route, in time that depends on the path and not on the routes.

A tree of path segments. At each node a literal segment is tried before a variable, and a variable before a greedy one;
a node answers only if it has the request's method or ANY, otherwise the search goes on: both REST and HTTP APIs resolve
path and method as one (measured on AWS: https://github.com/ministackorg/ministack/pull/1423).

They differ in one thing. An HTTP API prefers any full match to any greedy one
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html, "Routing API requests"), and
has a $default route for the rest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from cumulet.services.apigateway.model import ANY

V = TypeVar("V")


@dataclass(slots=True)
class _Leaf(Generic[V]):
    value: V
    names: tuple[str, ...]


@dataclass(slots=True)
class _Node(Generic[V]):
    literals: "dict[str, _Node[V]]" = field(default_factory=dict)
    variable: "_Node[V] | None" = None
    methods: dict[str, _Leaf[V]] = field(default_factory=dict)
    greedy: dict[str, _Leaf[V]] = field(default_factory=dict)


class Found(msgspec.Struct, Generic[V], frozen=True):
    """A route and the path parameters that the request gave it."""

    value: V
    path_parameters: dict[str, str]


class RouteTable(Generic[V]):
    """An immutable table, compiled once per deployment."""

    def __init__(self, routes: Iterable[tuple[str, str, V]], *, full_match_first: bool) -> None:
        """Compile (method, path template, value) triples."""
        self._root: _Node[V] = _Node()
        self._passes = (False, True) if full_match_first else (True,)
        for method, path, value in routes:
            self._add(method, split_path(path), value)

    def find(self, method: str, segments: Sequence[str]) -> Found[V] | None:
        """Return the best route for a method and the segments of a path, or None."""
        for with_greedy in self._passes:
            if (found := self._search(method, segments, with_greedy)) is not None:
                return found
        return None

    def _search(self, method: str, segments: Sequence[str], with_greedy: bool) -> Found[V] | None:
        # Depth first, without recursion: the best candidate lies on top of the stack. A negative depth stands for the
        # greedy routes of a node. No node is visited twice, so hostile paths cost no more than there are routes.
        length = len(segments)
        stack: list[tuple[_Node[V], int, tuple[str, ...]]] = [(self._root, 0, ())]
        while stack:
            node, depth, captured = stack.pop()
            if depth < 0:
                leaf = node.greedy.get(method) or node.greedy.get(ANY)
                if leaf is not None and (rest := "/".join(segments[~depth:])):
                    return Found(leaf.value, dict(zip(leaf.names, (*captured, rest), strict=True)))
                continue
            if depth == length:
                if (leaf := node.methods.get(method) or node.methods.get(ANY)) is not None:
                    return Found(leaf.value, dict(zip(leaf.names, captured, strict=True)))
                continue
            segment = segments[depth]
            if with_greedy and node.greedy:
                stack.append((node, ~depth, captured))
            if segment and node.variable is not None:
                stack.append((node.variable, depth + 1, (*captured, segment)))
            if (child := node.literals.get(segment)) is not None:
                stack.append((child, depth + 1, captured))
        return None

    def _add(self, method: str, segments: Sequence[str], value: V) -> None:
        node = self._root
        names: list[str] = []
        for segment in segments:
            if is_greedy(segment):
                node.greedy[method] = _Leaf(value, (*names, segment[1:-2]))
                return
            if is_variable(segment):
                names.append(segment[1:-1])
                node.variable = node = node.variable or _Node()
            else:
                node = node.literals.setdefault(segment, _Node())
        node.methods[method] = _Leaf(value, tuple(names))


def split_path(path: str) -> list[str]:
    """Return the segments of a path that begins with a slash; the root has none."""
    return path[1:].split("/") if len(path) > 1 else []


def is_greedy(segment: str) -> bool:
    """Tell whether a template's segment is {name+}."""
    return segment.startswith("{") and segment.endswith("+}")


def is_variable(segment: str) -> bool:
    """Tell whether a template's segment is {name}, or {name+}."""
    return segment.startswith("{") and segment.endswith("}")
