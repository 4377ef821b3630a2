"""Updates: a tree and a request's placeholders become a function from the old item to the new one.

Every value is computed from the item as it was; then all are put in place. List indexes count in the list as it was:
elements set beyond its end are appended in the order of their indexes, and elements are removed last.
"""

from collections.abc import Callable, Container, Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NoReturn, TypeAlias

from cumulet.services.dynamodb.core.expressions.ast import (
    AddAction,
    Arithmetic,
    DeleteAction,
    Elements,
    Function,
    Operand,
    Path,
    RemoveAction,
    SetAction,
    Update,
    ValueRef,
)
from cumulet.services.dynamodb.core.expressions.conditions import find
from cumulet.services.dynamodb.core.expressions.grammar import OPERAND_COUNTS, parse_update
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.expressions.projections import check_paths
from cumulet.services.dynamodb.core.numbers import add_numbers, subtract_numbers
from cumulet.services.dynamodb.core.values import (
    Item,
    Value,
    check_nesting,
    in_order,
    invalid,
    kind_of,
    text_bytes,
    value_bytes,
)

_NAME = "UpdateExpression"

Compute: TypeAlias = Callable[[Item], Value | None]
"""Returns the new value of a path, or None to remove it."""

_LONG_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "SS": "STRING_SET",
    "NS": "NUMBER_SET",
    "BS": "BINARY_SET",
    "L": "LIST",
    "M": "MAP",
    "BOOL": "BOOLEAN",
    "NULL": "NULL",
}
_SETS = frozenset(("SS", "NS", "BS"))


class BoundUpdate:
    """An update expression with one request's names and values in place."""

    __slots__ = ("_computed", "_has_indexes", "_is_flat", "_touched", "creates", "paths")

    def __init__(self, paths: "_Paths", computed: list[Compute], creates: bool) -> None:
        self._computed = computed
        self.paths = paths.all
        self._has_indexes = paths.have_indexes
        self._is_flat = paths.are_flat
        self._touched = paths.touched
        self.creates = creates
        """Whether the update can bring an item into being: one that only removes leaves an absent item absent."""

    def apply(self, item: Item) -> int:
        """Change the item, which is the caller's own; return how many bytes its size has grown by, as AWS counts it.

        Raises ValidationException where it does not fit the update, or would be nested too deeply.
        """
        values = [compute(item) for compute in self._computed]
        if self._is_flat:
            return self._apply_flat(item, values)
        before = self._touched_bytes(item)
        planned = list(zip(self.paths, values, strict=True))
        removed = [path for path, value in planned if value is None and _is_there(item, path)]
        if self._has_indexes:
            planned.sort(key=lambda plan: _order(plan[0]))
            removed.sort(key=_order, reverse=True)
        for path, value in planned:
            if value is not None:
                _set(item, path, value)
        for path in removed:
            _remove(item, path)
        for name in self._touched:
            if name in item:
                check_nesting(item[name])
        return self._touched_bytes(item) - before

    def _apply_flat(self, item: Item, values: list[Value | None]) -> int:
        # Whole attributes, as nearly always: there is nothing to find, and no order to keep.
        grown = 0
        for path, value in zip(self.paths, values, strict=True):
            name: str = path[0]  # type: ignore[assignment]
            old = item.get(name)
            if value is not None:
                check_nesting(value)
                item[name] = value
                grown += value_bytes(value) + (text_bytes(name) if old is None else -value_bytes(old))
            elif old is not None:
                del item[name]
                grown -= text_bytes(name) + value_bytes(old)
        return grown

    def _touched_bytes(self, item: Item) -> int:
        return sum([text_bytes(name) + value_bytes(item[name]) for name in self._touched if name in item])


class _Paths:
    """The paths of an update, and what follows from them alone."""

    __slots__ = ("all", "are_flat", "have_indexes", "touched")

    def __init__(self, paths: list[Elements]) -> None:
        """Raises ValidationException if two of them overlap or conflict."""
        check_paths(_NAME, paths)
        self.all = paths
        self.have_indexes = any(isinstance(element, int) for path in paths for element in path)
        self.are_flat = all(len(path) == 1 for path in paths)
        self.touched = {str(path[0]) for path in paths}


