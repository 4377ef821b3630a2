"""Objects: put, get, head, delete, copy."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Ground, Output, Params, operation
from cumulet.services.s3 import conditions
from cumulet.services.s3.checksums import CHECKSUM_PARAMS, check_body, compute_checksum, md5_hex, render_checksum
from cumulet.services.s3.limits import DELETE_KEYS_MAX, KEY_BYTES_MAX, LIST_KEYS_MAX, METADATA_BYTES_MAX
from cumulet.services.s3.records import (
    OBJECTS,
    Chunk,
    StoredObject,
    get_bucket,
    get_object,
    home,
    object_arn,
)
from cumulet.store import blobs
from cumulet.store.api import ReadTx, WriteTx

HEADER_PARAMS = "CacheControl ContentDisposition ContentEncoding ContentLanguage ContentType Expires"
_READ_PARAMS = (
    "Bucket Key ExpectedBucketOwner IfMatch IfNoneMatch IfModifiedSince IfUnmodifiedSince Range ChecksumMode"
    " ResponseCacheControl ResponseContentDisposition ResponseContentEncoding ResponseContentLanguage"
    " ResponseContentType ResponseExpires"
)
ENCRYPTION = {"ServerSideEncryption": "AES256"}
"""S3 says so of every object. Here it means what the disk under the data folder does: bodies are not encrypted."""


class S3Plane:
    """What CopyObject needs beside the store: it reads one object and writes another, under two actions."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    async def start(self) -> None:
        """Nothing runs in the background."""

    async def stop(self) -> None:
        """Nothing runs in the background."""


def check_key(key: str) -> None:
    """Raise KeyTooLongError for a key of more than 1,024 bytes."""
    size = len(key.encode())
    if size > KEY_BYTES_MAX:
        raise ServiceError(
            "KeyTooLongError", "Your key is too long", status=400, Size=size, MaxSizeAllowed=KEY_BYTES_MAX
        )


def parse_limit(params: Params, member: str, argument: str) -> int:
    """Return how many entries of a list are asked for. Raises InvalidArgument for a negative number."""
    limit = int(params.get(member, LIST_KEYS_MAX))
    if limit < 0:
        raise ServiceError(
            "InvalidArgument",
            f"Argument {argument} must be an integer between 0 and 2147483647",
            status=400,
            ArgumentName=argument,
            ArgumentValue=str(limit),
        )
    return limit


def parse_headers(params: Params) -> tuple[dict[str, str], dict[str, str]]:
    """Return the system metadata and the user's metadata that a write gives, checked."""
    if params.get("ServerSideEncryption", "AES256") != "AES256":
        raise NotImplementedHere(f"ServerSideEncryption={params['ServerSideEncryption']} of S3")
    if params.get("StorageClass", "STANDARD") != "STANDARD":
        raise NotImplementedHere(f"StorageClass={params['StorageClass']} of S3")
    metadata = {name.lower(): value for name, value in (params.get("Metadata") or {}).items()}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > METADATA_BYTES_MAX:
        raise ServiceError(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            status=400,
            Size=size,
            MaxSizeAllowed=METADATA_BYTES_MAX,
        )
    headers = {name: str(params[name]) for name in HEADER_PARAMS.split() if params.get(name) is not None}
    headers.setdefault("ContentType", "binary/octet-stream")
    return headers, metadata


def replace_object(tx: WriteTx, call: Call, bucket: str, record: StoredObject) -> None:
    """Make `record` the object of its key, letting go of the body that it replaces."""
    forget_object(tx, call, bucket, record.key)
    OBJECTS.save(tx, home(call), bucket, record.key, record=record)


def forget_object(tx: WriteTx, call: Call, bucket: str, key: str) -> None:
    """Remove an object and its body, if it is there."""
    found = OBJECTS.find(tx, home(call), bucket, key)
    if found is not None:
        for chunk in found.body:
            blobs.release(tx, chunk.digest)
        OBJECTS.delete(tx, home(call), bucket, key)


def save_body(tx: WriteTx, body: bytes) -> Chunk:
    """Return where a body was put."""
    return Chunk(blobs.save(tx, body), len(body))


