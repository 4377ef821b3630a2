"""ListObjectVersions: every version and delete marker, by key and the newest first, page by page."""

import heapq
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params
from cumulet.services.s3.access import on_bucket
from cumulet.services.s3.buckets import owner_id
from cumulet.services.s3.limits import LIST_KEYS_MAX
from cumulet.services.s3.listing import LAST_CHARACTER, encode_text, render_entry
from cumulet.services.s3.objects import parse_limit
from cumulet.services.s3.records import OBJECTS, VERSIONS, StoredObject, get_bucket, home
from cumulet.services.s3.versions import NULL_VERSION, check_version_id, find_version, invalid_version_id
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx

_VERSION_ID_CHARACTERS = 32
_MARKER = "version-id-marker"


class _Place(NamedTuple):
    """Behind what to go on: of a key, all versions whose order is lower than this."""

    key: str
    order: int


_NEWER_THAN_ALL = 2**62
_OLDER_THAN_ALL = -1


class _Page(NamedTuple):
    found: list[StoredObject]
    prefixes: list[str]
    next: tuple[str, str] | None
    """The markers with which the next page begins, if there is one."""


def _parse_place(tx: ReadTx, call: Call, bucket: str, params: Params, delimiter: str) -> _Place:
    key, marker = params.get("KeyMarker") or "", params.get("VersionIdMarker") or ""
    if not marker:
        # A common prefix that was listed stands for every key under it.
        return _Place(key + LAST_CHARACTER if delimiter and key.endswith(delimiter) else key, _OLDER_THAN_ALL)
    if marker != NULL_VERSION and len(marker) != _VERSION_ID_CHARACTERS:
        # From the page before: its last version may be gone by now, and its place is still known.
        return _Place(key, decode_token(marker, int, lambda: invalid_version_id(_MARKER, marker)) or 0)
    check_version_id(marker)
    found = find_version(tx, call, bucket, key, marker)
    if found is None:
        raise invalid_version_id(_MARKER, marker)
    return _Place(key, found.order)


def _versions_behind(tx: ReadTx, call: Call, bucket: str, place: _Place) -> Iterator[StoredObject]:
    current = OBJECTS.find(tx, home(call), bucket, place.key) if place.key else None
    first = [current] if current is not None and current.order < place.order else []
    objects = chain(first, OBJECTS.scan(tx, home(call), bucket, behind=(bucket, place.key)))
    others = VERSIONS.scan(tx, home(call), bucket, behind=(bucket, place.key, -place.order))
    return heapq.merge(objects, others, key=lambda version: (version.key, -version.order))


def _list_page(tx: ReadTx, call: Call, bucket: str, prefix: str, delimiter: str, place: _Place, limit: int) -> _Page:
    page = _Page([], [], None)
    last = ("", "")
    if limit == 0:
        return page
    if place.key < prefix:
        place = _Place(prefix, _NEWER_THAN_ALL)
    while True:
        for version in _versions_behind(tx, call, bucket, place):
            if not version.key.startswith(prefix):
                return page
            if len(page.found) + len(page.prefixes) == limit:
                return page._replace(next=last)
            cut = version.key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                rolled_up = version.key[: cut + len(delimiter)]
                page.prefixes.append(rolled_up)
                last = (rolled_up, "")
                place = _Place(rolled_up + LAST_CHARACTER, _OLDER_THAN_ALL)
                break
            page.found.append(version)
            last = (version.key, encode_token(version.order))
        else:
            return page


@on_bucket(
    "ListObjectVersions",
    action="s3:ListBucketVersions",
    params="Bucket Delimiter EncodingType KeyMarker MaxKeys Prefix VersionIdMarker ExpectedBucketOwner",
)
def list_object_versions(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of a bucket's versions; NextKeyMarker and NextVersionIdMarker tell where the next one begins."""
    bucket = get_bucket(tx, call, params)
    limit, prefix, delimiter = (
        parse_limit(params, "MaxKeys", "maxKeys"),
        params.get("Prefix", ""),
        params.get("Delimiter", ""),
    )
    if params.get("VersionIdMarker") and not params.get("KeyMarker"):
        raise ServiceError(
            "InvalidArgument",
            "A version-id marker cannot be specified without a key marker.",
            status=400,
            ArgumentName="version-id-marker",
            ArgumentValue=params["VersionIdMarker"],
        )
    place = _parse_place(tx, call, bucket.name, params, delimiter)
    page = _list_page(tx, call, bucket.name, prefix, delimiter, place, min(limit, LIST_KEYS_MAX))
    output: dict[str, Any] = {
        "Name": bucket.name,
        "Prefix": encode_text(params, prefix),
        "KeyMarker": encode_text(params, params.get("KeyMarker", "")),
        "VersionIdMarker": params.get("VersionIdMarker", ""),
        "MaxKeys": limit,
        "IsTruncated": page.next is not None,
        "Versions": [_render(tx, call, params, version) for version in page.found if not version.is_marker],
        "DeleteMarkers": [_render(tx, call, params, version) for version in page.found if version.is_marker],
        "CommonPrefixes": [{"Prefix": encode_text(params, rolled_up)} for rolled_up in page.prefixes],
    }
    output |= {name: encode_text(params, params[name]) for name in ("Delimiter",) if params.get(name)}
    if params.get("EncodingType"):
        output["EncodingType"] = params["EncodingType"]
    if page.next is not None:
        output["NextKeyMarker"] = encode_text(params, page.next[0])
        if page.next[1]:
            output["NextVersionIdMarker"] = page.next[1]
    return output


def _render(tx: ReadTx, call: Call, params: Params, version: StoredObject) -> dict[str, Any]:
    current = OBJECTS.find(tx, home(call), params["Bucket"], version.key)
    if current is None and version.is_marker:
        current = next(VERSIONS.scan(tx, home(call), params["Bucket"], version.key, limit=1), None)
    told = {
        "VersionId": version.version_id or NULL_VERSION,
        "IsLatest": current is not None and current.order == version.order,
    }
    if version.is_marker:
        owner = {"ID": owner_id(call.scope.account)}
        return {
            "Key": encode_text(params, version.key),
            "LastModified": version.modified_ms / 1000,
            "Owner": owner,
            **told,
        }
    return {**render_entry(call, params, version, with_owner=True), **told}
