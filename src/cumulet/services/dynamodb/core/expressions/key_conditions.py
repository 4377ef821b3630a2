"""Key conditions: a tree that may only say what a range of keys can express.

`partition = value`, and at most one condition on the sort key: a comparison, BETWEEN or begins_with.
"""

from collections.abc import Collection, Mapping, Sequence, Sized
from typing import NamedTuple, NoReturn

from cumulet.errors import InvariantViolated
from cumulet.services.dynamodb.core.expressions.ast import (
    And,
    Between,
    Comparison,
    Condition,
    Function,
    In,
    Not,
    Operand,
    Or,
    Path,
    ValueRef,
)
from cumulet.services.dynamodb.core.expressions.conditions import check_between
from cumulet.services.dynamodb.core.expressions.grammar import OPERAND_COUNTS, parse_condition
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.values import Value, invalid, kind_of

_NAME = "KeyConditionExpression"
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class KeyCondition(NamedTuple):
    """What is asked of one key attribute: =, <, <=, >, >=, BETWEEN (two values) or begins_with."""

    operator: str
    values: tuple[Value, ...]


def bind_key_conditions(text: str, placeholders: Placeholders) -> dict[str, KeyCondition]:
    """Return the condition on each attribute. Whether these are the keys is for `match_keys` to say."""
    found: dict[str, KeyCondition] = {}
    for node in _flatten(parse_condition(text, _NAME)):
        name, condition = _bind(node, placeholders)
        if name in found:
            _invalid("KeyConditionExpressions must only contain one condition per key")
        found[name] = condition
    return found


def match_keys(
    conditions: Mapping[str, KeyCondition], hash_name: str, range_name: str | None
) -> tuple[Value, KeyCondition | None]:
    """Return the partition key's value and the condition on the sort key. Raises unless they fit the key schema."""
    _check_count(conditions, 1 if range_name is None else 2, allowed=2)
    partition = conditions.get(hash_name)
    if partition is None:
        invalid(f"Query condition missed key schema element: {hash_name}")
    if partition.operator != "=":
        invalid("Query key condition not supported")
    if len(conditions) == 1:
        return partition.values[0], None
    if range_name is None:
        invalid("Query key condition not supported")
    sort = conditions.get(range_name)
    if sort is None:
        invalid(f"Query condition missed key schema element: {range_name}")
    return partition.values[0], sort


def match_index_keys(
    conditions: Mapping[str, KeyCondition], hash_names: Sequence[str], range_names: Sequence[str]
) -> tuple[tuple[Value, ...], tuple[KeyCondition, ...]]:
    """Return a value for each partition key attribute, and the conditions on the sort key's first attributes.

    Every partition key attribute needs an equality. The sort key's are used from the left without gaps, and all but the
    last of those used with an equality ("Querying multi-attribute keys", developer guide).
    """
    if len(hash_names) == 1 and len(range_names) <= 1:
        partition, sort = match_keys(conditions, hash_names[0], range_names[0] if range_names else None)
        return (partition,), () if sort is None else (sort,)
    _check_count(conditions, len(hash_names) + len(range_names), allowed=len(hash_names) + len(range_names))
    hashes = [conditions.get(name) for name in hash_names]
    if any(condition is None or condition.operator != "=" for condition in hashes):
        # The words are ours.
        invalid(f"Query must have all HASH key attributes with equality conditions: [{', '.join(hash_names)}]")
    if unknown := [name for name in conditions if name not in hash_names and name not in range_names]:
        invalid(f"Query key condition not supported: {unknown[0]} is no key attribute of the index")
    used = [name for name in range_names if name in conditions]
    before = range_names[: list(range_names).index(used[-1])] if used else ()
    if lacking := [name for name in before if name not in used or conditions[name].operator != "="]:
        invalid(
            f"RANGE key attributes {', '.join(lacking)} must have equality conditions specified in the query because a "
            f"condition is present on key attribute {used[-1]}"
        )
    sorts = tuple([conditions[name] for name in used])
    return tuple([condition.values[0] for condition in hashes if condition is not None]), sorts


def _check_count(conditions: Sized, keys: int, allowed: int) -> None:
    if len(conditions) > allowed:
        invalid(
            f"The number of query conditions ({len(conditions)}) exceeds the number of key attributes defined in the "
            f"schema ({keys})"
        )


def _flatten(tree: Condition) -> list[Condition]:
    nodes: list[Condition] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, And):
            waiting += (node.right, node.left)
        elif isinstance(node, Or):
            _wrong_operator("OR")
        elif isinstance(node, Not):
            _wrong_operator("NOT")
        elif isinstance(node, In):
            _wrong_operator("IN")
        elif isinstance(node, Comparison) and node.operator == "<>":
            _wrong_operator("<>")
        elif isinstance(node, Function) and node.name != "begins_with":
            _wrong_operator(node.name)
        else:
            nodes.append(node)
    return nodes


def _bind(node: Condition, placeholders: Placeholders) -> tuple[str, KeyCondition]:
    if isinstance(node, Comparison):
        if isinstance(node.left, ValueRef) and isinstance(node.right, Path):
            name, value = _attribute(node.right, placeholders), _value(node.left, placeholders)
            operator = _MIRRORED[node.operator]
        else:
            name, value = _attribute(node.left, placeholders), _value(node.right, placeholders)
            operator = node.operator
        if operator != "=":
            _check_operand(node.operator, value, ("S", "N", "B"))
        return name, KeyCondition(operator, (value,))
    if isinstance(node, Between):
        if not isinstance(node.operand, Path):
            _invalid("Invalid operator used in KeyConditionExpression: BETWEEN")
        name = _attribute(node.operand, placeholders)
        low, high = _value(node.low, placeholders), _value(node.high, placeholders)
        check_between(_NAME, low, high)
        return name, KeyCondition("BETWEEN", (low, high))
    if not isinstance(node, Function):
        raise InvariantViolated("a key condition that is none")
    if len(node.operands) != OPERAND_COUNTS["begins_with"]:
        _invalid(
            "Incorrect number of operands for operator or function; "
            f"operator or function: begins_with, number of operands: {len(node.operands)}"
        )
    name, prefix = _attribute(node.operands[0], placeholders), _value(node.operands[1], placeholders)
    _check_operand("begins_with", prefix, ("S", "B"))
    return name, KeyCondition("begins_with", (prefix,))


def _check_operand(operator: str, value: Value, kinds: Collection[str]) -> None:
    if kind_of(value) not in kinds:
        _invalid(
            "Incorrect operand type for operator or function; "
            f"operator or function: {operator}, operand type: {kind_of(value)}"
        )


def _attribute(node: Operand, placeholders: Placeholders) -> str:
    if isinstance(node, Function):
        _wrong_operator(node.name)
    if not isinstance(node, Path):
        invalid("Invalid condition in KeyConditionExpression: No key attribute specified")
    elements = placeholders.elements(node, _NAME)
    if len(elements) > 1:
        _invalid("KeyConditionExpressions cannot have conditions on nested attributes")
    return str(elements[0])


def _value(node: Operand, placeholders: Placeholders) -> Value:
    if isinstance(node, Function):
        _wrong_operator(node.name)
    if not isinstance(node, ValueRef):
        invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
    return placeholders.value(node, _NAME)


def _wrong_operator(operator: str) -> NoReturn:
    _invalid(f"Invalid operator used in KeyConditionExpression: {operator}")


def _invalid(problem: str) -> NoReturn:
    invalid(f"Invalid {_NAME}: {problem}")
