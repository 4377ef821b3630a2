"""S3's operations over the memory store."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import SYSTEM, Scope
from cumulet.store.keyspace import BLOB_REFS
from harness import House

EUROPE = Scope("000000000000", "eu-west-1")
PART = b"x" * (5 * 1024 * 1024)


@pytest.fixture
def house() -> House:
    return House("s3")


@pytest.fixture
async def bucket(house: House) -> House:
    await house.call("s3", "CreateBucket", {"Bucket": "notes"})
    return house


async def refused(house: House, operation: str, **params: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refusal:
        await house.call("s3", operation, params)
    return refusal.value


async def put(house: House, *keys: str, **params: Any) -> Any:
    for key in keys:
        output = await house.call("s3", "PutObject", {"Bucket": "notes", "Key": key, "Body": b"hello", **params})
    return output


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Notes",
        "no_tes",
        "-notes",
        "notes-",
        "no..tes",
        "10.0.0.1",
        "xn--notes",
        "notes-s3alias",
        "not es",
    ],
)
async def test_a_bad_bucket_name_is_refused(house: House, name: str) -> None:
    error = await refused(house, "CreateBucket", Bucket=name)
    assert (error.code, error.message) == ("InvalidBucketName", "The specified bucket is not valid.")
    assert error.fields == {"BucketName": name}


async def test_a_bucket_can_be_created_again_in_us_east_1_only(bucket: House) -> None:
    await bucket.call("s3", "CreateBucket", {"Bucket": "notes"})
    europe = {"Bucket": "europe", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    await bucket.call("s3", "CreateBucket", europe, scope=EUROPE)
    with pytest.raises(ServiceError, match="BucketAlreadyOwnedByYou"):
        await bucket.call("s3", "CreateBucket", europe, scope=EUROPE)
    with pytest.raises(ServiceError, match="BucketAlreadyExists"):
        await bucket.call("s3", "CreateBucket", {"Bucket": "notes"}, scope=Scope("111111111111", "us-east-1"))


@pytest.mark.parametrize(
    ("region", "constraint", "code"),
    [
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
        ("us-east-1", "nowhere", "InvalidLocationConstraint"),
        ("eu-west-1", None, "IllegalLocationConstraintException"),
        ("eu-west-1", "eu-west-2", "IllegalLocationConstraintException"),
    ],
)
async def test_a_location_constraint_fits_the_endpoint(house: House, region: str, constraint: str, code: str) -> None:
    configuration = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    with pytest.raises(ServiceError, match=code):
        await house.call("s3", "CreateBucket", {"Bucket": "notes", **configuration}, scope=Scope("0" * 12, region))


async def test_a_bucket_tells_where_it_lies(bucket: House) -> None:
    await bucket.call(
        "s3", "CreateBucket", {"Bucket": "europe", "CreateBucketConfiguration": {"LocationConstraint": "EU"}}
    )
    assert await bucket.call("s3", "GetBucketLocation", {"Bucket": "notes"}) == {}
    assert await bucket.call("s3", "GetBucketLocation", {"Bucket": "europe"}) == {"LocationConstraint": "eu-west-1"}
    assert (await bucket.call("s3", "HeadBucket", {"Bucket": "europe"}))["BucketRegion"] == "eu-west-1"
    listed = await bucket.call("s3", "ListBuckets", {})
    assert [entry["Name"] for entry in listed["Buckets"]] == ["europe", "notes"]
    first = await bucket.call("s3", "ListBuckets", {"MaxBuckets": 1})
    rest = await bucket.call("s3", "ListBuckets", {"MaxBuckets": 1, "ContinuationToken": first["ContinuationToken"]})
    assert [entry["Name"] for entry in rest["Buckets"]] == ["notes"]
    assert "ContinuationToken" not in rest


async def test_a_bucket_with_objects_stays(bucket: House) -> None:
    await put(bucket, "a")
    error = await refused(bucket, "DeleteBucket", Bucket="notes")
    assert (error.code, error.status) == ("BucketNotEmpty", 409)
    await bucket.call("s3", "DeleteObject", {"Bucket": "notes", "Key": "a"})
    await bucket.call("s3", "DeleteBucket", {"Bucket": "notes"})
    error = await refused(bucket, "HeadBucket", Bucket="notes")
    assert (error.code, error.status, error.fields) == ("NoSuchBucket", 404, {"BucketName": "notes"})


async def test_someone_elses_bucket_is_denied(bucket: House) -> None:
    with pytest.raises(ServiceError, match="AccessDenied: Access Denied"):
        await bucket.call("s3", "HeadBucket", {"Bucket": "notes"}, scope=Scope("111111111111", "us-east-1"))
    assert (await refused(bucket, "HeadBucket", Bucket="notes", ExpectedBucketOwner="1" * 12)).code == "AccessDenied"


async def test_an_object_comes_back_as_it_was_put(bucket: House) -> None:
    output = await put(bucket, "a/b", Metadata={"Author": "me"}, ContentType="text/plain", ChecksumCRC32="NhCmhg==")
    assert output["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    found = await bucket.call("s3", "GetObject", {"Bucket": "notes", "Key": "a/b", "ChecksumMode": "ENABLED"})
    assert found["Body"] == b"hello"
    assert (found["ContentType"], found["Metadata"], found["ContentLength"]) == ("text/plain", {"author": "me"}, 5)
    assert (found["ChecksumCRC32"], found["ChecksumType"]) == ("NhCmhg==", "FULL_OBJECT")
    head = await bucket.call("s3", "HeadObject", {"Bucket": "notes", "Key": "a/b", "ResponseContentType": "x/y"})
    assert "Body" not in head
    assert head["ContentType"] == "x/y"


async def test_a_missing_key_is_named(bucket: House) -> None:
    error = await refused(bucket, "GetObject", Bucket="notes", Key="gone")
    assert (error.code, error.message, error.status) == ("NoSuchKey", "The specified key does not exist.", 404)
    assert error.fields == {"Key": "gone"}


@pytest.mark.parametrize(
    ("text", "body", "content_range"),
    [
        ("bytes=0-1", b"he", "bytes 0-1/5"),
        ("bytes=3-", b"lo", "bytes 3-4/5"),
        ("bytes=-2", b"lo", "bytes 3-4/5"),
        ("bytes=1-99", b"ello", "bytes 1-4/5"),
        ("bytes=0-1,3-4", b"hello", None),
        ("lines=1-2", b"hello", None),
    ],
)
async def test_ranges(bucket: House, text: str, body: bytes, content_range: str | None) -> None:
    await put(bucket, "a")
    found = await bucket.call("s3", "GetObject", {"Bucket": "notes", "Key": "a", "Range": text})
    assert (found["Body"], found.get("ContentRange"), found["ContentLength"]) == (body, content_range, len(body))


async def test_a_range_behind_the_end_is_refused(bucket: House) -> None:
    await put(bucket, "a")
    error = await refused(bucket, "GetObject", Bucket="notes", Key="a", Range="bytes=5-")
    assert (error.code, error.status, error.fields["ActualObjectSize"]) == ("InvalidRange", 416, 5)


ETAG = '"5d41402abc4b2a76b9719d911017c592"'


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"IfMatch": ETAG}, 200),
        ({"IfMatch": '"other"'}, 412),
        ({"IfNoneMatch": ETAG}, 304),
        ({"IfNoneMatch": '"other"'}, 200),
        ({"IfModifiedSince": 1_760_000_000}, 304),
        ({"IfModifiedSince": 1_759_999_999}, 200),
        ({"IfUnmodifiedSince": 1_759_999_999}, 412),
        ({"IfMatch": ETAG, "IfUnmodifiedSince": 1_759_999_999}, 200),
        ({"IfNoneMatch": '"other"', "IfModifiedSince": 1_760_000_000}, 200),
    ],
)
async def test_conditional_reads(bucket: House, condition: dict[str, Any], status: int) -> None:
    await put(bucket, "a")
    try:
        await bucket.call("s3", "GetObject", {"Bucket": "notes", "Key": "a", **condition})
        seen: int | None = 200
    except ServiceError as error:
        seen = error.status
    assert seen == status


async def test_conditional_writes(bucket: House) -> None:
    await put(bucket, "a", IfNoneMatch="*")
    error = await refused(bucket, "PutObject", Bucket="notes", Key="a", Body=b"", IfNoneMatch="*")
    assert (error.code, error.status, error.fields) == ("PreconditionFailed", 412, {"Condition": "If-None-Match"})
    await put(bucket, "a", IfMatch=ETAG)
    assert (await refused(bucket, "PutObject", Bucket="notes", Key="a", IfMatch='"x"')).code == "PreconditionFailed"
    assert (await refused(bucket, "PutObject", Bucket="notes", Key="b", IfMatch='"x"')).code == "NoSuchKey"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Key": "k" * 1025}, "KeyTooLongError"),
        ({"Metadata": {"a": "b" * 2048}}, "MetadataTooLarge"),
        ({"ServerSideEncryption": "aws:kms:dsse"}, "NotImplementedException"),
        ({"StorageClass": "GLACIER"}, "NotImplementedException"),
        ({"Tagging": "a=b"}, "NotImplementedException"),
        ({"ACL": "public-read"}, "NotImplementedException"),
    ],
)
async def test_a_bad_put_leaves_nothing(bucket: House, params: dict[str, Any], code: str) -> None:
    error = await refused(bucket, "PutObject", **{"Bucket": "notes", "Key": "a", "Body": b"hello", **params})
    assert error.code == code
    assert (await bucket.call("s3", "ListObjectsV2", {"Bucket": "notes"}))["KeyCount"] == 0


async def test_listing_rolls_up_at_a_delimiter(bucket: House) -> None:
    await put(bucket, "a", "b/1", "b/2", "b/c/3", "d é", "e")
    listed = await bucket.call("s3", "ListObjectsV2", {"Bucket": "notes", "Delimiter": "/", "EncodingType": "url"})
    assert [entry["Key"] for entry in listed["Contents"]] == ["a", "d+%C3%A9", "e"]
    assert [entry["Prefix"] for entry in listed["CommonPrefixes"]] == ["b/"]
    assert listed["KeyCount"] == 4
    inner = await bucket.call("s3", "ListObjectsV2", {"Bucket": "notes", "Delimiter": "/", "Prefix": "b/"})
    assert [entry["Key"] for entry in inner["Contents"]] == ["b/1", "b/2"]
    assert [entry["Prefix"] for entry in inner["CommonPrefixes"]] == ["b/c/"]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("prefix", ["", "b", "b/"])
async def test_pages_are_the_whole_in_pieces(bucket: House, size: int, delimiter: str, prefix: str) -> None:
    await put(bucket, "a", "b/", "b/1", "b/2", "b/c/3", "b/c/4", "bb", "d", "e")
    request = {"Bucket": "notes", "Delimiter": delimiter, "Prefix": prefix}
    whole = await bucket.call("s3", "ListObjectsV2", request)
    keys: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await bucket.call("s3", "ListObjectsV2", {**request, "MaxKeys": size, **token})
        keys += names(page)
        assert page["KeyCount"] <= size
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert sorted(keys) == sorted(names(whole))


def names(page: Any) -> list[str]:
    return [entry["Key"] for entry in page["Contents"]] + [entry["Prefix"] for entry in page["CommonPrefixes"]]


async def test_the_first_version_of_listing_pages_by_marker(bucket: House) -> None:
    await put(bucket, "a", "b/1", "b/2", "c")
    first = await bucket.call("s3", "ListObjects", {"Bucket": "notes", "Delimiter": "/", "MaxKeys": 2})
    assert (first["NextMarker"], first["IsTruncated"]) == ("b/", True)
    rest = await bucket.call("s3", "ListObjects", {"Bucket": "notes", "Delimiter": "/", "Marker": first["NextMarker"]})
    assert names(rest) == ["c"]
    assert rest["Contents"][0]["Owner"]["ID"]


async def test_many_are_deleted_at_once(bucket: House) -> None:
    await put(bucket, "a", "b", "c")
    output = await bucket.call(
        "s3", "DeleteObjects", {"Bucket": "notes", "Delete": {"Objects": [{"Key": "a"}, {"Key": "gone"}, {"Key": "b"}]}}
    )
    assert [entry["Key"] for entry in output["Deleted"]] == ["a", "gone", "b"]
    assert names(await bucket.call("s3", "ListObjectsV2", {"Bucket": "notes"})) == ["c"]
    assert (await refused(bucket, "DeleteObjects", Bucket="notes", Delete={"Objects": []})).code == "MalformedXML"


async def test_a_copy_keeps_or_replaces_metadata(bucket: House) -> None:
    await put(bucket, "a", Metadata={"x": "1"}, ContentType="text/plain")
    copied = await bucket.call("s3", "CopyObject", {"Bucket": "notes", "Key": "b", "CopySource": "notes/a"})
    assert copied["CopyObjectResult"]["ETag"] == ETAG
    assert (await bucket.call("s3", "HeadObject", {"Bucket": "notes", "Key": "b"}))["Metadata"] == {"x": "1"}
    replace = {"CopySource": "/notes/a", "MetadataDirective": "REPLACE", "Metadata": {"y": "2"}}
    await bucket.call("s3", "CopyObject", {"Bucket": "notes", "Key": "a", **replace})
    head = await bucket.call("s3", "HeadObject", {"Bucket": "notes", "Key": "a"})
    assert (head["Metadata"], head["ContentType"]) == ({"y": "2"}, "binary/octet-stream")
    error = await refused(bucket, "CopyObject", Bucket="notes", Key="a", CopySource="notes/a")
    assert error.code == "InvalidRequest"


async def test_a_multipart_upload_becomes_one_object(bucket: House) -> None:
    key = {"Bucket": "notes", "Key": "big"}
    upload = await bucket.call(
        "s3", "CreateMultipartUpload", {**key, "ContentType": "a/b", "ChecksumAlgorithm": "CRC32"}
    )
    key["UploadId"] = upload["UploadId"]
    parts = []
    for number, body in [(1, PART), (2, b"tail"), (3, b"unused")]:
        output = await bucket.call("s3", "UploadPart", {**key, "PartNumber": number, "Body": body})
        parts.append({"PartNumber": number, "ETag": output["ETag"], "ChecksumCRC32": output["ChecksumCRC32"]})
    listed = await bucket.call("s3", "ListParts", {**key, "MaxParts": 2})
    assert [part["PartNumber"] for part in listed["Parts"]] == [1, 2]
    assert (listed["IsTruncated"], listed["NextPartNumberMarker"]) == (True, 2)
    assert (await refused(bucket, "ListParts", **key, MaxParts=-1)).code == "InvalidArgument"
    done = await bucket.call("s3", "CompleteMultipartUpload", {**key, "MultipartUpload": {"Parts": parts[:2]}})
    assert done["ETag"].endswith('-2"')
    assert done["ChecksumType"] == "COMPOSITE"
    found = await bucket.call("s3", "GetObject", {"Bucket": "notes", "Key": "big"})
    assert found["Body"] == PART + b"tail"
    for start, end in ((0, 1), (len(PART) - 2, len(PART) + 1), (len(PART), len(PART) + 3)):
        ranged = await bucket.call(
            "s3", "GetObject", {"Bucket": "notes", "Key": "big", "Range": f"bytes={start}-{end}"}
        )
        assert ranged["Body"] == (PART + b"tail")[start : end + 1]
    assert found["ContentType"] == "a/b"
    assert (await refused(bucket, "ListParts", **key)).code == "NoSuchUpload"
    await bucket.call("s3", "DeleteObject", {"Bucket": "notes", "Key": "big"})
    assert await blobs_left(bucket) == 0


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ([], "MalformedXML"),
        ([(2, "b"), (1, "a")], "InvalidPartOrder"),
        ([(1, "other")], "InvalidPart"),
        ([(7, "a")], "InvalidPart"),
        ([(1, "a"), (2, "b")], "EntityTooSmall"),
    ],
)
async def test_completion_is_checked(bucket: House, listed: list[tuple[int, str]], code: str) -> None:
    key = {"Bucket": "notes", "Key": "big"}
    key["UploadId"] = (await bucket.call("s3", "CreateMultipartUpload", key))["UploadId"]
    etags = {"other": '"x"'}
    for number, name in [(1, "a"), (2, "b")]:
        etags[name] = (await bucket.call("s3", "UploadPart", {**key, "PartNumber": number, "Body": name.encode()}))[
            "ETag"
        ]
    parts = [{"PartNumber": number, "ETag": etags[name]} for number, name in listed]
    assert (await refused(bucket, "CompleteMultipartUpload", **key, MultipartUpload={"Parts": parts})).code == code
    await bucket.call("s3", "AbortMultipartUpload", key)
    assert await blobs_left(bucket) == 0


async def test_an_operation_that_is_not_built_is_refused_by_name(bucket: House) -> None:
    with pytest.raises(NotImplementedHere, match="s3:GetBucketAcl is not implemented"):
        await bucket.call("s3", "GetBucketAcl", {"Bucket": "notes"})


async def blobs_left(house: House) -> int:
    return await house.store.read(lambda tx: sum(1 for _ in tx.scan(*BLOB_REFS.range(SYSTEM))))
