"""Bucket policies: what can be one, and whom they let do what."""

import json
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.iam.authorizer import IamAuthorizer
from cumulet.services.kit import Principal
from harness import House

TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
ALL = ["arn:aws:s3:::notes", "arn:aws:s3:::notes/*"]
ROOT = Principal.root("000000000000")
STRANGER = Principal.anonymous()
OPEN = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False)


def statement(effect: str = "Deny", **changes: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": "*", "Action": "s3:*", "Resource": ALL, **changes}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class Guarded:
    """A bucket with one object, and IAM at the door."""

    def __init__(self) -> None:
        self.house = House("s3", "iam", authorizer=IamAuthorizer())
        self.role = ROOT

    async def open(self) -> "Guarded":
        await self.call("CreateBucket")
        await self.call("PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"})
        put = await self.call("PutObject", Key="k", Body=b"hello")
        self.version_id = put["VersionId"]
        trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
        role = await self.house.call("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": trust})
        arn, role_id = "arn:aws:sts::000000000000:assumed-role/r/one", role["Role"]["RoleId"]
        self.role = Principal("role", "000000000000", arn, f"{role_id}:one", "r")
        return self

    async def call(self, operation: str, principal: Principal = ROOT, **params: Any) -> Any:
        return await self.house.call("s3", operation, {"Bucket": "notes", **params}, principal=principal)

    async def outcome(self, operation: str, principal: Principal = ROOT, **params: Any) -> str:
        """Return the code of the refusal, empty if there is none."""
        try:
            await self.call(operation, principal, **params)
        except ServiceError as error:
            return error.code
        return ""


@pytest.fixture
async def notes() -> Guarded:
    return await Guarded().open()


async def test_a_denial_binds_the_root_who_can_take_it_back(notes: Guarded) -> None:
    await notes.call("PutBucketPolicy", Policy=policy(statement()))
    for operation, params in [
        ("GetObject", {"Key": "k"}),
        ("HeadObject", {"Key": "k"}),
        ("PutObject", {"Key": "x"}),
        ("DeleteObject", {"Key": "k"}),
        ("DeleteObjects", {"Delete": {"Objects": [{"Key": "k"}]}}),
        ("CopyObject", {"Key": "x", "CopySource": "notes/k"}),
        ("CreateMultipartUpload", {"Key": "x"}),
        ("ListObjectsV2", {}),
        ("ListObjectVersions", {}),
        ("HeadBucket", {}),
        ("GetBucketVersioning", {}),
        ("PutBucketTagging", {"Tagging": {"TagSet": []}}),
        ("DeleteBucket", {}),
    ]:
        assert await notes.outcome(operation, **params) == "AccessDenied", operation
    assert json.loads((await notes.call("GetBucketPolicy"))["Policy"])["Statement"][0]["Effect"] == "Deny"
    await notes.call("DeleteBucketPolicy")
    assert await notes.outcome("GetObject", Key="k") == ""


async def test_a_copy_needs_to_read_its_source(notes: Guarded) -> None:
    await notes.call("PutBucketPolicy", Policy=policy(statement(Action="s3:GetObject")))
    assert await notes.outcome("CopyObject", Key="x", CopySource="notes/k") == "AccessDenied"
    assert await notes.outcome("CopyObject", Key="x", CopySource=f"notes/k?versionId={notes.version_id}") == ""


async def test_versions_are_permissions_of_their_own(notes: Guarded) -> None:
    await notes.call(
        "PutBucketPolicy", Policy=policy(statement(Action=["s3:GetObjectVersion", "s3:DeleteObjectVersion"]))
    )
    version = {"Key": "k", "VersionId": notes.version_id}
    assert await notes.outcome("GetObject", Key="k") == ""
    assert await notes.outcome("GetObject", **version) == "AccessDenied"
    assert await notes.outcome("DeleteObjects", Delete={"Objects": [version]}) == "AccessDenied"
    assert await notes.outcome("DeleteObjects", Delete={"Objects": [{"Key": "k"}]}) == ""


async def test_a_policy_lets_a_role_in(notes: Guarded) -> None:
    assert await notes.outcome("GetObject", notes.role, Key="k") == "AccessDenied"
    allowed = statement("Allow", Principal={"AWS": "arn:aws:iam::000000000000:role/r"}, Action="s3:GetObject")
    await notes.call("PutBucketPolicy", Policy=policy(allowed))
    assert await notes.outcome("GetObject", notes.role, Key="k") == ""
    assert await notes.outcome("PutObject", notes.role, Key="k") == "AccessDenied"


