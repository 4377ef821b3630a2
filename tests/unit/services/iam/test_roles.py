"""Roles: their life, their policies and tags, and AWS's words for bad requests."""

from typing import Any
from urllib.parse import unquote

import pytest

from cumulet.errors import ServiceError
from cumulet.services.kit import Principal
from iam_house import ACCOUNT, LAMBDA, Iam, allow, deny, document

BOUNDARY = "arn:aws:iam::aws:policy/PowerUserAccess"
TRUST = document({"Effect": "Allow", "Principal": LAMBDA, "Action": "sts:AssumeRole"})
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


async def refusal(house: Iam, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as refused:
        await house.iam(operation, **params)
    return refused.value.code, refused.value.message


async def test_a_role_is_what_was_asked_for() -> None:
    house = Iam()

    created = await house.iam(
        "CreateRole",
        RoleName="Notes",
        Path="/app/",
        AssumeRolePolicyDocument=TRUST,
        Description="for notes",
        MaxSessionDuration=7200,
        Tags=[{"Key": "b", "Value": "2"}, {"Key": "A", "Value": "1"}],
        PermissionsBoundary="arn:aws:iam::aws:policy/PowerUserAccess",
    )

    role = created["Role"]
    assert role.pop("RoleId").startswith("AROA")
    assert unquote(role.pop("AssumeRolePolicyDocument")) == TRUST
    assert role == {
        "Path": "/app/",
        "RoleName": "Notes",
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/app/Notes",
        "CreateDate": house.clock.now_ms() // 1000,
        "Description": "for notes",
        "MaxSessionDuration": 7200,
        "Tags": [{"Key": "A", "Value": "1"}, {"Key": "b", "Value": "2"}],
        "PermissionsBoundary": {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": "arn:aws:iam::aws:policy/PowerUserAccess",
        },
    }
    again = (await house.iam("GetRole", RoleName="notes"))["Role"]
    assert again["Arn"] == role["Arn"]


async def test_a_plain_role_has_defaults() -> None:
    house = Iam()

    role = (await house.iam("CreateRole", RoleName="r", AssumeRolePolicyDocument=TRUST))["Role"]

    assert (role["Path"], role["MaxSessionDuration"]) == ("/", 3600)
    assert not {"Description", "Tags", "PermissionsBoundary"} & set(role)


BAD_ROLES: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
    (
        "a name that is taken",
        {"RoleName": "TAKEN"},
        ("EntityAlreadyExists", "Role with name TAKEN already exists."),
    ),
    (
        "a trust policy that is an identity policy",
        {"AssumeRolePolicyDocument": document(allow("s3:*"))},
        ("MalformedPolicyDocument", "Missing required field Principal"),
    ),
    (
        "a trust policy that names nobody there is",
        {
            "AssumeRolePolicyDocument": document(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/none"},
                    "Action": "sts:AssumeRole",
                }
            )
        },
        ("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"arn:aws:iam::{ACCOUNT}:role/none"'),
    ),
    (
        "a trust policy that is too long",
        {
            "AssumeRolePolicyDocument": document(
                *(
                    {"Effect": "Allow", "Principal": {"Service": f"s{n}.amazonaws.com"}, "Action": "sts:AssumeRole"}
                    for n in range(30)
                )
            )
        },
        ("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"),
    ),
    (
        "a boundary that is not there",
        {"PermissionsBoundary": "arn:aws:iam::aws:policy/Nothing"},
        ("NoSuchEntity", "Policy arn:aws:iam::aws:policy/Nothing does not exist or is not attachable."),
    ),
    (
        "two tags of one key",
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]},
        ("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."),
    ),
]


@pytest.mark.parametrize(("params", "expected"), [row[1:] for row in BAD_ROLES], ids=[row[0] for row in BAD_ROLES])
async def test_roles_that_cannot_be(params: dict[str, Any], expected: tuple[str, str]) -> None:
    house = Iam()
    await house.role("taken", LAMBDA)

    assert (
        await refusal(house, "CreateRole", **{"RoleName": "r", "AssumeRolePolicyDocument": TRUST, **params}) == expected
    )


