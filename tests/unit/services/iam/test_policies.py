"""Managed policies: a customer's own with their versions, and AWS's."""

import json
from typing import Any
from urllib.parse import unquote

import pytest

from cumulet.errors import ServiceError
from cumulet.policy.documents import parse_document
from cumulet.scope import Scope
from cumulet.services.iam.aws_managed import aws_managed_policies
from iam_house import ACCOUNT, LAMBDA, Iam, allow, document

TEXT = document(allow("s3:*"))
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


async def refusal(house: Iam, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as refused:
        await house.iam(operation, **params)
    return refused.value.code, refused.value.message


async def created(house: Iam, name: str = "p", **params: Any) -> str:
    return str((await house.iam("CreatePolicy", PolicyName=name, PolicyDocument=TEXT, **params))["Policy"]["Arn"])


async def test_a_policy_is_what_was_asked_for() -> None:
    house = Iam()
    arn = await created(house, "Notes", Path="/app/", Description="d", Tags=[{"Key": "k", "Value": "v"}])

    policy = (await house.iam("GetPolicy", PolicyArn=arn))["Policy"]

    now_s = house.clock.now_ms() // 1000
    assert policy.pop("PolicyId").startswith("ANPA")
    assert policy == {
        "PolicyName": "Notes",
        "Arn": f"arn:aws:iam::{ACCOUNT}:policy/app/Notes",
        "Path": "/app/",
        "DefaultVersionId": "v1",
        "AttachmentCount": 0,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "Description": "d",
        "CreateDate": now_s,
        "UpdateDate": now_s,
        "Tags": [{"Key": "k", "Value": "v"}],
    }
    assert await refusal(house, "CreatePolicy", PolicyName="NOTES", PolicyDocument=TEXT) == (
        "EntityAlreadyExists",
        "A policy called NOTES already exists. Duplicate names are not allowed.",
    )
    assert await refusal(house, "GetPolicy", PolicyArn=arn.replace("/app/", "/")) == (
        "NoSuchEntity",
        f"Policy arn:aws:iam::{ACCOUNT}:policy/Notes was not found.",
    )


async def test_a_policy_has_at_most_6144_characters() -> None:
    long = document(*(allow("s3:Get*", f"arn:aws:s3:::{'a' * 50}{n}") for n in range(60)))

    assert await refusal(Iam(), "CreatePolicy", PolicyName="p", PolicyDocument=long) == (
        "LimitExceeded",
        "Cannot exceed quota for PolicySize: 6144",
    )


@pytest.mark.parametrize("version", [{}, {"Version": "2008-10-17"}])
async def test_managed_policies_are_of_the_current_version_and_inline_ones_need_not_be(version: dict[str, str]) -> None:
    house = Iam()
    text = json.dumps({**version, "Statement": allow("s3:Get*")})
    assert await refusal(house, "CreatePolicy", PolicyName="p", PolicyDocument=text) == (
        "MalformedPolicyDocument",
        "Policy document must be version 2012-10-17 or greater.",
    )
    await house.iam("CreateUser", UserName="ann")
    await house.iam("PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=text)


async def test_versions() -> None:
    house = Iam()
    arn = await created(house)
    second = document(allow("sqs:*"))

    version = await house.iam("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=second)
    assert version["PolicyVersion"] == {
        "VersionId": "v2",
        "IsDefaultVersion": False,
        "CreateDate": house.clock.now_ms() // 1000,
    }
    got = await house.iam("GetPolicyVersion", PolicyArn=arn, VersionId="v2")
    assert unquote(got["PolicyVersion"]["Document"]) == second

    await house.iam("SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v2")
    assert (await house.iam("GetPolicy", PolicyArn=arn))["Policy"]["DefaultVersionId"] == "v2"
    assert await refusal(house, "DeletePolicyVersion", PolicyArn=arn, VersionId="v2") == (
        "DeleteConflict",
        "Cannot delete the default version of a policy.",
    )
    await house.iam("DeletePolicyVersion", PolicyArn=arn, VersionId="v1")
    await house.iam("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=TEXT, SetAsDefault=True)
    listed = await house.iam("ListPolicyVersions", PolicyArn=arn, MaxItems=1)
    assert [(v["VersionId"], v["IsDefaultVersion"]) for v in listed["Versions"]] == [("v3", True)]
    rest = await house.iam("ListPolicyVersions", PolicyArn=arn, Marker=listed["Marker"])
    assert [v["VersionId"] for v in rest["Versions"]] == ["v2"]
    assert await refusal(house, "GetPolicyVersion", PolicyArn=arn, VersionId="v1") == (
        "NoSuchEntity",
        f"Policy {arn} version v1 does not exist or is not attachable.",
    )


async def test_five_versions_are_the_most() -> None:
    house = Iam()
    arn = await created(house)
    for _ in range(4):
        await house.iam("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=TEXT)

    assert await refusal(house, "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=TEXT) == (
        "LimitExceeded",
        "A managed policy can have up to 5 versions. Before you create a new version, "
        "you must delete an existing version.",
    )
    assert (await refusal(house, "DeletePolicy", PolicyArn=arn))[0] == "DeleteConflict"


async def test_a_policy_in_use_cannot_be_deleted() -> None:
    house = Iam()
    arn = await created(house)
    await house.role("r", LAMBDA, PermissionsBoundary=arn)
    await house.iam("CreateUser", UserName="ann")
    await house.iam("AttachUserPolicy", UserName="ann", PolicyArn=arn)

    policy = (await house.iam("GetPolicy", PolicyArn=arn))["Policy"]
    assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (1, 1)
    entities = await house.iam("ListEntitiesForPolicy", PolicyArn=arn)
    assert [user["UserName"] for user in entities["PolicyUsers"]] == ["ann"]
    in_use = ("DeleteConflict", "Cannot delete a policy attached to entities.")
    assert await refusal(house, "DeletePolicy", PolicyArn=arn) == in_use

    await house.iam("DetachUserPolicy", UserName="ann", PolicyArn=arn)
    assert await refusal(house, "DeletePolicy", PolicyArn=arn) == in_use
    await house.iam("DeleteRolePermissionsBoundary", RoleName="r")
    await house.iam("DeletePolicy", PolicyArn=arn)

    assert (await refusal(house, "GetPolicy", PolicyArn=arn))[0] == "NoSuchEntity"


async def test_tags() -> None:
    house = Iam()
    arn = await created(house)

    await house.iam("TagPolicy", PolicyArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    await house.iam("UntagPolicy", PolicyArn=arn, TagKeys=["a"])

    assert (await house.iam("ListPolicyTags", PolicyArn=arn))["Tags"] == [{"Key": "b", "Value": "2"}]


async def test_listing() -> None:
    house = Iam()
    own = await created(house)
    await house.role("r", LAMBDA)
    await house.iam("AttachRolePolicy", RoleName="r", PolicyArn=BASIC)

    async def arns(**params: Any) -> list[str]:
        found: list[str] = []
        more: dict[str, Any] = {}
        while True:
            page = await house.iam("ListPolicies", MaxItems=1000, **params, **more)
            found += [policy["Arn"] for policy in page["Policies"]]
            if not page["IsTruncated"]:
                return found
            more = {"Marker": page["Marker"]}

    assert await arns(Scope="Local") == [own]
    assert set(await arns(Scope="AWS")) == set(aws_managed_policies())
    assert set(await arns()) == {own, *aws_managed_policies()}
    assert await arns(OnlyAttached=True) == [BASIC]
    assert await arns(PolicyUsageFilter="PermissionsBoundary") == []
    assert BASIC in await arns(PathPrefix="/service-role/")
    assert own not in await arns(PathPrefix="/service-role/")
    paged: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = await house.iam("ListPolicies", MaxItems=170, **more)
        paged += [policy["Arn"] for policy in page["Policies"]]
        if not page["IsTruncated"]:
            break
        more = {"Marker": page["Marker"]}
    assert paged == await arns()


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("GetPolicy", {}),
        ("GetPolicyVersion", {"VersionId": "v1"}),
        ("ListPolicyVersions", {}),
        ("ListPolicyTags", {}),
        ("ListEntitiesForPolicy", {}),
        ("CreatePolicyVersion", {"PolicyDocument": TEXT, "SetAsDefault": True}),
        ("SetDefaultPolicyVersion", {"VersionId": "v1"}),
        ("DeletePolicyVersion", {"VersionId": "v1"}),
        ("TagPolicy", {"Tags": [{"Key": "k", "Value": "v"}]}),
        ("UntagPolicy", {"TagKeys": ["k"]}),
        ("DeletePolicy", {}),
    ],
)
async def test_the_root_of_another_account_reads_and_changes_no_policy(operation: str, more: dict[str, Any]) -> None:
    house = Iam()
    arn = await created(house)
    params = {"PolicyArn": arn, **more}

    with pytest.raises(ServiceError) as refused:
        await house.call("iam", operation, params, scope=Scope("123456789012", "us-east-1"))

    assert (refused.value.code, refused.value.status) == ("AccessDenied", 403)
    assert refused.value.message == (
        f"User: arn:aws:iam::123456789012:root is not authorized to perform: iam:{operation} on resource: {arn} "
        f"because no resource-based policy allows the iam:{operation} action"
    )
    assert (await house.iam("ListPolicyVersions", PolicyArn=arn))["Versions"][0]["VersionId"] == "v1"


async def test_aws_managed_policies_are_read_only() -> None:
    house = Iam()

    policy = (await house.iam("GetPolicy", PolicyArn=BASIC))["Policy"]
    assert (policy["Path"], policy["PolicyName"]) == ("/service-role/", "AWSLambdaBasicExecutionRole")
    version = await house.iam("GetPolicyVersion", PolicyArn=BASIC, VersionId=policy["DefaultVersionId"])
    statement = json.loads(unquote(version["PolicyVersion"]["Document"]))["Statement"][0]
    assert statement["Action"] == ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    assert await refusal(house, "DeletePolicy", PolicyArn=BASIC) == (
        "AccessDenied",
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: iam:DeletePolicy on resource: policy {BASIC}",
    )


async def test_a_user_with_permission_reads_an_aws_managed_policy() -> None:
    house = Iam()
    ann = await house.user("ann", allow("iam:GetPolicy", "arn:aws:iam::aws:policy/*"))

    assert (await house.iam("GetPolicy", by=ann, PolicyArn=BASIC))["Policy"]["Arn"] == BASIC


@pytest.mark.slow
def test_every_aws_managed_policy_can_be_evaluated() -> None:
    for arn, policy in aws_managed_policies().items():
        assert policy.arn("aws") == arn
        for statement in parse_document(policy.default().document).statements:
            statement.covers("dynamodb:GetItem", "*", {})


async def test_policies_of_services_that_are_not_here() -> None:
    house = Iam()
    await house.role("r", LAMBDA)
    translate = "arn:aws:iam::aws:policy/TranslateReadOnly"

    await house.iam("AttachRolePolicy", RoleName="r", PolicyArn=translate)

    policy = (await house.iam("GetPolicy", PolicyArn=translate))["Policy"]
    assert (policy["PolicyId"], policy["AttachmentCount"]) == ("ANPAJYAMZMTQNWUDJKY2E", 1)
    version = await house.iam("GetPolicyVersion", PolicyArn=translate, VersionId=policy["DefaultVersionId"])
    assert "translate:TranslateText" in unquote(version["PolicyVersion"]["Document"])


async def test_what_only_services_attach() -> None:
    house = Iam()
    await house.role("r", LAMBDA)
    arn = "arn:aws:iam::aws:policy/aws-service-role/APIGatewayServiceRolePolicy"

    assert await refusal(house, "AttachRolePolicy", RoleName="r", PolicyArn=arn) == (
        "PolicyNotAttachable",
        "Cannot attach a Service Role Policy to a Customer Role.",
    )