@pytest.mark.parametrize(
    ("operation", "params", "conditions", "code"),
    [
        ("PutObject", {}, {"Null": {"s3:x-amz-server-side-encryption": "true"}}, "AccessDenied"),
        ("PutObject", {"ServerSideEncryption": "AES256"}, {"Null": {"s3:x-amz-server-side-encryption": "true"}}, ""),
        ("ListObjectsV2", {"Prefix": "mine/"}, {"StringNotLike": {"s3:prefix": "mine/*"}}, ""),
        ("ListObjectsV2", {"Prefix": "theirs/"}, {"StringNotLike": {"s3:prefix": "mine/*"}}, "AccessDenied"),
        ("ListObjectsV2", {"MaxKeys": 11}, {"NumericGreaterThan": {"s3:max-keys": "10"}}, "AccessDenied"),
        ("ListObjectsV2", {}, {"Bool": {"aws:SecureTransport": "false"}}, ""),
    ],
)
async def test_conditions(notes: Guarded, operation: str, params: Any, conditions: Any, code: str) -> None:
    await notes.call("PutBucketPolicy", Policy=policy(statement(Condition=conditions)))
    key = {"Key": "x"} if operation == "PutObject" else {}
    assert await notes.outcome(operation, **key, **params) == code


async def test_the_public_comes_in_where_nothing_blocks_it(notes: Guarded) -> None:
    public = policy(statement("Allow", Action="s3:GetObject"))
    with pytest.raises(ServiceError, match="public policies are prevented by the BlockPublicPolicy setting"):
        await notes.call("PutBucketPolicy", Policy=public)
    assert await notes.outcome("GetBucketPolicy") == "NoSuchBucketPolicy"
    await notes.call("PutPublicAccessBlock", PublicAccessBlockConfiguration=OPEN)
    await notes.call("PutBucketPolicy", Policy=public)
    assert (await notes.call("GetBucketPolicyStatus"))["PolicyStatus"] == {"IsPublic": True}
    assert await notes.outcome("GetObject", STRANGER, Key="k") == ""
    assert await notes.outcome("PutObject", STRANGER, Key="k") == "AccessDenied"
    restricted = {**OPEN, "RestrictPublicBuckets": True}
    await notes.call("PutPublicAccessBlock", PublicAccessBlockConfiguration=restricted)
    assert await notes.outcome("GetObject", STRANGER, Key="k") == "AccessDenied"
    assert await notes.outcome("GetObject", Key="k") == ""
    await notes.call("DeletePublicAccessBlock")
    assert await notes.outcome("GetObject", STRANGER, Key="k") == ""


MALFORMED: list[tuple[str, str, str]] = [
    ("no JSON", "policy", "Policies must be valid JSON and the first byte must be '{'"),
    ("half of it", "{", "Syntax errors in policy."),
    ("no principal", policy(statement(Principal=None)), "Missing required field Principal"),
    (
        "no resource",
        policy({k: v for k, v in statement().items() if k != "Resource"}),
        "Missing required field Resource",
    ),
    ("another bucket", policy(statement(Resource="arn:aws:s3:::others/*")), "Policy has invalid resource"),
    ("every bucket", policy(statement(Resource="*")), "Policy has invalid resource"),
    ("too long", policy(statement(Sid="x" * 20480)), "exceeds the maximum allowed size of 20480 bytes."),
]


@pytest.mark.parametrize(("text", "words"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
async def test_what_no_policy_can_be(notes: Guarded, text: str, words: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        await notes.call("PutBucketPolicy", Policy=text)
    assert refusal.value.code == "MalformedPolicy"
    assert refusal.value.message.endswith(words)


async def test_a_condition_that_is_not_told_is_refused_by_name(notes: Guarded) -> None:
    text = policy(statement(Condition={"StringEquals": {"s3:authType": "REST-HEADER"}}))
    with pytest.raises(NotImplementedHere, match="The condition key s3:authType of bucket policies"):
        await notes.call("PutBucketPolicy", Policy=text)


async def test_a_digest_of_the_policy_is_checked(notes: Guarded) -> None:
    digest = "AAAAAAAAAAAAAAAAAAAAAA=="
    assert await notes.outcome("PutBucketPolicy", Policy=policy(statement()), ContentMD5=digest) == "BadDigest"
