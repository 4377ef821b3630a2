"""Updates: a tree and its names are compiled once; with a request's values they change its item.

Every value is computed from the item as it was; then all are put in place. List indexes count in the list as it was:
elements set beyond its end are appended in the order of their indexes, and elements are removed last.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, NoReturn, TypeAlias

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.expressions.ast import (
    Action,
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
_REMEMBERED = 256
_REMEMBERED_NAMES_CHARACTERS_MAX = 1024
"""Of the names that an update is remembered with, and of what stands for them: a client could fill the memory."""

Values: TypeAlias = Mapping[str, Value]
Compute: TypeAlias = Callable[[Item, Values], Value | None]
"""Returns the new value of a path, or None to remove it."""
Check: TypeAlias = Callable[[Placeholders], None]
"""Raises ValidationException for values that are wrong whatever the item holds."""

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
_ADDABLE = _SETS | {"N"}
_MISMATCH = "An operand in the update expression has an incorrect data type"


class BoundUpdate(msgspec.Struct, eq=False, frozen=True):
    """An update expression with one request's names and values in place."""

    _plan: "_Plan"
    _values: Values

    @property
    def paths(self) -> list[Elements]:
        """The paths that it changes, in the order of the expression."""
        return self._plan.paths

    @property
    def creates(self) -> bool:
        """Whether the update can bring an item into being: one that only removes leaves an absent item absent."""
        return self._plan.creates

    @property
    def mentioned(self) -> set[str]:
        """The top-level attributes that it reads or changes."""
        return self._plan.mentioned

    def touches(self, names: Collection[str]) -> str | None:
        """Return the first of these attributes, in the order of the expression, that it changes, or None."""
        if self._plan.touched.isdisjoint(names):
            return None
        return next(name for path in self.paths if (name := str(path[0])) in names)

    def apply(self, item: Item) -> int:
        """Change the item, which is the caller's own; return how many bytes its size has grown by, as AWS counts it.

        Raises ValidationException where it does not fit the update, or would be nested too deeply.
        """
        plan = self._plan
        given = self._values
        values = [compute(item, given) for compute in plan.computes]
        if plan.flat_names is not None:
            return _apply_flat(item, plan.flat_names, values)
        before = _bytes_of(item, plan.touched)
        planned = list(zip(plan.paths, values, strict=True))
        removed = [path for path, value in planned if value is None and _is_there(item, path)]
        if plan.has_indexes:
            planned.sort(key=lambda step: _order(step[0]))
            removed.sort(key=_order, reverse=True)
        for path, value in planned:
            if value is not None:
                _set(item, path, value)
        for path in removed:
            _remove(item, path)
        for name in plan.touched:
            if name in item:
                check_nesting(item[name])
        return _bytes_of(item, plan.touched) - before


def _apply_flat(item: Item, names: list[str], values: list[Value | None]) -> int:
    # Whole attributes, as nearly always: there is nothing to find, and no order to keep.
    grown = 0
    for name, value in zip(names, values, strict=True):
        old = item.get(name)
        if value is not None:
            if "M" in value or "L" in value:
                check_nesting(value)
            item[name] = value
            grown += value_bytes(value) + (text_bytes(name) if old is None else -value_bytes(old))
        elif old is not None:
            del item[name]
            grown -= text_bytes(name) + value_bytes(old)
    return grown


def _bytes_of(item: Item, names: Iterable[str]) -> int:
    return sum([text_bytes(name) + value_bytes(item[name]) for name in names if name in item])


def bind_update(text: str, placeholders: Placeholders) -> BoundUpdate:
    """Return the update of a request. Raises ValidationException for what is wrong whatever the item holds."""
    names = placeholders.names
    if not names or sum(map(len, (*names, *names.values()))) <= _REMEMBERED_NAMES_CHARACTERS_MAX:
        plan = _plan_of(text, tuple(names.items()))
    else:
        plan = _plan_of.__wrapped__(text, tuple(names.items()))
    return plan.bind(placeholders)


def bind_update_tree(tree: Update, placeholders: Placeholders, mismatch: str = _MISMATCH) -> BoundUpdate:
    """Return an update that came as a tree. `mismatch` is what AWS says where the item has a value of another type."""
    return _Plan(tree, placeholders.names, mismatch).bind(placeholders)


