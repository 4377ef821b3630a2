"""What several item operations ask of their request before they touch a table."""

from cumulet.services.dynamodb.core.expressions.conditions import Test, bind_condition, bind_plain_condition
from cumulet.services.dynamodb.core.expressions.legacy import (
    bind_attributes_to_get,
    bind_expected,
    check_not_mixed,
    check_operator_used,
)
from cumulet.services.dynamodb.core.expressions.placeholders import NO_PLACEHOLDERS, Placeholders
from cumulet.services.dynamodb.core.expressions.projections import Projector, bind_projection
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.kit import Params


def read_placeholders(params: Params, *expressions: str) -> Placeholders:
    """Return the request's names and values. Raises if there are some but none of the expressions that use them."""
    names = params.get("ExpressionAttributeNames")
    values = params.get("ExpressionAttributeValues")
    if names is None and values is None:
        return NO_PLACEHOLDERS
    for name in expressions:
        if params.get(name) is not None:
            break
    else:
        if names is not None:
            invalid("ExpressionAttributeNames can only be specified when using expressions")
        verb = "is" if len(expressions) == 1 else "are"
        invalid(
            "ExpressionAttributeValues can only be specified when using expressions: "
            f"{' and '.join(expressions)} {verb} null"
        )
    return Placeholders(names, values)


def check_legacy_condition(params: Params, legacy: tuple[str, ...], expressions: tuple[str, ...]) -> None:
    """Raise ValidationException if legacy parameters stand beside expressions, or do not fit together."""
    if params.keys().isdisjoint(legacy):
        return
    check_not_mixed(params, legacy, expressions)
    check_operator_used(params, "Expected")


def read_condition(params: Params, placeholders: Placeholders) -> Test | None:
    """Return the request's ConditionExpression, or its Expected, as a test, or None."""
    if (text := params.get("ConditionExpression")) is not None:
        if placeholders is NO_PLACEHOLDERS or not ("#" in text or ":" in text):
            return bind_plain_condition(text, "ConditionExpression")
        return bind_condition(text, "ConditionExpression", placeholders)
    expected = params.get("Expected")
    return None if expected is None else bind_expected(expected, params.get("ConditionalOperator"))


def read_projection(params: Params) -> Projector | None:
    """Return the request's ProjectionExpression, or its AttributesToGet, as a function, or None for whole items."""
    if (names := params.get("AttributesToGet")) is not None:
        check_not_mixed(params, ("AttributesToGet",), ("ProjectionExpression",))
        read_placeholders(params, "ProjectionExpression")
        return bind_attributes_to_get(names)
    placeholders = read_placeholders(params, "ProjectionExpression")
    project = bind_projection(params.get("ProjectionExpression"), placeholders)
    placeholders.check_all_used()
    return project


def check_return_values(params: Params) -> None:
    """Raise ValidationException for ReturnValues that only UpdateItem has."""
    if params.get("ReturnValues") not in (None, "NONE", "ALL_OLD"):
        invalid("Return values set to invalid value")