@lru_cache(maxsize=512)
def _plain_paths(text: str) -> _Paths:
    """Return the paths of an expression without names to put in place: they are the same for every request."""
    return _Paths([action.path.elements for action in parse_update(text).actions])


def bind_update(text: str, placeholders: Placeholders) -> BoundUpdate:
    """Return the update of a request. Raises ValidationException for what is wrong whatever the item holds."""
    return bind_update_tree(parse_update(text), placeholders, plain_text=None if "#" in text else text)


def bind_update_tree(
    tree: Update,
    placeholders: Placeholders,
    mismatch: str = "An operand in the update expression has an incorrect data type",
    plain_text: str | None = None,
) -> BoundUpdate:
    """Return an update that came as a tree. `mismatch` is what AWS says where the item has a value of another type."""
    binder = _Binder(placeholders, mismatch)
    paths: list[Elements] = []
    computed: list[Compute] = []
    creates = False
    for action in tree.actions:
        path = placeholders.elements(action.path, _NAME)
        paths.append(path)
        if isinstance(action, SetAction):
            computed.append(binder.assigned(action.value))
            creates = True
        elif isinstance(action, RemoveAction):
            computed.append(lambda item: None)
        elif isinstance(action, AddAction):
            computed.append(binder.added(path, action))
            creates = True
        else:
            computed.append(binder.deleted(path, action))
    return BoundUpdate(_Paths(paths) if plain_text is None else _plain_paths(plain_text), computed, creates)


class _Binder:
    """Binds the values of one update."""

    def __init__(self, placeholders: Placeholders, mismatch: str) -> None:
        self._placeholders = placeholders
        self._mismatch = mismatch

    # --- SET

    def assigned(self, node: Operand) -> Compute:
        get, _ = self._operand(node)

        def assigned(item: Item) -> Value:
            value = get(item)
            return _missing() if value is None else value

        return assigned

    def _operand(self, node: Operand) -> tuple[Compute, Value | None]:
        """Return how to get an operand's value, and the value itself if it is fixed."""
        if isinstance(node, ValueRef):
            value = self._placeholders.value(node, _NAME)
            return (lambda item: value), value
        if isinstance(node, Path):
            path = self._placeholders.elements(node, _NAME)
            return (lambda item: _copy(find(item, path))), None
        if isinstance(node, Arithmetic):
            return self._arithmetic(node), None
        if len(node.operands) != OPERAND_COUNTS[node.name]:
            _invalid(
                "Incorrect number of operands for operator or function; "
                f"operator or function: {node.name}, number of operands: {len(node.operands)}"
            )
        return (self._if_not_exists(node) if node.name == "if_not_exists" else self._list_append(node)), None

    def _arithmetic(self, node: Arithmetic) -> Compute:
        left, left_fixed = self._operand(node.left)
        right, right_fixed = self._operand(node.right)
        _check_kind(node.operator, "N", left_fixed, right_fixed)
        combine = add_numbers if node.operator == "+" else subtract_numbers

        def total(item: Item) -> Value:
            return {"N": combine(self._content(left(item), "N"), self._content(right(item), "N"))}

        return total

    def _if_not_exists(self, node: Function) -> Compute:
        subject, fallback = node.operands
        get, _ = self._operand(subject)
        if not isinstance(subject, Path):
            _invalid("Operator or function requires a document path; operator or function: if_not_exists")
        otherwise, _ = self._operand(fallback)

        def if_not_exists(item: Item) -> Value | None:
            value = get(item)
            return otherwise(item) if value is None else value

        return if_not_exists

    def _list_append(self, node: Function) -> Compute:
        left, left_fixed = self._operand(node.operands[0])
        right, right_fixed = self._operand(node.operands[1])
        _check_kind("list_append", "L", left_fixed, right_fixed)
        return lambda item: {"L": self._content(left(item), "L") + self._content(right(item), "L")}

    # --- ADD and DELETE

    def added(self, path: Elements, action: AddAction) -> Compute:
        value = self._placeholders.value(action.value, _NAME)
        kind = kind_of(value)
        if kind != "N" and kind not in _SETS:
            _wrong_operand("ADD", kind)

        def added(item: Item) -> Value:
            old = find(item, path)
            if old is None:
                return value
            content = self._content(old, kind)
            if kind == "N":
                return {"N": add_numbers(content, value["N"])}
            return {kind: in_order(kind, {*content, *value[kind]})}

        return added

    def deleted(self, path: Elements, action: DeleteAction) -> Compute:
        value = self._placeholders.value(action.value, _NAME)
        kind = kind_of(value)
        if kind not in _SETS:
            _wrong_operand("DELETE", kind)
        gone = set(value[kind])

        def deleted(item: Item) -> Value | None:
            old = find(item, path)
            if old is None:
                return None
            left = [element for element in self._content(old, kind) if element not in gone]
            return {kind: left} if left else None

        return deleted

    def _content(self, value: Value | None, kind: str) -> Any:
        """Return the content of an operand that must be there, and be of this kind."""
        if value is None:
            _missing()
        if kind not in value:
            invalid(self._mismatch)
        return value[kind]


