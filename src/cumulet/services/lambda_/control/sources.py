"""Where a function's code comes from: the request itself or a bucket."""

import asyncio

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.kit import Call, Ground, Params
from cumulet.services.lambda_.control.archives import Archive, check_archive, check_upload_size
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.names import LAMBDA_HOST

_THREAD_FROM_BYTES = 1024 * 1024
"""A megabyte is hashed in a millisecond; more would hold up other requests."""


async def fetch_code(ground: Ground, call: Call, code: Params, operation: str) -> Archive:
    """Return the checked archive that a FunctionCode (or UpdateFunctionCode's own members) names."""
    if code.get("SourceKMSKeyArn"):
        raise NotImplementedHere(f"The parameter SourceKMSKeyArn of lambda:{operation}")
    if code.get("S3ObjectStorageMode") not in (None, "COPY"):
        raise NotImplementedHere(f"S3ObjectStorageMode {code['S3ObjectStorageMode']}")
    body: bytes | None = code.get("ZipFile")
    if body is not None:
        if any(code.get(name) for name in ("S3Bucket", "S3Key", "S3ObjectVersion")):
            raise invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
        check_upload_size(body, operation)
    elif code.get("S3Bucket") and code.get("S3Key"):
        body = await _fetch_object(ground, call, code)
    else:
        raise invalid("Please provide a source for function code.")
    if len(body) < _THREAD_FROM_BYTES:
        return check_archive(body)
    return await asyncio.to_thread(check_archive, body)


async def _fetch_object(ground: Ground, call: Call, code: Params) -> bytes:
    wanted = {"Bucket": code["S3Bucket"], "Key": code["S3Key"]}
    if code.get("S3ObjectVersion"):
        wanted["VersionId"] = code["S3ObjectVersion"]
    try:
        found = await ground.operations.call(call.principal.through(LAMBDA_HOST), call.scope, "s3", "GetObject", wanted)
    except NotImplementedHere:
        raise
    except ServiceError as refusal:
        message = f"Error occurred while GetObject. S3 Error Code: {refusal.code}. S3 Error Message: {refusal.message}"
        if refusal.code == "AccessDenied":
            raise ServiceError(
                "AccessDeniedException",
                f"Your access has been denied by S3, please make sure your request credentials "
                f"have permission to GetObject for {wanted['Bucket']}/{wanted['Key']}. {_s3_reason(refusal)}",
                status=403,
            ) from None
        raise invalid(message) from None
    body: bytes = found["Body"]
    return body


def _s3_reason(refusal: ServiceError) -> str:
    return f"S3 Error Code: {refusal.code}. S3 Error Message: {refusal.message}"