@operation(
    "PutObject",
    resource=object_arn,
    params=f"Bucket Key Body ContentLength ContentMD5 Metadata ExpectedBucketOwner IfMatch IfNoneMatch StorageClass"
    f" ServerSideEncryption {HEADER_PARAMS} {CHECKSUM_PARAMS}",
    missing="XXHash checksums, ACLs, KMS and customer keys, storage classes, tags, object lock",
)
def put_object(call: Call, tx: WriteTx, params: Params) -> Output:
    """Make a body the object of a key, and return its ETag."""
    bucket, key, body = get_bucket(tx, call, params), params["Key"], bytes(params.get("Body") or b"")
    check_key(key)
    headers, metadata = parse_headers(params)
    checksum = check_body(params, body)
    previous = OBJECTS.find(tx, home(call), bucket.name, key)
    conditions.check_write(params, key, previous.etag if previous else None)
    record = StoredObject(
        key=key,
        body=[save_body(tx, body)] if body else [],
        size=len(body),
        etag=md5_hex(body),
        modified_ms=call.now_ms,
        headers=headers,
        metadata=metadata,
        checksum=checksum,
    )
    replace_object(tx, call, bucket.name, record)
    return {"ETag": f'"{record.etag}"', **ENCRYPTION, **render_checksum(checksum)}


