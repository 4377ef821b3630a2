"""IAM and STS through boto3 against the running server, with permanent keys and sessions really verified."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"
LAMBDA = {"Service": "lambda.amazonaws.com"}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"

Client = Callable[..., Any]


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def trusting(principal: Any) -> str:
    return document(Principal=principal, Action="sts:AssumeRole")


def error(call: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refused:
        call()
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_the_life_of_a_role(client: Client) -> None:
    iam = client("iam")
    trust = trusting(LAMBDA)
    created = iam.create_role(
        RoleName="life", Path="/t/", AssumeRolePolicyDocument=trust, Tags=[{"Key": "a", "Value": "ä"}]
    )
    assert created["Role"]["AssumeRolePolicyDocument"] == json.loads(trust)
    assert created["Role"]["CreateDate"].year >= 2025
    text = document(Action="s3:*", Resource="*")
    iam.put_role_policy(RoleName="life", PolicyName="inline", PolicyDocument=text)
    iam.attach_role_policy(RoleName="life", PolicyArn=BASIC)

    role = iam.get_role(RoleName="life")["Role"]
    assert (role["Arn"], role["Tags"]) == (f"arn:aws:iam::{ACCOUNT}:role/t/life", [{"Key": "a", "Value": "ä"}])
    assert iam.get_role_policy(RoleName="life", PolicyName="inline")["PolicyDocument"] == json.loads(text)
    assert iam.list_role_policies(RoleName="life")["PolicyNames"] == ["inline"]
    attached = iam.list_attached_role_policies(RoleName="life")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    pages = iam.get_paginator("list_roles").paginate(PathPrefix="/t/", PaginationConfig={"PageSize": 1})
    assert "life" in [role["RoleName"] for page in pages for role in page["Roles"]]
    iam.tag_role(RoleName="life", Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName="life", TagKeys=["a"])
    assert iam.list_role_tags(RoleName="life")["Tags"] == [{"Key": "b", "Value": "2"}]
    iam.update_role(RoleName="life", MaxSessionDuration=7200, Description="longer")
    iam.update_assume_role_policy(RoleName="life", PolicyDocument=trust)

    assert error(lambda: iam.delete_role(RoleName="life")) == (
        409,
        "DeleteConflict",
        "Cannot delete entity, must detach all policies first.",
    )
    iam.detach_role_policy(RoleName="life", PolicyArn=BASIC)
    iam.delete_role_policy(RoleName="life", PolicyName="inline")
    iam.delete_role(RoleName="life")
    assert error(lambda: iam.get_role(RoleName="life")) == (
        404,
        "NoSuchEntity",
        "The role with name life cannot be found.",
    )


def test_a_managed_policy_and_its_versions(client: Client) -> None:
    iam = client("iam")
    text = document(Action="s3:Get*", Resource="*")
    arn = iam.create_policy(PolicyName="managed", PolicyDocument=text)["Policy"]["Arn"]
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)["PolicyVersion"]

    assert (version["VersionId"], version["IsDefaultVersion"]) == ("v2", True)
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == json.loads(text)
    assert [v["VersionId"] for v in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v2", "v1"]
    assert arn in [policy["Arn"] for policy in iam.list_policies(Scope="Local")["Policies"]]
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.delete_policy(PolicyArn=arn)
    assert iam.get_policy(PolicyArn=BASIC)["Policy"]["IsAttachable"] is True
    assert error(lambda: iam.get_policy(PolicyArn="arn:aws:iam::aws:policy/Nothing")) == (
        404,
        "NoSuchEntity",
        "Policy arn:aws:iam::aws:policy/Nothing was not found.",
    )


def test_bad_requests_get_awss_words(client: Client) -> None:
    iam = client("iam")

    assert error(lambda: iam.create_role(RoleName="bad", AssumeRolePolicyDocument="{")) == (
        400,
        "MalformedPolicyDocument",
        "This policy contains invalid Json",
    )
    status, code, words = error(lambda: iam.create_role(RoleName="a/b", AssumeRolePolicyDocument=trusting(LAMBDA)))
    assert (status, code) == (400, "ValidationError")
    assert "roleName" in words
    assert error(lambda: iam.create_role(RoleName="x"))[:2] == (400, "ValidationError")
    assert error(lambda: iam.list_groups())[0] == 501


def test_a_user_with_a_key_is_verified_and_held_to_policies(client: Client) -> None:
    iam = client("iam")
    iam.create_user(UserName="keyed")
    iam.put_user_policy(UserName="keyed", PolicyName="p", PolicyDocument=document(Action="iam:ListRoles", Resource="*"))
    key = iam.create_access_key(UserName="keyed")["AccessKey"]
    own = client("iam", key["AccessKeyId"], key["SecretAccessKey"])

    identity = client("sts", key["AccessKeyId"], key["SecretAccessKey"]).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/keyed"
    assert own.list_roles()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert error(lambda: own.get_user(UserName="keyed")) == (
        403,
        "AccessDenied",
        f"User: arn:aws:iam::{ACCOUNT}:user/keyed is not authorized to perform: iam:GetUser on resource: "
        f"arn:aws:iam::{ACCOUNT}:user/keyed because no identity-based policy allows the iam:GetUser action",
    )
    wrong = client("iam", key["AccessKeyId"], "wrong" * 8)
    assert error(wrong.list_roles)[:2] == (403, "SignatureDoesNotMatch")
    iam.update_access_key(UserName="keyed", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert error(own.list_roles) == (
        403,
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
    )
    iam.delete_access_key(UserName="keyed", AccessKeyId=key["AccessKeyId"])
    assert error(own.list_roles)[:2] == (403, "InvalidClientTokenId")  # and not a developer's key, which is root's
    iam.delete_user_policy(UserName="keyed", PolicyName="p")
    iam.delete_user(UserName="keyed")


def test_a_session_of_an_assumed_role(client: Client) -> None:
    iam, sts = client("iam"), client("sts")
    arn = iam.create_role(RoleName="assumed", AssumeRolePolicyDocument=trusting({"AWS": ACCOUNT}))["Role"]["Arn"]
    iam.put_role_policy(RoleName="assumed", PolicyName="p", PolicyDocument=document(Action="iam:GetRole", Resource=arn))

    answer = sts.assume_role(RoleArn=arn, RoleSessionName="one", DurationSeconds=900)
    credentials = answer["Credentials"]

    def session(service: str, token: str = credentials["SessionToken"]) -> Any:
        return client(service, credentials["AccessKeyId"], credentials["SecretAccessKey"], aws_session_token=token)

    assert session("sts").get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/assumed/one"
    assert session("iam").get_role(RoleName="assumed")["Role"]["RoleName"] == "assumed"
    assert error(lambda: session("iam").delete_role(RoleName="assumed"))[:2] == (403, "AccessDenied")
    assert error(lambda: session("iam", "forged").get_role(RoleName="assumed"))[:2] == (403, "InvalidClientTokenId")
    assert error(lambda: sts.assume_role(RoleArn=arn + "x", RoleSessionName="one")) == (
        403,
        "AccessDenied",
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: sts:AssumeRole on resource: {arn}x",
    )
    status, code, words = error(lambda: sts.assume_role(RoleArn=arn, RoleSessionName="one", DurationSeconds=60))
    assert (status, code) == (400, "ValidationError")
    assert words == (
        "1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint: "
        "Member must have value greater than or equal to 900"
    )


def test_developer_credentials_are_root(client: Client) -> None:
    assert client("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert client("sts", "123456789012").get_caller_identity()["Account"] == "123456789012"
