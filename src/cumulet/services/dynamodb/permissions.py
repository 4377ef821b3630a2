"""DynamoDB's own condition keys: what policies can ask of a request besides its table.

Source: "Using IAM policy conditions for fine-grained access control", developer guide.
"""

from cumulet.services.kit import Call, ConditionValues, Params


def item_conditions(call: Call, params: Params) -> ConditionValues:
    """Return the condition keys of a request."""
    return {}
