"""IAM's own condition keys, as its operations tell them to the authorizer.

Source: Service Authorization Reference, "AWS Identity and Access Management".
"""

from cumulet.services.kit import Call, ConditionValues, Params


def boundary_keys(call: Call, params: Params) -> ConditionValues:
    """Return iam:PermissionsBoundary, with which a policy demands that new principals be bounded."""
    boundary = params.get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": boundary} if boundary else {}


def policy_keys(call: Call, params: Params) -> ConditionValues:
    """Return iam:PolicyARN, with which a policy says what may be attached."""
    return {"iam:PolicyARN": params["PolicyArn"]}
