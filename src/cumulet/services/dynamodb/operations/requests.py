"""What several item operations ask of their request before they touch a table."""

from cumulet.services.dynamodb.core.expressions.conditions import Test, bind_condition
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.values import invalid
from cumulet.services.kit import Params


def read_placeholders(params: Params, *expressions: str) -> Placeholders:
    """Return the request's names and values. Raises if there are some but none of the expressions that use them."""
    names = params.get("ExpressionAttributeNames")
    values = params.get("ExpressionAttributeValues")
    if (names is not None or values is not None) and all(params.get(name) is None for name in expressions):
        if names is not None:
            invalid("ExpressionAttributeNames can only be specified when using expressions")
        verb = "is" if len(expressions) == 1 else "are"
        invalid(
            "ExpressionAttributeValues can only be specified when using expressions: "
            f"{' and '.join(expressions)} {verb} null"
        )
    return Placeholders(names, values)


def read_condition(params: Params, placeholders: Placeholders) -> Test | None:
    """Return the request's ConditionExpression as a test, or None."""
    text = params.get("ConditionExpression")
    return None if text is None else bind_condition(text, "ConditionExpression", placeholders)


def check_return_values(params: Params) -> None:
    """Raise ValidationException for ReturnValues that only UpdateItem has."""
    if params.get("ReturnValues") not in (None, "NONE", "ALL_OLD"):
        invalid("Return values set to invalid value")
