"""AWS::S3::Bucket and AWS::S3::BucketPolicy, as SAM's own stack has them, and as they change."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from stacking import Stacks


@pytest.fixture
def stacks() -> Stacks:
    return Stacks()


PRIVATE = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), "true")


def bucket(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "notes", **properties}}


def policy(action: str = "s3:PutObject", bucket: Any = None) -> dict[str, Any]:
    resource = {"Fn::Sub": "arn:${AWS::Partition}:s3:::${Bucket}/*"}
    statement = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}
    properties = {"Bucket": bucket or {"Ref": "Bucket"}, "PolicyDocument": {"Statement": [statement]}}
    return {"Type": "AWS::S3::BucketPolicy", "Properties": properties}


async def ask(stacks: Stacks, operation: str, **params: Any) -> Any:
    return await stacks.house.call("s3", operation, {"Bucket": "notes", **params})


async def action_of_policy(stacks: Stacks) -> str:
    text = (await ask(stacks, "GetBucketPolicy"))["Policy"]
    return str(json.loads(text)["Statement"][0]["Action"])


async def test_a_bucket_is_made_with_all_that_is_set_and_changes_in_place(stacks: Stacks) -> None:
    kms = {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    await stacks.create(
        Bucket=bucket(
            BucketEncryption=kms,
            PublicAccessBlockConfiguration={**PRIVATE, "RestrictPublicBuckets": "false"},
            Tags=[{"Key": "a", "Value": "b"}],
            VersioningConfiguration={"Status": "Enabled"},
        ),
        Policy=policy(),
        outputs={"Policy": {"Value": {"Ref": "Policy"}}},
    )
    assert await stacks.status() == "CREATE_COMPLETE", await stacks.reasons()
    assert (await stacks.stack())["Outputs"][0]["OutputValue"] == "notes"
    rules = (await ask(stacks, "GetBucketEncryption"))["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms"}
    block = (await ask(stacks, "GetPublicAccessBlock"))["PublicAccessBlockConfiguration"]
    assert [name for name, closed in block.items() if not closed] == ["RestrictPublicBuckets"]
    assert (await ask(stacks, "GetBucketTagging"))["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert await ask(stacks, "GetBucketVersioning") == {"Status": "Enabled"}
    assert await action_of_policy(stacks) == "s3:PutObject"

    await stacks.update(Bucket=bucket(), Policy=policy("s3:DeleteObject"))
    assert await stacks.status() == "UPDATE_COMPLETE", await stacks.reasons()
    rules = (await ask(stacks, "GetBucketEncryption"))["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert all((await ask(stacks, "GetPublicAccessBlock"))["PublicAccessBlockConfiguration"].values())
    assert await ask(stacks, "GetBucketVersioning") == {"Status": "Suspended"}
    assert await action_of_policy(stacks) == "s3:DeleteObject"
    with pytest.raises(ServiceError, match="NoSuchTagSet"):
        await ask(stacks, "GetBucketTagging")

    await stacks.update(Bucket=bucket())
    with pytest.raises(ServiceError, match="NoSuchBucketPolicy"):
        await ask(stacks, "GetBucketPolicy")
    await stacks.call("DeleteStack", StackName="s")
    with pytest.raises(ServiceError, match="NoSuchBucket"):
        await ask(stacks, "HeadBucket")


async def test_a_bucket_has_one_policy(stacks: Stacks) -> None:
    await stacks.create(Bucket=bucket(), Policy=policy())
    await stacks.create("other", Bucket={"Type": "AWS::S3::Bucket"}, Policy=policy("s3:*", bucket="notes"))
    assert (
        "The bucket policy already exists on bucket notes." in (await stacks.reasons("other"))["Policy CREATE_FAILED"]
    )
    assert await action_of_policy(stacks) == "s3:PutObject"


async def test_a_bucket_that_cannot_be_as_described_is_not_left_behind(stacks: Stacks) -> None:
    await stacks.create(Bucket=bucket(VersioningConfiguration={"Status": "Perhaps"}))
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    with pytest.raises(ServiceError, match="NoSuchBucket"):
        await ask(stacks, "HeadBucket")
