"""What a bucket's owner sets: versioning, default encryption, tags, and the block of public access.

Each is kept in the bucket's record and answered again. Objects follow the first two from the next write on.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Output, Params
from cumulet.services.s3.access import on_bucket
from cumulet.services.s3.limits import TAG_KEY_CHARACTERS_MAX, TAG_VALUE_CHARACTERS_MAX, TAGS_MAX
from cumulet.services.s3.objects import check_encryption, malformed_xml
from cumulet.services.s3.records import BUCKETS, Encryption, PublicAccessBlock, get_bucket, home
from cumulet.store.api import ReadTx, WriteTx

_BLOCKS = {
    "BlockPublicAcls": "block_acls",
    "IgnorePublicAcls": "ignore_acls",
    "BlockPublicPolicy": "block_policy",
    "RestrictPublicBuckets": "restrict_buckets",
}


def change_bucket(tx: WriteTx, call: Call, params: Params, **changes: Any) -> None:
    """Change the record of the bucket that the request names."""
    bucket = msgspec.structs.replace(get_bucket(tx, call, params), **changes)
    BUCKETS.save(tx, home(call), bucket.name, record=bucket)


@on_bucket(
    "PutBucketVersioning",
    params="Bucket VersioningConfiguration ContentMD5 ChecksumAlgorithm ExpectedBucketOwner",
    missing="MFA delete",
)
def put_bucket_versioning(call: Call, tx: WriteTx, params: Params) -> Output:
    """Have a bucket keep older versions from now on, or keep no more of them. What it has kept stays."""
    configuration = params["VersioningConfiguration"]
    if configuration.get("MFADelete") == "Enabled":
        raise NotImplementedHere("VersioningConfiguration.MFADelete of s3:PutBucketVersioning")
    status = configuration.get("Status")
    if status not in ("Enabled", "Suspended"):
        # S3 wants one of the two, though its model lets it go.
        raise ServiceError(
            "IllegalVersioningConfigurationException",
            "The Versioning element must be specified",
            status=400,
        )
    change_bucket(tx, call, params, versioning=status)
    return {}


@on_bucket("GetBucketVersioning", params="Bucket ExpectedBucketOwner")
def get_bucket_versioning(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return whether a bucket keeps versions; nothing, if it never did."""
    versioning = get_bucket(tx, call, params).versioning
    return {"Status": versioning} if versioning else {}


@on_bucket(
    "PutBucketEncryption",
    action="s3:PutEncryptionConfiguration",
    params="Bucket ServerSideEncryptionConfiguration ContentMD5 ChecksumAlgorithm ExpectedBucketOwner",
    missing="KMS keys of one's own, dual-layer encryption, blocked kinds of encryption; what is set is kept and told,"
    " while bodies lie as they are",
)
def put_bucket_encryption(call: Call, tx: WriteTx, params: Params) -> Output:
    """Say how objects are encrypted that do not say it themselves."""
    rules = params["ServerSideEncryptionConfiguration"]["Rules"]
    if len(rules) != 1:
        raise malformed_xml()
    (rule,) = rules
    default = rule.get("ApplyServerSideEncryptionByDefault") or {}
    algorithm = default.get("SSEAlgorithm")
    if algorithm is None:
        raise malformed_xml()
    for name, given in (("KMSMasterKeyID", default), ("BlockedEncryptionTypes", rule)):
        if given.get(name) is not None:
            raise NotImplementedHere(f"{name} of s3:PutBucketEncryption")
    check_encryption(algorithm)
    change_bucket(tx, call, params, encryption=Encryption(algorithm, bool(rule.get("BucketKeyEnabled"))))
    return {}


