"""What is set for a bucket is answered again, and objects follow it."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from harness import House


@pytest.fixture
async def bucket() -> House:
    house = House("s3")
    await house.call("s3", "CreateBucket", {"Bucket": "notes"})
    return house


async def ask(house: House, operation: str, **params: Any) -> Any:
    return await house.call("s3", operation, {"Bucket": "notes", **params})


def encryption(algorithm: str | None, **more: Any) -> dict[str, Any]:
    default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": more.pop("key")} if "key" in more else {})}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": default, **more}]}


async def test_a_new_bucket(bucket: House) -> None:
    assert await ask(bucket, "GetBucketVersioning") == {}
    found = await ask(bucket, "GetBucketEncryption")
    assert found == {"ServerSideEncryptionConfiguration": encryption("AES256", BucketKeyEnabled=False)}
    block = (await ask(bucket, "GetPublicAccessBlock"))["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    for operation, code in [
        ("GetBucketTagging", "NoSuchTagSet"),
        ("GetBucketPolicy", "NoSuchBucketPolicy"),
        ("GetBucketPolicyStatus", "NoSuchBucketPolicy"),
    ]:
        with pytest.raises(ServiceError) as refusal:
            await ask(bucket, operation)
        assert (refusal.value.code, refusal.value.status) == (code, 404)


async def test_what_is_set_is_answered(bucket: House) -> None:
    await ask(bucket, "PutBucketTagging", Tagging={"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]})
    assert (await ask(bucket, "GetBucketTagging"))["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    await ask(bucket, "PutBucketTagging", Tagging={"TagSet": [{"Key": "c", "Value": "2"}]})
    assert (await ask(bucket, "GetBucketTagging"))["TagSet"] == [{"Key": "c", "Value": "2"}]
    await ask(bucket, "DeleteBucketTagging")
    with pytest.raises(ServiceError, match="The TagSet does not exist"):
        await ask(bucket, "GetBucketTagging")
    await ask(bucket, "PutPublicAccessBlock", PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    assert (await ask(bucket, "GetPublicAccessBlock"))["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }
    await ask(bucket, "DeletePublicAccessBlock")
    with pytest.raises(ServiceError, match="The public access block configuration was not found"):
        await ask(bucket, "GetPublicAccessBlock")


async def test_objects_are_said_to_be_encrypted_as_the_bucket_has_it(bucket: House) -> None:
    told = encryption("aws:kms", BucketKeyEnabled=True)
    await ask(bucket, "PutBucketEncryption", ServerSideEncryptionConfiguration=told)
    assert await ask(bucket, "GetBucketEncryption") == {"ServerSideEncryptionConfiguration": told}
    put = await ask(bucket, "PutObject", Key="a", Body=b"x")
    upload = await ask(bucket, "CreateMultipartUpload", Key="m")
    copy = await ask(bucket, "CopyObject", Key="b", CopySource="notes/a")
    found = await ask(bucket, "GetObject", Key="a")
    assert {answer["ServerSideEncryption"] for answer in (put, upload, copy, found)} == {"aws:kms"}
    own = await ask(bucket, "PutObject", Key="a", Body=b"x", ServerSideEncryption="AES256")
    assert own["ServerSideEncryption"] == (await ask(bucket, "HeadObject", Key="a"))["ServerSideEncryption"] == "AES256"
    await ask(bucket, "DeleteBucketEncryption")
    assert (await ask(bucket, "PutObject", Key="c", Body=b"x"))["ServerSideEncryption"] == "AES256"


def tags(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"Tagging": {"TagSet": [{"Key": key, "Value": value} for key, value in pairs]}}


def encrypted(configuration: dict[str, Any]) -> dict[str, Any]:
    return {"ServerSideEncryptionConfiguration": configuration}


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("one tag twice", "PutBucketTagging", tags(("a", "1"), ("a", "2")), "InvalidTag"),
    ("a tag of AWS's", "PutBucketTagging", tags(("aws:a", "1")), "InvalidTag"),
    ("a long key", "PutBucketTagging", tags(("a" * 129, "1")), "InvalidTag"),
    ("a long value", "PutBucketTagging", tags(("a", "1" * 257)), "InvalidTag"),
    ("many tags", "PutBucketTagging", tags(*((str(n), "") for n in range(51))), "BadRequest"),
    ("a KMS key", "PutBucketEncryption", encrypted(encryption("aws:kms", key="k")), "NotImplementedException"),
    ("two layers", "PutBucketEncryption", encrypted(encryption("aws:kms:dsse")), "NotImplementedException"),
    ("no algorithm", "PutBucketEncryption", encrypted(encryption(None)), "MalformedXML"),
    ("no rule", "PutBucketEncryption", encrypted({"Rules": []}), "MalformedXML"),
    (
        "MFA",
        "PutBucketVersioning",
        {"VersioningConfiguration": {"Status": "Enabled", "MFADelete": "Enabled"}},
        "NotImplementedException",
    ),
    ("no status", "PutBucketVersioning", {"VersioningConfiguration": {}}, "IllegalVersioningConfigurationException"),
    ("no version id", "GetObject", {"Key": "k", "VersionId": "one"}, "InvalidArgument"),
    ("no such version", "GetObject", {"Key": "k", "VersionId": "x" * 32}, "NoSuchVersion"),
    ("no version id to delete", "DeleteObject", {"Key": "k", "VersionId": "one"}, "InvalidArgument"),
    ("a marker alone", "ListObjectVersions", {"VersionIdMarker": "null"}, "InvalidArgument"),
    ("a marker that is none", "ListObjectVersions", {"KeyMarker": "k", "VersionIdMarker": "one"}, "InvalidArgument"),
    (
        "a marker of no version",
        "ListObjectVersions",
        {"KeyMarker": "k", "VersionIdMarker": "x" * 32},
        "InvalidArgument",
    ),
]


@pytest.mark.parametrize(("operation", "params", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_refusals(bucket: House, operation: str, params: dict[str, Any], code: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        await ask(bucket, operation, **params)
    assert refusal.value.code == code


async def test_a_bucket_with_a_delete_marker_is_not_empty(bucket: House) -> None:
    await ask(bucket, "PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"})
    marker = await ask(bucket, "DeleteObject", Key="k")
    with pytest.raises(ServiceError, match="You must delete all versions in the bucket"):
        await ask(bucket, "DeleteBucket")
    deleted = await ask(bucket, "DeleteObjects", Delete={"Objects": [{"Key": "k", "VersionId": marker["VersionId"]}]})
    assert deleted["Deleted"] == [
        {
            "Key": "k",
            "VersionId": marker["VersionId"],
            "DeleteMarker": True,
            "DeleteMarkerVersionId": marker["VersionId"],
        }
    ]
    await ask(bucket, "DeleteBucket")


async def test_an_older_version_is_copied(bucket: House) -> None:
    await ask(bucket, "PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"})
    first = await ask(bucket, "PutObject", Key="k", Body=b"one")
    await ask(bucket, "PutObject", Key="k", Body=b"two")
    # Onto itself: that is how an older version is brought back.
    copy = await ask(bucket, "CopyObject", Key="k", CopySource=f"notes/k?versionId={first['VersionId']}")
    assert copy["CopySourceVersionId"] == first["VersionId"] != copy["VersionId"]
    assert (await ask(bucket, "GetObject", Key="k"))["Body"] == b"one"
    with pytest.raises(ServiceError, match="Copy Source must mention"):
        await ask(bucket, "CopyObject", Key="k", CopySource="notes/k?version=1")
