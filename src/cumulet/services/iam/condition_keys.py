"""IAM's own condition keys, as its operations tell them to the authorizer.

Source: Service Authorization Reference, "AWS Identity and Access Management". Tags of resources are looked up by the
authorizer itself, and only for policies that ask for them.
"""

from collections.abc import Sequence

from cumulet.services.kit import Call, ConditionValues, Params


def creation_keys(call: Call, params: Params) -> ConditionValues:
    """Return the keys of operations that create: the permissions boundary and the tags asked for."""
    return {**boundary_keys(call, params), **tagging_keys(call, params)}


def boundary_keys(call: Call, params: Params) -> ConditionValues:
    """Return iam:PermissionsBoundary, with which a policy demands that new principals be bounded."""
    boundary = params.get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": boundary} if boundary else {}


def policy_keys(call: Call, params: Params) -> ConditionValues:
    """Return iam:PolicyARN, with which a policy says what may be attached."""
    return {"iam:PolicyARN": params["PolicyArn"]}


def tagging_keys(call: Call, params: Params) -> ConditionValues:
    """Return aws:TagKeys and aws:RequestTag/... of the tags to add."""
    tags = params.get("Tags")
    if not tags:
        return {}
    keys: dict[str, str | Sequence[str]] = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    keys["aws:TagKeys"] = [tag["Key"] for tag in tags]
    return keys


def untagging_keys(call: Call, params: Params) -> ConditionValues:
    """Return aws:TagKeys of the tags to remove."""
    return {"aws:TagKeys": params["TagKeys"]}
