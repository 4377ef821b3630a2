"""The answers that API Gateway gives by itself, in both dialects.

REST: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html. Answers about
an integration have a blank behind the colon, the others have none; both are AWS's own.
"""

from typing import Literal

import msgspec

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway.pipeline.exchange import Arrival
from cumulet.wire.message import Response

Fault = Literal[
    "no_stage",
    "no_route",
    "unauthorized",
    "too_many",
    "forbidden",
    "denied",
    "denied_explicitly",
    "authorizer_misconfigured",
    "authorizer_failed",
    "bad_parameters",
    "bad_body",
    "too_long",
    "unmapped_type",
    "unreadable_body",
    "misconfigured",
    "unreachable",
    "bad_answer",
    "timeout",
    "throttled",
    "unavailable",
]

_JSON = ("content-type", "application/json")

_REST: dict[Fault, tuple[int, bytes, str]] = {
    "no_stage": (403, b'{"message":"Forbidden"}', "ForbiddenException"),
    "no_route": (403, b'{"message":"Missing Authentication Token"}', "MissingAuthenticationTokenException"),
    "too_many": (429, b'{"message":"Too Many Requests"}', "TooManyRequestsException"),
    "unauthorized": (401, b'{"message":"Unauthorized"}', "UnauthorizedException"),
    "forbidden": (403, b'{"message":"Forbidden"}', "ForbiddenException"),
    "denied": (403, b'{"Message":"User is not authorized to access this resource"}', "AccessDeniedException"),
    "denied_explicitly": (
        403,
        b'{"Message":"User is not authorized to access this resource with an explicit deny"}',
        "AccessDeniedException",
    ),
    "authorizer_misconfigured": (500, b'{"message":null}', "AuthorizerConfigurationException"),
    "authorizer_failed": (500, b'{"message":null}', "AuthorizerConfigurationException"),
    "bad_parameters": (400, b'{"message": "Missing required request parameters"}', "BadRequestException"),
    "bad_body": (400, b'{"message": "Invalid request body"}', "BadRequestException"),
    "too_long": (413, b'{"message":"Request Too Long"}', "RequestTooLargeException"),
    "unmapped_type": (415, b'{"message":"Unsupported Media Type"}', "BadRequestException"),
    "unreadable_body": (400, b'{"message": "Could not parse request body into json"}', "BadRequestException"),
    "misconfigured": (500, b'{"message": "Internal server error"}', "InternalServerErrorException"),
    "unreachable": (
        504,
        b'{"message": "Network error communicating with endpoint"}',
        "InternalServerErrorException",
    ),
    "throttled": (500, b'{"message": "Internal server error"}', "InternalServerErrorException"),
    "bad_answer": (502, b'{"message": "Internal server error"}', "InternalServerErrorException"),
    "unavailable": (500, b'{"message": "Internal server error"}', "InternalServerErrorException"),
    "timeout": (504, b'{"message": "Endpoint request timed out"}', "InternalServerErrorException"),
}

_HTTP: dict[Fault, tuple[int, bytes]] = {
    "no_stage": (404, b'{"message":"Not Found"}'),
    "no_route": (404, b'{"message":"Not Found"}'),
    "too_many": (429, b'{"message":"Too Many Requests"}'),
    "unauthorized": (401, b'{"message":"Unauthorized"}'),
    "forbidden": (403, b'{"message":"Forbidden"}'),
    "denied": (403, b'{"message":"Forbidden"}'),
    "denied_explicitly": (403, b'{"message":"Forbidden"}'),
    "authorizer_misconfigured": (500, b'{"message":"Internal Server Error"}'),
    "authorizer_failed": (500, b'{"message":"Internal Server Error"}'),
    "bad_parameters": (400, b'{"message":"Bad Request"}'),
    "bad_body": (400, b'{"message":"Bad Request"}'),
    "too_long": (413, b'{"message":"Request Entity Too Large"}'),
    "unmapped_type": (415, b'{"message":"Unsupported Media Type"}'),
    "unreadable_body": (400, b'{"message":"Bad Request"}'),
    "misconfigured": (500, b'{"message":"Internal Server Error"}'),
    "unreachable": (503, b'{"message":"Service Unavailable"}'),
    "throttled": (503, b'{"message":"Service Unavailable"}'),
    "bad_answer": (500, b'{"message":"Internal Server Error"}'),
    "unavailable": (503, b'{"message":"Service Unavailable"}'),
    "timeout": (503, b'{"message":"Service Unavailable"}'),
}


class Refused(Exception):
    """The pipeline ends here, with one of API Gateway's own answers."""

    def __init__(self, fault: Fault, *headers: tuple[str, str], message: str | None = None) -> None:
        super().__init__(fault)
        self.message = message
        """In place of the fault's own words, for those that name what was wrong."""
        self.headers = headers
        self.fault: Fault = fault


def unknown_api() -> Response:
    """Return the answer of AWS's front door for an API id that nobody has."""
    return Response(403, (("x-amzn-ErrorType", "ForbiddenException"), _JSON), b'{"message":"Forbidden"}')


def unavailable() -> Response:
    """Return the answer when not even the API's dialect can be found out."""
    return Response(503, (_JSON,), b'{"message":"Service Unavailable"}')


def render(arrival: Arrival, fault: Fault, message: str | None = None) -> Response:
    """Return the answer in the API's dialect, with the headers that AWS sends."""
    if arrival.is_rest:
        status, body, error_type = _REST[fault]
        if message is not None:
            body = b'{"message": ' + msgspec.json.encode(message) + b"}"
        return Response(status, (*own_headers(arrival), ("x-amzn-ErrorType", error_type), _JSON), body)
    status, body = _HTTP[fault]
    return Response(status, (*own_headers(arrival), _JSON), body)


def render_not_implemented(arrival: Arrival, missing: NotImplementedHere) -> Response:
    """Return the answer for what the function's service refuses by name: no answer of AWS fits."""
    return Response(501, (*own_headers(arrival), _JSON), msgspec.json.encode({"message": missing.message}))


def own_headers(arrival: Arrival) -> tuple[tuple[str, str], ...]:
    """Return the headers that API Gateway adds to every answer."""
    if arrival.is_rest:
        return (("x-amzn-RequestId", arrival.request_id), ("x-amz-apigw-id", arrival.extended_request_id))
    return (("Apigw-Requestid", arrival.extended_request_id),)


def message_of(fault: Fault) -> str:
    """Return the words of an HTTP API's own answer, as its access log has them."""
    return str(msgspec.json.decode(_HTTP[fault][1])["message"])
