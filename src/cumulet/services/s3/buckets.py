"""Buckets: their names, where they lie, and their operations."""

import hashlib
import re

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import SYSTEM
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.s3.access import on_bucket
from cumulet.services.s3.limits import BUCKETS_MAX
from cumulet.services.s3.records import BUCKETS, OWNERS, UPLOADS, Bucket, BucketOwner, bucket_arn, get_bucket
from cumulet.services.s3.records import home as home_of
from cumulet.services.s3.uploads import forget_upload
from cumulet.services.s3.versions import has_versions
from cumulet.services.tokens import decode_token, encode_token
from cumulet.store.api import ReadTx, WriteTx

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")


def check_bucket_name(name: str) -> None:
    """Raise InvalidBucketName for a name that S3 does not allow.

    Source: "General purpose bucket naming rules" in the S3 User Guide.
    """
    if (
        _NAME.fullmatch(name) is None
        or _IP_ADDRESS.fullmatch(name)
        or name.startswith(_RESERVED_PREFIXES)
        or name.endswith(_RESERVED_SUFFIXES)
    ):
        raise ServiceError("InvalidBucketName", "The specified bucket is not valid.", status=400, BucketName=name)


def owner_id(account: str) -> str:
    """Return an account's canonical user id."""
    return hashlib.sha256(f"canonical user {account}".encode()).hexdigest()


@operation(
    "CreateBucket",
    resource=bucket_arn,
    params="Bucket CreateBucketConfiguration ObjectOwnership",
    missing="object ownership other than BucketOwnerEnforced, ACLs, object lock, tags",
)
def create_bucket(call: Call, tx: WriteTx, params: Params) -> Output:
    """Have the caller own a new bucket; in us-east-1, asking twice succeeds twice."""
    name = params["Bucket"]
    check_bucket_name(name)
    if params.get("ObjectOwnership", "BucketOwnerEnforced") != "BucketOwnerEnforced":
        raise NotImplementedHere(f"ObjectOwnership={params['ObjectOwnership']} of s3:CreateBucket")
    region = _region_for(call.scope.region, params.get("CreateBucketConfiguration") or {})
    owner = OWNERS.find(tx, SYSTEM, name)
    home = home_of(call)
    if owner is not None and owner.account != call.scope.account:
        raise ServiceError(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system."
            " Please select a different name and try again.",
            status=409,
            BucketName=name,
        )
    if owner is not None:
        # AWS keeps this exception for old clients: "Re-creating a bucket you already own in us-east-1 returns 200".
        if region != "us-east-1":
            raise ServiceError(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
                status=409,
                BucketName=name,
            )
    else:
        if sum(1 for _ in BUCKETS.scan(tx, home)) >= BUCKETS_MAX:
            raise ServiceError("TooManyBuckets", "You have attempted to create more buckets than allowed", status=400)
        OWNERS.save(tx, SYSTEM, name, record=BucketOwner(call.scope.account))
        BUCKETS.save(tx, home, name, record=Bucket(name, region, call.now_ms))
    return {"Location": f"/{name}", "BucketArn": f"arn:aws:s3:::{name}"}


def _region_for(endpoint_region: str, configuration: Params) -> str:
    for member in configuration:
        if member != "LocationConstraint":
            raise NotImplementedHere(f"CreateBucketConfiguration.{member} of s3:CreateBucket")
    constraint = configuration.get("LocationConstraint")
    if constraint == "EU":
        constraint = "eu-west-1"
    if endpoint_region == "us-east-1":
        # The us-east-1 endpoint is the global one: it creates buckets anywhere.
        if constraint == "us-east-1" or (constraint and _REGION.fullmatch(constraint) is None):
            raise ServiceError(
                "InvalidLocationConstraint",
                "The specified location-constraint is not valid",
                status=400,
                LocationConstraint=constraint,
            )
        return constraint or "us-east-1"
    if constraint != endpoint_region:
        raise ServiceError(
            "IllegalLocationConstraintException",
            f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint"
            " this request was sent to.",
            status=400,
        )
    return endpoint_region


@on_bucket("HeadBucket", action="s3:ListBucket", params="Bucket ExpectedBucketOwner")
def head_bucket(call: Call, tx: ReadTx, params: Params) -> Output:
    """Tell whether the bucket is there and the caller's, and where it lies."""
    bucket = get_bucket(tx, call, params)
    return {"BucketRegion": bucket.region, "BucketArn": f"arn:aws:s3:::{bucket.name}", "AccessPointAlias": False}


@on_bucket("GetBucketLocation", params="Bucket ExpectedBucketOwner")
def get_bucket_location(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the bucket's region, which for us-east-1 is nothing at all."""
    bucket = get_bucket(tx, call, params)
    return {} if bucket.region == "us-east-1" else {"LocationConstraint": bucket.region}


@operation(
    "ListBuckets",
    action="s3:ListAllMyBuckets",
    resource="*",
    params="MaxBuckets ContinuationToken Prefix BucketRegion",
)
def list_buckets(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the caller's buckets by name; in pages only if the caller asks for pages."""
    limit = params.get("MaxBuckets", BUCKETS_MAX)
    prefix, region = params.get("Prefix", ""), params.get("BucketRegion")
    behind = decode_token(params.get("ContinuationToken") or None, str, invalid_token)
    paged = bool(params)
    found: list[Bucket] = []
    more = False
    for bucket in BUCKETS.scan(tx, home_of(call), behind=None if behind is None else (behind,)):
        if bucket.name.startswith(prefix) and region in (None, bucket.region):
            if len(found) == limit:
                more = True
                break
            found.append(bucket)
    output: dict[str, object] = {
        "Buckets": [
            {"Name": bucket.name, "CreationDate": bucket.created_ms / 1000}
            | ({"BucketRegion": bucket.region, "BucketArn": f"arn:aws:s3:::{bucket.name}"} if paged else {})
            for bucket in found
        ],
        "Owner": {"ID": owner_id(call.scope.account)},
    }
    if "Prefix" in params:
        output["Prefix"] = prefix
    if more:
        output["ContinuationToken"] = encode_token(found[-1].name)
    return output


def invalid_token() -> ServiceError:
    """Return AWS's answer to a continuation token that it did not give."""
    return ServiceError(
        "InvalidArgument",
        "The continuation token provided is incorrect",
        status=400,
        ArgumentName="continuation-token",
    )


@on_bucket("DeleteBucket", params="Bucket ExpectedBucketOwner")
def delete_bucket(call: Call, tx: WriteTx, params: Params) -> Output:
    """Forget an empty bucket; its name is free for anyone then. Uploads under way do not keep it."""
    bucket = get_bucket(tx, call, params)
    home = home_of(call)
    if has_versions(tx, call, bucket.name):
        words = "The bucket you tried to delete is not empty"
        if bucket.versioning:
            words += ". You must delete all versions in the bucket."
        raise ServiceError("BucketNotEmpty", words, status=409, BucketName=bucket.name)
    for upload in list(UPLOADS.scan(tx, home, bucket.name)):
        forget_upload(tx, call, bucket.name, upload)
    BUCKETS.delete(tx, home, bucket.name)
    OWNERS.delete(tx, SYSTEM, bucket.name)
    return {}
