"""Conditions over one item: a tree and a request's placeholders become a function from item to bool.

Binding makes the checks that need names and values (types of operands, operands that must differ); what is left to do
for each item is looking up and comparing. A comparison with something that is absent, or of a type without an order,
does not hold; it is not an error.
"""

import binascii
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NoReturn, TypeAlias

from cumulet.errors import InvariantViolated
from cumulet.services.dynamodb.core.expressions.ast import (
    And,
    Arithmetic,
    Between,
    Comparison,
    Condition,
    Elements,
    Function,
    In,
    Not,
    Operand,
    Or,
    Path,
    ValueRef,
)
from cumulet.services.dynamodb.core.expressions.grammar import OPERAND_COUNTS, parse_condition
from cumulet.services.dynamodb.core.expressions.placeholders import NO_PLACEHOLDERS, Placeholders
from cumulet.services.dynamodb.core.values import (
    KINDS,
    Value,
    binary_bytes,
    comparable,
    equal,
    invalid,
    kind_of,
)

Test: TypeAlias = Callable[[Mapping[str, Value]], bool]
Getter: TypeAlias = Callable[[Mapping[str, Value]], Value | None]

_ORDERED = ("S", "N", "B")
_SIZED = ("S", "B", "SS", "NS", "BS", "L", "M")
_A_NUMBER: Value = {"N": "0"}
"""What size() of anything is, as far as types go."""
_TYPE_NAMES_IN_AWS_ORDER = "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"


def bind_condition(text: str, name: str, placeholders: Placeholders) -> Test:
    """Return the function that tells whether an item meets the condition; `name` is the parameter's."""
    return _Binder(name, placeholders).condition(parse_condition(text, name))


@lru_cache(maxsize=512)
def bind_plain_condition(text: str, name: str) -> Test:
    """Return the test of a condition that has no placeholders: it is the same for every request."""
    return bind_condition(text, name, NO_PLACEHOLDERS)


def bind_condition_tree(tree: Condition, name: str, placeholders: Placeholders) -> tuple[Test, set[str]]:
    """Return a condition that came as a tree as a test, and the top-level attributes that it mentions."""
    binder = _Binder(name, placeholders)
    return binder.condition(tree), binder.mentioned


def bind_filter(text: str | None, placeholders: Placeholders) -> tuple[Test | None, set[str]]:
    """Return a FilterExpression as a test, or None, and the top-level attributes that it mentions."""
    if text is None:
        return None, set()
    return bind_condition_tree(parse_condition(text, "FilterExpression"), "FilterExpression", placeholders)


def find(item: Mapping[str, Value], elements: Elements) -> Value | None:
    """Return the value at a document path, or None."""
    value = item.get(elements[0])  # type: ignore[arg-type]
    for element in elements[1:]:
        if value is None:
            return None
        if isinstance(element, int):
            held = value.get("L")
            value = held[element] if held is not None and element < len(held) else None
        else:
            held = value.get("M")
            value = held.get(element) if held is not None else None
    return value


def render_path(elements: Elements) -> str:
    """Return a path as AWS shows it in errors: [a, b, [0]]."""
    return "[" + ", ".join([f"[{e}]" if isinstance(e, int) else e for e in elements]) + "]"


