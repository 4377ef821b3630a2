"""The parameters that expressions replaced, compiled to the same syntax trees.

Expected, QueryFilter and ScanFilter become conditions, KeyConditions key conditions, AttributeUpdates an update and
AttributesToGet a projection. What AWS checks differently, or says in other words, is checked here; the trees that come
out of this are ones that binding finds nothing wrong with.

Source: "Legacy conditional parameters", developer guide. The words are those that AWS's answers show.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cumulet.services.dynamodb.core.expressions.ast import (
    Action,
    AddAction,
    And,
    Between,
    Comparison,
    Condition,
    DeleteAction,
    Function,
    In,
    Not,
    Or,
    Path,
    RemoveAction,
    SetAction,
    Update,
    ValueRef,
)
from cumulet.services.dynamodb.core.expressions.conditions import Test, bind_condition_tree
from cumulet.services.dynamodb.core.expressions.key_conditions import KeyCondition
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.expressions.projections import Projector, make_projector
from cumulet.services.dynamodb.core.expressions.updates import BoundUpdate, bind_update_tree
from cumulet.services.dynamodb.core.values import (
    Value,
    canonical_value,
    check_name,
    comparable,
    invalid,
    invalid_parameter,
    kind_of,
)
from cumulet.services.kit import Params

Conditions = Mapping[str, Mapping[str, Any]]
"""Attribute names to what is asked of them: ComparisonOperator, AttributeValueList, and in Expected Value or Exists."""

_COMPARATORS = {"EQ": "=", "NE": "<>", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">"}
_KEY_OPERATORS = {
    **{name: sign for name, sign in _COMPARATORS.items() if name != "NE"},
    "BETWEEN": "BETWEEN",
    "BEGINS_WITH": "begins_with",
}
_ANY_NUMBER = -1
_ARGUMENTS = {**dict.fromkeys(_COMPARATORS, 1), "CONTAINS": 1, "NOT_CONTAINS": 1, "BEGINS_WITH": 1}
_ARGUMENTS |= {"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2, "IN": _ANY_NUMBER}
_SCALARS = frozenset(("S", "N", "B"))
_ARGUMENT_KINDS = {
    **dict.fromkeys(("LE", "LT", "GE", "GT", "BETWEEN", "IN", "CONTAINS", "NOT_CONTAINS"), _SCALARS),
    "BEGINS_WITH": frozenset(("S", "B")),
}
_SETS = ("SS", "NS", "BS")


def check_not_mixed(params: Params, legacy: Sequence[str], expressions: Sequence[str]) -> None:
    """Raise ValidationException if a request has parameters of both kinds, named here in AWS's order."""
    if params.keys().isdisjoint(legacy):
        return
    old = [name for name in legacy if params.get(name) is not None]
    if old and (new := [name for name in expressions if params.get(name) is not None]):
        invalid(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(old)}}} Expression parameters: {{{', '.join(new)}}}"
        )


def check_operator_used(params: Params, *conditions: str) -> None:
    """Raise ValidationException for a ConditionalOperator that has nothing to join."""
    if params.get("ConditionalOperator") is not None and not any(params.get(name) for name in conditions):
        invalid("ConditionalOperator can only be used when Filter or Expected is specified")


def bind_expected(expected: Conditions, operator: str | None) -> Test | None:
    """Return Expected as a test of an item, or None if it asks for nothing."""
    values = _Values()
    nodes = [_expected_condition(name, given or {}, values) for name, given in expected.items()]
    if not nodes:
        return None
    return bind_condition_tree(_join(nodes, operator), "Expected", values.placeholders())[0]


def bind_legacy_filter(conditions: Conditions | None, operator: str | None) -> tuple[Test | None, set[str]]:
    """Return QueryFilter or ScanFilter as a test, or None, and the attributes that it mentions."""
    if not conditions:
        return None, set()
    values = _Values()
    nodes = [
        _condition(name, given["ComparisonOperator"], _arguments(given), values) for name, given in conditions.items()
    ]
    return bind_condition_tree(_join(nodes, operator), "Filter", values.placeholders())


def bind_legacy_key_conditions(conditions: Conditions) -> dict[str, KeyCondition]:
    """Return KeyConditions as conditions on attributes. Whether these are the keys is for `match_keys` to say."""
    found = {}
    for name, given in conditions.items():
        operator, arguments = given["ComparisonOperator"], _arguments(given)
        _check_arguments(operator, arguments)
        if operator not in _KEY_OPERATORS:
            invalid("Attempted conditional constraint is not an indexable operation")
        found[name] = KeyCondition(_KEY_OPERATORS[operator], tuple(arguments))
    return found


def bind_attributes_to_get(names: Sequence[str]) -> Projector:
    """Return AttributesToGet as a projection. A name is one attribute, whatever characters it has."""
    seen: set[str] = set()
    for name in names:
        check_name(name)
        if name in seen:
            invalid_parameter(f"Duplicate value in attribute name: {name}")
        seen.add(name)
    return make_projector([(name,) for name in names])


def bind_attribute_updates(updates: Mapping[str, Mapping[str, Any] | None]) -> BoundUpdate:
    """Return AttributeUpdates as an update."""
    values = _Values()
    actions = [_action(name, given or {}, values) for name, given in updates.items()]
    return bind_update_tree(
        Update(tuple(actions)), values.placeholders(), mismatch="Type mismatch for attribute to update"
    )