@lru_cache(maxsize=_REMEMBERED)
def _plan_of(text: str, names: tuple[tuple[str, str], ...]) -> "_Plan":
    return _Plan(parse_update(text), dict(names), _MISMATCH)


class _Plan:
    """What a tree and its names alone decide: it is the same for every request."""

    __slots__ = (
        "_checks",
        "_used_names",
        "computes",
        "creates",
        "flat_names",
        "has_indexes",
        "mentioned",
        "paths",
        "touched",
    )

    def __init__(self, tree: Update, names: Mapping[str, str], mismatch: str) -> None:
        named = Placeholders.of_names(names)
        compiler = _Compiler(named, mismatch)
        self.paths: list[Elements] = []
        self.computes: list[Compute] = []
        self._checks = compiler.checks
        try:
            for action in tree.actions:
                path = compiler.elements(action.path)
                self.paths.append(path)
                self.computes.append(compiler.computed(action, path))
            check_paths(_NAME, self.paths)
        except ServiceError as fault:
            # Values are judged where they stand in the text, so what is wrong in front of this is reported first.
            self._checks.append(_refusal(fault.message))
        self.creates = any(isinstance(action, SetAction | AddAction) for action in tree.actions)
        self.has_indexes = any(isinstance(element, int) for path in self.paths for element in path)
        is_flat = all(len(path) == 1 for path in self.paths)
        self.flat_names = [str(path[0]) for path in self.paths] if is_flat else None
        """What it changes, if that is whole attributes only."""
        self.touched = {str(path[0]) for path in self.paths}
        self.mentioned = compiler.mentioned
        self._used_names = named.used_names

    def bind(self, placeholders: Placeholders) -> BoundUpdate:
        """Return the update with a request's values in place."""
        for check in self._checks:
            check(placeholders)
        if self._used_names:
            placeholders.used_names |= self._used_names
        return BoundUpdate(self, placeholders.values)


def _refusal(message: str) -> Check:
    return lambda placeholders: invalid(message)


