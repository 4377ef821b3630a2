"""Execution logs of REST APIs: what happened to a request, step by step, in AWS's own lines (pure).

They are told from what is remembered of the request once it is answered, so a request that is not logged pays nothing.
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import lambda_uri, service_uri
from cumulet.services.apigateway.model import Authorizer, MethodSettings, Stage
from cumulet.services.apigateway.pipeline import encodings, events, gateway_responses
from cumulet.services.apigateway.pipeline.endpoint_ids import endpoint_id
from cumulet.services.apigateway.pipeline.exchange import Arrival, Hearing, Matched, Outbound, Result
from cumulet.services.apigateway.pipeline.faults import REST_REQUEST_IDS, Refused
from cumulet.services.apigateway.pipeline.integrate import api_arn, source_arn
from cumulet.services.apigateway.pipeline.journey import Journey
from cumulet.services.apigateway.pipeline.log_words import hidden
from cumulet.services.apigateway.pipeline.rest_backends import error_message, fill_url, sent_headers
from cumulet.wire.message import Response

_encode = msgspec.json.Encoder().encode

_SECRET_HEADERS = frozenset(("authorization", "x-api-key", "x-amz-security-token"))

_CUT = " [TRUNCATED]"
_BINARY = "[Binary Data]"
_LETTER_BYTES_MAX = 4
_DENIALS = ("denied", "denied_explicitly", "forbidden")
_SERVERS = ("HTTP", "HTTP_PROXY")


class Line(NamedTuple):
    """One line: when it happened, what happened, and whether it was an error."""

    at_ms: int
    text: str
    is_error: bool = False


def group_of(api_id: str, stage_name: str) -> str:
    """Return the name of a stage's log group."""
    return f"API-Gateway-Execution-Logs_{api_id}/{stage_name}"


def lines(
    journey: Journey, arrival: Arrival, stage: Stage, response: Response, now_ms: int, settings: MethodSettings
) -> list[tuple[int, str]]:
    """Return the lines that the settings of a method ask for, each with its time."""
    if settings.logging_level not in ("INFO", "ERROR"):
        return []
    told = chain(
        tell(journey, arrival, stage, response, now_ms, with_data=settings.data_trace_enabled),
        _known_elsewhere_as(journey, arrival, now_ms),
    )
    wanted = told if settings.logging_level == "INFO" else (line for line in told if line.is_error)
    return [(line.at_ms, cut(f"({arrival.request_id}) {line.text}")) for line in wanted]


def tell(
    journey: Journey, arrival: Arrival, stage: Stage, response: Response, now_ms: int, *, with_data: bool
) -> Iterator[Line]:
    """Yield everything that happened; headers and bodies only with data."""
    came_ms, refused, matched = arrival.now_ms, journey.refused, journey.matched
    yield Line(came_ms, f"Extended Request Id: {arrival.extended_request_id}")
    if matched is not None:
        yield from _admission(journey, arrival, stage, matched, with_data)
        if journey.sent_ms or refused is None or _was_executed(refused):
            yield Line(came_ms, f"Starting execution for request: {arrival.request_id}")
            yield Line(came_ms, f"HTTP Method: {arrival.request.method}, Resource Path: {arrival.path}")
            if with_data:
                yield from [Line(came_ms, text) for text in _method_request(matched)]
        if journey.sent_ms:
            yield from [Line(journey.sent_ms, text) for text in _endpoint_request(journey, matched, with_data)]
        if journey.said is not None:
            yield from [Line(journey.said_ms, text) for text in _endpoint_response(journey, matched, with_data)]
    if refused is not None:
        told = failure(journey, arrival, refused)
        if matched is not None:
            told += _customized(matched, refused, response, with_data)
        yield from [Line(now_ms, text, is_error=True) for text in told]
    else:
        if with_data:
            yield from [Line(now_ms, text) for text in _method_response(response)]
        yield Line(now_ms, "Successfully completed execution")
    yield Line(now_ms, f"Method completed with status: {response.status}", is_error=refused is not None)


