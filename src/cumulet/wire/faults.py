"""ServiceError to bytes, once for every protocol: code, words, modelled fields, status and the headers around them.

AWS's choices that no model tells: which namespace an error's `__type` carries, whether the words stand under `message`
or `Message`, and the statuses of the errors that every service shares.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.wire import json
from cumulet.wire.message import Request, Response
from cumulet.wire.model import ServiceModel, Shape
from cumulet.wire.resolve import find_service
from cumulet.wire.xml_text import escape, readable

# Errors of AWS's common front, seen in its answers with these namespaces.
_CORAL_SERVICE = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InternalFailure",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SerializationException",
        "ServiceUnavailable",
        "UnknownOperationException",
        "UnrecognizedClientException",
    }
)
_CORAL_VALIDATE = frozenset({"ValidationException"})

_CAPITAL_MESSAGE = frozenset({"AccessDeniedException", "SerializationException"})
"""Common errors whose words stand under `Message`; the others have `message`."""

_FORBIDDEN = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)

_STATUSES = {
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServerException": 500,
    "RequestEntityTooLargeException": 413,
    "ServiceException": 500,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "TooManyRequestsException": 429,
}

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_S3_STATUSES = {
    "BucketNotEmpty": 409,
    "ConditionalRequestConflict": 409,
    "ExpiredToken": 400,
    "InvalidBucketState": 409,
    "InvalidRange": 416,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "NotImplemented": 501,
    "NotModified": 304,
    "ObjectLockConfigurationNotFoundError": 404,
    "OperationAborted": 409,
    "OwnershipControlsNotFoundError": 404,
    "PermanentRedirect": 301,
    "PreconditionFailed": 412,
    "ReplicationConfigurationNotFoundError": 404,
    "RestoreAlreadyInProgress": 409,
    "ServerSideEncryptionConfigurationNotFoundError": 404,
    "SlowDown": 503,
    "TemporaryRedirect": 307,
}


def render(
    service: ServiceModel | None, error: ServiceError, request_id: str, request: Request | None = None
) -> Response:
    """Return the answer that tells a client of an error.

    Without a service the request's own form decides, as far as it shows.
    """
    if service is None and request is not None:
        service = find_service(request)
    if service is None:
        return _render_rest_json(None, error, request_id)
    if service.protocol == "query":
        return _render_query(service, error, request_id)
    if service.protocol == "rest-xml":
        return _render_s3(service, error, request_id, request)
    if service.protocol == "rest-json":
        return _render_rest_json(service, error, request_id)
    return _render_json(service, error, request_id)


def malformed_xml() -> ServiceError:
    """Return S3's answer to a body that it cannot read, or whose values it does not know."""
    return ServiceError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
        status=400,
    )


def status_of(service: ServiceModel | None, error: ServiceError) -> int:
    """Return the HTTP status of an error: its own, else the model's, else what AWS's services have in common."""
    if error.status is not None:
        return error.status
    if service is not None and (modelled := service.error_status(error.code)) is not None:
        return modelled
    if error.code in _STATUSES:
        return _STATUSES[error.code]
    if service is not None and service.protocol == "json":
        return 400
    if service is not None and service.name == "s3":
        if error.code in _S3_STATUSES:
            return _S3_STATUSES[error.code]
        if error.code.startswith("NoSuch"):
            return 404
    return 403 if error.code in _FORBIDDEN else 400


def _render_json(service: ServiceModel, error: ServiceError, request_id: str) -> Response:
    shape = service.error_shape(error.code)
    type_name = _namespace(service, error.code, shape) + error.code
    body = {"__type": type_name, **_body_members(shape, error)}
    return json.respond(service, status_of(service, error), msgspec.json.encode(body), request_id)


def _namespace(service: ServiceModel, code: str, shape: Shape | None) -> str:
    if not service.error_namespace:
        return ""
    if shape is not None:
        return service.error_namespace
    if code in _CORAL_VALIDATE:
        return "com.amazon.coral.validate#"
    return "com.amazon.coral.service#" if code in _CORAL_SERVICE else ""


def _render_rest_json(service: ServiceModel | None, error: ServiceError, request_id: str) -> Response:
    shape = service.error_shape(error.code) if service else None
    status = status_of(service, error)
    body = _body_members(shape, error)
    if shape is not None and "Type" in shape.members:
        # Lambda says whose fault it was, before anything else.
        body = {"Type": "Service" if status >= 500 else "User", **body}
    headers = [
        ("x-amzn-requestid", request_id),
        ("x-amzn-errortype", error.code),
        ("content-type", "application/json"),
    ]
    headers += _header_members(shape, error)
    return Response(status, tuple(headers), msgspec.json.encode(body))


def _body_members(shape: Shape | None, error: ServiceError) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if error.message:
        body[_message_key(shape, error.code)] = error.message
    for name, value in error.fields.items():
        member = shape.members.get(name) if shape is not None else None
        if value is not None and (member is None or member.location is None):
            body[member.wire_name if member else name] = value
    return body


def _message_key(shape: Shape | None, code: str) -> str:
    if shape is not None:
        for name in ("message", "Message"):
            if name in shape.members:
                return shape.members[name].wire_name
    return "Message" if code in _CAPITAL_MESSAGE else "message"


def _header_members(shape: Shape | None, error: ServiceError) -> list[tuple[str, str]]:
    if shape is None:
        return []
    return [
        (member.wire_name.lower(), str(error.fields[name]))
        for name, member in shape.members.items()
        if member.location == "header" and error.fields.get(name) is not None
    ]


def _render_query(service: ServiceModel, error: ServiceError, request_id: str) -> Response:
    status = status_of(service, error)
    who = "Receiver" if status >= 500 else "Sender"
    body = (
        f'<ErrorResponse xmlns="{service.xml_namespace}">\n  <Error>\n    <Type>{who}</Type>\n'
        f"    <Code>{escape(error.code)}</Code>\n    <Message>{escape(error.message)}</Message>\n  </Error>\n"
        f"  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n"
    )
    headers = (("x-amzn-requestid", request_id), ("content-type", "text/xml"))
    return Response(status, headers, readable(body).encode())


def _render_s3(service: ServiceModel, error: ServiceError, request_id: str, request: Request | None) -> Response:
    status = status_of(service, error)
    headers = (*s3_headers(request_id), ("content-type", "application/xml"))
    if status == 304 or (request is not None and request.method == "HEAD"):
        return Response(status, headers[:2])
    resource = {"Resource": request.path} if request is not None else {}
    elements: Mapping[str, Any] = {
        "Code": error.code,
        "Message": error.message,
        **{name: value for name, value in error.fields.items() if value is not None},
        **resource,
        "RequestId": request_id,
        "HostId": headers[1][1],
    }
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in elements.items())
    return Response(status, headers, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode())


def s3_headers(request_id: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return S3's two request ids; the second is derived from the first."""
    return ("x-amz-request-id", request_id), ("x-amz-id-2", hashlib.sha256(request_id.encode()).hexdigest()[:56])