async def test_update_changes_what_is_given() -> None:
    house = Iam()
    await house.role("r", LAMBDA, Description="old", MaxSessionDuration=4000)

    await house.iam("UpdateRole", RoleName="r", MaxSessionDuration=5000)
    role = (await house.iam("GetRole", RoleName="r"))["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("old", 5000)

    await house.iam("UpdateRole", RoleName="r", Description="")
    assert (await house.iam("UpdateRoleDescription", RoleName="r", Description="new"))["Role"]["Description"] == "new"

    other = document({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    await house.iam("UpdateAssumeRolePolicy", RoleName="r", PolicyDocument=other)
    role = (await house.iam("GetRole", RoleName="r"))["Role"]
    assert unquote(role["AssumeRolePolicyDocument"]) == other


async def test_a_role_with_policies_cannot_be_deleted() -> None:
    house = Iam()
    await house.role("r", LAMBDA, allow("s3:*"))
    await house.iam("AttachRolePolicy", RoleName="r", PolicyArn=BASIC)

    assert await refusal(house, "DeleteRole", RoleName="r") == (
        "DeleteConflict",
        "Cannot delete entity, must detach all policies first.",
    )
    await house.iam("DetachRolePolicy", RoleName="r", PolicyArn=BASIC)
    assert await refusal(house, "DeleteRole", RoleName="r") == (
        "DeleteConflict",
        "Cannot delete entity, must delete policies first.",
    )
    await house.iam("DeleteRolePolicy", RoleName="r", PolicyName="inline")
    await house.iam("DeleteRole", RoleName="r")
    assert await refusal(house, "GetRole", RoleName="r") == (
        "NoSuchEntity",
        "The role with name r cannot be found.",
    )


async def test_inline_policies() -> None:
    house = Iam()
    await house.role("r", LAMBDA)
    text = document(allow("s3:Get*", "arn:aws:s3:::a/*"))
    for name in ("b", "a", "c"):
        await house.iam("PutRolePolicy", RoleName="r", PolicyName=name, PolicyDocument=text)

    got = await house.iam("GetRolePolicy", RoleName="r", PolicyName="a")
    assert (got["RoleName"], got["PolicyName"], unquote(got["PolicyDocument"])) == ("r", "a", text)
    first = await house.iam("ListRolePolicies", RoleName="r", MaxItems=2)
    assert (first["PolicyNames"], first["IsTruncated"]) == (["a", "b"], True)
    rest = await house.iam("ListRolePolicies", RoleName="r", Marker=first["Marker"])
    assert rest == {"PolicyNames": ["c"], "IsTruncated": False}

    missing = ("NoSuchEntity", "The role policy with name x cannot be found.")
    assert await refusal(house, "GetRolePolicy", RoleName="r", PolicyName="x") == missing
    assert await refusal(house, "DeleteRolePolicy", RoleName="r", PolicyName="x") == missing
    bad = await refusal(house, "PutRolePolicy", RoleName="r", PolicyName="x", PolicyDocument=document(allow("x")))
    assert bad[0] == "MalformedPolicyDocument"
    long = document(*(allow("s3:Get*", f"arn:aws:s3:::{'a' * 50}{n}") for n in range(110)))
    assert await refusal(house, "PutRolePolicy", RoleName="r", PolicyName="x", PolicyDocument=long) == (
        "LimitExceeded",
        "Maximum policy size of 10240 bytes exceeded for role r",
    )
    spaced = text + " " * 20_000
    await house.iam("PutRolePolicy", RoleName="r", PolicyName="x", PolicyDocument=spaced)


async def test_attached_policies() -> None:
    house = Iam()
    await house.role("r", LAMBDA)
    for _ in range(2):
        await house.iam("AttachRolePolicy", RoleName="r", PolicyArn=BASIC)

    listed = await house.iam("ListAttachedRolePolicies", RoleName="r")
    assert listed == {
        "AttachedPolicies": [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}],
        "IsTruncated": False,
    }
    nothing = "arn:aws:iam::aws:policy/Nothing"
    assert await refusal(house, "AttachRolePolicy", RoleName="r", PolicyArn=nothing) == (
        "NoSuchEntity",
        f"Policy {nothing} does not exist or is not attachable.",
    )
    assert await refusal(house, "AttachRolePolicy", RoleName="r", PolicyArn="AWSLambdaBasicExecutionRole") == (
        "InvalidInput",
        "ARN AWSLambdaBasicExecutionRole is not valid.",
    )
    assert await refusal(house, "DetachRolePolicy", RoleName="r", PolicyArn=nothing) == (
        "NoSuchEntity",
        f"Policy {nothing} was not found.",
    )


async def test_ten_policies_are_the_most() -> None:
    house = Iam()
    await house.role("r", LAMBDA)
    arns = [
        (await house.iam("CreatePolicy", PolicyName=f"p{n}", PolicyDocument=document(allow("s3:*"))))["Policy"]["Arn"]
        for n in range(11)
    ]
    for arn in arns[:10]:
        await house.iam("AttachRolePolicy", RoleName="r", PolicyArn=arn)

    assert await refusal(house, "AttachRolePolicy", RoleName="r", PolicyArn=arns[10]) == (
        "LimitExceeded",
        "Cannot exceed quota for PoliciesPerRole: 10",
    )


async def test_listing_pages_by_name_and_filters_by_path() -> None:
    house = Iam()
    for name, path in (("b", "/app/"), ("A", "/"), ("c", "/app/x/"), ("D", "/app/")):
        await house.role(name, LAMBDA, Path=path)

    async def names(**params: Any) -> list[str]:
        return [role["RoleName"] for role in (await house.iam("ListRoles", **params))["Roles"]]

    assert await names() == ["A", "b", "c", "D"]
    assert await names(PathPrefix="/app/") == ["b", "c", "D"]
    page = await house.iam("ListRoles", MaxItems=2)
    assert page["IsTruncated"]
    assert await names(Marker=page["Marker"]) == ["c", "D"]
    assert (await refusal(house, "ListRoles", Marker="?"))[0] == "ValidationError"


async def test_tags() -> None:
    house = Iam()
    await house.role("r", LAMBDA, Tags=[{"Key": "Team", "Value": "blue"}])

    await house.iam("TagRole", RoleName="r", Tags=[{"Key": "team", "Value": "red"}, {"Key": "x", "Value": ""}])
    listed = await house.iam("ListRoleTags", RoleName="r")
    assert listed == {"Tags": [{"Key": "team", "Value": "red"}, {"Key": "x", "Value": ""}], "IsTruncated": False}

    await house.iam("UntagRole", RoleName="r", TagKeys=["TEAM", "unknown"])
    assert (await house.iam("ListRoleTags", RoleName="r"))["Tags"] == [{"Key": "x", "Value": ""}]


async def test_who_may_manage_a_role_is_told_by_its_path() -> None:
    house = Iam()
    await house.role("inside", LAMBDA, Path="/app/")
    await house.role("outside", LAMBDA)
    ann = await house.user("ann", allow("iam:*", f"arn:aws:iam::{ACCOUNT}:role/app/*"))
    bob = await house.user("bob", allow("iam:*"), deny("iam:*", f"arn:aws:iam::{ACCOUNT}:role/app/*"))

    assert (await house.iam("GetRole", by=ann, RoleName="inside"))["Role"]["RoleName"] == "inside"
    assert (await house.iam("GetRole", by=bob, RoleName="outside"))["Role"]["RoleName"] == "outside"
    assert await denial(house, ann, "outside") == (
        f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: iam:GetRole on resource: "
        f"arn:aws:iam::{ACCOUNT}:role/outside because no identity-based policy allows the iam:GetRole action"
    )
    assert (await denial(house, bob, "inside")).endswith("with an explicit deny in an identity-based policy")


async def test_new_roles_can_be_required_to_be_bounded() -> None:
    house = Iam()
    boundary = "arn:aws:iam::aws:policy/PowerUserAccess"
    bounded = {"StringEquals": {"iam:PermissionsBoundary": boundary, "aws:RequestTag/Team": "blue"}}
    ann = await house.user("ann", allow("iam:CreateRole", Condition=bounded))
    params = {"AssumeRolePolicyDocument": TRUST, "Tags": [{"Key": "Team", "Value": "blue"}]}

    assert (await refusal(house, "CreateRole", by=ann, RoleName="r", **params))[0] == "AccessDenied"
    await house.iam("CreateRole", by=ann, RoleName="r", PermissionsBoundary=boundary, **params)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("GetRole", {}),
        ("UpdateRole", {"Description": "d"}),
        ("UpdateRoleDescription", {"Description": "d"}),
        ("UpdateAssumeRolePolicy", {"PolicyDocument": TRUST}),
        ("PutRolePolicy", {"PolicyName": "p", "PolicyDocument": document(allow("s3:*"))}),
        ("DeleteRolePolicy", {"PolicyName": "inline"}),
        ("AttachRolePolicy", {"PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
        ("DetachRolePolicy", {"PolicyArn": BOUNDARY}),
        ("DeleteRolePermissionsBoundary", {}),
    ],
)
async def test_only_bounded_roles_may_be_touched(operation: str, params: dict[str, Any]) -> None:
    house = Iam()
    ann = await house.user("ann", allow("iam:*", Condition={"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}))
    await house.role("bounded", LAMBDA, allow("s3:*"), PermissionsBoundary=BOUNDARY)
    await house.role("free", LAMBDA, allow("s3:*"))
    for name in ("bounded", "free"):
        await house.iam("AttachRolePolicy", RoleName=name, PolicyArn=BOUNDARY)

    await house.iam(operation, by=ann, RoleName="bounded", **params)
    for name in ("free", "nobody"):
        assert (await refusal(house, operation, by=ann, RoleName=name, **params))[0] == "AccessDenied"


async def denial(house: Iam, by: Principal, role: str) -> str:
    with pytest.raises(ServiceError) as refused:
        await house.iam("GetRole", by=by, RoleName=role)
    assert (refused.value.code, refused.value.status) == ("AccessDenied", 403)
    return refused.value.message
