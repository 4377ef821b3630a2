"""API Gateway's settings for an account in a region: the role with which it writes logs."""

import re
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.accounts import ACCOUNTS, Account
from cumulet.services.apigateway.control.arns import GET, PATCH, at
from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.control.v1.plane import RestPlane
from cumulet.services.kit import Call, Output, Params, Principal, operation
from cumulet.store.api import ReadTx, WriteTx

ACCOUNT = at("/account")

_ROLE_ARN = re.compile(r"^arn:aws[a-z-]*:iam::(\d{12}):role/.+\Z")
_PATCHABLE = patching.table(
    """
    /cloudwatchRoleArn  text     replace
    /features           members  add remove
    """
)
_FEATURES = ["UsagePlans"]
_HOST = "apigateway.amazonaws.com"


@operation("GetAccount", action=GET, resource=ACCOUNT, params="")
def get_account(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the settings of the account in this region."""
    return show(ACCOUNTS.find(tx, call.scope) or Account())


@operation("UpdateAccount", action=PATCH, resource=ACCOUNT, params="patchOperations")
async def update_account(call: Call, plane: RestPlane, params: Params) -> Output:
    """Logs are written with another role, which API Gateway can assume; or with none, and so not at all."""
    members = patching.patched({"features": _FEATURES}, params.get("patchOperations"), _PATCHABLE)
    if not members["features"]:
        raise ServiceError("BadRequestException", "The feature UsagePlans cannot be removed")
    if members["features"] != _FEATURES:
        raise ServiceError("BadRequestException", f"Invalid feature specified: {members['features'][-1]}")
    if (role := members.get("cloudwatchRoleArn")) is not None:
        await _check_role(plane, call, role)

    def save(tx: WriteTx) -> Output:
        account = ACCOUNTS.find(tx, call.scope) or Account()
        if "cloudwatchRoleArn" in members:
            account.log_role = role
        ACCOUNTS.save(tx, call.scope, record=account)
        return show(account)

    return await plane.ground.store.write(save)


async def _check_role(plane: RestPlane, call: Call, role: str) -> None:
    """Raise AWS's error unless the caller may pass the role and API Gateway can assume it."""
    found = _ROLE_ARN.match(role)
    if found is None:
        raise ServiceError("BadRequestException", f"Invalid ARN specified in the request: {role}")
    operations = plane.ground.operations
    await operations.authorize(call, "iam:PassRole", role, {"iam:PassedToService": _HOST}, service="apigateway")
    try:
        await operations.call(
            Principal.service(_HOST),
            call.scope,
            "sts",
            "AssumeRole",
            {"RoleArn": role, "RoleSessionName": "BackplaneAssumeRoleSession"},
        )
    except NotImplementedHere:
        raise
    except ServiceError:
        raise ServiceError(
            "BadRequestException",
            "The role ARN does not have required permissions configured. Please grant trust permission for API Gateway "
            "and add the required role policy.",
        ) from None


def show(account: Account) -> dict[str, Any]:
    """Return the settings as AWS shows them."""
    shown: dict[str, Any] = {
        "throttleSettings": {"burstLimit": limits.ACCOUNT_BURST, "rateLimit": float(limits.ACCOUNT_RATE)},
        "features": _FEATURES,
        "apiKeyVersion": "4",
    }
    if account.log_role is not None:
        shown["cloudwatchRoleArn"] = account.log_role
    return shown
