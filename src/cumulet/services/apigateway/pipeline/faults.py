"""The answers that API Gateway gives by itself, in both dialects.

REST: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html. Answers about
an integration have a blank behind the colon, the others have none, and denials have a capital: all AWS's own.
"""

from typing import Literal, NamedTuple

import msgspec

from cumulet.errors import NotImplementedHere
from cumulet.ids import Ids
from cumulet.services.apigateway.pipeline.exchange import Arrival, new_extended_id
from cumulet.wire.message import Response

Fault = Literal[
    "no_stage",
    "no_route",
    "not_signed",
    "bad_signature",
    "expired_token",
    "unauthorized",
    "too_many",
    "bad_key",
    "quota_exceeded",
    "forbidden",
    "denied",
    "denied_explicitly",
    "authorizer_misconfigured",
    "authorizer_failed",
    "bad_path",
    "bad_parameters",
    "bad_body",
    "too_long",
    "bad_invocation",
    "unmapped_type",
    "unreadable_body",
    "misconfigured",
    "unreachable",
    "bad_answer",
    "timeout",
    "throttled",
    "unavailable",
]

JSON = ("content-type", "application/json")
HTTP_REQUEST_ID = "Apigw-Requestid"
REST_REQUEST_IDS = ("x-amzn-RequestId", "x-amz-apigw-id")
_REFUSAL = b'{"message":%b}'


class Words(NamedTuple):
    """How a REST API says that it refuses."""

    status: int
    response_type: str
    """The gateway response with which the API's owner can say it in another way."""
    error_type: str
    message: str | None
    form: bytes = _REFUSAL


_SPACED = b'{"message": %b}'
_CAPITAL = b'{"Message":%b}'

_REST: dict[Fault, Words] = {
    "no_stage": Words(403, "", "ForbiddenException", "Forbidden"),
    "no_route": Words(
        403, "MISSING_AUTHENTICATION_TOKEN", "MissingAuthenticationTokenException", "Missing Authentication Token"
    ),
    "not_signed": Words(
        403, "MISSING_AUTHENTICATION_TOKEN", "MissingAuthenticationTokenException", "Missing Authentication Token"
    ),
    "bad_signature": Words(403, "INVALID_SIGNATURE", "InvalidSignatureException", None),
    "expired_token": Words(403, "EXPIRED_TOKEN", "ExpiredTokenException", None),
    "unauthorized": Words(401, "UNAUTHORIZED", "UnauthorizedException", "Unauthorized"),
    "too_many": Words(429, "THROTTLED", "TooManyRequestsException", "Too Many Requests"),
    "bad_key": Words(403, "INVALID_API_KEY", "ForbiddenException", "Forbidden"),
    "quota_exceeded": Words(429, "QUOTA_EXCEEDED", "LimitExceededException", "Limit Exceeded"),
    "forbidden": Words(403, "ACCESS_DENIED", "ForbiddenException", "Forbidden"),
    # A function's policy. Answers of AWS that were published in 2025 and 2026 tell why, as IAM's do; its documentation
    # still has the words of before: https://repost.aws/knowledge-center/api-gateway-403-error-lambda-authorizer
    "denied": Words(
        403,
        "ACCESS_DENIED",
        "AccessDeniedException",
        "User is not authorized to access this resource because no identity-based policy allows the "
        "execute-api:Invoke action",
        _CAPITAL,
    ),
    "denied_explicitly": Words(
        403,
        "ACCESS_DENIED",
        "AccessDeniedException",
        "User is not authorized to access this resource with an explicit deny in an identity-based policy",
        _CAPITAL,
    ),
    "authorizer_misconfigured": Words(500, "AUTHORIZER_CONFIGURATION_ERROR", "AuthorizerConfigurationException", None),
    "authorizer_failed": Words(500, "AUTHORIZER_FAILURE", "AuthorizerConfigurationException", None),
    "bad_path": Words(400, "DEFAULT_4XX", "BadRequestException", "Bad Request"),
    "bad_parameters": Words(
        400, "BAD_REQUEST_PARAMETERS", "BadRequestException", "Missing required request parameters", _SPACED
    ),
    "bad_body": Words(400, "BAD_REQUEST_BODY", "BadRequestException", "Invalid request body", _SPACED),
    # As captured in koki-develop/lgtm-generator#10, of an event that is larger than Lambda takes.
    "too_long": Words(413, "REQUEST_TOO_LARGE", "BadRequestException", "Request Too Long", _SPACED),
    # In Lambda's own words, as its users have seen it of functions that were not told a tenant, and of templates that
    # made no JSON: https://github.com/srcecde/aws-tutorial-code/issues/4.
    "bad_invocation": Words(400, "DEFAULT_4XX", "InvalidParameterValueException", None, _SPACED),
    "unmapped_type": Words(415, "UNSUPPORTED_MEDIA_TYPE", "BadRequestException", "Unsupported Media Type"),
    "unreadable_body": Words(
        400, "DEFAULT_4XX", "BadRequestException", "Could not parse request body into json", _SPACED
    ),
    "misconfigured": Words(
        500, "API_CONFIGURATION_ERROR", "InternalServerErrorException", "Internal server error", _SPACED
    ),
    "unreachable": Words(
        504,
        "INTEGRATION_FAILURE",
        "InternalServerErrorException",
        "Network error communicating with endpoint",
        _SPACED,
    ),
    "throttled": Words(500, "DEFAULT_5XX", "InternalServerErrorException", "Internal server error", _SPACED),
    "bad_answer": Words(502, "DEFAULT_5XX", "InternalServerErrorException", "Internal server error", _SPACED),
    "unavailable": Words(500, "DEFAULT_5XX", "InternalServerErrorException", "Internal server error", _SPACED),
    "timeout": Words(504, "INTEGRATION_TIMEOUT", "InternalServerErrorException", "Endpoint request timed out", _SPACED),
}

