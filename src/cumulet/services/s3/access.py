"""Who may do what with a bucket and its objects: the bucket's own policy, and what a request tells of itself."""

from functools import partial
from typing import Final

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.policy.documents import parse_document
from cumulet.scope import SYSTEM
from cumulet.services.kit import Call, ConditionValues, Demand, Demands, Params, operation
from cumulet.services.s3.limits import POLICY_BYTES_MAX
from cumulet.services.s3.public_policies import as_values, condition_keys, is_public, statements_of
from cumulet.services.s3.records import BUCKETS, OWNERS, bucket_arn, home, object_arn
from cumulet.store.api import ReadTx

_REQUEST_KEYS: Final = {
    "CopySource": "s3:x-amz-copy-source",
    "Delimiter": "s3:delimiter",
    "MaxKeys": "s3:max-keys",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "Prefix": "s3:prefix",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "StorageClass": "s3:x-amz-storage-class",
    "VersionId": "s3:VersionId",
}
"""The condition keys of S3 that are told, by the members that tell them. Source: Service Authorization Reference."""
_TOLD: Final = frozenset(key.lower() for key in _REQUEST_KEYS.values())
_RESOURCE: Final = "arn:aws:s3:::"


def request_keys(call: Call, params: Params) -> ConditionValues:
    """Return S3's own condition keys of a request."""
    return {key: str(params[name]) for name, key in _REQUEST_KEYS.items() if params.get(name) is not None}


def find_policy(tx: ReadTx, call: Call, bucket: str) -> str | None:
    """Return a bucket's policy, or None. Strangers get nothing from a public one while RestrictPublicBuckets is on."""
    owner = OWNERS.find(tx, SYSTEM, bucket)
    if owner is None or owner.account != call.scope.account:
        return None
    found = BUCKETS.find(tx, home(call), bucket)
    if found is None or not found.policy:
        return None
    if call.principal.kind == "anonymous" and found.public_access_block is not None:
        return None if found.public_access_block.restrict_buckets and is_public(found.policy) else found.policy
    return found.policy


def bucket_policy(tx: ReadTx, call: Call, params: Params) -> str | None:
    """Return the policy of the bucket that a request names."""
    return find_policy(tx, call, params["Bucket"])


def policy_beside_root(tx: ReadTx, call: Call, params: Params) -> str | None:
    """Return the bucket's policy, but for the account's root: it can always undo a policy that shuts everybody out.

    Source: the notes on PutBucketPolicy, GetBucketPolicy and DeleteBucketPolicy in the S3 API Reference.
    """
    return None if call.principal.kind == "root" else bucket_policy(tx, call, params)


def of_version(action: str) -> Demands:
    """Return what an action on an object demands: reading and deleting old versions are permissions of their own."""

    def demands(tx: ReadTx, call: Call, params: Params) -> list[Demand]:
        wanted = action if params.get("VersionId") is None else f"{action}Version"
        return [Demand(wanted, object_arn(call, params), lambda: request_keys(call, params))]

    return demands


on_bucket = partial(operation, resource=bucket_arn, resource_policy=bucket_policy, conditions=request_keys)
"""Declares an operation on a bucket."""
on_object = partial(operation, resource=object_arn, resource_policy=bucket_policy, conditions=request_keys)
"""Declares an operation on an object."""


def check_policy(bucket: str, text: str) -> None:
    """Raise MalformedPolicy, in S3's words, for what cannot be the policy of this bucket.

    A condition key that is not told here would be taken for one that requests lack: it is refused by name.
    """
    if not text.startswith("{"):
        raise _malformed("Policies must be valid JSON and the first byte must be '{'")
    if len(text.encode(errors="replace")) > POLICY_BYTES_MAX:
        raise _malformed(f"Normalized policy document exceeds the maximum allowed size of {POLICY_BYTES_MAX} bytes.")
    try:
        parse_document(text, "resource")
    except ServiceError as error:
        raise _malformed(error.message) from None
    for statement in statements_of(text):
        if not (resources := as_values(statement.get("Resource", statement.get("NotResource")))):
            raise _malformed("Missing required field Resource")
        if not all(_is_within(bucket, resource) for resource in resources):
            raise _malformed("Policy has invalid resource")
    for key in sorted(condition_keys(text)):
        if key.lower().startswith("s3:") and key.lower() not in _TOLD:
            raise NotImplementedHere(f"The condition key {key} of bucket policies")


def _is_within(bucket: str, resource: str) -> bool:
    name = resource.removeprefix(_RESOURCE).partition("/")[0]
    return resource.startswith(_RESOURCE) and name in (bucket, f"{bucket}*")


def _malformed(words: str) -> ServiceError:
    return ServiceError("MalformedPolicy", words, status=400)