class _Compiler:
    """Compiles the actions of one update."""

    def __init__(self, names: Placeholders, mismatch: str) -> None:
        self._names = names
        self._mismatch = mismatch
        self.checks: list[Check] = []
        """What is to be looked at in each request's values, in the order of the text."""
        self.mentioned: set[str] = set()

    def elements(self, path: Path) -> Elements:
        """Return a path with its names in place."""
        elements = self._names.elements(path, _NAME)
        self.mentioned.add(str(elements[0]))
        return elements

    def computed(self, action: Action, path: Elements) -> Compute:
        """Return how the new value of an action's path is computed."""
        if isinstance(action, SetAction):
            return self._assigned(action.value)
        if isinstance(action, RemoveAction):
            return lambda item, values: None
        return self._added(path, action) if isinstance(action, AddAction) else self._deleted(path, action)

    def _check_kind(self, operator: str, kind: str, *operands: Operand) -> None:
        """Have the values among the operands looked at: they are of this kind."""
        for node in operands:
            if isinstance(node, ValueRef):
                self.checks.append(_kind_check(operator, kind, node.name))

    # --- SET

    def _assigned(self, node: Operand) -> Compute:
        get = self._operand(node)
        if isinstance(node, ValueRef | Arithmetic):
            return get

        def assigned(item: Item, values: Values) -> Value:
            value = get(item, values)
            return _missing() if value is None else value

        return assigned

    def _operand(self, node: Operand) -> Compute:
        if isinstance(node, ValueRef):
            name = node.name
            self.checks.append(_use(node))
            return lambda item, values: values[name]
        if isinstance(node, Path):
            path = self.elements(node)
            if len(path) == 1:
                attribute: str = path[0]  # type: ignore[assignment]
                return lambda item, values: _copy(item.get(attribute))
            return lambda item, values: _copy(find(item, path))
        if isinstance(node, Arithmetic):
            return self._arithmetic(node)
        if len(node.operands) != OPERAND_COUNTS[node.name]:
            _invalid(
                "Incorrect number of operands for operator or function; "
                f"operator or function: {node.name}, number of operands: {len(node.operands)}"
            )
        return self._if_not_exists(node) if node.name == "if_not_exists" else self._list_append(node)

    def _arithmetic(self, node: Arithmetic) -> Compute:
        left, right = self._content_of(node.left, "N"), self._content_of(node.right, "N")
        self._check_kind(node.operator, "N", node.left, node.right)
        combine = add_numbers if node.operator == "+" else subtract_numbers
        return lambda item, values: {"N": combine(left(item, values), right(item, values))}

    def _content_of(self, node: Operand, kind: str) -> Callable[[Item, Values], Any]:
        """Return what gives the content of an operand, which must be of this kind."""
        content = self._content
        if isinstance(node, ValueRef):
            self.checks.append(_use(node))
            name = node.name
            return lambda item, values: values[name][kind]
        if isinstance(node, Path) and kind == "N":
            # Nothing that can be changed is taken out of the item, so nothing is copied.
            path = self.elements(node)
            if len(path) > 1:
                return lambda item, values: content(find(item, path), kind)
            attribute: str = path[0]  # type: ignore[assignment]

            def number(item: Item, values: Values) -> Any:
                value = item.get(attribute)
                return value["N"] if value is not None and "N" in value else content(value, "N")

            return number
        get = self._operand(node)
        return lambda item, values: content(get(item, values), kind)

    def _if_not_exists(self, node: Function) -> Compute:
        subject, fallback = node.operands
        get = self._operand(subject)
        if not isinstance(subject, Path):
            _invalid("Operator or function requires a document path; operator or function: if_not_exists")
        otherwise = self._operand(fallback)

        def if_not_exists(item: Item, values: Values) -> Value | None:
            value = get(item, values)
            return otherwise(item, values) if value is None else value

        return if_not_exists

    def _list_append(self, node: Function) -> Compute:
        left, right = self._content_of(node.operands[0], "L"), self._content_of(node.operands[1], "L")
        self._check_kind("list_append", "L", *node.operands)
        return lambda item, values: {"L": left(item, values) + right(item, values)}

    # --- ADD and DELETE

    def _added(self, path: Elements, action: AddAction) -> Compute:
        name = action.value.name
        self.checks += (_use(action.value), _action_check("ADD", name, _ADDABLE))

        def added(item: Item, values: Values) -> Value:
            value, old = values[name], find(item, path)
            if old is None:
                return value
            kind = kind_of(value)
            content = self._content(old, kind)
            if kind == "N":
                return {"N": add_numbers(content, value["N"])}
            return {kind: in_order(kind, {*content, *value[kind]})}

        return added

    def _deleted(self, path: Elements, action: DeleteAction) -> Compute:
        name = action.value.name
        self.checks += (_use(action.value), _action_check("DELETE", name, _SETS))

        def deleted(item: Item, values: Values) -> Value | None:
            old = find(item, path)
            if old is None:
                return None
            ((kind, members),) = values[name].items()
            gone = set(members)
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


def _use(ref: ValueRef) -> Check:
    def use(placeholders: Placeholders) -> None:
        placeholders.value(ref, _NAME)

    return use


def _kind_check(operator: str, kind: str, name: str) -> Check:
    def check(placeholders: Placeholders) -> None:
        if kind not in (value := placeholders.values[name]):
            _invalid(
                "Incorrect operand type for operator or function; "
                f"operator or function: {operator}, operand type: {kind_of(value)}"
            )

    return check


def _action_check(action: str, name: str, kinds: frozenset[str]) -> Check:
    def check(placeholders: Placeholders) -> None:
        if (kind := kind_of(placeholders.values[name])) not in kinds:
            _invalid(
                f"Incorrect operand type for operator or function; operator: {action}, operand type: "
                f"{_LONG_NAMES[kind]}, typeSet: ALLOWED_FOR_{action}_OPERAND"
            )

    return check


def _missing() -> NoReturn:
    invalid("The provided expression refers to an attribute that does not exist in the item")


def _invalid(problem: str) -> NoReturn:
    invalid(f"Invalid {_NAME}: {problem}")


def _copy(value: Value | None) -> Value | None:
    """Return a value that shares nothing changeable with the item it came from."""
    if value is None:
        return None
    if (members := value.get("M")) is not None:
        return {"M": {name: _copy(element) for name, element in members.items()}}
    if (elements := value.get("L")) is not None:
        return {"L": [_copy(element) for element in elements]}
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
