"""Log groups: created, described, deleted."""

from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import SYSTEM
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.logs.arns import group_arn, group_resource
from cumulet.services.logs.limits import DESCRIBE_DEFAULT
from cumulet.services.logs.records import (
    EXPIRING,
    GROUPS,
    RUNS,
    STREAMS,
    LogGroup,
    get_group,
    invalid_token,
    scan_named,
)
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx, WriteTx


@operation(
    "CreateLogGroup",
    resource=group_resource,
    params="logGroupName tags logGroupClass",
    missing="kmsKeyId, deletion protection, and log group classes other than STANDARD",
)
def create_log_group(call: Call, tx: WriteTx, params: Params) -> Output:
    """Make an empty group."""
    name = params["logGroupName"]
    if name.lower().startswith("aws/"):
        raise ServiceError("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")
    _refuse_other_classes(params)
    if GROUPS.find(tx, call.scope, name) is not None:
        raise ServiceError("ResourceAlreadyExistsException", "The specified log group already exists")
    group = LogGroup(name, call.ids.token(12), call.now_ms, tags=dict(params.get("tags") or {}))
    GROUPS.save(tx, call.scope, name, record=group)
    return {}


@operation("DeleteLogGroup", resource=group_resource, params="logGroupName")
def delete_log_group(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove a group with its streams and events."""
    group = get_group(tx, call.scope, params["logGroupName"])
    GROUPS.delete(tx, call.scope, group.name)
    EXPIRING.delete(tx, SYSTEM, *call.scope, group.name)
    STREAMS.delete_all(tx, call.scope, group.id)
    RUNS.delete_all(tx, call.scope, group.id)
    return {}


@operation(
    "DescribeLogGroups",
    resource=lambda call, params: group_resource(call, {}),
    params="logGroupNamePrefix logGroupNamePattern nextToken limit logGroupClass",
    missing="logGroupIdentifiers, and the groups of linked accounts",
)
def describe_log_groups(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return groups by name, all or those whose name begins with, or contains, a text."""
    prefix, pattern = params.get("logGroupNamePrefix"), params.get("logGroupNamePattern")
    if prefix is not None and pattern is not None:
        raise ServiceError(
            "InvalidParameterException",
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        )
    _refuse_other_classes(params)
    limit = params.get("limit") or DESCRIBE_DEFAULT
    behind = decode_token(params.get("nextToken"), str, invalid_token)
    found: list[LogGroup] = []
    for group in scan_named(tx, GROUPS, call.scope, prefix=prefix or "", behind=behind):
        if pattern is not None and pattern not in group.name:
            continue
        if len(found) == limit:
            return {
                "logGroups": [_render(call, tx, group) for group in found],
                "nextToken": encode_token(found[-1].name),
            }
        found.append(group)
    return {"logGroups": [_render(call, tx, group) for group in found]}


def _render(call: Call, tx: ReadTx, group: LogGroup) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": f"{group_arn(call, group.name)}:*",
        "storedBytes": sum(stream.stored_bytes for stream in STREAMS.scan(tx, call.scope, group.id)),
        "logGroupClass": "STANDARD",
        "logGroupArn": group_arn(call, group.name),
    }
    if group.retention_days is not None:
        rendered["retentionInDays"] = group.retention_days
    return rendered


def _refuse_other_classes(params: Params) -> None:
    if params.get("logGroupClass") not in (None, "STANDARD"):
        raise NotImplementedHere(f"The log group class {params['logGroupClass']}")
