"""Objects: put, get, head, delete, copy."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Demand, Ground, Output, Params, unsupported
from cumulet.services.s3 import conditions
from cumulet.services.s3.access import bucket_policy, of_version, on_object
from cumulet.services.s3.checksums import CHECKSUM_PARAMS, check_body, compute_checksum, md5_hex, render_checksum
from cumulet.services.s3.limits import DELETE_KEYS_MAX, KEY_BYTES_MAX, LIST_KEYS_MAX, METADATA_BYTES_MAX
from cumulet.services.s3.records import (
    OBJECTS,
    Bucket,
    Chunk,
    StoredObject,
    get_bucket,
    home,
)
from cumulet.services.s3.versions import (
    check_version_id,
    forget_object,
    get_version,
    put_marker,
    put_version,
    remove_version,
    render_version,
)
from cumulet.store import blobs
from cumulet.store.api import ReadTx, WriteTx

HEADER_PARAMS = "CacheControl ContentDisposition ContentEncoding ContentLanguage ContentType Expires"
_READ_PARAMS = (
    "Bucket Key VersionId ExpectedBucketOwner IfMatch IfNoneMatch IfModifiedSince IfUnmodifiedSince Range ChecksumMode"
    " ResponseCacheControl ResponseContentDisposition ResponseContentEncoding ResponseContentLanguage"
    " ResponseContentType ResponseExpires"
)
_ENCRYPTIONS = ("AES256", "aws:kms")
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


def malformed_xml() -> ServiceError:
    """Return S3's answer to a body that its schema does not have."""
    return ServiceError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
        status=400,
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


def check_encryption(algorithm: str) -> None:
    """Raise NotImplementedHere for a kind of encryption that is not built."""
    if algorithm not in _ENCRYPTIONS:
        raise NotImplementedHere(f"ServerSideEncryption={algorithm} of S3")


def parse_headers(params: Params) -> tuple[dict[str, str], dict[str, str]]:
    """Return the system metadata and the user's metadata that a write gives, checked."""
    check_encryption(params.get("ServerSideEncryption") or "AES256")
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


def render_put(bucket: Bucket, record: StoredObject) -> dict[str, str]:
    """Return what every write of an object answers."""
    return {"ServerSideEncryption": record.encryption, **render_version(bucket, record)}


def save_body(tx: WriteTx, body: bytes) -> Chunk:
    """Return where a body was put."""
    return Chunk(blobs.save(tx, body), len(body))


@on_object(
    "PutObject",
    params=f"Bucket Key Body ContentLength ContentMD5 Metadata ExpectedBucketOwner IfMatch IfNoneMatch StorageClass"
    f" ServerSideEncryption {HEADER_PARAMS} {CHECKSUM_PARAMS}",
    missing="XXHash checksums, ACLs, KMS keys of one's own and customer keys, storage classes, tags, object lock",
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
        encryption=params.get("ServerSideEncryption") or bucket.encryption.algorithm,
    )
    put_version(tx, call, bucket, record)
    return {"ETag": f'"{record.etag}"', **render_put(bucket, record), **render_checksum(checksum)}


