"""AWS::DynamoDB::Table."""

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
_INDEX_THROUGHPUT = ("ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput")


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
        if new.get(member) is not None and new.get(member) != old.get(member):
            await desk.call("dynamodb", operation, {"TableName": name, member: new[member]})


async def _change_indexes(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    """Delete, make and change global indexes: one by one, since UpdateTable makes or deletes one at a time."""
    before = {index["IndexName"]: index for index in old.get("GlobalSecondaryIndexes") or ()}
    after = {index["IndexName"]: index for index in new.get("GlobalSecondaryIndexes") or ()}
    if before == after:
        return
    # What is there, and not what the old template said: a change that is taken back may not have come to pass.
    there = {index["IndexName"]: index for index in (await _table(desk, name)).get("GlobalSecondaryIndexes", ())}
    steps: list[dict[str, Any]] = [{"Delete": {"IndexName": gone}} for gone in there if gone not in after]
    for index_name, index in after.items():
        if index_name not in there:
            steps.append({"Create": index})
            continue
        if _shape(index) != _shape(there[index_name]):
            raise ResourceFailed(
                f"AWS::DynamoDB::Table: the keys or the projection of the index {index_name} changed. An index is"
                " made anew under another name."
            )
        was = before.get(index_name, {})
        if changed := {key: index.get(key) for key in _INDEX_THROUGHPUT if index.get(key) != was.get(key)}:
            steps.append({"Update": {"IndexName": index_name, **changed}})
    for step in steps:
        params = {"TableName": name, "GlobalSecondaryIndexUpdates": [step]}
        if "Create" in step:
            params["AttributeDefinitions"] = new["AttributeDefinitions"]
        await desk.call("dynamodb", "UpdateTable", params)
        await _settled(desk, name)


def _shape(index: Properties) -> tuple[Any, ...]:
    projection = index.get("Projection", {})
    return index.get("KeySchema"), projection.get("ProjectionType"), set(projection.get("NonKeyAttributes", ()))


async def _change_stream(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    before, after = old.get("StreamSpecification"), new.get("StreamSpecification")
    if before == after:
        return
    steps = [] if before is None else [{"StreamEnabled": False}]
    if after is not None:
        steps.append(_stream(after))
    for step in steps:
        await desk.call("dynamodb", "UpdateTable", {"TableName": name, "StreamSpecification": step})
        await _settled(desk, name)


def _plan_changes(old: Properties, new: Properties) -> list[dict[str, Any]]:
    """Return what to ask UpdateTable for, one by one: but for what belongs to billing it makes one change at a time."""

    def changed(members: str) -> dict[str, Any]:
        return {member: new[member] for member in members.split() if new.get(member) not in (None, old.get(member))}

    billing = changed(_BILLING)
    mode = new.get("BillingMode") or "PROVISIONED"
    if mode != (old.get("BillingMode") or "PROVISIONED"):
        billing["BillingMode"] = mode
    if old.get("DeletionProtectionEnabled") and new.get("DeletionProtectionEnabled") is None:
        new = {**new, "DeletionProtectionEnabled": False}
    return [change for change in (billing, *map(changed, _ALONE.split())) if change]


async def _update(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    name = made.physical_id
    for change in _plan_changes(old, new):
        await desk.call("dynamodb", "UpdateTable", {"TableName": name, **change})
        await _settled(desk, name)
    was, wanted = [_encryption(given.get("SSESpecification") or {"SSEEnabled": False}) for given in (old, new)]
    if was != wanted:
        await desk.call("dynamodb", "UpdateTable", {"TableName": name, "SSESpecification": wanted})
        await _settled(desk, name)
    await _change_indexes(desk, name, old, new)
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
