"""AWS::IAM::User and AWS::IAM::AccessKey."""

from typing import Any

from cumulet.services.cloudformation.resources.iam_holders import GONE, set_boundary, set_policies, set_tags
from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    refuse_changes,
    resource_type,
    tag_list,
)


async def _create_user(desk: Desk, properties: Properties) -> Made:
    params = {
        "UserName": desk.name,
        "Path": properties.get("Path"),
        "PermissionsBoundary": properties.get("PermissionsBoundary"),
        "Tags": tag_list(desk.merged_tags(properties)),
    }
    output = await desk.make("iam", "CreateUser", params, lambda _: desk.name)
    await set_policies(desk, "User", desk.name, {}, properties)
    return Made(desk.name, {"Arn": output["User"]["Arn"]})


async def _update_user(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    refuse_changes("AWS::IAM::User", "Path", old, new)
    name = made.physical_id
    await set_boundary(desk, "User", name, old, new)
    await set_policies(desk, "User", name, old, new)
    await set_tags(desk, "User", name, old, new)
    return made


async def _delete_user(desk: Desk, name: str, properties: Properties) -> None:
    await set_policies(desk, "User", name, properties, {})
    await desk.drop("iam", "DeleteUser", {"UserName": name}, GONE)


USER = resource_type(
    "AWS::IAM::User",
    entries={"ManagedPolicyArns": "", "Policies": "PolicyName PolicyDocument", "Tags": "Key Value"},
    create=_create_user,
    update=_update_user,
    delete=_delete_user,
    properties="ManagedPolicyArns Path PermissionsBoundary Policies Tags UserName",
    immutable="UserName",
    not_built="Groups LoginProfile",
    attributes="Arn",
    name_property="UserName",
    name_max=64,
)


def _key_id(output: Any) -> str:
    return str(output["AccessKey"]["AccessKeyId"])


async def _create_key(desk: Desk, properties: Properties) -> Made:
    user = properties["UserName"]
    output = await desk.make("iam", "CreateAccessKey", {"UserName": user}, _key_id)
    made = Made(_key_id(output), {"SecretAccessKey": output["AccessKey"]["SecretAccessKey"]})
    await _set_status(desk, made.physical_id, {}, properties)
    return made


async def _set_status(desk: Desk, key_id: str, old: Properties, new: Properties) -> None:
    if (status := new.get("Status", "Active")) != old.get("Status", "Active"):
        params = {"UserName": new["UserName"], "AccessKeyId": key_id, "Status": status}
        await desk.call("iam", "UpdateAccessKey", params)


async def _update_key(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await _set_status(desk, made.physical_id, old, new)
    return made


async def _delete_key(desk: Desk, key_id: str, properties: Properties) -> None:
    await desk.drop("iam", "DeleteAccessKey", {"UserName": properties["UserName"], "AccessKeyId": key_id}, GONE)


ACCESS_KEY = resource_type(
    "AWS::IAM::AccessKey",
    create=_create_key,
    update=_update_key,
    delete=_delete_key,
    # A higher Serial has no other meaning than that a new key takes the old one's place.
    properties="Serial Status UserName",
    required="UserName",
    immutable="Serial UserName",
    attributes="SecretAccessKey",
)
