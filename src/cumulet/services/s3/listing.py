"""ListObjects in both versions: keys in the order of their UTF-8 bytes, rolled up at a delimiter, page by page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from cumulet.services.kit import Call, Output, Params
from cumulet.services.s3.access import on_bucket
from cumulet.services.s3.buckets import invalid_token, owner_id
from cumulet.services.s3.limits import LIST_KEYS_MAX
from cumulet.services.s3.objects import parse_limit
from cumulet.services.s3.records import OBJECTS, StoredObject, get_bucket, home
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx

LAST_CHARACTER = "\U0010ffff"


@dataclass(slots=True)
class _Page:
    objects: list[StoredObject] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    """The last key or common prefix on the page: the next page is behind it."""
    is_truncated: bool = False


def _list_page(tx: ReadTx, call: Call, bucket: str, prefix: str, delimiter: str, behind: str, limit: int) -> _Page:
    page = _Page()
    scope = home(call)
    if limit == 0:
        return page
    start = behind
    if delimiter and behind.startswith(prefix) and behind.endswith(delimiter) and len(behind) > len(prefix):
        # The marker is a common prefix that was listed: go on behind everything under it.
        start = behind + LAST_CHARACTER
    if start < prefix:
        first = OBJECTS.find(tx, scope, bucket, prefix) if prefix else None
        if first is not None:
            # Only the delimiter inside the prefix could roll it up, and that is not looked at.
            page.objects.append(first)
            page.last = prefix
        start = prefix
    while True:
        skip_to = ""
        for found in OBJECTS.scan(tx, scope, bucket, behind=(bucket, start)):
            if not found.key.startswith(prefix):
                return page
            if len(page.objects) + len(page.prefixes) == limit:
                page.is_truncated = True
                return page
            cut = found.key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                page.last = found.key[: cut + len(delimiter)]
                page.prefixes.append(page.last)
                skip_to = page.last + LAST_CHARACTER
                break
            page.objects.append(found)
            page.last = found.key
        if not skip_to:
            return page
        start = skip_to


def encode_text(params: Params, text: str) -> str:
    """Return a key as the request wants it written."""
    return quote_plus(text, safe="/") if params.get("EncodingType") == "url" else text


def _render(call: Call, params: Params, bucket: str, page: _Page, with_owner: bool) -> dict[str, Any]:
    output: dict[str, Any] = {
        "Name": bucket,
        "Prefix": encode_text(params, params.get("Prefix", "")),
        "MaxKeys": parse_limit(params, "MaxKeys", "maxKeys"),
        "IsTruncated": page.is_truncated,
        "Contents": [render_entry(call, params, found, with_owner) for found in page.objects],
        "CommonPrefixes": [{"Prefix": encode_text(params, prefix)} for prefix in page.prefixes],
    }
    if params.get("Delimiter"):
        output["Delimiter"] = encode_text(params, params["Delimiter"])
    if params.get("EncodingType"):
        output["EncodingType"] = params["EncodingType"]
    return output


def render_entry(call: Call, params: Params, found: StoredObject, with_owner: bool) -> Mapping[str, Any]:
    """Return an object as lists have it."""
    entry: dict[str, Any] = {
        "Key": encode_text(params, found.key),
        "LastModified": found.modified_ms / 1000,
        "ETag": f'"{found.etag}"',
        "Size": found.size,
        "StorageClass": "STANDARD",
    }
    if found.checksum is not None:
        entry |= {"ChecksumAlgorithm": [found.checksum.algorithm], "ChecksumType": found.checksum.type}
    if with_owner:
        entry["Owner"] = {"ID": owner_id(call.scope.account)}
    return entry


@on_bucket(
    "ListObjectsV2",
    action="s3:ListBucket",
    params="Bucket Delimiter EncodingType MaxKeys Prefix ContinuationToken FetchOwner StartAfter ExpectedBucketOwner",
)
def list_objects_v2(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of a bucket's objects; NextContinuationToken tells where the next one begins."""
    bucket = get_bucket(tx, call, params)
    limit = min(parse_limit(params, "MaxKeys", "maxKeys"), LIST_KEYS_MAX)
    token = params.get("ContinuationToken")
    behind = decode_token(token, str, invalid_token)
    if behind is None:
        behind = params.get("StartAfter", "")
    page = _list_page(tx, call, bucket.name, params.get("Prefix", ""), params.get("Delimiter", ""), behind, limit)
    output = _render(call, params, bucket.name, page, bool(params.get("FetchOwner")))
    output["KeyCount"] = len(page.objects) + len(page.prefixes)
    if token is not None:
        output["ContinuationToken"] = token
    if params.get("StartAfter") is not None:
        output["StartAfter"] = encode_text(params, params["StartAfter"])
    if page.is_truncated:
        output["NextContinuationToken"] = encode_token(page.last)
    return output


@on_bucket(
    "ListObjects",
    action="s3:ListBucket",
    params="Bucket Delimiter EncodingType Marker MaxKeys Prefix ExpectedBucketOwner",
)
def list_objects(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of objects; the next one begins behind NextMarker or, without a delimiter, the last key."""
    bucket = get_bucket(tx, call, params)
    limit = min(parse_limit(params, "MaxKeys", "maxKeys"), LIST_KEYS_MAX)
    delimiter, marker = params.get("Delimiter", ""), params.get("Marker", "")
    page = _list_page(tx, call, bucket.name, params.get("Prefix", ""), delimiter, marker, limit)
    output = _render(call, params, bucket.name, page, with_owner=True)
    output["Marker"] = encode_text(params, marker)
    if page.is_truncated and delimiter:
        output["NextMarker"] = encode_text(params, page.last)
    return output
