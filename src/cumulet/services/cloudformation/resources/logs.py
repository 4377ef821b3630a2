"""AWS::Logs::LogGroup."""

from cumulet.services.cloudformation.resources.kit import Desk, Made, Properties, own_tags, resource_type


def _made(desk: Desk, name: str) -> Made:
    return Made(name, {"Arn": f"arn:aws:logs:{desk.scope.region}:{desk.scope.account}:log-group:{name}:*"})


async def _create(desk: Desk, properties: Properties) -> Made:
    name = properties.get("LogGroupName", desk.name)
    await desk.make(
        "logs",
        "CreateLogGroup",
        {
            "logGroupName": name,
            "kmsKeyId": properties.get("KmsKeyId"),
            "logGroupClass": properties.get("LogGroupClass"),
            "tags": desk.merged_tags(properties) or None,
        },
        lambda _: name,
    )
    await _set_retention(desk, name, {}, properties)
    return _made(desk, name)


async def _set_retention(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    days = new.get("RetentionInDays")
    if days == old.get("RetentionInDays"):
        return
    if days is None:
        await desk.call("logs", "DeleteRetentionPolicy", {"logGroupName": name})
    else:
        await desk.call("logs", "PutRetentionPolicy", {"logGroupName": name, "retentionInDays": days})


async def _update(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await _set_retention(desk, made.physical_id, old, new)
    tags, arn = desk.merged_tags(new), str(made.attributes["Arn"]).removesuffix(":*")
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await desk.call("logs", "UntagResource", {"resourceArn": arn, "tagKeys": removed})
    if tags and tags != own_tags(old):
        await desk.call("logs", "TagResource", {"resourceArn": arn, "tags": tags})
    return made


async def _delete(desk: Desk, name: str, properties: Properties) -> None:
    await desk.drop("logs", "DeleteLogGroup", {"logGroupName": name}, "ResourceNotFoundException")


LOG_GROUP = resource_type(
    "AWS::Logs::LogGroup",
    entries={"Tags": "Key Value"},
    create=_create,
    update=_update,
    delete=_delete,
    properties="KmsKeyId LogGroupClass LogGroupName RetentionInDays Tags",
    immutable="KmsKeyId LogGroupClass LogGroupName",
    not_built="DataProtectionPolicy DeletionProtectionEnabled FieldIndexPolicies ResourcePolicyDocument",
    attributes="Arn",
    name_property="LogGroupName",
    name_max=512,
)