def _known_elsewhere_as(journey: Journey, arrival: Arrival, now_ms: int) -> Iterator[Line]:
    """Yield the ids by which other logs know the request."""
    matched, failed = journey.matched, journey.refused is not None
    if matched is not None and matched.route.target.kind not in _SERVERS:
        backend_id = endpoint_id(journey.said)
        if backend_id is not None:
            yield Line(now_ms, f"AWS Integration Endpoint RequestId : {backend_id}", is_error=failed)
    if arrival.segment:
        root = arrival.segment.partition(";")[0].removeprefix("Root=")
        yield Line(now_ms, f"X-ray Tracing ID : {root}", is_error=failed)


def cut(line: str) -> str:
    """Return a line that is no longer than AWS's."""
    encoded = line.encode("utf-8", "replace")
    if len(encoded) <= limits.EXECUTION_LOG_LINE_BYTES:
        return line
    return encoded[: limits.EXECUTION_LOG_LINE_BYTES - len(_CUT)].decode("utf-8", "ignore") + _CUT


def _admission(journey: Journey, arrival: Arrival, stage: Stage, matched: Matched, with_data: bool) -> Iterator[Line]:
    """Yield what happened before the method: its authorizer, its key, its plan."""
    authorization, refused = matched.route.authorization, journey.refused
    authorizer = None if authorization is None else authorization.authorizer
    if authorizer is not None:
        yield Line(arrival.now_ms, f"Starting authorizer: {authorizer.authorizer_id} for request: {arrival.request_id}")
        at_ms = arrival.now_ms if journey.heard is None else journey.heard.said_ms
        if with_data and journey.heard is not None:
            yield from hearing(arrival, stage, authorizer, journey.heard)
        if matched.authorized is not None or (refused is not None and refused.fault in _DENIALS):
            yield Line(at_ms, "Successfully completed authorizer execution")
    if authorization is None or matched.authorized is not None:
        yield from [Line(arrival.now_ms, text) for text in _metering(arrival, stage, matched, refused)]


def hearing(arrival: Arrival, stage: Stage, authorizer: Authorizer, heard: Hearing) -> Iterator[Line]:
    """Yield how an authorizer's function was asked, and what it said."""
    asked_ms, event = heard.asked_ms, heard.event
    if (token := event.get("authorizationToken")) is not None:
        yield Line(asked_ms, f"Incoming identity: {hidden(token)}")
        event = {**event, "authorizationToken": hidden(token)}
    else:
        event = _masked(event)
    if (found := lambda_uri.function_arn(authorizer.uri, stage.variables)) is not None:
        uri = _function_url(found)
        told = _told_to_lambda(arrival, f"{api_arn(arrival)}/authorizers/{authorizer.authorizer_id}")
        yield Line(asked_ms, f"Endpoint request URI: {uri}")
        yield Line(asked_ms, f"Endpoint request headers: {shown(told)}")
        yield Line(asked_ms, f"Endpoint request body after transformations: {body_text(_encode(event))}")
        yield Line(asked_ms, f"Sending request to {uri}")
    yield Line(heard.said_ms, f"Authorizer result body before parsing: {body_text(heard.payload)}")
    if (principal_id := _principal_of(heard.payload)) is not None:
        yield Line(heard.said_ms, f"Using valid authorizer policy for principal: {hidden(principal_id)}")


def _principal_of(payload: bytes) -> str | None:
    try:
        answer: Any = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    principal_id = answer.get("principalId") if isinstance(answer, dict) and "policyDocument" in answer else None
    return principal_id if isinstance(principal_id, str) else None


def _metering(arrival: Arrival, stage: Stage, matched: Matched, refused: Refused | None) -> Iterator[str]:
    place, key = f"{arrival.api_id}/{stage.name}", hidden(matched.api_key.value) if matched.api_key else ""
    yield f"Verifying Usage Plan for request: {arrival.request_id}. API Key: {key} API Stage: {place}"
    if refused is not None and refused.fault in ("bad_key", "quota_exceeded", "too_many"):
        return
    if not matched.route.api_key_required:
        yield (
            f"API Key {key} authorized because method '{matched.route.key} {matched.route.path}' does not require API "
            "Key. Request will not contribute to throttle or quota limits"
        )
    yield f"Usage Plan check succeeded for API Key {key} and API Stage {place}"


def _was_executed(refused: Refused) -> bool:
    return refused.fault in ("bad_parameters", "bad_body", "unmapped_type", "unreadable_body", "misconfigured")


