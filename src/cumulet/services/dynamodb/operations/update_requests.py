"""What an UpdateTable asks for, checked by itself: AWS looks at a request before it looks at the table.

A request makes one change of the kinds in `_ALONE`, or several of the others that go together.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from cumulet.errors import ServiceError
from cumulet.services.dynamodb.core.index_schema import define_global_index
from cumulet.services.dynamodb.core.schema import check_billing, check_definitions
from cumulet.services.dynamodb.core.values import invalid, invalid_parameter
from cumulet.services.dynamodb.encryption import key_arn_of
from cumulet.services.dynamodb.streams import read_specification
from cumulet.services.kit import Call, Params

CHANGES = (
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexUpdates",
    "StreamSpecification",
    "SSESpecification",
    "TableClass",
    "WarmThroughput",
    "OnDemandThroughput",
    "VectorIndexUpdates",
    "DeletionProtectionEnabled",
)
_ACTIONS = ("Update", "Create", "Delete")
_ALONE = {
    "SSESpecification": "Server-Side Encryption modification",
    "TableClass": "TableClass modification",
    "DeletionProtectionEnabled": "DeletionProtection modification",
    "WarmThroughput": "WarmThroughput",
}
"""What can only be changed by itself, in the order in which AWS complains of it."""


class IndexUpdate(NamedTuple):
    """One entry of GlobalSecondaryIndexUpdates."""

    action: str
    name: str
    given: Mapping[str, Any]


class Asked(NamedTuple):
    """All that a request asks for, as far as it can be read without the table."""

    changes: set[str]
    """The members among `CHANGES` that it has."""
    updates: list[IndexUpdate]
    vector_update: IndexUpdate | None
    view: str | None
    """The view type of the stream that the table gets."""


def read_request(call: Call, params: Params) -> Asked:
    """Return what a request asks for. Raises what AWS says of it whatever the table is like."""
    updates = _read_index_updates(params.get("GlobalSecondaryIndexUpdates"))
    given = {change for change in CHANGES if params.get(change) not in (None, [])}
    if not given:
        invalid(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
            "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, "
            "MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is "
            "required"
        )
    vector_update = _read_vector_update(params.get("VectorIndexUpdates") or ())
    view = read_specification(params.get("StreamSpecification"), creating=False)
    _check_members(call, params, updates)
    _check_combination(given, updates)
    return Asked(given, updates, vector_update, view)


def _check_members(call: Call, params: Params, updates: Sequence[IndexUpdate]) -> None:
    mode, throughput = params.get("BillingMode"), params.get("ProvisionedThroughput")
    if mode == "PAY_PER_REQUEST" and throughput is not None:
        invalid_parameter("ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST")
    if mode == "PROVISIONED" and throughput is None:
        invalid_parameter("ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
    if throughput is not None:
        check_billing("PROVISIONED", throughput)
    key_arn_of(call.scope, params.get("SSESpecification"))
    kinds = check_definitions(params.get("AttributeDefinitions") or ())
    for update in updates:
        if update.action == "Create":
            define_global_index(update.given, kinds)


def _read_index_updates(given: Sequence[Mapping[str, Any]] | None) -> list[IndexUpdate]:
    """Return what a request asks for; at most one index comes or goes at a time."""
    if given is None:
        return []
    if not given:
        invalid_parameter("List of GlobalSecondaryIndexUpdates is empty")
    updates = []
    for entry in given:
        actions = [action for action in _ACTIONS if entry.get(action) is not None]
        if not actions:
            members = ", ".join(f"GlobalSecondaryIndexUpdate.{action}" for action in _ACTIONS)
            invalid_parameter(f"One of {members} must not be null")
        if len(actions) > 1:
            invalid_parameter("Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object")
        updates.append(IndexUpdate(actions[0], entry[actions[0]]["IndexName"], entry[actions[0]]))
    if sum(update.action != "Update" for update in updates) > 1:
        one_at_a_time()
    for number, update in enumerate(updates):
        if any(update.name == earlier.name for earlier in updates[:number]):
            invalid_parameter(
                f"Only one global secondary index update per index is allowed simultaneously. Index: {update.name}"
            )
    return updates


def _check_combination(given: set[str], updates: Sequence[IndexUpdate]) -> None:
    """Raise ValidationException for changes that one request cannot ask for together, as recorded on AWS."""
    creates = any(update.action == "Create" for update in updates)
    comes_or_goes = any(update.action != "Update" for update in updates)
    for member, what in _ALONE.items():
        others = given - {member}
        if member not in given:
            continue
        if member == "WarmThroughput":
            if creates:
                invalid_parameter("Create global secondary index cannot be specified when updating WarmThroughput")
            if not comes_or_goes:
                # The developer guide warms a table and its indexes at once.
                others.discard("GlobalSecondaryIndexUpdates")
        if others:
            invalid_parameter(f"{what} must be the only operation in the request")
    changes_units, changes_stream = "ProvisionedThroughput" in given, "StreamSpecification" in given
    if changes_units and comes_or_goes:
        invalid_parameter("You cannot create or delete index while updating table IOPS")
    if changes_units and changes_stream:
        invalid_parameter("You cannot modify stream status while updating table IOPS")
    if comes_or_goes and changes_stream:
        invalid_parameter("You cannot create or delete index while changing stream status")
    if "OnDemandThroughput" in given and changes_stream:
        invalid_parameter("OnDemandThroughput can only be combined with BillingMode in an UpdateTable request")


def _read_vector_update(given: Sequence[Mapping[str, Any]]) -> IndexUpdate | None:
    """Return what a request does to the vector indexes: one comes or goes at a time."""
    if not given:
        return None
    actions = [action for action in ("Create", "Delete") if given[0].get(action) is not None]
    if len(actions) != 1:
        found = "none" if not actions else ", ".join(actions)
        invalid_parameter(f"A VectorIndexUpdate must have exactly one of Create and Delete, found: {found}")
    if len(given) > 1:
        one_at_a_time()
    return IndexUpdate(actions[0], given[0][actions[0]]["IndexName"], given[0][actions[0]])


def one_at_a_time() -> NoReturn:
    """Raise what AWS says of an index that would come or go while another does."""
    raise ServiceError(
        "LimitExceededException",
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    )
