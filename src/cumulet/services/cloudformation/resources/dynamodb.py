"""AWS::DynamoDB::Table."""

from collections.abc import Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    ResourceFailed,
    own_tags,
    resource_type,
    tag_list,
)

_CREATE = (
    "AttributeDefinitions KeySchema BillingMode ProvisionedThroughput DeletionProtectionEnabled TableClass"
    " GlobalSecondaryIndexes LocalSecondaryIndexes OnDemandThroughput WarmThroughput"
)
_BILLING = "ProvisionedThroughput OnDemandThroughput"
_ALONE = "TableClass WarmThroughput DeletionProtectionEnabled"
_INDEX_THROUGHPUT = "ProvisionedThroughput OnDemandThroughput WarmThroughput"


async def _table(desk: Desk, name: str) -> Any:
    return (await desk.call("dynamodb", "DescribeTable", {"TableName": name}))["Table"]


async def _settled(desk: Desk, name: str) -> None:
    async def is_active() -> bool:
        table = await _table(desk, name)
        states = [table, *table.get("GlobalSecondaryIndexes", ())]
        return all(state.get("TableStatus", state.get("IndexStatus")) == "ACTIVE" for state in states)

    await desk.settle(is_active)


async def _made(desk: Desk, name: str) -> Made:
    await _settled(desk, name)
    table = await _table(desk, name)
    attributes = {"Arn": table["TableArn"]}
    if "LatestStreamArn" in table:
        attributes["StreamArn"] = table["LatestStreamArn"]
    return Made(name, attributes)


async def _create(desk: Desk, properties: Properties) -> Made:
    name = properties.get("TableName", desk.name)
    params = {member: properties.get(member) for member in _CREATE.split()}
    stream = properties.get("StreamSpecification")
    if stream is not None:
        params["StreamSpecification"] = _stream(stream)
    if (encryption := properties.get("SSESpecification")) is not None:
        params["SSESpecification"] = _encryption(encryption)
    await desk.call(
        "dynamodb", "CreateTable", {"TableName": name, "Tags": tag_list(desk.merged_tags(properties)), **params}
    )
    made = await _made(desk, name)
    await _set_beside(desk, name, {}, properties)
    return made


def _stream(specification: Properties) -> dict[str, Any]:
    _refuse_members("StreamSpecification", specification, "StreamViewType")
    return {"StreamEnabled": True, **specification}


def _encryption(specification: Properties) -> dict[str, Any]:
    # CloudFormation calls the members otherwise than DynamoDB does.
    names = {"SSEEnabled": "Enabled", "SSEType": "SSEType", "KMSMasterKeyId": "KMSMasterKeyId"}
    _refuse_members("SSESpecification", specification, " ".join(names))
    return {names[name]: value for name, value in specification.items()}


def _refuse_members(member: str, value: Properties, known: str) -> None:
    if unknown := sorted(value.keys() - set(known.split())):
        raise ResourceFailed(f"AWS::DynamoDB::Table: {member}.{unknown[0]} is not built in Cumulet")