def _method_request(matched: Matched) -> Iterator[str]:
    arrival = matched.arrival
    if matched.route.api_key_required and matched.api_key is not None:
        yield f"API Key: {hidden(matched.api_key.value)}"
    yield f"Method request path: {shown(matched.path_parameters.items())}"
    query = events.last_values(events.rest_query_fields(arrival.request.query))
    yield f"Method request query string: {shown(query.items())}"
    headers = events.last_values(events.sent_names(events.header_fields(arrival), arrival.request.headers))
    yield f"Method request headers: {shown(headers.items())}"
    types, content_type = matched.compiled.deployment.binary_media_types, arrival.request.headers.get("content-type")
    body = _BINARY if encodings.is_binary(types, content_type) else body_text(arrival.request.body)
    yield f"Method request body before transformations: {body}"


def _endpoint_request(journey: Journey, matched: Matched, with_data: bool) -> Iterator[str]:
    uri = _endpoint(journey, matched)
    if uri is None:
        return
    arrival, sent = matched.arrival, journey.sent
    if with_data:
        yield f"Endpoint request URI: {uri}"
        if isinstance(sent, Outbound):
            headers = sent_headers(matched, sent) if matched.route.target.kind in _SERVERS else sent.headers
            yield f"Endpoint request headers: {shown(events.joined_values(headers).items())}"
            yield f"Endpoint request body after transformations: {body_text(sent.body)}"
        else:
            yield f"Endpoint request headers: {shown(_told_to_lambda(arrival, source_arn(matched)))}"
            body = b"" if sent is None else _encode(_masked(sent))
            yield f"Endpoint request body after transformations: {body_text(body)}"
    yield f"Sending request to {uri}"


def _told_to_lambda(arrival: Arrival, source: str) -> dict[str, str]:
    return {
        "X-Amz-Source-Arn": source,
        "x-amzn-lambda-integration-tag": arrival.request_id,
        "x-amzn-apigateway-api-id": arrival.api_id,
        "Accept": "application/json",
        "User-Agent": f"AmazonAPIGateway_{arrival.api_id}",
        "X-Amzn-Trace-Id": arrival.segment or arrival.trace_id,
        "Content-Type": "application/json",
    }


def _function_url(function: tuple[str, str, str]) -> str:
    return f"https://lambda.{function[0]}.amazonaws.com/2015-03-31/functions/{function[2]}/invocations"


def _endpoint(journey: Journey, matched: Matched) -> str | None:
    """Return the URI of the backend that was asked, or None if there is none behind the method."""
    target, variables = matched.route.target, matched.stage.variables
    if target.kind == "MOCK":
        return None
    if target.kind in _SERVERS:
        try:
            return fill_url(target.uri, variables, journey.sent) if isinstance(journey.sent, Outbound) else target.uri
        except Refused:
            return target.uri  # it would have led elsewhere
    if (found := lambda_uri.function_arn(target.uri, variables)) is not None:
        return _function_url(found)
    found_service = service_uri.find(lambda_uri.fill_stage_variables(target.uri, variables))
    if found_service is None:
        return target.uri
    asked = f"?Action={found_service.asked}" if found_service.is_action else found_service.asked
    return f"https://{found_service.service}.{found_service.region}.amazonaws.com/{asked}"


def _endpoint_response(journey: Journey, matched: Matched, with_data: bool) -> Iterator[str]:
    said = journey.said
    if said is None or matched.route.target.kind == "MOCK":
        return
    status = 200 if isinstance(said, Result) else said.status
    yield f"Received response. Status: {status}, Integration latency: {journey.said_ms - journey.sent_ms} ms"
    if with_data:
        headers: Iterable[tuple[str, Any]] = _told_by_lambda(said) if isinstance(said, Result) else said.headers
        yield f"Endpoint response headers: {shown(headers)}"
        body = said.payload if isinstance(said, Result) else said.body
        yield f"Endpoint response body before transformations: {body_text(body)}"


def _told_by_lambda(said: Result) -> Iterator[tuple[str, Any]]:
    yield "Content-Type", "application/json"
    yield "Content-Length", len(said.payload)
    yield "x-amzn-RequestId", said.request_id
    if said.failed:
        yield "X-Amz-Function-Error", "Unhandled"


