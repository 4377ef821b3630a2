"""IAM's own condition keys, as its operations tell them to the authorizer.

Source: Service Authorization Reference, "AWS Identity and Access Management".
"""

from cumulet.services.iam.records import find_role, find_user
from cumulet.services.kit import Call, ConditionValues, Params
from cumulet.store.api import ReadTx


def boundary_keys(call: Call, params: Params) -> ConditionValues:
    """Return iam:PermissionsBoundary, with which a policy demands that principals be bounded, and by what."""
    boundary = params.get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": boundary} if boundary else {}


def holder_keys(tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    """Return iam:PermissionsBoundary of the role or user that is there, and iam:PolicyARN of what is attached to it."""
    find, name = (find_role, "RoleName") if "RoleName" in params else (find_user, "UserName")
    holder = find(tx, call.scope, params[name])
    found = {} if holder is None or not holder.boundary else {"iam:PermissionsBoundary": holder.boundary}
    return {**found, "iam:PolicyARN": params["PolicyArn"]} if "PolicyArn" in params else found