class _Values:
    """Gives each value that a tree needs a placeholder of its own."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}

    def ref(self, value: Value) -> ValueRef:
        ref = ValueRef(f":{len(self._values)}")
        self._values[ref.name] = value
        return ref

    def placeholders(self) -> Placeholders:
        return Placeholders.of_canonical(self._values)


def _arguments(given: Mapping[str, Any]) -> list[Value]:
    return [canonical_value(value)[0] for value in given.get("AttributeValueList") or ()]


def _expected_condition(name: str, given: Mapping[str, Any], values: _Values) -> Condition:
    """Return what Expected asks of one attribute: a comparison, a value, or that there is none."""
    arguments = _arguments(given)
    value = None if given.get("Value") is None else canonical_value(given["Value"])[0]
    operator, exists = given.get("ComparisonOperator"), given.get("Exists")
    has_list = given.get("AttributeValueList") is not None
    if has_list and value is not None:
        invalid_parameter(f"Value and AttributeValueList cannot be used together for Attribute: {name}")
    if operator is not None:
        if exists is not None:
            invalid_parameter(f"Exists and ComparisonOperator cannot be used together for Attribute: {name}")
        if not has_list and value is None and operator not in ("NULL", "NOT_NULL"):
            invalid_parameter(
                f"Value or AttributeValueList must be used with ComparisonOperator: {operator} for Attribute: {name}"
            )
        return _condition(name, operator, arguments if value is None else [value], values)
    if has_list:
        invalid_parameter(f"AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}")
    if exists is False:
        if value is not None:
            invalid_parameter(f"Value cannot be used when Exists is false for Attribute: {name}")
        return Function("attribute_not_exists", (_path(name),))
    if value is None:
        shown = "null" if exists is None else "true"
        invalid_parameter(f"Value must be provided when Exists is {shown} for Attribute: {name}")
    return Comparison("=", _path(name), values.ref(value))


def _condition(name: str, operator: str, arguments: list[Value], values: _Values) -> Condition:
    _check_arguments(operator, arguments)
    path = _path(name)
    operands = [values.ref(argument) for argument in arguments]
    if operator in _COMPARATORS:
        return Comparison(_COMPARATORS[operator], path, operands[0])
    match operator:
        case "NULL":
            return Function("attribute_not_exists", (path,))
        case "NOT_NULL":
            return Function("attribute_exists", (path,))
        case "CONTAINS":
            return Function("contains", (path, operands[0]))
        case "NOT_CONTAINS":
            # Unlike NE this does not hold for an attribute that is not there.
            return And(Function("attribute_exists", (path,)), Not(Function("contains", (path, operands[0]))))
        case "BEGINS_WITH":
            return Function("begins_with", (path, operands[0]))
        case "BETWEEN":
            return Between(path, operands[0], operands[1])
        case _:
            return In(path, tuple(operands))


def _check_arguments(operator: str, arguments: list[Value]) -> None:
    wanted = _ARGUMENTS[operator]
    if not arguments if wanted == _ANY_NUMBER else len(arguments) != wanted:
        invalid_parameter(f"Invalid number of argument(s) for the {operator} ComparisonOperator")
    kinds = [kind_of(argument) for argument in arguments]
    if len(set(kinds)) > 1:
        invalid_parameter("AttributeValues inside AttributeValueList must be of same type")
    if (allowed := _ARGUMENT_KINDS.get(operator)) is not None and kinds[0] not in allowed:
        invalid_parameter(f"ComparisonOperator {operator} is not valid for {kinds[0]} AttributeValue type")
    if operator == "BETWEEN":
        low, high = comparable(arguments[0]), comparable(arguments[1])
        if low is not None and high is not None and low[1] > high[1]:
            invalid("The BETWEEN condition was provided a range where the lower bound is greater than the upper bound")


def _join(nodes: list[Condition], operator: str | None) -> Condition:
    """Return all conditions as one. The tree is balanced: there may be thousands."""
    if len(nodes) == 1:
        return nodes[0]
    middle = len(nodes) // 2
    return (Or if operator == "OR" else And)(_join(nodes[:middle], operator), _join(nodes[middle:], operator))


def _action(name: str, given: Mapping[str, Any], values: _Values) -> Action:
    action = given.get("Action") or "PUT"
    path = _path(name)
    if given.get("Value") is None:
        if action != "DELETE":
            invalid_parameter("Only DELETE action is allowed when no attribute value is specified")
        return RemoveAction(path)
    value = canonical_value(given["Value"])[0]
    kind = kind_of(value)
    if action == "PUT":
        return SetAction(path, values.ref(value))
    if action == "DELETE":
        if kind not in _SETS:
            invalid_parameter(f"DELETE action with value is not supported for the type {kind}")
        return DeleteAction(path, values.ref(value))
    if kind == "L":
        # Only this form can append to a list with ADD.
        return SetAction(
            path,
            Function("list_append", (Function("if_not_exists", (path, values.ref({"L": []}))), values.ref(value))),
        )
    if kind != "N" and kind not in _SETS:
        invalid_parameter(f"ADD action is not supported for the type {kind}")
    return AddAction(path, values.ref(value))


def _path(name: str) -> Path:
    check_name(name)
    return Path((name,))