@operation(
    "GetObject",
    resource=object_arn,
    params=_READ_PARAMS,
    missing="versions, part numbers",
)
def read_object(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return an object's body, or the range of it that is asked for, with its metadata."""
    found, output, span = _describe(call, tx, params)
    return {**output, "Body": _load_body(tx, found) if span is None else _load_span(tx, found, *span)}


def _load_body(tx: ReadTx, found: StoredObject) -> bytes:
    return b"".join([blobs.load(tx, chunk.digest) for chunk in found.body])


def _load_span(tx: ReadTx, found: StoredObject, start: int, end: int) -> bytes:
    # Clients fetch large objects in many ranges at once, so each must cost what it holds and not what the object does.
    pieces, position = [], 0
    for chunk in found.body:
        first, behind = max(start - position, 0), min(end - position, chunk.size)
        if first < behind:
            pieces.append(blobs.load_range(tx, chunk.digest, first, behind))
        position += chunk.size
    return b"".join(pieces)


@operation("HeadObject", action="s3:GetObject", resource=object_arn, params=_READ_PARAMS, missing="versions, parts")
def head_object(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return what GetObject would, without the body."""
    return _describe(call, tx, params)[1]


def _describe(call: Call, tx: ReadTx, params: Params) -> tuple[StoredObject, dict[str, Any], tuple[int, int] | None]:
    bucket = get_bucket(tx, call, params)
    found = get_object(tx, call, bucket.name, params["Key"])
    conditions.check_read(params, found.etag, found.modified_ms)
    span = conditions.parse_range(params.get("Range"), found.size)
    output: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": found.modified_ms // 1000,
        "ContentLength": found.size if span is None else span[1] - span[0],
        "ETag": f'"{found.etag}"',
        "Metadata": found.metadata,
        **ENCRYPTION,
        **found.headers,
    }
    if span is not None:
        output["ContentRange"] = f"bytes {span[0]}-{span[1] - 1}/{found.size}"
    # A checksum is of the whole body, so a range goes without.
    if params.get("ChecksumMode") == "ENABLED" and span is None:
        output |= render_checksum(found.checksum)
    for name in HEADER_PARAMS.split():
        if (wanted := params.get(f"Response{name}")) is not None:
            output[name] = wanted
    return found, output, span


@operation("DeleteObject", resource=object_arn, params="Bucket Key ExpectedBucketOwner IfMatch")
def delete_object(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove an object; removing what is not there succeeds too."""
    bucket = get_bucket(tx, call, params)
    if params.get("IfMatch") is not None:
        found = OBJECTS.find(tx, home(call), bucket.name, params["Key"])
        conditions.check_write({"IfMatch": params["IfMatch"]}, params["Key"], found.etag if found else None)
    forget_object(tx, call, bucket.name, params["Key"])
    return {}


def _object_arns(call: Call, params: Params) -> list[str]:
    return [f"arn:aws:s3:::{params['Bucket']}/{entry['Key']}" for entry in params["Delete"]["Objects"]]


@operation(
    "DeleteObjects",
    action="s3:DeleteObject",
    resource=_object_arns,
    params="Bucket Delete ExpectedBucketOwner ChecksumAlgorithm",
    missing="an answer per key for missing permissions: one denied key denies the request",
)
def delete_objects(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove up to 1,000 objects."""
    bucket, entries = get_bucket(tx, call, params), params["Delete"]["Objects"]
    if not 1 <= len(entries) <= DELETE_KEYS_MAX:
        raise ServiceError(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
            status=400,
        )
    for entry in entries:
        if more := sorted(name for name in entry if name != "Key" and entry[name] is not None):
            raise NotImplementedHere(f"Delete.Objects.{more[0]} of s3:DeleteObjects")
        forget_object(tx, call, bucket.name, entry["Key"])
    return {} if params["Delete"].get("Quiet") else {"Deleted": [{"Key": entry["Key"]} for entry in entries]}


def parse_copy_source(text: Any) -> tuple[str, str]:
    """Return the bucket and the key that x-amz-copy-source names."""
    if isinstance(text, Mapping):
        # What botocore's users may give; on the wire it is a string.
        text = f"{text['Bucket']}/{text['Key']}"
    source, _, query = str(text).partition("?")
    if query:
        raise NotImplementedHere("A versionId in the CopySource of s3:CopyObject")
    bucket, slash, key = unquote(source).removeprefix("/").partition("/")
    if not (bucket and slash and key):
        raise ServiceError(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            status=400,
            ArgumentName="x-amz-copy-source",
            ArgumentValue=str(text),
        )
    return bucket, key


@operation(
    "CopyObject",
    action="s3:PutObject",
    resource=object_arn,
    params=f"Bucket Key CopySource CopySourceIfMatch CopySourceIfNoneMatch CopySourceIfModifiedSince"
    f" CopySourceIfUnmodifiedSince Metadata MetadataDirective ExpectedBucketOwner ExpectedSourceBucketOwner"
    f" ChecksumAlgorithm IfMatch IfNoneMatch StorageClass ServerSideEncryption {HEADER_PARAMS}",
    missing="versions, ACLs, KMS and customer keys, storage classes, tags, object lock",
)
async def copy_object(call: Call, plane: S3Plane, params: Params) -> Output:
    """Make an object's body the object of another key, with its metadata or with new one."""
    source_bucket, source_key = parse_copy_source(params["CopySource"])
    await plane.ground.operations.authorize(
        call, "s3:GetObject", f"arn:aws:s3:::{source_bucket}/{source_key}", service="s3"
    )

    def copy(tx: WriteTx) -> Output:
        bucket = get_bucket(tx, call, params)
        check_key(params["Key"])
        source_params = {"Bucket": source_bucket, "ExpectedBucketOwner": params.get("ExpectedSourceBucketOwner")}
        get_bucket(tx, call, source_params)
        source = get_object(tx, call, source_bucket, source_key)
        conditions.check_read(params, source.etag, source.modified_ms, prefix="CopySource")
        previous = OBJECTS.find(tx, home(call), bucket.name, params["Key"])
        conditions.check_write(params, params["Key"], previous.etag if previous else None)
        headers, metadata = parse_headers(params)
        if params.get("MetadataDirective", "COPY") == "COPY":
            if (source_bucket, source_key) == (bucket.name, params["Key"]):
                raise ServiceError(
                    "InvalidRequest",
                    "This copy request is illegal because it is trying to copy an object to itself without changing the"
                    " object's metadata, storage class, website redirect location or encryption attributes.",
                    status=400,
                )
            headers, metadata = source.headers, source.metadata
        body = _load_body(tx, source)
        algorithm = params.get("ChecksumAlgorithm") or (source.checksum.algorithm if source.checksum else None)
        record = StoredObject(
            key=params["Key"],
            body=[save_body(tx, body)] if body else [],
            size=len(body),
            etag=md5_hex(body),
            modified_ms=call.now_ms,
            headers=headers,
            metadata=metadata,
            checksum=compute_checksum(algorithm, body) if algorithm else None,
        )
        replace_object(tx, call, bucket.name, record)
        result = {"ETag": f'"{record.etag}"', "LastModified": call.now_ms / 1000, **render_checksum(record.checksum)}
        return {"CopyObjectResult": result, **ENCRYPTION}

    return await plane.ground.store.write(copy)