_HTTP: dict[Fault, tuple[int, str]] = {
    "no_stage": (404, "Not Found"),
    "no_route": (404, "Not Found"),
    "not_signed": (403, "Forbidden"),
    "bad_signature": (403, "Forbidden"),
    "expired_token": (403, "Forbidden"),
    "unauthorized": (401, "Unauthorized"),
    "too_many": (429, "Too Many Requests"),
    "bad_key": (403, "Forbidden"),
    "quota_exceeded": (429, "Limit Exceeded"),
    "forbidden": (403, "Forbidden"),
    "denied": (403, "Forbidden"),
    "denied_explicitly": (403, "Forbidden"),
    "authorizer_misconfigured": (500, "Internal Server Error"),
    "authorizer_failed": (500, "Internal Server Error"),
    "bad_path": (400, "Bad Request"),
    "bad_parameters": (400, "Bad Request"),
    "bad_body": (400, "Bad Request"),
    "too_long": (413, "Request Entity Too Large"),
    "bad_invocation": (500, "Internal Server Error"),
    "unmapped_type": (415, "Unsupported Media Type"),
    "unreadable_body": (400, "Bad Request"),
    "misconfigured": (500, "Internal Server Error"),
    "unreachable": (503, "Service Unavailable"),
    "throttled": (503, "Service Unavailable"),
    "bad_answer": (500, "Internal Server Error"),
    "unavailable": (503, "Service Unavailable"),
    "timeout": (503, "Service Unavailable"),
}


class Refused(Exception):
    """The pipeline ends here, with one of API Gateway's own answers."""

    def __init__(
        self,
        fault: Fault,
        *headers: tuple[str, str],
        message: str | None = None,
        error_type: str | None = None,
        detail: str | None = None,
        log_line: str | None = None,
    ) -> None:
        super().__init__(fault)
        self.fault: Fault = fault
        self.headers = headers
        self.message = message
        """In place of the fault's own words, for those that name what was wrong; HTTP APIs never do."""
        self.error_type = error_type
        """In place of the fault's own, where AWS has several for it."""
        self.detail = detail
        """What a template of the API's owner can tell beyond the message."""
        self.log_line = log_line
        """What the execution log says of it before the status."""

    @property
    def detail_string(self) -> str | None:
        """$context.error.validationErrorString: `detail` as it can stand between the quotes of a JSON template.

        Owners of APIs write it so: https://github.com/aws/aws-cdk/issues/7071.
        """
        return None if self.detail is None else msgspec.json.encode(self.detail).decode()[1:-1]

    def words(self, arrival: Arrival) -> Words:
        """Return what to say in the API's dialect, unless its owner has other words."""
        if not arrival.is_rest:
            status, message = _HTTP[self.fault]
            # Logs tell the type of a gateway response though an HTTP API has none; of a route that is not there, no.
            kind = "" if self.fault == "no_route" else _REST[self.fault].response_type
            return Words(status, kind, "", message)
        words = _REST[self.fault]
        if self.message is not None or self.error_type is not None:
            words = words._replace(
                message=words.message if self.message is None else self.message,
                error_type=self.error_type or words.error_type,
            )
        return words


NOT_PERMITTED = "Invalid permissions on Lambda function"
"""What AWS's logs say of a function that cannot be asked, whatever the reason."""


def misconfigured(why: str) -> Refused:
    """Return the refusal of a request that cannot be served as its API is; the execution log tells why."""
    return Refused("misconfigured", log_line=f"Execution failed due to configuration error: {why}")


def unknown_api() -> Response:
    """Return the answer of AWS's front door for an API id that nobody has."""
    return Response(403, (("x-amzn-ErrorType", "ForbiddenException"), JSON), b'{"message":"Forbidden"}')


def body_too_long(ids: Ids) -> Response:
    """Return an HTTP API's answer to a body that was not read."""
    status, message = _HTTP["too_long"]
    headers = ((HTTP_REQUEST_ID, new_extended_id(ids)), JSON)
    return Response(status, headers, _REFUSAL % msgspec.json.encode(message))


def unavailable() -> Response:
    """Return the answer when not even the API's dialect can be found out."""
    return Response(503, (JSON,), b'{"message":"Service Unavailable"}')


def render(arrival: Arrival, refused: Refused) -> Response:
    """Return the answer in the API's dialect, with the headers that AWS sends."""
    words = refused.words(arrival)
    headers = fault_headers(arrival, words, refused)
    return Response(words.status, (*headers, JSON), words.form % msgspec.json.encode(words.message))


def fault_headers(arrival: Arrival, words: Words, refused: Refused) -> tuple[tuple[str, str], ...]:
    """Return the headers that every answer of this kind has, whatever its body says."""
    own = own_headers(arrival)
    return (*own, *((("x-amzn-ErrorType", words.error_type),) if words.error_type else ()), *refused.headers)


def render_not_implemented(arrival: Arrival, missing: NotImplementedHere) -> Response:
    """Return the answer for what the function's service refuses by name: no answer of AWS fits."""
    return Response(501, (*own_headers(arrival), JSON), msgspec.json.encode({"message": missing.message}))


def own_headers(arrival: Arrival) -> tuple[tuple[str, str], ...]:
    """Return the headers that API Gateway adds to every answer."""
    if arrival.is_rest:
        return ((REST_REQUEST_IDS[0], arrival.request_id), (REST_REQUEST_IDS[1], arrival.extended_request_id))
    return ((HTTP_REQUEST_ID, arrival.extended_request_id),)