class _Binder:
    """Binds the nodes of one condition."""

    def __init__(self, name: str, placeholders: Placeholders) -> None:
        self._name = name
        self._placeholders = placeholders
        self.mentioned: set[str] = set()

    def condition(self, node: Condition) -> Test:
        if isinstance(node, And):
            left, right = self.condition(node.left), self.condition(node.right)
            return lambda item: left(item) and right(item)
        if isinstance(node, Or):
            left, right = self.condition(node.left), self.condition(node.right)
            return lambda item: left(item) or right(item)
        if isinstance(node, Not):
            inner = self.condition(node.condition)
            return lambda item: not inner(item)
        if isinstance(node, Comparison):
            return self._comparison(node)
        if isinstance(node, Between):
            return self._between(node)
        if isinstance(node, In):
            return self._in(node)
        return self._function(node)

    # --- operands

    def _operand(self, node: Operand) -> tuple[Getter, Value | None, Elements | None]:
        """Return how to get the operand's value, the value itself if it is fixed, and its path if it is one."""
        if isinstance(node, ValueRef):
            value = self._placeholders.value(node, self._name)
            return (lambda item: value), value, None
        if isinstance(node, Path):
            elements = self._placeholders.elements(node, self._name)
            self.mentioned.add(str(elements[0]))
            if len(elements) == 1:
                name = elements[0]
                return (lambda item: item.get(name)), None, elements
            return (lambda item: find(item, elements)), None, elements
        if isinstance(node, Arithmetic):
            raise InvariantViolated("arithmetic in a condition")
        self._check_count(node)
        return self._size(node), None, None

    def _size(self, node: Function) -> Getter:
        operand = node.operands[0]
        get, fixed, _ = self._operand(operand)
        if isinstance(operand, Function):
            fixed = _A_NUMBER
        if fixed is not None and kind_of(fixed) not in _SIZED:
            self._wrong_type("size", fixed)

        def size(item: Mapping[str, Value]) -> Value | None:
            value = get(item)
            return None if value is None else _size_of(value)

        return size

    # --- comparisons

    def _comparison(self, node: Comparison) -> Test:
        left, left_fixed, left_path = self._operand(node.left)
        right, right_fixed, right_path = self._operand(node.right)
        operator = node.operator
        if operator not in ("=", "<>"):
            for fixed in (left_fixed, right_fixed):
                if fixed is not None and kind_of(fixed) not in _ORDERED:
                    self._wrong_type(operator, fixed)
        self._check_distinct(operator, node.left, [node.right], left_path, [right_path])
        if operator == "=":
            return lambda item: _are_equal(left(item), right(item))
        if operator == "<>":
            return lambda item: not _are_equal(left(item), right(item))
        holds = _ORDER[operator]
        return lambda item: _compare(holds, left(item), right(item))

    def _between(self, node: Between) -> Test:
        get, _, path = self._operand(node.operand)
        low, low_fixed, low_path = self._operand(node.low)
        high, high_fixed, high_path = self._operand(node.high)
        check_between(self._name, low_fixed, high_fixed)
        self._check_distinct("BETWEEN", node.operand, [node.low, node.high], path, [low_path, high_path])
        at_least, at_most = _ORDER[">="], _ORDER["<="]

        def between(item: Mapping[str, Value]) -> bool:
            value = get(item)
            return _compare(at_least, value, low(item)) and _compare(at_most, value, high(item))

        return between

    def _in(self, node: In) -> Test:
        get, _, path = self._operand(node.operand)
        options = [self._operand(option) for option in node.options]
        self._check_distinct("IN", node.operand, node.options, path, [option[2] for option in options])
        getters = [option[0] for option in options]

        def is_in(item: Mapping[str, Value]) -> bool:
            value = get(item)
            if value is None:
                return False
            return any(_are_equal(value, option(item)) for option in getters)

        return is_in

    # --- functions

    def _function(self, node: Function) -> Test:
        self._check_count(node)
        if node.name in ("attribute_exists", "attribute_not_exists"):
            return self._existence(node)
        left, left_fixed, left_path = self._operand(node.operands[0])
        right, right_fixed, right_path = self._operand(node.operands[1])
        if node.name == "attribute_type":
            return self._attribute_type(left, right_fixed)
        if node.name == "begins_with":
            for fixed in (left_fixed, right_fixed):
                if fixed is not None and kind_of(fixed) not in ("S", "B"):
                    self._wrong_type("begins_with", fixed)
            self._check_distinct("begins_with", node.operands[0], node.operands[1:], left_path, [right_path])
            return lambda item: _begins_with(left(item), right(item))
        self._check_distinct("contains", node.operands[0], node.operands[1:], left_path, [right_path])
        return lambda item: _contains(left(item), right(item))

    def _existence(self, node: Function) -> Test:
        operand = node.operands[0]
        if not isinstance(operand, Path):
            self._invalid(f"Operator or function requires a document path; operator or function: {node.name}")
        get, _, _ = self._operand(operand)
        if node.name == "attribute_exists":
            return lambda item: get(item) is not None
        return lambda item: get(item) is None

    def _attribute_type(self, get: Getter, kind: Value | None) -> Test:
        if kind is None:
            self._invalid("Operator or function requires a value; operator or function: attribute_type")
        if kind_of(kind) != "S":
            self._wrong_type("attribute_type", kind)
        wanted = kind["S"]
        if wanted not in KINDS:
            self._invalid(f"Invalid attribute type name found; type: {wanted}, valid types: {_TYPE_NAMES_IN_AWS_ORDER}")

        def has_type(item: Mapping[str, Value]) -> bool:
            value = get(item)
            return value is not None and wanted in value

        return has_type

    # --- errors

    def _check_count(self, node: Function) -> None:
        if len(node.operands) != OPERAND_COUNTS[node.name]:
            self._invalid(
                "Incorrect number of operands for operator or function; "
                f"operator or function: {node.name}, number of operands: {len(node.operands)}"
            )

    def _check_distinct(
        self,
        operator: str,
        first: Operand,
        others: "list[Operand] | tuple[Operand, ...]",
        path: Elements | None,
        other_paths: "list[Elements | None]",
    ) -> None:
        same_path = path is not None and path in other_paths
        same_value = isinstance(first, ValueRef) and first in others
        if not (same_path or same_value):
            return
        shown = render_path(path) if path is not None else first.name  # type: ignore[union-attr]
        self._invalid(
            "The first operand must be distinct from the remaining operands for this operator or function; "
            f"operator: {operator}, first operand: {shown}"
        )

    def _wrong_type(self, operator: str, value: Value) -> NoReturn:
        self._invalid(
            "Incorrect operand type for operator or function; "
            f"operator or function: {operator}, operand type: {kind_of(value)}"
        )

    def _invalid(self, problem: str) -> NoReturn:
        invalid(f"Invalid {self._name}: {problem}")


