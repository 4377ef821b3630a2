"""DynamoDB's own condition keys: what policies can ask of a request besides its table.

Source: "Using IAM policy conditions for fine-grained access control", developer guide.
"""

from cumulet.services.dynamodb.tables import arn_of
from cumulet.services.kit import Call, ConditionValues, Params


def item_conditions(call: Call, params: Params) -> ConditionValues:
    """Return the condition keys of a request."""
    return {}


def batch_arns(call: Call, params: Params) -> list[str]:
    """Return the ARNs of the tables that a batch names."""
    return [name if name.startswith("arn:") else arn_of(call.scope, name) for name in params["RequestItems"]]
