"""Multipart uploads: parts are kept beside the bucket until completion strings them together."""

import hashlib
from itertools import pairwise
from typing import Any

from cumulet.errors import ServiceError
from cumulet.ids import LOWER_ALPHANUMERIC
from cumulet.services.kit import Call, Output, Params
from cumulet.services.s3 import conditions
from cumulet.services.s3.access import on_object
from cumulet.services.s3.checksums import (
    ALGORITHMS,
    CHECKSUM_PARAMS,
    check_body,
    compute_checksum,
    compute_composite,
    md5_hex,
    render_checksum,
)
from cumulet.services.s3.limits import LIST_KEYS_MAX, PART_BYTES_MIN, PART_NUMBER_MAX
from cumulet.services.s3.objects import (
    HEADER_PARAMS,
    check_key,
    malformed_xml,
    parse_headers,
    parse_limit,
    render_put,
    save_body,
)
from cumulet.services.s3.records import (
    OBJECTS,
    PARTS,
    UPLOADS,
    Checksum,
    Part,
    StoredObject,
    Upload,
    get_bucket,
    get_upload,
    home,
)
from cumulet.services.s3.versions import put_version
from cumulet.store import blobs
from cumulet.store.api import ReadTx, WriteTx

_COMPOSITE_ONLY = ("SHA1", "SHA256", "SHA512", "MD5")


@on_object(
    "CreateMultipartUpload",
    action="s3:PutObject",
    params=f"Bucket Key Metadata ExpectedBucketOwner ChecksumAlgorithm ChecksumType StorageClass ServerSideEncryption"
    f" {HEADER_PARAMS}",
    missing="XXHash checksums, ACLs, KMS keys of one's own and customer keys, storage classes, tags, object lock",
)
def create_multipart_upload(call: Call, tx: WriteTx, params: Params) -> Output:
    """Open an upload for a key and return its id."""
    bucket = get_bucket(tx, call, params)
    check_key(params["Key"])
    headers, metadata = parse_headers(params)
    algorithm = params.get("ChecksumAlgorithm") or ""
    if algorithm and algorithm not in ALGORITHMS:
        raise ServiceError(
            "InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types"
        )
    kind = params.get("ChecksumType") or (
        "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE" if algorithm else ""
    )
    if (algorithm == "CRC64NVME" and kind != "FULL_OBJECT") or (algorithm in _COMPOSITE_ONLY and kind != "COMPOSITE"):
        raise ServiceError(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
        )
    upload = Upload(
        upload_id=call.ids.token(64, LOWER_ALPHANUMERIC),
        key=params["Key"],
        initiated_ms=call.now_ms,
        headers=headers,
        metadata=metadata,
        checksum_algorithm=algorithm,
        checksum_type=kind,
        encryption=params.get("ServerSideEncryption") or bucket.encryption.algorithm,
    )
    UPLOADS.save(tx, home(call), bucket.name, upload.key, upload.upload_id, record=upload)
    output = {"Bucket": bucket.name, "Key": upload.key, "UploadId": upload.upload_id}
    return {**output, "ServerSideEncryption": upload.encryption, **_render_algorithm(upload)}


def _render_algorithm(upload: Upload) -> dict[str, str]:
    if not upload.checksum_algorithm:
        return {}
    return {"ChecksumAlgorithm": upload.checksum_algorithm, "ChecksumType": upload.checksum_type}


