"""Resource policies: putting, reading and removing them, for tables and streams."""

from typing import NamedTuple, NoReturn

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.resource_policies import (
    POLICIES,
    ResourcePolicy,
    check_keeps_access,
    check_policy,
    next_revision,
    with_policy,
)
from cumulet.services.dynamodb.streams import STREAMS, name_of_stream
from cumulet.services.dynamodb.tables import TABLES, Table, find_table, name_of
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

_NO_POLICY = "NO_POLICY"
"""As an ExpectedRevisionId: only if there is none."""


def given_arn(call: Call, params: Params) -> str:
    """Return the ARN that a request names."""
    arn: str = params["ResourceArn"]
    return arn


@operation(
    "PutResourcePolicy",
    resource=given_arn,
    params="ResourceArn Policy ExpectedRevisionId ConfirmRemoveSelfResourceAccess",
    missing="the account's own root is not narrowed, and other accounts are let in to nothing",
)
def put_resource_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Give a table or a stream a policy. The one that it has already keeps its revision."""
    arn, text = params["ResourceArn"], params["Policy"]
    check_policy(text)
    subject = _find(tx, call, arn)
    before = POLICIES.find(tx, call.scope, subject.id)
    expected = params.get("ExpectedRevisionId")
    if expected == _NO_POLICY:
        if before is not None:
            _missing_policy(arn)
    elif expected is not None and (before is None or before.revision != expected):
        _missing_policy(arn)
    if before is not None and before.text == text:
        return {"RevisionId": before.revision}
    if not params.get("ConfirmRemoveSelfResourceAccess"):
        check_keeps_access(call, arn, text)
    policy = ResourcePolicy(text, next_revision(call, before))
    _save(tx, call, subject, policy)
    return {"RevisionId": policy.revision}


@operation("GetResourcePolicy", resource=given_arn, params="ResourceArn")
def get_resource_policy(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the policy of a table or a stream."""
    arn = params["ResourceArn"]
    policy = POLICIES.find(tx, call.scope, _find(tx, call, arn).id)
    if policy is None:
        _missing_policy(arn)
    return {"Policy": policy.text, "RevisionId": policy.revision}


@operation("DeleteResourcePolicy", resource=given_arn, params="ResourceArn ExpectedRevisionId")
def delete_resource_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take a table's or a stream's policy away; where there is none, nothing happens."""
    arn = params["ResourceArn"]
    subject = _find(tx, call, arn)
    before = POLICIES.find(tx, call.scope, subject.id)
    expected = params.get("ExpectedRevisionId")
    if expected is not None and (before is None or before.revision != expected):
        _missing_policy(arn)
    if before is None:
        return {}
    _save(tx, call, subject, None)
    return {"RevisionId": before.revision}


class _Subject(NamedTuple):
    """What a policy is of."""

    id: str
    table: Table | None
    """None for a stream."""


def _find(tx: ReadTx, call: Call, arn: str) -> _Subject:
    if "/stream/" in arn:
        stream = STREAMS.find(tx, call.scope, *name_of_stream(call, arn))
        if stream is None or stream.is_gone(call.now_ms):
            _missing_resource(arn)
        return _Subject(stream.id, None)
    table = find_table(tx, call, name_of(call, arn))
    if table is None:
        _missing_resource(arn)
    return _Subject(table.record.table_id, table.record)


def _save(tx: WriteTx, call: Call, subject: _Subject, policy: ResourcePolicy | None) -> None:
    if subject.table is not None:
        record = with_policy(tx, call, subject.table, policy)
        TABLES.save(tx, call.scope, record.name, record=record)
    elif policy is not None:
        POLICIES.save(tx, call.scope, subject.id, record=policy)
    else:
        POLICIES.delete(tx, call.scope, subject.id)


def _missing_resource(arn: str) -> NoReturn:
    raise ServiceError("ResourceNotFoundException", f"Requested resource not found: ResourceArn: {arn} not found")


def _missing_policy(arn: str) -> NoReturn:
    raise ServiceError(
        "PolicyNotFoundException", f"Resource-based policy not found for the provided ResourceArn: {arn}"
    )