@on_object(
    "GetObject",
    demands=of_version("s3:GetObject"),
    params=_READ_PARAMS,
    missing="part numbers, x-amz-delete-marker in errors",
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


@on_object(
    "HeadObject",
    demands=of_version("s3:GetObject"),
    params=_READ_PARAMS,
    missing="part numbers, x-amz-delete-marker in errors",
)
def head_object(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return what GetObject would, without the body."""
    return _describe(call, tx, params)[1]


def _describe(call: Call, tx: ReadTx, params: Params) -> tuple[StoredObject, dict[str, Any], tuple[int, int] | None]:
    bucket = get_bucket(tx, call, params)
    found = get_version(tx, call, params)
    conditions.check_read(params, found.etag, found.modified_ms)
    span = conditions.parse_range(params.get("Range"), found.size)
    output: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": found.modified_ms // 1000,
        "ContentLength": found.size if span is None else span[1] - span[0],
        "ETag": f'"{found.etag}"',
        "Metadata": found.metadata,
        **render_put(bucket, found),
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


@on_object(
    "DeleteObject", demands=of_version("s3:DeleteObject"), params="Bucket Key VersionId ExpectedBucketOwner IfMatch"
)
def delete_object(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove an object, or put a delete marker over it; removing what is not there succeeds too."""
    bucket = get_bucket(tx, call, params)
    if params.get("IfMatch") is not None:
        found = OBJECTS.find(tx, home(call), bucket.name, params["Key"])
        conditions.check_write({"IfMatch": params["IfMatch"]}, params["Key"], found.etag if found else None)
    return _delete(tx, call, bucket, params["Key"], params.get("VersionId"))


def _delete(tx: WriteTx, call: Call, bucket: Bucket, key: str, version_id: str | None) -> dict[str, Any]:
    if version_id is not None:
        check_version_id(version_id)
        found = remove_version(tx, call, bucket.name, key, version_id)
        marked = {"DeleteMarker": True} if found is not None and found.is_marker else {}
        return {"VersionId": version_id, **marked}
    if bucket.versioning:
        return {"DeleteMarker": True, **render_version(bucket, put_marker(tx, call, bucket, key))}
    forget_object(tx, call, bucket.name, key)
    return {}


def _deletions(tx: ReadTx, call: Call, params: Params) -> list[Demand]:
    demands = of_version("s3:DeleteObject")
    return [
        demand
        for entry in params["Delete"]["Objects"]
        for demand in demands(tx, call, {"Bucket": params["Bucket"], **entry})
    ]


@on_object(
    "DeleteObjects",
    demands=_deletions,
    params="Bucket Delete ExpectedBucketOwner ChecksumAlgorithm",
    missing="an answer per key for missing permissions: one denied key denies the request",
)
def delete_objects(call: Call, tx: WriteTx, params: Params) -> Output:
    """Remove up to 1,000 objects or versions."""
    bucket, entries = get_bucket(tx, call, params), params["Delete"]["Objects"]
    if not 1 <= len(entries) <= DELETE_KEYS_MAX:
        raise malformed_xml()
    deleted = []
    for entry in entries:
        if more := unsupported(entry, _DELETED_MEMBERS):
            raise NotImplementedHere(f"Delete.Objects.{more[0]} of s3:DeleteObjects")
        done = _delete(tx, call, bucket, entry["Key"], entry.get("VersionId"))
        if done.get("DeleteMarker"):
            done["DeleteMarkerVersionId"] = done["VersionId"]
        told = {"VersionId": entry["VersionId"]} if entry.get("VersionId") else {}
        done.pop("VersionId", None)
        deleted.append({"Key": entry["Key"], **done, **told})
    return {} if params["Delete"].get("Quiet") else {"Deleted": deleted}


_DELETED_MEMBERS = frozenset(("Key", "VersionId"))


def parse_copy_source(text: Any) -> dict[str, Any]:
    """Return the Bucket, the Key and perhaps the VersionId that x-amz-copy-source names."""
    if isinstance(text, Mapping):
        # What botocore's users may give; on the wire it is a string.
        text = f"{text['Bucket']}/{text['Key']}" + (f"?versionId={text['VersionId']}" if "VersionId" in text else "")
    source, _, query = str(text).partition("?")
    bucket, slash, key = unquote(source).removeprefix("/").partition("/")
    name, _, version_id = query.partition("=")
    if not (bucket and slash and key) or (query and (name != "versionId" or not version_id)):
        raise ServiceError(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            status=400,
            ArgumentName="x-amz-copy-source",
            ArgumentValue=str(text),
        )
    return {"Bucket": bucket, "Key": key} | ({"VersionId": version_id} if query else {})


@on_object(
    "CopyObject",
    action="s3:PutObject",
    params=f"Bucket Key CopySource CopySourceIfMatch CopySourceIfNoneMatch CopySourceIfModifiedSince"
    f" CopySourceIfUnmodifiedSince Metadata MetadataDirective ExpectedBucketOwner ExpectedSourceBucketOwner"
    f" ChecksumAlgorithm IfMatch IfNoneMatch StorageClass ServerSideEncryption {HEADER_PARAMS}",
    missing="ACLs, KMS keys of one's own and customer keys, storage classes, tags, object lock",
)
async def copy_object(call: Call, plane: S3Plane, params: Params) -> Output:
    """Make an object's body the object of another key, with its metadata or with new one."""
    source_params = parse_copy_source(params["CopySource"])
    source_params["ExpectedBucketOwner"] = params.get("ExpectedSourceBucketOwner")
    await _check_source(call, plane, source_params)

    def copy(tx: WriteTx) -> Output:
        bucket = get_bucket(tx, call, params)
        check_key(params["Key"])
        source_bucket = get_bucket(tx, call, source_params)
        source = get_version(tx, call, source_params)
        conditions.check_read(params, source.etag, source.modified_ms, prefix="CopySource")
        previous = OBJECTS.find(tx, home(call), bucket.name, params["Key"])
        conditions.check_write(params, params["Key"], previous.etag if previous else None)
        headers, metadata = parse_headers(params)
        if params.get("MetadataDirective", "COPY") == "COPY":
            if (source_bucket.name, source.key, "VersionId" in source_params) == (bucket.name, params["Key"], False):
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
            encryption=params.get("ServerSideEncryption") or bucket.encryption.algorithm,
        )
        copied = {f"CopySource{name}": value for name, value in render_version(source_bucket, source).items()}
        put_version(tx, call, bucket, record)
        result = {"ETag": f'"{record.etag}"', "LastModified": call.now_ms / 1000, **render_checksum(record.checksum)}
        return {"CopyObjectResult": result, **render_put(bucket, record), **copied}

    return await plane.ground.store.write(copy)


async def _check_source(call: Call, plane: S3Plane, source: Params) -> None:
    def ask(tx: ReadTx) -> tuple[Demand, str | None]:
        (demand,) = of_version("s3:GetObject")(tx, call, source)
        return demand, bucket_policy(tx, call, source)

    demand, policy = await plane.ground.store.read(ask)
    ruling = await plane.ground.operations.decide(call, demand.action, demand.resource, demand.conditions(), policy)
    if not ruling.allowed:
        raise ServiceError("AccessDenied", ruling.denial, status=403)