def _method_response(response: Response) -> Iterator[str]:
    yield f"Method response body after transformations: {body_text(response.body)}"
    yield f"Method response headers: {shown(_told_to_client(response))}"


def _told_to_client(response: Response) -> list[tuple[str, str]]:
    return [pair for pair in response.headers if pair[0] not in REST_REQUEST_IDS]


def failure(journey: Journey, arrival: Arrival, refused: Refused) -> list[str]:
    """Return what went wrong, in one line, or in two where an authorizer did."""
    if refused.fault not in ("authorizer_misconfigured", "authorizer_failed"):
        return [refused.log_line or _failure(journey, arrival, refused)]
    told = [] if refused.log_line is None else [refused.log_line]
    if refused.fault == "authorizer_failed" and journey.heard is not None:
        told = [_function_failed(journey.heard)]
    return [*told, "Execution failed due to configuration error: Authorizer error"]


def _customized(matched: Matched, refused: Refused, response: Response, with_data: bool) -> Iterator[str]:
    """Yield what the API's owner says in place of AWS's words.

    Seen in https://github.com/aws/serverless-application-model/issues/553.
    """
    words, responses = refused.words(matched.arrival), matched.compiled.deployment.gateway_responses
    if not responses or gateway_responses.find(responses, words) is None:
        return
    yield f"Gateway response type: {words.response_type} with status code: {response.status}"
    if with_data:
        yield f"Gateway response body: {body_text(response.body)}"
        yield f"Gateway response headers: {shown(_told_to_client(response))}"


def _function_failed(said: Result | Hearing) -> str:
    words = error_message(said.payload)
    failed = f"Lambda execution failed with status 200 due to customer function error: {words}."
    return f"{failed} Lambda request id: {said.request_id}"


def _failure(journey: Journey, arrival: Arrival, refused: Refused) -> str:
    fault, said = refused.fault, journey.said
    if fault in ("unauthorized", "not_signed", "bad_signature", "expired_token"):
        return f"Unauthorized request: {arrival.request_id}"
    if fault in _DENIALS:
        return "The client is not authorized to perform this operation."
    if fault == "timeout":
        return "Execution failed due to a timeout error"
    if fault == "unreachable":
        return "Execution failed due to a network error communicating with endpoint"
    if fault == "bad_answer" and isinstance(said, Result):
        if said.failed:
            return _function_failed(said)
        return "Execution failed due to configuration error: Malformed Lambda proxy response"
    words = refused.words(arrival)
    reason = refused.detail or words.message
    if fault == "misconfigured":
        return f"Execution failed due to configuration error: {reason}"
    return f"Request failed: {reason}"


def shown(pairs: Iterable[tuple[str, Any]] | Mapping[str, Any]) -> str:
    """Return pairs as Java prints a map, with what is secret hidden."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    told = [f"{name}={hidden(str(value)) if name.lower() in _SECRET_HEADERS else value}" for name, value in items]
    return f"{{{', '.join(told)}}}"


def _masked(event: dict[str, Any]) -> dict[str, Any]:
    """Return a function's event with what is secret hidden: it has the client's headers, and the value of its key."""
    masked = {**event, "headers": {}, "multiValueHeaders": {}}
    for name, values in (event["multiValueHeaders"] or {}).items():
        told = [hidden(value) for value in values] if name.lower() in _SECRET_HEADERS else values
        masked["headers"][name], masked["multiValueHeaders"][name] = told[-1], told
    identity = event["requestContext"]["identity"]
    if (key := identity.get("apiKey")) is not None:
        masked["requestContext"] = {**event["requestContext"], "identity": {**identity, "apiKey": hidden(key)}}
    return masked


def body_text(body: Any) -> str:
    """Return as much of a body as a line can tell."""
    if not isinstance(body, bytes):
        return ""  # what came in pieces is gone by now
    told = body[: limits.EXECUTION_LOG_LINE_BYTES]  # no line has more
    try:
        return told.decode()
    except UnicodeDecodeError as error:
        cut_in_two = len(told) < len(body) and error.start > len(told) - _LETTER_BYTES_MAX
        return told[: error.start].decode() if cut_in_two else _BINARY
