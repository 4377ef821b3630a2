"""Bucket policies: putting, reading and removing them."""

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.s3.access import check_policy, on_bucket, policy_beside_root
from cumulet.services.s3.checksums import check_body
from cumulet.services.s3.configuration import change_bucket
from cumulet.services.s3.public_policies import is_public
from cumulet.services.s3.records import bucket_arn, get_bucket
from cumulet.store.api import ReadTx, WriteTx


def _get_policy(tx: ReadTx, call: Call, params: Params) -> str:
    bucket = get_bucket(tx, call, params)
    if not bucket.policy:
        raise ServiceError("NoSuchBucketPolicy", "The bucket policy does not exist", status=404, BucketName=bucket.name)
    return bucket.policy


@operation(
    "PutBucketPolicy",
    resource=bucket_arn,
    resource_policy=policy_beside_root,
    params="Bucket Policy ContentMD5 ChecksumAlgorithm ExpectedBucketOwner",
    missing="condition keys of S3 that are not told are refused; other accounts are let in to nothing",
)
def put_bucket_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Give a bucket a policy, which speaks from the next request on."""
    bucket, text = get_bucket(tx, call, params), params["Policy"]
    check_body({"ContentMD5": params.get("ContentMD5")}, text.encode())
    check_policy(bucket.name, text)
    block = bucket.public_access_block
    if block is not None and block.block_policy and is_public(text):
        raise ServiceError(
            "AccessDenied",
            f"User: {call.principal.arn} is not authorized to perform: s3:PutBucketPolicy on resource:"
            f' "{bucket_arn(call, params)}" because public policies are prevented by the BlockPublicPolicy setting in'
            " S3 Block Public Access.",
            status=403,
        )
    change_bucket(tx, call, params, policy=text)
    return {}


@operation(
    "GetBucketPolicy", resource=bucket_arn, resource_policy=policy_beside_root, params="Bucket ExpectedBucketOwner"
)
def get_bucket_policy(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a bucket's policy as it was put."""
    return {"Policy": _get_policy(tx, call, params)}


@on_bucket("GetBucketPolicyStatus", params="Bucket ExpectedBucketOwner")
def get_bucket_policy_status(call: Call, tx: ReadTx, params: Params) -> Output:
    """Tell whether a bucket's policy lets the public in."""
    return {"PolicyStatus": {"IsPublic": is_public(_get_policy(tx, call, params))}}


@operation(
    "DeleteBucketPolicy", resource=bucket_arn, resource_policy=policy_beside_root, params="Bucket ExpectedBucketOwner"
)
def delete_bucket_policy(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take a bucket's policy away; where there is none, nothing happens."""
    change_bucket(tx, call, params, policy="")
    return {}
