"""AWS::IAM::Role, AWS::IAM::ManagedPolicy, AWS::IAM::Policy."""

import json
from typing import Any

from cumulet.services.cloudformation.resources.kit import (
    Desk,
    Made,
    Properties,
    as_text,
    own_tags,
    refuse_changes,
    resource_type,
    tag_list,
)

_GONE = "NoSuchEntity"


def _document(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _inline(properties: Properties) -> dict[str, str]:
    return {
        str(policy["PolicyName"]): _document(policy["PolicyDocument"]) or ""
        for policy in properties.get("Policies") or []
    }


async def _create_role(desk: Desk, properties: Properties) -> Made:
    name = properties.get("RoleName", desk.name)
    params = {
        member: properties.get(member)
        for member in ("Path", "Description", "MaxSessionDuration", "PermissionsBoundary")
    }
    output = await desk.make(
        "iam",
        "CreateRole",
        {
            "RoleName": name,
            "AssumeRolePolicyDocument": _document(properties["AssumeRolePolicyDocument"]),
            "Tags": tag_list(desk.merged_tags(properties)),
            **params,
        },
        lambda _: name,
    )
    await _set_role_policies(desk, name, {}, properties)
    return Made(name, {"Arn": output["Role"]["Arn"], "RoleId": output["Role"]["RoleId"]})


async def _set_role_policies(desk: Desk, name: str, old: Properties, new: Properties) -> None:
    before, after = set(old.get("ManagedPolicyArns") or []), set(new.get("ManagedPolicyArns") or [])
    for arn in sorted(after - before):
        await desk.call("iam", "AttachRolePolicy", {"RoleName": name, "PolicyArn": arn})
    for arn in sorted(before - after):
        await desk.drop("iam", "DetachRolePolicy", {"RoleName": name, "PolicyArn": arn}, _GONE)
    inline_before, inline_after = _inline(old), _inline(new)
    for policy, document in inline_after.items():
        if inline_before.get(policy) != document:
            params = {"RoleName": name, "PolicyName": policy, "PolicyDocument": document}
            await desk.call("iam", "PutRolePolicy", params)
    for policy in inline_before.keys() - inline_after.keys():
        await desk.drop("iam", "DeleteRolePolicy", {"RoleName": name, "PolicyName": policy}, _GONE)


async def _update_role(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    refuse_changes("AWS::IAM::Role", "PermissionsBoundary", old, new)
    name = made.physical_id
    if new["AssumeRolePolicyDocument"] != old["AssumeRolePolicyDocument"]:
        document = _document(new["AssumeRolePolicyDocument"])
        await desk.call("iam", "UpdateAssumeRolePolicy", {"RoleName": name, "PolicyDocument": document})
    if any(new.get(member) != old.get(member) for member in ("Description", "MaxSessionDuration")):
        params = {"Description": new.get("Description", ""), "MaxSessionDuration": new.get("MaxSessionDuration", 3600)}
        await desk.call("iam", "UpdateRole", {"RoleName": name, **params})
    await _set_role_policies(desk, name, old, new)
    tags = desk.merged_tags(new)
    if removed := sorted(own_tags(old).keys() - tags.keys()):
        await desk.call("iam", "UntagRole", {"RoleName": name, "TagKeys": removed})
    if tags and tags != own_tags(old):
        await desk.call("iam", "TagRole", {"RoleName": name, "Tags": tag_list(tags)})
    return made


async def _delete_role(desk: Desk, name: str, properties: Properties) -> None:
    await _set_role_policies(desk, name, properties, {})
    await desk.drop("iam", "DeleteRole", {"RoleName": name}, _GONE)


ROLE = resource_type(
    "AWS::IAM::Role",
    entries={"ManagedPolicyArns": "", "Policies": "PolicyName PolicyDocument", "Tags": "Key Value"},
    create=_create_role,
    update=_update_role,
    delete=_delete_role,
    properties="AssumeRolePolicyDocument Description ManagedPolicyArns MaxSessionDuration Path PermissionsBoundary"
    " Policies RoleName Tags",
    required="AssumeRolePolicyDocument",
    immutable="RoleName Path",
    attributes="Arn RoleId",
    name_property="RoleName",
    name_max=64,
)


def _arn_of(output: Any) -> str:
    return str(output["Policy"]["Arn"])


async def _create_managed_policy(desk: Desk, properties: Properties) -> Made:
    output = await desk.make(
        "iam",
        "CreatePolicy",
        {
            "PolicyName": properties.get("ManagedPolicyName", desk.name),
            "PolicyDocument": _document(properties["PolicyDocument"]),
            "Path": properties.get("Path"),
            "Description": properties.get("Description"),
        },
        _arn_of,
    )
    arn = _arn_of(output)
    for role in properties.get("Roles") or []:
        await desk.call("iam", "AttachRolePolicy", {"RoleName": role, "PolicyArn": arn})
    return Made(arn, {"PolicyArn": arn, "PolicyId": output["Policy"]["PolicyId"]})


async def _update_managed_policy(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    arn = made.physical_id
    if new["PolicyDocument"] != old["PolicyDocument"]:
        versions = (await desk.call("iam", "ListPolicyVersions", {"PolicyArn": arn}))["Versions"]
        # IAM keeps five versions; CloudFormation makes room by dropping the oldest that is not in use.
        spare = [version["VersionId"] for version in versions if not version["IsDefaultVersion"]]
        if len(versions) >= 5:
            await desk.call("iam", "DeletePolicyVersion", {"PolicyArn": arn, "VersionId": spare[-1]})
        params = {"PolicyArn": arn, "PolicyDocument": _document(new["PolicyDocument"]), "SetAsDefault": True}
        await desk.call("iam", "CreatePolicyVersion", params)
    before, after = set(old.get("Roles") or []), set(new.get("Roles") or [])
    for role in sorted(after - before):
        await desk.call("iam", "AttachRolePolicy", {"RoleName": role, "PolicyArn": arn})
    for role in sorted(before - after):
        await desk.drop("iam", "DetachRolePolicy", {"RoleName": role, "PolicyArn": arn}, _GONE)
    return made


async def _delete_managed_policy(desk: Desk, arn: str, properties: Properties) -> None:
    for role in properties.get("Roles") or []:
        await desk.drop("iam", "DetachRolePolicy", {"RoleName": role, "PolicyArn": arn}, _GONE)
    await desk.drop("iam", "DeletePolicy", {"PolicyArn": arn}, _GONE)


MANAGED_POLICY = resource_type(
    "AWS::IAM::ManagedPolicy",
    entries={"Roles": ""},
    create=_create_managed_policy,
    update=_update_managed_policy,
    delete=_delete_managed_policy,
    properties="Description ManagedPolicyName Path PolicyDocument Roles",
    required="PolicyDocument",
    immutable="Description ManagedPolicyName Path",
    not_built="Groups Users",
    attributes="PolicyArn PolicyId",
    name_property="ManagedPolicyName",
    name_max=128,
)


async def _put_policy(desk: Desk, properties: Properties) -> Made:
    await _set_policy(desk, {}, properties)
    return Made(desk.name)


async def _set_policy(desk: Desk, old: Properties, new: Properties) -> None:
    old_place, new_place = (
        {(role, as_text(properties["PolicyName"], "#/PolicyName")) for role in properties.get("Roles") or []}
        for properties in (old, new)
    )
    for role, name in sorted(new_place):
        params = {"RoleName": role, "PolicyName": name, "PolicyDocument": _document(new["PolicyDocument"])}
        await desk.make("iam", "PutRolePolicy", params, lambda _: desk.name)
    for role, name in sorted(old_place - new_place):
        await desk.drop("iam", "DeleteRolePolicy", {"RoleName": role, "PolicyName": name}, _GONE)


async def _update_policy(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    await _set_policy(desk, old, new)
    return made


async def _delete_policy(desk: Desk, physical_id: str, properties: Properties) -> None:
    await _set_policy(desk, properties, {})


POLICY = resource_type(
    "AWS::IAM::Policy",
    entries={"Roles": ""},
    create=_put_policy,
    update=_update_policy,
    delete=_delete_policy,
    properties="PolicyDocument PolicyName Roles",
    required="PolicyDocument PolicyName",
    not_built="Groups Users",
)
