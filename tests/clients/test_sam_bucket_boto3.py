"""The calls that `sam deploy --resolve-s3` makes, with the template of its own stack, and what S3 answers."""

import json
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

PRIVATE = dict.fromkeys(("BlockPublicPolicy", "BlockPublicAcls", "IgnorePublicAcls", "RestrictPublicBuckets"), "true")
ARN = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Ref": "SamCliSourceBucket"}]]}
ARNS = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Ref": "SamCliSourceBucket"}, "/*"]]}
POLICY = {
    "Statement": [
        {
            "Action": ["s3:GetObject"],
            "Effect": "Allow",
            "Resource": ARNS,
            "Principal": {"Service": "serverlessrepo.amazonaws.com"},
            "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        },
        {
            "Action": ["s3:*"],
            "Effect": "Deny",
            "Resource": [ARN, ARNS],
            "Principal": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
}
TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Transform": "AWS::Serverless-2016-10-31",
    "Description": "Managed Stack for AWS SAM CLI",
    "Metadata": {"SamCliInfo": {"version": "1.170.0", "installationId": "unknown"}},
    "Resources": {
        "SamCliSourceBucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "PublicAccessBlockConfiguration": PRIVATE,
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
                    ]
                },
                "VersioningConfiguration": {"Status": "Enabled"},
                "Tags": [{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
            },
        },
        "SamCliSourceBucketBucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "SamCliSourceBucket"}, "PolicyDocument": POLICY},
        },
    },
    "Outputs": {"SourceBucket": {"Value": {"Ref": "SamCliSourceBucket"}}},
}


@pytest.fixture
def s3(client: Callable[..., Any]) -> Any:
    return client("s3")


def error_of(call: Callable[..., Any], **params: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer = raised.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.slow
def test_the_bucket_that_sam_makes(client: Callable[..., Any], s3: Any) -> None:
    stacks, name = client("cloudformation"), "aws-sam-cli-managed-default"
    stacks.create_change_set(
        StackName=name,
        TemplateBody=json.dumps(TEMPLATE),
        Tags=[{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
        ChangeSetType="CREATE",
        ChangeSetName="InitialCreation",
    )
    wait = {"Delay": 1, "MaxAttempts": 60}
    stacks.get_waiter("change_set_create_complete").wait(
        StackName=name, ChangeSetName="InitialCreation", WaiterConfig=wait
    )
    stacks.execute_change_set(StackName=name, ChangeSetName="InitialCreation")
    stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=wait)
    (stack,) = stacks.describe_stacks(StackName=name)["Stacks"]
    bucket = stack["Outputs"][0]["OutputValue"]

    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms"}
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "ManagedStackSource", "Value": "AwsSamCli"}]
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    denial = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][1]
    assert denial["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}

    # SAM uploads only what is not there yet.
    assert error_of(s3.head_object, Bucket=bucket, Key="code")[2] == 404
    put = s3.put_object(Bucket=bucket, Key="code", Body=b"one", ServerSideEncryption="AES256")
    assert s3.head_object(Bucket=bucket, Key="code")["VersionId"] == put["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="code")
    assert marker["DeleteMarker"]
    assert error_of(s3.get_object, Bucket=bucket, Key="code", VersionId=marker["VersionId"]) == (
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        405,
    )
    listed = s3.list_object_versions(Bucket=bucket)
    assert [entry["VersionId"] for entry in listed["Versions"]] == [put["VersionId"]]
    assert [(entry["VersionId"], entry["IsLatest"]) for entry in listed["DeleteMarkers"]] == [
        (marker["VersionId"], True)
    ]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    assert sum(len(page.get("Versions", [])) + len(page.get("DeleteMarkers", [])) for page in pages) == 2
    objects = [{"Key": "code", "VersionId": version} for version in (put["VersionId"], marker["VersionId"])]
    assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})["Deleted"]) == 2
    stacks.delete_stack(StackName=name)
    stacks.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig=wait)
    assert error_of(s3.get_bucket_versioning, Bucket=bucket)[0] == "NoSuchBucket"


def test_what_is_set_for_a_bucket(s3: Any) -> None:
    s3.create_bucket(Bucket="set-bucket")
    s3.put_bucket_versioning(Bucket="set-bucket", VersioningConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_versioning(Bucket="set-bucket")["Status"] == "Suspended"
    s3.put_bucket_tagging(Bucket="set-bucket", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    s3.delete_bucket_tagging(Bucket="set-bucket")
    assert error_of(s3.get_bucket_tagging, Bucket="set-bucket") == ("NoSuchTagSet", "The TagSet does not exist", 404)
    default = {"SSEAlgorithm": "aws:kms"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
    s3.put_bucket_encryption(Bucket="set-bucket", ServerSideEncryptionConfiguration=rules)
    assert s3.get_bucket_encryption(Bucket="set-bucket")["ServerSideEncryptionConfiguration"] == rules
    s3.delete_bucket_encryption(Bucket="set-bucket")
    assert error_of(s3.get_bucket_policy, Bucket="set-bucket") == (
        "NoSuchBucketPolicy",
        "The bucket policy does not exist",
        404,
    )


def test_a_public_bucket_is_read_by_anybody(s3: Any) -> None:
    bucket = "public-bucket"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="index.txt", Body=b"hello")
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert error_of(s3.put_bucket_policy, Bucket=bucket, Policy="x") == (
        "MalformedPolicy",
        "Policies must be valid JSON and the first byte must be '{'",
        400,
    )
    code, _, status = error_of(s3.put_bucket_policy, Bucket=bucket, Policy=policy)
    assert (code, status) == ("AccessDenied", 403)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == policy
    with urlopen(f"{s3.meta.endpoint_url}/{bucket}/index.txt", timeout=10) as answer:
        assert answer.read() == b"hello"
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_public_access_block(Bucket=bucket)
    assert error_of(s3.get_public_access_block, Bucket=bucket)[::2] == ("NoSuchPublicAccessBlockConfiguration", 404)