def _missing() -> NoReturn:
    invalid("The provided expression refers to an attribute that does not exist in the item")


def _check_kind(operator: str, kind: str, *fixed: Value | None) -> None:
    for value in fixed:
        if value is not None and kind not in value:
            _invalid(
                "Incorrect operand type for operator or function; "
                f"operator or function: {operator}, operand type: {kind_of(value)}"
            )


def _wrong_operand(operator: str, kind: str) -> NoReturn:
    _invalid(
        f"Incorrect operand type for operator or function; operator: {operator}, operand type: {_LONG_NAMES[kind]}, "
        f"typeSet: ALLOWED_FOR_{operator}_OPERAND"
    )


def _invalid(problem: str) -> NoReturn:
    invalid(f"Invalid {_NAME}: {problem}")


def _copy(value: Value | None) -> Value | None:
    """Return a value that shares nothing changeable with the item it came from."""
    if value is None:
        return None
    ((kind, content),) = value.items()
    if kind == "M":
        return {"M": {name: _copy(element) for name, element in content.items()}}
    if kind == "L":
        return {"L": [_copy(element) for element in content]}
    return value


def _order(path: Elements) -> tuple[tuple[bool, str | int], ...]:
    # Names and indexes do not compare. They meet only in places of different kinds, where any order will do.
    return tuple([(isinstance(element, int), element) for element in path])


def _holder(item: Item, path: Elements) -> Any:
    """Return the map or list that holds the last element of a path. Raises ValidationException if there is none."""
    holder: Any = item
    for element, following in pairwise(path):
        if isinstance(element, int):
            value = holder[element] if element < len(holder) else None
        else:
            value = holder.get(element)
        holder = None if value is None else value.get("L" if isinstance(following, int) else "M")
        if holder is None:
            invalid("The document path provided in the update expression is invalid for update")
    return holder


def _is_there(item: Item, path: Elements) -> bool:
    holder, last = _holder(item, path), path[-1]
    return last < len(holder) if isinstance(last, int) else last in holder


def _set(item: Item, path: Elements, value: Value) -> None:
    holder, last = _holder(item, path), path[-1]
    if isinstance(last, int) and last >= len(holder):
        holder.append(value)
    else:
        holder[last] = value


def _remove(item: Item, path: Elements) -> None:
    del _holder(item, path)[path[-1]]


def touches(paths: Iterable[Elements], names: Container[str | int]) -> str | None:
    """Return the first of these attribute names that one of the paths begins with, or None."""
    for path in paths:
        if path[0] in names:
            return str(path[0])
    return None