async def _set_beside(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    for member, operation in (
        ("TimeToLiveSpecification", "UpdateTimeToLive"),
        ("PointInTimeRecoverySpecification", "UpdateContinuousBackups"),
    ):
        if (wanted := new.get(member)) in (None, old.get(member)):
            continue
        if operation == "UpdateTimeToLive" and old and _says(await _expiry(desk, name), wanted):
            continue
        await desk.call("dynamodb", operation, {"TableName": name, member: wanted})


async def _expiry(desk: Desk, name: str) -> dict[str, Any]:
    there = (await desk.call("dynamodb", "DescribeTimeToLive", {"TableName": name}))["TimeToLiveDescription"]
    return {"Enabled": there["TimeToLiveStatus"] == "ENABLED", "AttributeName": there.get("AttributeName")}


def _says(there: Any, wanted: Any) -> bool:
    """Return whether a description says what a template wants, which writes numbers as texts too."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_says(there.get(name), value) for name, value in wanted.items())
    return str(there).lower() == str(wanted).lower()


async def _ask(desk: Desk, name: str, change: Mapping[str, Any]) -> None:
    await desk.call("dynamodb", "UpdateTable", {"TableName": name, **change})
    await _settled(desk, name)


def _indexes(described: Mapping[str, Any]) -> dict[str, Any]:
    return {index["IndexName"]: index for index in described.get("GlobalSecondaryIndexes") or ()}


def _plan_indexes(there: Any, old: Properties, new: Properties) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the global indexes to delete, and those to make or change: one by one, as UpdateTable has it."""
    before, after, present = _indexes(old), _indexes(new), _indexes(there)
    if before == after:
        return [], []
    deletions: list[dict[str, Any]] = [{"Delete": {"IndexName": gone}} for gone in present if gone not in after]
    steps: list[dict[str, Any]] = []
    for index_name, index in after.items():
        if index_name not in present:
            steps.append({"Create": index})
            continue
        was = before.get(index_name, {})
        if index != was and _shape(index) != _shape(present[index_name]):
            raise ResourceFailed(
                f"AWS::DynamoDB::Table: the keys or the projection of the index {index_name} changed. An index is"
                " made anew under another name."
            )
        if changed := _changed(present[index_name], was, index, _INDEX_THROUGHPUT):
            steps.append({"Update": {"IndexName": index_name, **changed}})
    return deletions, steps


def _shape(index: Properties) -> tuple[Any, ...]:
    projection = index.get("Projection", {})
    return index.get("KeySchema"), projection.get("ProjectionType"), set(projection.get("NonKeyAttributes", ()))


def _changed(there: Any, old: Properties, new: Properties, members: str) -> dict[str, Any]:
    """Return what of these members is to be other than it is.

    A change that is taken back may not have come to pass, and what is so already is refused by UpdateTable.
    """
    return {
        member: new[member]
        for member in members.split()
        if new.get(member) not in (None, old.get(member)) and not _says(there.get(member), new[member])
    }


async def _change_stream(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    before, after = old.get("StreamSpecification"), new.get("StreamSpecification")
    there = (await _table(desk, name)).get("StreamSpecification")
    if before == after or (after is not None and _says(there, _stream(after))):
        return
    if there is not None:
        await _ask(desk, name, {"StreamSpecification": {"StreamEnabled": False}})
    if after is not None:
        await _ask(desk, name, {"StreamSpecification": _stream(after)})


async def _change_encryption(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    was, wanted = [_encryption(given.get("SSESpecification") or {"SSEEnabled": False}) for given in (old, new)]
    if was == wanted:
        return
    there = (await _table(desk, name)).get("SSEDescription")
    if there is None:
        is_so = _says({"Enabled": False}, wanted)
    else:
        key, given = [str(one).rpartition("/")[2] for one in (there["KMSMasterKeyArn"], wanted.get("KMSMasterKeyId"))]
        is_so = key == given and _says(True, wanted.get("Enabled"))
    if not is_so:
        await _ask(desk, name, {"SSESpecification": wanted})


def _plan_changes(there: Any, old: Properties, new: Properties) -> list[dict[str, Any]]:
    """Return what to ask UpdateTable for, one by one: but for what belongs to billing it makes one change at a time."""
    there = {**there, "TableClass": there.get("TableClassSummary", {}).get("TableClass", "STANDARD")}
    if old.get("DeletionProtectionEnabled") and new.get("DeletionProtectionEnabled") is None:
        new = {**new, "DeletionProtectionEnabled": False}
    changes = [_plan_billing(there, old, new), *(_changed(there, old, new, member) for member in _ALONE.split())]
    return [change for change in changes if change]


def _plan_billing(there: Any, old: Properties, new: Properties) -> dict[str, Any]:
    mode = new.get("BillingMode") or "PROVISIONED"
    if mode == there.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"):
        return _changed(there, old, new, _BILLING)
    billing = {"BillingMode": mode, **{member: new.get(member) for member in _BILLING.split()}}
    if mode == "PROVISIONED":
        # Indexes get their units with the table, or it is refused.
        billing["GlobalSecondaryIndexUpdates"] = [
            {"Update": {"IndexName": name, "ProvisionedThroughput": index.get("ProvisionedThroughput")}}
            for name, index in _indexes(new).items()
            if name in _indexes(there)
        ] or None
    return billing


async def _update(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    name = made.physical_id
    deletions, _ = _plan_indexes(await _table(desk, name), old, new)
    for deletion in deletions:
        await _ask(desk, name, {"GlobalSecondaryIndexUpdates": [deletion]})
    for change in _plan_changes(await _table(desk, name), old, new):
        await _ask(desk, name, change)
    await _change_encryption(desk, name, old, new)
    _, steps = _plan_indexes(await _table(desk, name), old, new)
    for step in steps:
        definitions = new["AttributeDefinitions"] if "Create" in step else None
        await _ask(desk, name, {"AttributeDefinitions": definitions, "GlobalSecondaryIndexUpdates": [step]})
    await _change_stream(desk, name, old, new)
    await _set_beside(desk, name, old, new)
    tags = desk.merged_tags(new)
    arn = made.attributes["Arn"]
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await desk.call("dynamodb", "UntagResource", {"ResourceArn": arn, "TagKeys": removed})
    if tags and tags != own_tags(old):
        await desk.call("dynamodb", "TagResource", {"ResourceArn": arn, "Tags": tag_list(tags)})
    return await _made(desk, name)


async def _delete(desk: Desk, name: str, properties: Properties) -> None:
    await desk.drop("dynamodb", "DeleteTable", {"TableName": name}, "ResourceNotFoundException")

    async def is_gone() -> bool:
        try:
            await _table(desk, name)
        except ServiceError as error:
            if error.code == "ResourceNotFoundException":
                return True
            raise
        return False

    await desk.settle(is_gone)


TABLE = resource_type(
    "AWS::DynamoDB::Table",
    objects="StreamSpecification SSESpecification",
    entries={"Tags": "Key Value"},
    create=_create,
    update=_update,
    delete=_delete,
    properties="TableName Tags StreamSpecification SSESpecification TimeToLiveSpecification"
    f" PointInTimeRecoverySpecification {_CREATE}",
    required="KeySchema",
    immutable="TableName KeySchema LocalSecondaryIndexes",
    not_built="ContributorInsightsSpecification GlobalTableSettingsReplicationMode GlobalTableSourceArn"
    " ImportSourceSpecification KinesisStreamSpecification ResourcePolicy",
    attributes="Arn StreamArn",
    name_property="TableName",
    named_ahead=True,
)
