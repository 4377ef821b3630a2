"""What the access logs of HTTP APIs tell of failures: of an integration's, and of an authorizer's (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
The words of AWS that are public stand in logs that users have shown; where there are none, they are those of the error.
"""

from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.apigateway.pipeline.exchange import Result, Said
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.http_client import BadUrl, Unreachable

_DENIED = (
    "The IAM role configured on the integration or API Gateway doesn't have permissions to call the integration. "
    "Check the permissions and try again."
)
_NOT_ASSUMED = (
    "API Gateway doesn\N{RIGHT SINGLE QUOTATION MARK}t have permissions to assume the IAM role configured on the "
    "integration. Check the permissions and try again."
)
_MALFORMED = "The response from the Lambda function doesn't match the format that API Gateway expects."
_NOT_SIGNED = "The request for the IAM Authorizer doesn't match the format that API Gateway expects."

_AUTHORIZING = frozenset(
    (
        "not_signed",
        "bad_signature",
        "expired_token",
        "unauthorized",
        "forbidden",
        "denied",
        "denied_explicitly",
        "authorizer_misconfigured",
        "authorizer_failed",
    )
)
"""What only whoever looks at callers says."""


class _Failure(msgspec.Struct):
    """The part of a failed function's payload that is for people."""

    message: Any = msgspec.field(default=None, name="errorMessage")


class _Answer(msgspec.Struct):
    """The part of a function's answer that says its status."""

    status: Any = msgspec.field(default=None, name="statusCode")


def integration_error(refused: Refused, said: Said | None) -> str | None:
    """Return $context.integrationErrorMessage."""
    if refused.fault in _AUTHORIZING:
        return None
    if isinstance(said, Result):
        if not said.failed:
            return _MALFORMED
        told = _decoded(said.payload, _Failure)
        words = said.payload.decode("utf-8", "replace") if told is None or told.message is None else told.message
        return (
            f"The Lambda function returned the following error: {words}. Check your Lambda function code and try again."
        )
    return _words_of(refused)


def integration_status(said: Said) -> Any:
    """Return $context.integration.status: of a function what its code says, else what the server does."""
    if not isinstance(said, Result):
        return said.status
    if said.failed:
        return None
    answer = _decoded(said.payload, _Answer)
    return 200 if answer is None or answer.status is None else answer.status


def authorizer_error(refused: Refused, message: str | None) -> str | None:
    """Return $context.authorizer.error; `message` is what the client is told."""
    if refused.fault not in _AUTHORIZING:
        return None
    if refused.fault == "not_signed":
        return _NOT_SIGNED
    return refused.detail or _words_of(refused) or refused.message or message


def _words_of(refused: Refused) -> str | None:
    """Return the words of the error behind a refusal, if a service or a server is behind it."""
    cause: BaseException | None = refused
    while isinstance(cause, Refused):
        cause = cause.__cause__
    if isinstance(cause, Unreachable | BadUrl):
        return str(cause)
    if not isinstance(cause, ServiceError):
        return None
    if not cause.code.startswith("AccessDenied"):
        return cause.message
    return _NOT_ASSUMED if "sts:AssumeRole" in cause.message else _DENIED


def _decoded(payload: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
