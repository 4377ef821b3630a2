"""Resource policies of tables and streams: their records, their revisions, and where the dispatcher finds them.

The dispatcher asks `policy_of` for each resource that a request touches. A table's record tells whether the table has a
policy, so that a request to one without looks no further.
"""

import re
from collections.abc import Mapping

import msgspec

from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.policy.evaluate import Policy, Request, evaluate
from cumulet.policy.principals import Caller
from cumulet.services.dynamodb.core.limits import RESOURCE_POLICY_BYTES_MAX
from cumulet.services.dynamodb.core.values import invalid, invalid_parameter
from cumulet.services.dynamodb.streams import STREAMS
from cumulet.services.dynamodb.tables import Table, find_table
from cumulet.services.kit import Call
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import DDB_RESOURCE_POLICY
from cumulet.store.records import Records

_RESOURCE_ARN = re.compile(
    r"arn:aws[a-z-]*:dynamodb:([a-z0-9-]+):([0-9]{12}):table/([a-zA-Z0-9_.-]+)(?:/stream/([0-9TZ:.-]+)|/index/.*)?"
).fullmatch
_OWN_POLICY_ACTIONS = ("GetResourcePolicy", "PutResourcePolicy", "DeleteResourcePolicy")


class ResourcePolicy(msgspec.Struct, frozen=True):
    """The policy of one table or stream."""

    text: str
    revision: str


POLICIES = Records(DDB_RESOURCE_POLICY, ResourcePolicy)


def policy_of(tx: ReadTx, call: Call, arn: str) -> str | None:
    """Return the policy of the table, index or stream that an ARN names, or None. An index has its table's."""
    match = _RESOURCE_ARN(arn)
    if match is None or match.group(1, 2) != (call.scope.region, call.scope.account):
        return None
    table_name, label = match.group(3, 4)
    if label is not None:
        stream = STREAMS.find(tx, call.scope, table_name, label)
        subject = None if stream is None else stream.id
    else:
        table = find_table(tx, call, table_name)
        subject = None if table is None or not table.record.policy_revision else table.record.table_id
    found = None if subject is None else POLICIES.find(tx, call.scope, subject)
    return None if found is None else found.text


def tags_of(tx: ReadTx, call: Call, arn: str) -> Mapping[str, str]:
    """Return the tags of the table that an ARN names, which its indexes have too; streams and backups have none."""
    match = _RESOURCE_ARN(arn)
    if match is None or match[4] is not None or match.group(1, 2) != (call.scope.region, call.scope.account):
        return {}
    table = find_table(tx, call, match[3])
    return {} if table is None else table.record.tags


def check_policy(text: str) -> None:
    """Raise ValidationException for what is no policy of a resource, or too long."""
    if len(text.encode()) > RESOURCE_POLICY_BYTES_MAX:
        invalid_parameter(f"Maximum policy size of {RESOURCE_POLICY_BYTES_MAX} bytes exceeded")
    try:
        parse_document(text, "resource")
    except ServiceError as error:
        invalid_parameter(f"Invalid policy document: {error.message}")


def check_keeps_access(call: Call, arn: str, text: str) -> None:
    """Raise ValidationException if the policy would keep its author from changing it again."""
    principal = call.principal
    caller = Caller(principal.kind, principal.arn, principal.account)
    policy = Policy("", parse_document(text, "resource"))
    for action in _OWN_POLICY_ACTIONS:
        request = Request(caller, f"dynamodb:{action}", arn, call.scope.account)
        if evaluate(request, (), (policy,)).explicit:
            invalid(
                "The policy would remove your permissions to change the policy of this resource in the future. Set "
                "ConfirmRemoveSelfResourceAccess to true to confirm that you want this"
            )


def next_revision(call: Call, before: ResourcePolicy | None) -> str:
    """Return the revision id of a policy that changes now: a text of digits that was none of its ids before."""
    return str(call.now_ms if before is None else max(call.now_ms, int(before.revision) + 1))


def with_policy(tx: WriteTx, call: Call, record: Table, policy: ResourcePolicy | None) -> Table:
    """Return the record of a table with another policy, or none; the policy is saved."""
    if policy is None:
        POLICIES.delete(tx, call.scope, record.table_id)
    else:
        POLICIES.save(tx, call.scope, record.table_id, record=policy)
    return msgspec.structs.replace(record, policy_revision="" if policy is None else policy.revision)