@on_bucket("GetBucketEncryption", action="s3:GetEncryptionConfiguration", params="Bucket ExpectedBucketOwner")
def get_bucket_encryption(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return how objects are encrypted by default."""
    encryption = get_bucket(tx, call, params).encryption
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": encryption.algorithm},
        "BucketKeyEnabled": encryption.bucket_key,
    }
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


@on_bucket("DeleteBucketEncryption", action="s3:PutEncryptionConfiguration", params="Bucket ExpectedBucketOwner")
def delete_bucket_encryption(call: Call, tx: WriteTx, params: Params) -> Output:
    """Have a bucket encrypt by default as new buckets do."""
    change_bucket(tx, call, params, encryption=Encryption())
    return {}


@on_bucket("PutBucketTagging", params="Bucket Tagging ContentMD5 ChecksumAlgorithm ExpectedBucketOwner")
def put_bucket_tagging(call: Call, tx: WriteTx, params: Params) -> Output:
    """Give a bucket these tags in place of those that it has."""
    change_bucket(tx, call, params, tags=_parse_tags(params["Tagging"]["TagSet"]))
    return {}


def _parse_tags(entries: list[Mapping[str, str]]) -> dict[str, str]:
    tags = {entry["Key"]: entry["Value"] for entry in entries}
    if len(tags) < len(entries):
        raise _invalid_tag("Cannot provide multiple Tags with the same key")
    if len(tags) > TAGS_MAX:
        raise ServiceError("BadRequest", f"Bucket tag count cannot be greater than {TAGS_MAX}", status=400)
    for key, value in tags.items():
        if not 0 < len(key) <= TAG_KEY_CHARACTERS_MAX:
            raise _invalid_tag("The TagKey you have provided is invalid")
        if len(value) > TAG_VALUE_CHARACTERS_MAX:
            raise _invalid_tag("The TagValue you have provided is invalid")
        if key.lower().startswith("aws:"):
            raise _invalid_tag("System tags cannot be added/updated by requester")
    return tags


def _invalid_tag(words: str) -> ServiceError:
    return ServiceError("InvalidTag", words, status=400)


@on_bucket("GetBucketTagging", params="Bucket ExpectedBucketOwner")
def get_bucket_tagging(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a bucket's tags. Raises NoSuchTagSet if it has none."""
    bucket = get_bucket(tx, call, params)
    if not bucket.tags:
        raise ServiceError("NoSuchTagSet", "The TagSet does not exist", status=404, BucketName=bucket.name)
    return {"TagSet": [{"Key": key, "Value": value} for key, value in bucket.tags.items()]}


@on_bucket("DeleteBucketTagging", action="s3:PutBucketTagging", params="Bucket ExpectedBucketOwner")
def delete_bucket_tagging(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take a bucket's tags away."""
    change_bucket(tx, call, params, tags={})
    return {}


@on_bucket(
    "PutPublicAccessBlock",
    action="s3:PutBucketPublicAccessBlock",
    params="Bucket PublicAccessBlockConfiguration ContentMD5 ChecksumAlgorithm ExpectedBucketOwner",
)
def put_public_access_block(call: Call, tx: WriteTx, params: Params) -> Output:
    """Say which of the public's ways into a bucket are closed; what is not named is open."""
    given = params["PublicAccessBlockConfiguration"]
    block = PublicAccessBlock(**{field: bool(given.get(member)) for member, field in _BLOCKS.items()})
    change_bucket(tx, call, params, public_access_block=block)
    return {}


@on_bucket("GetPublicAccessBlock", action="s3:GetBucketPublicAccessBlock", params="Bucket ExpectedBucketOwner")
def get_public_access_block(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return which of the public's ways into a bucket are closed."""
    bucket = get_bucket(tx, call, params)
    if bucket.public_access_block is None:
        raise ServiceError(
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
            status=404,
            BucketName=bucket.name,
        )
    block = {member: getattr(bucket.public_access_block, field) for member, field in _BLOCKS.items()}
    return {"PublicAccessBlockConfiguration": block}


@on_bucket("DeletePublicAccessBlock", action="s3:PutBucketPublicAccessBlock", params="Bucket ExpectedBucketOwner")
def delete_public_access_block(call: Call, tx: WriteTx, params: Params) -> Output:
    """Close none of the public's ways into a bucket; its policy decides."""
    change_bucket(tx, call, params, public_access_block=None)
    return {}