@on_object(
    "UploadPart",
    action="s3:PutObject",
    params=f"Bucket Key UploadId PartNumber Body ContentLength ContentMD5 ExpectedBucketOwner {CHECKSUM_PARAMS}",
)
def upload_part(call: Call, tx: WriteTx, params: Params) -> Output:
    """Keep one part of an upload, in place of an earlier one of that number."""
    get_bucket(tx, call, params)
    number, body = params["PartNumber"], bytes(params.get("Body") or b"")
    if not 1 <= number <= PART_NUMBER_MAX:
        raise ServiceError(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive",
            status=400,
            ArgumentName="partNumber",
            ArgumentValue=str(number),
        )
    upload = get_upload(tx, call, params)
    checksum = check_body(params, body)
    if checksum is None and upload.checksum_algorithm:
        checksum = compute_checksum(upload.checksum_algorithm, body)
    if upload.checksum_algorithm and checksum is not None and checksum.algorithm != upload.checksum_algorithm:
        raise ServiceError(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.checksum_algorithm.lower()},"
            f" actual checksum Type: {checksum.algorithm.lower()}",
        )
    previous = PARTS.find(tx, home(call), upload.upload_id, number)
    part = Part(number, save_body(tx, body), md5_hex(body), call.now_ms, checksum)
    if previous is not None:
        blobs.release(tx, previous.body.digest)
    PARTS.save(tx, home(call), upload.upload_id, number, record=part)
    rendered = render_checksum(checksum)
    rendered.pop("ChecksumType", None)
    return {"ETag": f'"{part.etag}"', "ServerSideEncryption": upload.encryption, **rendered}


@on_object(
    "CompleteMultipartUpload",
    action="s3:PutObject",
    params="Bucket Key UploadId MultipartUpload ExpectedBucketOwner IfMatch IfNoneMatch MpuObjectSize ChecksumType "
    + " ".join(f"Checksum{name}" for name in ALGORITHMS),
)
def complete_multipart_upload(call: Call, tx: WriteTx, params: Params) -> Output:
    """Make the listed parts, strung together, the object of the upload's key."""
    bucket, upload = get_bucket(tx, call, params), get_upload(tx, call, params)
    parts = _listed_parts(tx, call, upload, (params.get("MultipartUpload") or {}).get("Parts") or [])
    previous = OBJECTS.find(tx, home(call), bucket.name, upload.key)
    conditions.check_write(params, upload.key, previous.etag if previous else None)
    size = sum(part.body.size for part in parts)
    if params.get("MpuObjectSize") not in (None, size):
        raise ServiceError(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {params['MpuObjectSize']} does not match what was"
            f" computed: {size}",
        )
    checksum = _whole_checksum(tx, upload, parts)
    _check_sent_checksum(params, checksum)
    digests = b"".join([bytes.fromhex(part.etag) for part in parts])
    etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
    kept = {part.number for part in parts}
    for part in list(PARTS.scan(tx, home(call), upload.upload_id)):
        if part.number not in kept:
            blobs.release(tx, part.body.digest)
    record = StoredObject(
        key=upload.key,
        body=[part.body for part in parts],
        size=size,
        etag=etag,
        modified_ms=call.now_ms,
        headers=upload.headers,
        metadata=upload.metadata,
        checksum=checksum,
        encryption=upload.encryption,
    )
    put_version(tx, call, bucket, record)
    PARTS.delete_all(tx, home(call), upload.upload_id)
    UPLOADS.delete(tx, home(call), bucket.name, upload.key, upload.upload_id)
    return {
        "Location": f"https://{bucket.name}.s3.{bucket.region}.amazonaws.com/{upload.key}",
        "Bucket": bucket.name,
        "Key": upload.key,
        "ETag": f'"{etag}"',
        **render_put(bucket, record),
        **render_checksum(checksum),
    }


def _listed_parts(tx: ReadTx, call: Call, upload: Upload, listed: list[dict[str, Any]]) -> list[Part]:
    if not listed:
        raise malformed_xml()
    numbers = [entry.get("PartNumber", 0) for entry in listed]
    if any(left >= right for left, right in pairwise(numbers)):
        raise ServiceError(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
            status=400,
            UploadId=upload.upload_id,
        )
    parts = []
    for number, entry in zip(numbers, listed, strict=True):
        part = PARTS.find(tx, home(call), upload.upload_id, number)
        etag = str(entry.get("ETag", "")).strip('"')
        if part is None or part.etag != etag or _differs(part.checksum, entry):
            raise ServiceError(
                "InvalidPart",
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the"
                " specified entity tag may not match the part's entity tag.",
                status=400,
                UploadId=upload.upload_id,
                PartNumber=number,
                ETag=etag,
            )
        parts.append(part)
    for part in parts[:-1]:
        if part.body.size < PART_BYTES_MIN:
            raise ServiceError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                status=400,
                ProposedSize=part.body.size,
                MinSizeAllowed=PART_BYTES_MIN,
                PartNumber=part.number,
                ETag=part.etag,
            )
    return parts


