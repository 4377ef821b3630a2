"""Versions of objects: what becomes of the one that was there when a key is written or deleted, and how to find one.

A key's newest version lies where unversioned objects lie, so that reading it costs nothing more; what is older lies
beside it. A delete marker is never there to be read, so it lies beside even while it is the newest:

    versioning       a write                                  a deletion without a version id
    never enabled    replaces the object                      removes the object
    Enabled          keeps what was there                     keeps what was there, under a new delete marker
    Suspended        keeps it unless it is the null version   the same, under a delete marker that is the null version

Source: "How S3 Versioning works" and "Adding objects to versioning-suspended buckets" of the S3 User Guide.
"""

import re
from collections.abc import Iterator
from typing import Final

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Params
from cumulet.services.s3.records import OBJECTS, VERSIONS, Bucket, StoredObject, home
from cumulet.store import blobs
from cumulet.store.api import ReadTx, WriteTx

NULL_VERSION: Final = "null"
_VERSION_ID = re.compile(r"[a-z0-9]{32}|null")


def render_version(bucket: Bucket, version: StoredObject) -> dict[str, str]:
    """Return the member that tells an object's version, where buckets have versions."""
    return {"VersionId": version.version_id or NULL_VERSION} if bucket.versioning else {}


def check_version_id(version_id: str) -> None:
    """Raise InvalidArgument for what no version can be called."""
    if _VERSION_ID.fullmatch(version_id) is None:
        raise invalid_version_id("versionId", version_id)


def invalid_version_id(argument: str, version_id: str) -> ServiceError:
    """Return S3's answer to an argument that names no version."""
    return ServiceError(
        "InvalidArgument",
        "Invalid version id specified",
        status=400,
        ArgumentName=argument,
        ArgumentValue=version_id,
    )


def versions_of(tx: ReadTx, call: Call, bucket: str, key: str) -> Iterator[StoredObject]:
    """Yield all versions and delete markers of a key, the newest first."""
    current = OBJECTS.find(tx, home(call), bucket, key)
    if current is not None:
        yield current
    yield from VERSIONS.scan(tx, home(call), bucket, key)


def find_version(tx: ReadTx, call: Call, bucket: str, key: str, version_id: str) -> StoredObject | None:
    """Return one version of a key, which may be a delete marker."""
    wanted = "" if version_id == NULL_VERSION else version_id
    return next((found for found in versions_of(tx, call, bucket, key) if found.version_id == wanted), None)


def get_version(tx: ReadTx, call: Call, params: Params) -> StoredObject:
    """Return the object that the request names, with or without a version. Raises NoSuchKey, NoSuchVersion."""
    bucket, key, version_id = params["Bucket"], params["Key"], params.get("VersionId")
    if version_id is None:
        current = OBJECTS.find(tx, home(call), bucket, key)
        if current is None:
            raise ServiceError("NoSuchKey", "The specified key does not exist.", status=404, Key=key)
        return current
    check_version_id(version_id)
    found = find_version(tx, call, bucket, key, version_id)
    if found is None:
        raise ServiceError(
            "NoSuchVersion", "The specified version does not exist.", status=404, Key=key, VersionId=version_id
        )
    if found.is_marker:
        raise ServiceError(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            status=405,
            ResourceType="DeleteMarker",
        )
    return found


def put_version(tx: WriteTx, call: Call, bucket: Bucket, version: StoredObject) -> None:
    """Make `version` the newest of its key, and give it its version id and order.

    The version that it replaces is kept or let go as the table above has it.
    """
    if not bucket.versioning:
        forget_object(tx, call, bucket.name, version.key)
        OBJECTS.save(tx, home(call), bucket.name, version.key, record=version)
        return
    before = next(versions_of(tx, call, bucket.name, version.key), None)
    version.order = before.order + 1 if before is not None else 0
    if bucket.versioning == "Enabled":
        version.version_id = call.ids.token(32)
    else:
        remove_version(tx, call, bucket.name, version.key, NULL_VERSION)
    older = OBJECTS.find(tx, home(call), bucket.name, version.key)
    if older is not None:
        _save_beside(tx, call, bucket.name, older)
    if version.is_marker:
        OBJECTS.delete(tx, home(call), bucket.name, version.key)
        _save_beside(tx, call, bucket.name, version)
    else:
        OBJECTS.save(tx, home(call), bucket.name, version.key, record=version)


def forget_object(tx: WriteTx, call: Call, bucket: str, key: str) -> None:
    """Remove the object of a key that has no other versions, if it is there."""
    found = OBJECTS.find(tx, home(call), bucket, key)
    if found is not None:
        for chunk in found.body:
            blobs.release(tx, chunk.digest)
        OBJECTS.delete(tx, home(call), bucket, key)


def put_marker(tx: WriteTx, call: Call, bucket: Bucket, key: str) -> StoredObject:
    """Return the delete marker that has become the newest version of a key."""
    marker = StoredObject(
        key=key, body=[], size=0, etag="", modified_ms=call.now_ms, headers={}, metadata={}, is_marker=True
    )
    put_version(tx, call, bucket, marker)
    return marker


def remove_version(tx: WriteTx, call: Call, bucket: str, key: str, version_id: str) -> StoredObject | None:
    """Remove a version for good and return it; the next older one becomes the newest. None if it is not there."""
    found = find_version(tx, call, bucket, key, version_id)
    if found is None:
        return None
    for chunk in found.body:
        blobs.release(tx, chunk.digest)
    VERSIONS.delete(tx, home(call), bucket, key, -found.order)
    current = OBJECTS.find(tx, home(call), bucket, key)
    if current is not None and current.order == found.order:
        OBJECTS.delete(tx, home(call), bucket, key)
        current = None
    if current is None:
        newest = next(VERSIONS.scan(tx, home(call), bucket, key, limit=1), None)
        if newest is not None and not newest.is_marker:
            VERSIONS.delete(tx, home(call), bucket, key, -newest.order)
            OBJECTS.save(tx, home(call), bucket, key, record=newest)
    return found


def has_versions(tx: ReadTx, call: Call, bucket: str) -> bool:
    """Return whether anything lies in a bucket, delete markers included."""
    families = (OBJECTS, VERSIONS)
    return any(next(family.scan(tx, home(call), bucket, limit=1), None) is not None for family in families)


def _save_beside(tx: WriteTx, call: Call, bucket: str, version: StoredObject) -> None:
    VERSIONS.save(tx, home(call), bucket, version.key, -version.order, record=version)
