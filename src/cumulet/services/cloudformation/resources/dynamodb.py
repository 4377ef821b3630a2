"""AWS::DynamoDB::Table."""

from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    own_tags,
    refuse_changes,
    resource_type,
    tag_list,
)

_CREATE = (
    "AttributeDefinitions KeySchema BillingMode ProvisionedThroughput DeletionProtectionEnabled TableClass"
    " GlobalSecondaryIndexes LocalSecondaryIndexes OnDemandThroughput WarmThroughput"
)
_UPDATE = "BillingMode ProvisionedThroughput DeletionProtectionEnabled TableClass OnDemandThroughput WarmThroughput"


async def _table(desk: Desk, name: str) -> Any:
    return (await desk.call("dynamodb", "DescribeTable", {"TableName": name}))["Table"]


async def _made(desk: Desk, name: str) -> Made:
    async def is_active() -> bool:
        return bool((await _table(desk, name))["TableStatus"] == "ACTIVE")

    await desk.settle(is_active)
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
        params["StreamSpecification"] = {"StreamEnabled": True, **stream}
    await desk.call(
        "dynamodb", "CreateTable", {"TableName": name, "Tags": tag_list(desk.merged_tags(properties)), **params}
    )
    made = await _made(desk, name)
    await _set_beside(desk, name, {}, properties)
    return made


async def _set_beside(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    for member, operation in (
        ("TimeToLiveSpecification", "UpdateTimeToLive"),
        ("PointInTimeRecoverySpecification", "UpdateContinuousBackups"),
    ):
        if new.get(member) is not None and new.get(member) != old.get(member):
            await desk.call("dynamodb", operation, {"TableName": name, member: new[member]})


async def _update(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    refuse_changes("AWS::DynamoDB::Table", "AttributeDefinitions GlobalSecondaryIndexes StreamSpecification", old, new)
    name = made.physical_id
    changed = {member: new.get(member) for member in _UPDATE.split() if new.get(member) != old.get(member)}
    if "BillingMode" in changed and changed["BillingMode"] is None:
        changed["BillingMode"] = "PROVISIONED"
    if "DeletionProtectionEnabled" in changed and changed["DeletionProtectionEnabled"] is None:
        changed["DeletionProtectionEnabled"] = False
    if changed:
        await desk.call("dynamodb", "UpdateTable", {"TableName": name, **changed})
        await _made(desk, name)
    await _set_beside(desk, name, old, new)
    tags = desk.merged_tags(new)
    arn = made.attributes["Arn"]
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await desk.call("dynamodb", "UntagResource", {"ResourceArn": arn, "TagKeys": removed})
    if tags and tags != own_tags(old):
        await desk.call("dynamodb", "TagResource", {"ResourceArn": arn, "Tags": tag_list(tags)})
    return made


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
    objects="StreamSpecification",
    entries={"Tags": "Key Value"},
    create=_create,
    update=_update,
    delete=_delete,
    properties=f"TableName Tags StreamSpecification TimeToLiveSpecification PointInTimeRecoverySpecification {_CREATE}",
    required="KeySchema",
    immutable="TableName KeySchema LocalSecondaryIndexes",
    not_built="ContributorInsightsSpecification GlobalTableSettingsReplicationMode GlobalTableSourceArn"
    " ImportSourceSpecification KinesisStreamSpecification ResourcePolicy SSESpecification",
    attributes="Arn StreamArn",
    name_property="TableName",
)