def _differs(checksum: Checksum | None, entry: dict[str, Any]) -> bool:
    sent = {name: entry[f"Checksum{name}"] for name in ALGORITHMS if entry.get(f"Checksum{name}") is not None}
    return any(
        checksum is None or name != checksum.algorithm or value != checksum.value for name, value in sent.items()
    )


def _whole_checksum(tx: ReadTx, upload: Upload, parts: list[Part]) -> Checksum | None:
    if not upload.checksum_algorithm:
        return None
    if upload.checksum_type == "FULL_OBJECT":
        return compute_checksum(
            upload.checksum_algorithm, b"".join([blobs.load(tx, part.body.digest) for part in parts])
        )
    return compute_composite(upload.checksum_algorithm, [part.checksum for part in parts if part.checksum is not None])


def _check_sent_checksum(params: Params, checksum: Checksum | None) -> None:
    for name in ALGORITHMS:
        sent = params.get(f"Checksum{name}")
        if sent is None:
            continue
        if checksum is None or checksum.algorithm != name or sent.partition("-")[0] != checksum.value.partition("-")[0]:
            raise ServiceError("BadDigest", f"The {name.lower()} you specified did not match what we received.")


@on_object("AbortMultipartUpload", params="Bucket Key UploadId ExpectedBucketOwner")
def abort_multipart_upload(call: Call, tx: WriteTx, params: Params) -> Output:
    """Drop an upload and its parts."""
    bucket = get_bucket(tx, call, params)
    forget_upload(tx, call, bucket.name, get_upload(tx, call, params))
    return {}


def forget_upload(tx: WriteTx, call: Call, bucket: str, upload: Upload) -> None:
    """Remove an upload under way, with its parts."""
    for part in list(PARTS.scan(tx, home(call), upload.upload_id)):
        blobs.release(tx, part.body.digest)
    PARTS.delete_all(tx, home(call), upload.upload_id)
    UPLOADS.delete(tx, home(call), bucket, upload.key, upload.upload_id)


@on_object(
    "ListParts",
    action="s3:ListMultipartUploadParts",
    params="Bucket Key UploadId MaxParts PartNumberMarker ExpectedBucketOwner",
)
def list_parts(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of an upload's parts."""
    bucket, upload = get_bucket(tx, call, params), get_upload(tx, call, params)
    limit = min(parse_limit(params, "MaxParts", "max-parts"), LIST_KEYS_MAX)
    marker = int(params.get("PartNumberMarker") or 0)
    found = list(PARTS.scan(tx, home(call), upload.upload_id, behind=(upload.upload_id, marker), limit=limit + 1))
    output: dict[str, Any] = {
        "Bucket": bucket.name,
        "Key": upload.key,
        "UploadId": upload.upload_id,
        "PartNumberMarker": marker,
        "MaxParts": limit,
        "IsTruncated": len(found) > limit,
        "StorageClass": "STANDARD",
        "Parts": [_render_part(part) for part in found[:limit]],
        **_render_algorithm(upload),
    }
    if found[:limit]:
        output["NextPartNumberMarker"] = found[:limit][-1].number
    return output


def _render_part(part: Part) -> dict[str, Any]:
    rendered = render_checksum(part.checksum)
    rendered.pop("ChecksumType", None)
    return {
        "PartNumber": part.number,
        "ETag": f'"{part.etag}"',
        "Size": part.body.size,
        "LastModified": part.modified_ms / 1000,
        **rendered,
    }
