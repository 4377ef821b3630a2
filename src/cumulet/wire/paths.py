"""Which operation a method, a path and a query name, for services whose operations lie on REST paths.

The models' templates ("/{Bucket}/{Key+}?uploads") become a tree of path segments once per service, so a look-up costs
the depth of the path, however many operations there are. Where several operations share method and path, the one whose
fixed query parts, and then required query or header members, are all present wins, the most demanding first: S3's
UploadPart is a PutObject with `partNumber` and `uploadId`.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from cumulet.wire.message import Headers
from cumulet.wire.model import OperationModel, ServiceModel


class Match(NamedTuple):
    """An operation and the decoded values of its path labels, by the names that the template gives them."""

    operation: OperationModel
    labels: Mapping[str, str]


class _Candidate(NamedTuple):
    operation: OperationModel
    label_names: tuple[str, ...]
    fixed: tuple[tuple[str, str | None], ...]
    """Query parts that the template fixes; None stands for any value, as in `?uploads`."""
    demanded: tuple[tuple[str, str], ...] = ()
    """(location, name) of required members that tell it from its neighbours."""

    def fits(self, query: Mapping[str, str], headers: Headers) -> bool:
        for name, value in self.fixed:
            found = query.get(name)
            if found is None or (value is not None and found != value):
                return False
        return all(name in (query if location == "querystring" else headers) for location, name in self.demanded)


class _Node:
    __slots__ = ("greedy", "label", "literals", "methods")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.label: _Node | None = None
        self.greedy: _Node | None = None
        self.methods: dict[str, list[_Candidate]] = {}

    def child(self, segment: str) -> "_Node":
        if segment.startswith("{") and segment.endswith("+}"):
            self.greedy = self.greedy or _Node()
            return self.greedy
        if segment.startswith("{"):
            self.label = self.label or _Node()
            return self.label
        return self.literals.setdefault(segment, _Node())


class PathTable:
    """Every REST path of one service."""

    def __init__(self, service: ServiceModel) -> None:
        self._root = _Node()
        for name in service.operation_names:
            operation = service.find_operation(name)
            if operation is not None:
                self._add(operation)
        for node in _every(self._root):
            node.methods = {method: _ordered(candidates) for method, candidates in node.methods.items()}

    def find(self, method: str, path: str, query: Mapping[str, str], headers: Headers) -> Match | None:
        """Return the operation that a request names, or None. `path` is percent-encoded as it was sent."""
        segments = path.split("/")[1:]
        if segments == [""]:
            segments = []
        found = self._descend(self._root, method, segments, 0, [], query, headers)
        if found is None and segments and not segments[-1]:
            found = self._descend(self._root, method, segments[:-1], 0, [], query, headers)
        return found

    def _add(self, operation: OperationModel) -> None:
        path, _, fixed = operation.request_uri.partition("?")
        node, names = self._root, []
        for segment in path.strip("/").split("/") if path != "/" else []:
            node = node.child(segment)
            if segment.startswith("{"):
                names.append(segment.strip("{}+"))
        parts = tuple(_fixed_part(part) for part in fixed.split("&")) if fixed else ()
        node.methods.setdefault(operation.http_method, []).append(_Candidate(operation, tuple(names), parts))

    def _descend(
        self,
        node: _Node,
        method: str,
        segments: list[str],
        depth: int,
        values: list[str],
        query: Mapping[str, str],
        headers: Headers,
    ) -> Match | None:
        if depth == len(segments):
            for candidate in node.methods.get(method, ()):
                if candidate.fits(query, headers):
                    labels = dict(zip(candidate.label_names, map(unquote, values), strict=True))
                    return Match(candidate.operation, labels)
            return None
        segment = segments[depth]
        if (literal := node.literals.get(segment)) is not None:
            found = self._descend(literal, method, segments, depth + 1, values, query, headers)
            if found is not None:
                return found
        if node.label is not None and segment:
            found = self._descend(node.label, method, segments, depth + 1, [*values, segment], query, headers)
            if found is not None:
                return found
        if node.greedy is not None and (rest := "/".join(segments[depth:])):
            return self._descend(node.greedy, method, segments, len(segments), [*values, rest], query, headers)
        return None


def _fixed_part(part: str) -> tuple[str, str | None]:
    name, equals, value = part.partition("=")
    return name, value if equals else None


def _ordered(candidates: list[_Candidate]) -> list[_Candidate]:
    by_fixed: dict[tuple[tuple[str, str | None], ...], list[_Candidate]] = {}
    for candidate in candidates:
        by_fixed.setdefault(candidate.fixed, []).append(candidate)
    told_apart = [
        candidate._replace(demanded=_demanded(candidate.operation)) if len(group) > 1 else candidate
        for group in by_fixed.values()
        for candidate in group
    ]
    # Among equals a deprecated twin comes last; ListBuckets comes before ListDirectoryBuckets, which AWS serves on
    # another host.
    return sorted(
        told_apart,
        key=lambda one: (-len(one.fixed), -len(one.demanded), one.operation.deprecated, one.operation.name),
    )


def _demanded(operation: OperationModel) -> tuple[tuple[str, str], ...]:
    shape = operation.input
    if shape is None:
        return ()
    members = [shape.members[name] for name in shape.required]
    return tuple(
        (member.location, member.wire_name.lower() if member.location == "header" else member.wire_name)
        for member in members
        if member.location in ("querystring", "header")
    )


def _every(node: _Node) -> Iterator[_Node]:
    yield node
    children = [*node.literals.values(), *(child for child in (node.label, node.greedy) if child)]
    for child in children:
        yield from _every(child)
