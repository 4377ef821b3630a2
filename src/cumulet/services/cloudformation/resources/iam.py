"""AWS::IAM::Role."""

from cumulet.services.cloudformation.resources.iam_holders import GONE, document, set_boundary, set_policies, set_tags
from cumulet.services.cloudformation.resources.kit import Desk, Made, Properties, resource_type, tag_list


async def _create_role(desk: Desk, properties: Properties) -> Made:
    name = desk.name
    params = {
        member: properties.get(member)
        for member in ("Path", "Description", "MaxSessionDuration", "PermissionsBoundary")
    }
    output = await desk.make(
        "iam",
        "CreateRole",
        {
            "RoleName": name,
            "AssumeRolePolicyDocument": document(properties["AssumeRolePolicyDocument"]),
            "Tags": tag_list(desk.merged_tags(properties)),
            **params,
        },
        lambda _: name,
    )
    await set_policies(desk, "Role", name, {}, properties)
    return Made(name, {"Arn": output["Role"]["Arn"], "RoleId": output["Role"]["RoleId"]})


async def _update_role(desk: Desk, made: Made, old: Properties, new: Properties) -> Made:
    name = made.physical_id
    if new["AssumeRolePolicyDocument"] != old["AssumeRolePolicyDocument"]:
        params = {"RoleName": name, "PolicyDocument": document(new["AssumeRolePolicyDocument"])}
        await desk.call("iam", "UpdateAssumeRolePolicy", params)
    if any(new.get(member) != old.get(member) for member in ("Description", "MaxSessionDuration")):
        told = {"Description": new.get("Description", ""), "MaxSessionDuration": new.get("MaxSessionDuration", 3600)}
        await desk.call("iam", "UpdateRole", {"RoleName": name, **told})
    await set_boundary(desk, "Role", name, old, new)
    await set_policies(desk, "Role", name, old, new)
    await set_tags(desk, "Role", name, old, new)
    return made


async def _delete_role(desk: Desk, name: str, properties: Properties) -> None:
    await set_policies(desk, "Role", name, properties, {})
    await desk.drop("iam", "DeleteRole", {"RoleName": name}, GONE)


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
