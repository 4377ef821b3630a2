"""The resource policy of a layer version: which other accounts may use it."""

import json
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.layers import (
    check_number,
    find_layer,
    layer_policy,
    named_layer,
    version_arn,
)
from cumulet.services.lambda_.control.principals import render_principal
from cumulet.services.lambda_.control.statements import refuse_same_id
from cumulet.services.lambda_.records import LAYERS, LayerRecord
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "AddLayerVersionPermission",
    resource=version_arn,
    resource_policy=layer_policy,
    params="LayerName VersionNumber StatementId Action Principal OrganizationId RevisionId",
)
def add_layer_version_permission(call: Call, tx: WriteTx, params: Params) -> Output:
    """Add one Allow statement to a layer version's policy."""
    layer = _load(call, tx, params)
    _check_revision(layer, params)
    policy: dict[str, Any] = {"Version": "2012-10-17", "Id": "default", "Statement": []}
    if layer.policy is not None:
        policy = json.loads(layer.policy)
    refuse_same_id(policy, params["StatementId"])
    statement: dict[str, Any] = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": render_principal(params["Principal"]),
        "Action": params["Action"],
        "Resource": layer.arn,
    }
    if (organisation := params.get("OrganizationId")) is not None:
        statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": organisation}}
    policy["Statement"].append(statement)
    revision_id = _save(call, tx, params, layer, _to_json(policy))
    return {"Statement": _to_json(statement), "RevisionId": revision_id}


@operation(
    "GetLayerVersionPolicy", resource=version_arn, resource_policy=layer_policy, params="LayerName VersionNumber"
)
def get_layer_version_policy(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a layer version's policy as JSON text."""
    layer = _load(call, tx, params)
    if layer.policy is None:
        raise _no_policy()
    return {"Policy": layer.policy, "RevisionId": layer.policy_revision_id}


@operation(
    "RemoveLayerVersionPermission",
    resource=version_arn,
    resource_policy=layer_policy,
    params="LayerName VersionNumber StatementId RevisionId",
)
def remove_layer_version_permission(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove one statement; with the last one the policy is gone."""
    layer = _load(call, tx, params)
    if layer.policy is None:
        raise _no_policy()
    _check_revision(layer, params)
    policy = json.loads(layer.policy)
    left = [statement for statement in policy["Statement"] if statement["Sid"] != params["StatementId"]]
    if len(left) == len(policy["Statement"]):
        raise ServiceError(
            "ResourceNotFoundException",
            f"Statement {params['StatementId']} is not found in resource policy.",
            Type="User",
        )
    _save(call, tx, params, layer, _to_json({**policy, "Statement": left}) if left else None)
    return {}


def _load(call: Call, tx: ReadTx, params: Params) -> LayerRecord:
    check_number(params)
    arn = version_arn(call, params)
    layer = find_layer(tx, arn)
    if layer is None:
        raise ServiceError("ResourceNotFoundException", f"Layer version {arn} does not exist.", Type="User")
    return layer


def _no_policy() -> ServiceError:
    return ServiceError("ResourceNotFoundException", "No policy is associated with the given resource.", Type="User")


def _check_revision(layer: LayerRecord, params: Params) -> None:
    if params.get("RevisionId") not in (None, layer.policy_revision_id):
        raise ServiceError(
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId. Call the GetLayerVersionPolicy API to "
            "retrieve the latest Revision Id",
            Type="User",
        )


def _save(call: Call, tx: WriteTx, params: Params, layer: LayerRecord, policy: str | None) -> str:
    if policy is not None and len(policy.encode()) > limits.POLICY_BYTES_MAX:
        raise ServiceError(
            "PolicyLengthExceededException",
            f"The final policy size ({len(policy.encode())}) is bigger than the limit ({limits.POLICY_BYTES_MAX}).",
            Type="User",
        )
    revision_id = call.ids.uuid() if policy else ""
    scope, name = named_layer(call, params["LayerName"])
    changed = msgspec.structs.replace(layer, policy=policy, policy_revision_id=revision_id)
    LAYERS.save(tx, scope, name, layer.version, record=changed)
    return revision_id


def _to_json(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
