"""A function's resource policy: who else may invoke it, statement by statement."""

import json
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.condition_keys import member_keys
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import check_qualifier, function_policy
from cumulet.services.lambda_.control.principals import check_principal, render_principal
from cumulet.services.lambda_.control.statements import refuse_same_id
from cumulet.services.lambda_.names import FunctionRef, function_of, resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import FUNCTIONS, LATEST, POLICIES, FunctionRecord, PolicyRecord
from cumulet.store.api import ReadTx, WriteTx

_EMPTY_POLICY: dict[str, Any] = {"Version": "2012-10-17", "Id": "default", "Statement": []}


@operation(
    "AddPermission",
    resource=resource,
    resource_policy=function_policy,
    conditions=member_keys,
    params="FunctionName StatementId Action Principal SourceArn SourceAccount EventSourceToken Qualifier RevisionId "
    "PrincipalOrgID FunctionUrlAuthType InvokedViaFunctionUrl",
)
async def add_permission(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Add one Allow statement to a function's policy, and return it as JSON text."""
    ref = function_of(call, params)
    if params.get("FunctionUrlAuthType") is not None and params["Action"] != "lambda:InvokeFunctionUrl":
        raise invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")
    if ref.qualifier == LATEST:
        raise invalid("We currently do not support adding policies for $LATEST.")
    await check_principal(plane.ground, call, params["Principal"])
    statement = await plane.ground.store.write(lambda tx: _add_statement(tx, call, ref, params))
    return {"Statement": _to_json(statement)}


@operation("GetPolicy", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier")
def get_policy(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a function's policy as JSON text, and its revision."""
    ref = function_of(call, params)
    found = _find_policy(tx, ref, check_qualifier(tx, ref))
    if found is None:
        raise ServiceError("ResourceNotFoundException", "The resource you requested does not exist.", Type="User")
    return {"Policy": found.policy, "RevisionId": found.revision_id}


@operation(
    "RemovePermission",
    resource=resource,
    resource_policy=function_policy,
    params="FunctionName StatementId Qualifier RevisionId",
)
def remove_permission(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove one statement from a function's policy; with the last one the policy is gone."""
    ref = function_of(call, params)
    function = check_qualifier(tx, ref)
    found = _find_policy(tx, ref, function)
    if found is None:
        raise ServiceError("ResourceNotFoundException", "No policy is associated with the given resource.", Type="User")
    policy = json.loads(found.policy)
    left = [statement for statement in policy["Statement"] if statement["Sid"] != params["StatementId"]]
    if len(left) == len(policy["Statement"]):
        raise ServiceError(
            "ResourceNotFoundException",
            f"Statement {params['StatementId']} is not found in resource policy.",
            Type="User",
        )
    _check_revision(found, params)
    _save_policy(tx, call, ref, function, {**policy, "Statement": left})
    return {}


def _add_statement(tx: WriteTx, call: Call, ref: FunctionRef, params: Params) -> dict[str, Any]:
    function = check_qualifier(tx, ref)
    found = _find_policy(tx, ref, function)
    _check_revision(found, params)
    policy = json.loads(found.policy) if found else dict(_EMPTY_POLICY)
    refuse_same_id(policy, params["StatementId"])
    statement = render_statement(ref, params)
    _save_policy(tx, call, ref, function, {**policy, "Statement": [*policy["Statement"], statement]})
    return statement


def render_statement(ref: FunctionRef, params: Params) -> dict[str, Any]:
    """Return the statement that AWS makes of AddPermission's parameters."""
    conditions: dict[str, dict[str, str]] = {}
    if (source_account := params.get("SourceAccount")) is not None:
        conditions.setdefault("StringEquals", {})["AWS:SourceAccount"] = source_account
    if (organisation := params.get("PrincipalOrgID")) is not None:
        conditions.setdefault("StringEquals", {})["aws:PrincipalOrgID"] = organisation
    if (token := params.get("EventSourceToken")) is not None:
        conditions.setdefault("StringEquals", {})["lambda:EventSourceToken"] = token
    if (auth_type := params.get("FunctionUrlAuthType")) is not None:
        conditions.setdefault("StringEquals", {})["lambda:FunctionUrlAuthType"] = auth_type
    if (via_url := params.get("InvokedViaFunctionUrl")) is not None:
        conditions["Bool"] = {"lambda:InvokedViaFunctionUrl": "true" if via_url else "false"}
    if (source_arn := params.get("SourceArn")) is not None:
        conditions["ArnLike"] = {"AWS:SourceArn": source_arn}
    statement = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": render_principal(params["Principal"]),
        "Action": params["Action"],
        "Resource": ref.arn,
    }
    if conditions:
        statement["Condition"] = conditions
    return statement


def _find_policy(tx: ReadTx, ref: FunctionRef, function: FunctionRecord) -> PolicyRecord | None:
    if ref.qualifier is not None and ref.qualifier != LATEST:
        return POLICIES.find(tx, ref.scope, ref.name, ref.qualifier)
    if function.policy is None:
        return None
    return PolicyRecord(policy=function.policy, revision_id=function.policy_revision_id)


def _check_revision(found: PolicyRecord | None, params: Params) -> None:
    if params.get("RevisionId") not in (None, "" if found is None else found.revision_id):
        raise ServiceError(
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId. Call the GetPolicy API to retrieve the "
            "latest Revision Id",
            Type="User",
        )


def _save_policy(tx: WriteTx, call: Call, ref: FunctionRef, function: FunctionRecord, policy: dict[str, Any]) -> None:
    text = _to_json(policy) if policy["Statement"] else None
    if text is not None and len(text.encode()) > limits.POLICY_BYTES_MAX:
        raise ServiceError(
            "PolicyLengthExceededException",
            f"The final policy size ({len(text.encode())}) is bigger than the limit ({limits.POLICY_BYTES_MAX}).",
            Type="User",
        )
    if ref.qualifier is not None and ref.qualifier != LATEST:
        if text is None:
            POLICIES.delete(tx, ref.scope, ref.name, ref.qualifier)
        else:
            record = PolicyRecord(policy=text, revision_id=call.ids.uuid())
            POLICIES.save(tx, ref.scope, ref.name, ref.qualifier, record=record)
        return
    changed = msgspec.structs.replace(function, policy=text, policy_revision_id=call.ids.uuid() if text else "")
    FUNCTIONS.save(tx, ref.scope, ref.name, record=changed)


def _to_json(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
