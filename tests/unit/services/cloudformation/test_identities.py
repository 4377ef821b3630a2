"""IAM's resources: users with their keys, policies of their own, boundaries."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from stacking import Stacks, role


def allow(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def user(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::IAM::User", "Properties": properties}


def of_type(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::IAM::{kind}", "Properties": properties}


@pytest.fixture
def stacks() -> Stacks:
    return Stacks()


async def test_a_user_with_a_key_and_policies_comes_changes_and_goes(stacks: Stacks) -> None:
    iam = stacks.house
    read = {"PolicyName": "read", "PolicyDocument": allow("s3:GetObject")}
    key = of_type("AccessKey", UserName={"Ref": "User"})
    outputs = {"Id": {"Value": {"Ref": "Key"}}, "Secret": {"Value": {"Fn::GetAtt": ["Key", "SecretAccessKey"]}}}
    first = user(UserName="ada", Policies=[read], Tags=[{"Key": "team", "Value": "a"}])
    await stacks.create(outputs=outputs, User=first, Key=key)
    told = {entry["OutputKey"]: entry["OutputValue"] for entry in (await stacks.stack())["Outputs"]}
    (listed,) = (await iam.call("iam", "ListAccessKeys", {"UserName": "ada"}))["AccessKeyMetadata"]
    assert (told["Id"], listed["Status"], len(told["Secret"])) == (listed["AccessKeyId"], "Active", 40)

    boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    second = user(UserName="ada", ManagedPolicyArns=[boundary], PermissionsBoundary=boundary)
    inactive = of_type("AccessKey", UserName={"Ref": "User"}, Status="Inactive")
    await stacks.update(User=second, Key=inactive)
    assert await stacks.status() == "UPDATE_COMPLETE"
    found = (await iam.call("iam", "GetUser", {"UserName": "ada"}))["User"]
    assert (found["PermissionsBoundary"]["PermissionsBoundaryArn"], "Tags" in found) == (boundary, False)
    assert (await iam.call("iam", "ListUserPolicies", {"UserName": "ada"}))["PolicyNames"] == []
    attached = (await iam.call("iam", "ListAttachedUserPolicies", {"UserName": "ada"}))["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [boundary]
    (listed,) = (await iam.call("iam", "ListAccessKeys", {"UserName": "ada"}))["AccessKeyMetadata"]
    assert (listed["AccessKeyId"], listed["Status"]) == (told["Id"], "Inactive")

    await stacks.update(User=user(UserName="ada"), Key=of_type("AccessKey", UserName={"Ref": "User"}, Serial=1))
    (listed,) = (await iam.call("iam", "ListAccessKeys", {"UserName": "ada"}))["AccessKeyMetadata"]
    assert listed["AccessKeyId"] != told["Id"]
    assert "PermissionsBoundary" not in (await iam.call("iam", "GetUser", {"UserName": "ada"}))["User"]

    await stacks.call("DeleteStack", StackName="s")
    assert (await iam.call("iam", "ListUsers", {}))["Users"] == []


async def test_policies_of_users_follow_the_users_that_they_name(stacks: Stacks) -> None:
    iam = stacks.house
    one, two = user(UserName="one"), user(UserName="two")
    managed = of_type("ManagedPolicy", PolicyDocument=allow("s3:GetObject"), Users=["one"])
    inline = of_type("Policy", PolicyName="p", PolicyDocument=allow("s3:GetObject"), Users=["one"])
    behind = {"DependsOn": ["One", "Two"]}
    await stacks.create(One=one, Two=two, Managed={**managed, **behind}, Inline={**inline, **behind})
    assert await stacks.status() == "CREATE_COMPLETE"

    async def held(name: str) -> tuple[int, list[str]]:
        attached = await iam.call("iam", "ListAttachedUserPolicies", {"UserName": name})
        inline = await iam.call("iam", "ListUserPolicies", {"UserName": name})
        return len(attached["AttachedPolicies"]), inline["PolicyNames"]

    assert (await held("one"), await held("two")) == ((1, ["p"]), (0, []))
    for policy in (managed, inline):
        policy["Properties"]["Users"] = ["two"]
    await stacks.update(One=one, Two=two, Managed={**managed, **behind}, Inline={**inline, **behind})
    assert (await held("one"), await held("two")) == ((0, []), (1, ["p"]))
    await stacks.call("DeleteStack", StackName="s")
    assert (await iam.call("iam", "ListUsers", {}))["Users"] == []


async def test_policies_of_one_role_and_one_user(stacks: Stacks) -> None:
    iam = stacks.house
    resources = {
        "User": user(UserName="ada"),
        "Role": role(RoleName="r"),
        "Ofuser": of_type("UserPolicy", UserName={"Ref": "User"}, PolicyName="u", PolicyDocument=allow("s3:GetObject")),
        "Ofrole": of_type("RolePolicy", RoleName={"Ref": "Role"}, PolicyName="r", PolicyDocument=allow("s3:GetObject")),
    }
    await stacks.create(**resources)
    assert (await stacks.physical_id("Ofuser"), await stacks.physical_id("Ofrole")) == ("u|ada", "r|r")
    resources["Ofrole"]["Properties"] |= {"PolicyDocument": allow("s3:PutObject")}
    resources["Ofuser"]["Properties"] |= {"PolicyName": "renamed"}
    await stacks.update(**resources)
    told = await iam.call("iam", "GetRolePolicy", {"RoleName": "r", "PolicyName": "r"})
    assert "s3%3APutObject" in told["PolicyDocument"] or "s3:PutObject" in told["PolicyDocument"]
    assert (await iam.call("iam", "ListUserPolicies", {"UserName": "ada"}))["PolicyNames"] == ["renamed"]
    await stacks.call("DeleteStack", StackName="s")
    assert (await stacks.roles(), (await iam.call("iam", "ListUsers", {}))["Users"]) == ([], [])


async def test_a_policy_of_several_versions_goes_with_its_stack(stacks: Stacks) -> None:
    for action in ("Get", "Put", "Delete", "List", "Head", "Copy", "Tag"):
        policy = of_type("ManagedPolicy", PolicyDocument=allow(f"s3:{action}Object"))
        await (stacks.create if action == "Get" else stacks.update)(Policy=policy)
    arn = await stacks.physical_id("Policy")
    assert len((await stacks.house.call("iam", "ListPolicyVersions", {"PolicyArn": arn}))["Versions"]) == 5
    stack_id = (await stacks.stack())["StackId"]
    await stacks.call("DeleteStack", StackName="s")
    assert await stacks.status(stack_id) == "DELETE_COMPLETE"


async def test_a_boundary_of_a_role_changes_in_place(stacks: Stacks) -> None:
    arns = [f"arn:aws:iam::aws:policy/{name}" for name in ("ReadOnlyAccess", "PowerUserAccess")]
    for step, properties in enumerate([{"PermissionsBoundary": arn} for arn in arns] + [{}]):
        await (stacks.update if step else stacks.create)(Role=role(RoleName="r", **properties))
        found = (await stacks.house.call("iam", "GetRole", {"RoleName": "r"}))["Role"]
        told = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        assert told == properties.get("PermissionsBoundary")


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (
            of_type("Policy", PolicyName="p", PolicyDocument=allow("s3:GetObject")),
            "At least one of [Groups,Roles,Users] must be non-empty.",
        ),
        (user(Groups=["g"]), "The property Groups of AWS::IAM::User is not implemented by Cumulet."),
        (
            user(LoginProfile={"Password": "x"}),
            "The property LoginProfile of AWS::IAM::User is not implemented by Cumulet.",
        ),
        (
            of_type("AccessKey", UserName="nobody"),
            'Resource handler returned message: "The user with name nobody cannot be found."'
            " (HandlerErrorCode: InvalidRequest)",
        ),
    ],
)
async def test_what_cannot_be_is_told(stacks: Stacks, resource: dict[str, Any], words: str) -> None:
    await stacks.create(It=resource)
    assert (await stacks.reasons())["It CREATE_FAILED"] == words
    assert await stacks.status() == "ROLLBACK_COMPLETE"


async def test_a_named_user_needs_its_own_capability(stacks: Stacks) -> None:
    request = stacks.request("s", None, {"User": user(UserName="ada")}) | {"Capabilities": ["CAPABILITY_IAM"]}
    with pytest.raises(ServiceError, match=r"Requires capabilities : \[CAPABILITY_NAMED_IAM\]"):
        await stacks.call("CreateStack", **request)