def check_between(name: str, low: Value | None, high: Value | None) -> None:
    """Raise ValidationException for bounds that cannot be bounds, or are the wrong way round."""
    for bound in (low, high):
        if bound is not None and kind_of(bound) not in _ORDERED:
            invalid(
                f"Invalid {name}: Incorrect operand type for operator or function; "
                f"operator or function: BETWEEN, operand type: {kind_of(bound)}"
            )
    if low is None or high is None:
        return
    low_key, high_key = comparable(low), comparable(high)
    if low_key is None or high_key is None:
        return
    shown = (
        f"lower bound operand: AttributeValue: {render_value(low)}, "
        f"upper bound operand: AttributeValue: {render_value(high)}"
    )
    if low_key[0] != high_key[0]:
        invalid(f"Invalid {name}: The BETWEEN operator requires same data type for lower and upper bounds; {shown}")
    if low_key[1] > high_key[1]:
        invalid(
            f"Invalid {name}: The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
            f"{shown}"
        )


def render_value(value: Value) -> str:
    """Return a value as AWS shows it in errors: {S:text}."""
    ((kind, content),) = value.items()
    return f"{{{kind}:{content}}}"


def _are_equal(left: Value | None, right: Value | None) -> bool:
    return left is not None and right is not None and equal(left, right)


_ORDER: dict[str, Callable[[object, object], bool]] = {
    "<": lambda left, right: left < right,  # type: ignore[operator]
    "<=": lambda left, right: left <= right,  # type: ignore[operator]
    ">": lambda left, right: left > right,  # type: ignore[operator]
    ">=": lambda left, right: left >= right,  # type: ignore[operator]
}


def _compare(holds: Callable[[object, object], bool], left: Value | None, right: Value | None) -> bool:
    if left is None or right is None:
        return False
    left_key, right_key = comparable(left), comparable(right)
    if left_key is None or right_key is None or left_key[0] != right_key[0]:
        return False
    return holds(left_key[1], right_key[1])


def _begins_with(value: Value | None, prefix: Value | None) -> bool:
    if value is None or prefix is None:
        return False
    if (text := value.get("S")) is not None and (start := prefix.get("S")) is not None:
        return bool(text.startswith(start))
    if (binary := value.get("B")) is not None and (start := prefix.get("B")) is not None:
        return binascii.a2b_base64(binary).startswith(binascii.a2b_base64(start))
    return False


_SET_OF = {"S": "SS", "N": "NS", "B": "BS"}


def _contains(value: Value | None, wanted: Value | None) -> bool:
    if value is None or wanted is None:
        return False
    ((kind, content),) = value.items()
    ((wanted_kind, wanted_content),) = wanted.items()
    if kind == "L":
        return any(equal(element, wanted) for element in content)
    if kind == wanted_kind == "S":
        return wanted_content in content
    if kind == wanted_kind == "B":
        return binascii.a2b_base64(wanted_content) in binascii.a2b_base64(content)
    return _SET_OF.get(wanted_kind) == kind and wanted_content in content


def _size_of(value: Value) -> Value | None:
    ((kind, content),) = value.items()
    if kind == "S":
        return {"N": str(len(content))}
    if kind == "B":
        return {"N": str(binary_bytes(content))}
    if kind in _SIZED:
        return {"N": str(len(content))}
    return None
