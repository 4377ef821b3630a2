"""What S3 remembers. Buckets and objects lie in the account's global scope: a bucket's region is an attribute."""

import msgspec

from cumulet.errors import InvariantViolated, ServiceError
from cumulet.scope import SYSTEM, Scope
from cumulet.services.kit import Call, Params
from cumulet.store import keyspace
from cumulet.store.api import ReadTx
from cumulet.store.records import Records


class BucketOwner(msgspec.Struct):
    """Bucket names are unique over all accounts."""

    account: str


class PublicAccessBlock(msgspec.Struct, frozen=True):
    """What keeps a bucket from the public: all of it, unless its owner takes that back (AWS, since April 2023)."""

    block_acls: bool = True
    ignore_acls: bool = True
    block_policy: bool = True
    restrict_buckets: bool = True


class Encryption(msgspec.Struct, frozen=True):
    """How objects are encrypted that do not say it themselves."""

    algorithm: str = "AES256"
    bucket_key: bool = False


class Bucket(msgspec.Struct):
    name: str
    region: str
    created_ms: int
    versioning: str = ""
    """Enabled or Suspended; empty if it never was enabled."""
    encryption: Encryption = Encryption()
    tags: dict[str, str] = {}
    public_access_block: PublicAccessBlock | None = PublicAccessBlock()
    policy: str = ""


class Chunk(msgspec.Struct):
    """A stretch of a body: the blob that holds it."""

    digest: str
    size: int


class Checksum(msgspec.Struct):
    """A checksum as clients see it; `value` is base64, with `-parts` behind it when it is composite."""

    algorithm: str
    value: str
    type: str = "FULL_OBJECT"


class StoredObject(msgspec.Struct):
    key: str
    body: list[Chunk]
    size: int
    etag: str
    """Without its quotes."""
    modified_ms: int
    headers: dict[str, str]
    """The system metadata that GetObject gives back, by member name (ContentType, CacheControl, ...)."""
    metadata: dict[str, str]
    checksum: Checksum | None = None
    encryption: str = "AES256"
    version_id: str = ""
    """Empty for the null version: what was put while versioning was not enabled."""
    order: int = 0
    """Of two versions of a key the newer one has the higher number."""
    is_marker: bool = False
    """A delete marker has a version id, and nothing else."""


class Upload(msgspec.Struct):
    """A multipart upload that is neither completed nor aborted."""

    upload_id: str
    key: str
    initiated_ms: int
    headers: dict[str, str]
    metadata: dict[str, str]
    checksum_algorithm: str = ""
    checksum_type: str = ""
    encryption: str = "AES256"


class Part(msgspec.Struct):
    number: int
    body: Chunk
    etag: str
    modified_ms: int
    checksum: Checksum | None = None


OWNERS = Records(keyspace.S3_BUCKET_OWNER, BucketOwner)
BUCKETS = Records(keyspace.S3_BUCKET, Bucket)
OBJECTS = Records(keyspace.S3_OBJECT, StoredObject)
"""The newest version of each key, unless that is a delete marker."""
VERSIONS = Records(keyspace.S3_VERSION, StoredObject)
"""All other versions and all delete markers, by minus their order: the newest comes first."""
UPLOADS = Records(keyspace.S3_UPLOAD, Upload)
PARTS = Records(keyspace.S3_PART, Part)


def home(call: Call) -> Scope:
    """Return where the caller's account keeps its buckets."""
    return call.scope.everywhere()


def get_bucket(tx: ReadTx, call: Call, params: Params) -> Bucket:
    """Return the bucket that the request names. Raises NoSuchBucket, and AccessDenied for someone else's.

    A bucket answers whatever region the request was signed for: AWS redirects such a request, and the SDKs follow.
    """
    name = params["Bucket"]
    owner = OWNERS.find(tx, SYSTEM, name)
    if owner is None:
        raise ServiceError("NoSuchBucket", "The specified bucket does not exist", status=404, BucketName=name)
    if owner.account != call.scope.account or params.get("ExpectedBucketOwner") not in (None, owner.account):
        raise ServiceError("AccessDenied", "Access Denied", status=403)
    bucket = BUCKETS.find(tx, home(call), name)
    if bucket is None:
        raise InvariantViolated(f"bucket {name} has an owner and no record")
    return bucket


def get_upload(tx: ReadTx, call: Call, params: Params) -> Upload:
    """Return a multipart upload under way. Raises NoSuchUpload."""
    found = UPLOADS.find(tx, home(call), params["Bucket"], params["Key"], params["UploadId"])
    if found is None:
        raise ServiceError(
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or"
            " completed.",
            status=404,
            UploadId=params["UploadId"],
        )
    return found


def bucket_arn(call: Call, params: Params) -> str:
    """Return the ARN that policies name for operations on a bucket."""
    return f"arn:aws:s3:::{params['Bucket']}"


def object_arn(call: Call, params: Params) -> str:
    """Return the ARN that policies name for operations on an object."""
    return f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"
