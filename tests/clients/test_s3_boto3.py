"""S3 through boto3 and the aws cli against the running server."""

import base64
import hashlib
import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from running import Server


@pytest.fixture
def s3(client: Callable[..., Any]) -> Any:
    return client("s3")


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = request.node.name.replace("_", "-").split("[")[0][:63].strip("-")
    s3.create_bucket(Bucket=name)
    return name


def error_of(call: Callable[..., Any], **params: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer = raised.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_objects_come_back_as_they_were_put(s3: Any, bucket: str) -> None:
    key = "a b/ü+%20?.txt"
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"hello", ContentType="text/plain", Metadata={"author": "me"})
    found = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert found["Body"].read() == b"hello"
    assert (found["ETag"], found["ContentType"], found["Metadata"]) == (put["ETag"], "text/plain", {"author": "me"})
    assert found["ChecksumCRC32"] == "NhCmhg=="
    assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == 5
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [entry["Key"] for entry in s3.list_objects(Bucket=bucket)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    s3.delete_bucket(Bucket=bucket)


def test_a_range_is_partial_content(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    part = s3.get_object(Bucket=bucket, Key="k", Range="bytes=1-3")
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (part["Body"].read(), part["ContentRange"]) == (b"ell", "bytes 1-3/5")
    assert error_of(s3.get_object, Bucket=bucket, Key="k", Range="bytes=9-")[::2] == ("InvalidRange", 416)


def test_conditional_requests(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", IfNoneMatch="*")["ETag"]
    assert error_of(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag)[::2] == ("304", 304)
    assert error_of(s3.put_object, Bucket=bucket, Key="k", Body=b"", IfNoneMatch="*")[::2] == (
        "PreconditionFailed",
        412,
    )
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    assert error_of(s3.head_object, Bucket=bucket, Key="k", IfModifiedSince=modified)[2] == 304


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("head_bucket", {"Bucket": "no-such-bucket"}, ("404", "Not Found", 404)),
        (
            "list_objects_v2",
            {"Bucket": "no-such-bucket"},
            ("NoSuchBucket", "The specified bucket does not exist", 404),
        ),
        (
            "create_bucket",
            {"Bucket": "NotGood"},
            ("InvalidBucketName", "The specified bucket is not valid.", 400),
        ),
        (
            "get_bucket_acl",
            {"Bucket": "any"},
            (
                "NotImplementedException",
                "s3:GetBucketAcl is not implemented by Cumulet. docs/operations.md lists what is.",
                501,
            ),
        ),
    ],
)
def test_errors_are_those_of_s3(s3: Any, operation: str, params: dict[str, Any], expected: Any) -> None:
    assert error_of(getattr(s3, operation), **params) == expected


def test_keys_that_are_not_there(s3: Any, bucket: str) -> None:
    with pytest.raises(s3.exceptions.NoSuchKey) as raised:
        s3.get_object(Bucket=bucket, Key="gone")
    assert raised.value.response["Error"]["Key"] == "gone"
    assert error_of(s3.head_object, Bucket=bucket, Key="gone") == ("404", "Not Found", 404)


def test_a_body_that_is_not_what_was_announced_is_refused(s3: Any, bucket: str) -> None:
    code, message, status = error_of(
        s3.put_object, Bucket=bucket, Key="k", Body=b"hello", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="
    )
    assert (code, message, status) == (
        "BadDigest",
        "The Content-MD5 you specified did not match what we received.",
        400,
    )
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_settings_come_with_a_digest_of_their_document_as_older_sdks_send_it(s3: Any, bucket: str) -> None:
    bodies = [b"something else"]

    def add_digest(request: Any, **_: Any) -> None:
        body = bodies.pop() if bodies else request.data
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        request.headers["Content-MD5"] = base64.b64encode(digest).decode()

    s3.meta.events.register("before-sign.s3.PutBucketTagging", add_digest)
    tagging = {"TagSet": [{"Key": "k", "Value": "v"}]}
    code, message, status = error_of(s3.put_bucket_tagging, Bucket=bucket, Tagging=tagging)
    assert (code, status) == ("BadDigest", 400)
    assert message == "The Content-MD5 you specified did not match what we received."
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tagging)
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tagging["TagSet"]
    versions = {"VersioningConfiguration": {"Status": "Enabled"}}
    assert error_of(s3.put_bucket_versioning, Bucket=bucket, ContentMD5="x", **versions) == (
        "InvalidDigest",
        "The Content-MD5 you specified was invalid.",
        400,
    )


def test_many_keys_in_pages_and_gone_at_once(s3: Any, bucket: str) -> None:
    for index in range(7):
        s3.put_object(Bucket=bucket, Key=f"p/{index % 3}/{index}", Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="p/", Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    assert [prefix["Prefix"] for page in pages for prefix in page.get("CommonPrefixes", [])] == ["p/0/", "p/1/", "p/2/"]
    keys = [
        entry["Key"] for page in s3.get_paginator("list_objects").paginate(Bucket=bucket) for entry in page["Contents"]
    ]
    assert error_of(s3.delete_bucket, Bucket=bucket)[0] == "BucketNotEmpty"
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(deleted["Deleted"]) == 7
    s3.delete_bucket(Bucket=bucket)


def test_a_large_file_goes_up_in_parts(s3: Any, bucket: str) -> None:
    body = bytes(range(256)) * 24 * 1024  # 6 MiB
    config = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024)
    s3.upload_fileobj(io.BytesIO(body), bucket, "big", Config=config)
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-2"')
    received = io.BytesIO()
    s3.download_fileobj(bucket, "big", received, Config=config)
    assert received.getvalue() == body
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "big"})
    assert "-" not in copied["CopyObjectResult"]["ETag"]


def test_buckets_by_host_name(server: Server, bucket: str) -> None:
    virtual = boto3.client(
        "s3",
        endpoint_url=f"http://s3.localhost:{server.port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "virtual"}, retries={"max_attempts": 0}),
    )

    def to_loopback(request: Any, **_: Any) -> None:
        # Not every resolver knows names below localhost, so only the Host header says it.
        host = urlsplit(request.url).netloc
        assert host == f"{bucket}.s3.localhost:{server.port}"
        request.headers["Host"] = host
        request.url = request.url.replace(host, f"localhost:{server.port}")

    virtual.meta.events.register("before-send.s3", to_loopback)
    virtual.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert virtual.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_a_presigned_url_needs_nothing_else(s3: Any, bucket: str, fetch: Callable[..., Any], server: Server) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    signer = server.client("s3", config=Config(signature_version="s3v4"))
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    status, _, body = fetch("GET", url.removeprefix(server.endpoint))
    assert (status, body) == (200, b"x")
    assert fetch("GET", f"/{bucket}/k")[0] == 403


@pytest.mark.slow
def test_the_aws_cli_copies_files(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("hello")

    def aws(*words: str) -> None:
        subprocess.run(["aws", "s3", *words], env=server.environ(), check=True, capture_output=True, timeout=60)

    aws("mb", "s3://cli-bucket")
    aws("cp", str(tmp_path / "in.txt"), "s3://cli-bucket/a/in.txt")
    aws("cp", "s3://cli-bucket/a/in.txt", str(tmp_path / "out.txt"))
    aws("rb", "s3://cli-bucket", "--force")
    assert (tmp_path / "out.txt").read_text() == "hello"
