"""Execution logs of REST APIs: what happened to a request, step by step, in AWS's own lines (pure).

They are told from what is remembered of the request once it is answered, so a request that is not logged pays nothing.
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control import lambda_uri, service_uri
from cumulet.services.apigateway.model import MethodSettings, Stage
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import Arrival, Matched, Outbound, Relayed, Result
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import source_arn
from cumulet.services.apigateway.pipeline.journey import Journey
from cumulet.services.apigateway.pipeline.log_words import hidden
from cumulet.services.apigateway.pipeline.rest_backends import error_message, fill_url, sent_headers
from cumulet.wire.message import Response

_encode = msgspec.json.Encoder().encode

_SECRET_HEADERS = frozenset(("authorization", "x-api-key", "x-amz-security-token"))

_CUT = " [TRUNCATED]"
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
    told = tell(journey, arrival, stage, response, now_ms, with_data=settings.data_trace_enabled)
    wanted = told if settings.logging_level == "INFO" else (line for line in told if line.is_error)
    return [(line.at_ms, cut(f"({arrival.request_id}) {line.text}")) for line in wanted]


def tell(
    journey: Journey, arrival: Arrival, stage: Stage, response: Response, now_ms: int, *, with_data: bool
) -> Iterator[Line]:
    """Yield everything that happened; headers and bodies only with data."""
    came_ms, refused, matched = arrival.now_ms, journey.refused, journey.matched
    yield Line(came_ms, f"Extended Request Id: {arrival.extended_request_id}")
    if matched is not None:
        for text in _admission(arrival, stage, matched, refused):
            yield Line(came_ms, text)
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
        yield Line(now_ms, _failure(journey, arrival, refused), is_error=True)
    else:
        if with_data:
            yield from [Line(now_ms, text) for text in _method_response(response)]
        yield Line(now_ms, "Successfully completed execution")
    yield Line(now_ms, f"Method completed with status: {response.status}", is_error=refused is not None)


def cut(line: str) -> str:
    """Return a line that is no longer than AWS's."""
    encoded = line.encode("utf-8", "replace")
    if len(encoded) <= limits.EXECUTION_LOG_LINE_BYTES:
        return line
    return encoded[: limits.EXECUTION_LOG_LINE_BYTES - len(_CUT)].decode("utf-8", "ignore") + _CUT


def _admission(arrival: Arrival, stage: Stage, matched: Matched, refused: Refused | None) -> Iterator[str]:
    """Yield what happened before the method: its authorizer, its key, its plan."""
    authorization = matched.route.authorization
    authorizer = None if authorization is None else authorization.authorizer
    if authorizer is not None:
        yield f"Starting authorizer: {authorizer.authorizer_id} for request: {arrival.request_id}"
        if matched.authorized is not None:
            yield "Successfully completed authorizer execution"
    if authorization is not None and matched.authorized is None:
        return
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
    yield f"Method request path: {shown(matched.path_parameters.items())}"
    query = events.last_values(events.query_fields(arrival.request.query))
    yield f"Method request query string: {shown(query.items())}"
    headers = events.last_values(events.sent_names(events.header_fields(arrival), arrival.request.headers))
    yield f"Method request headers: {shown(headers.items())}"
    yield f"Method request body before transformations: {_text(arrival.request.body)}"


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
            yield f"Endpoint request body after transformations: {_text(sent.body)}"
        else:
            told = {
                "X-Amz-Source-Arn": source_arn(matched),
                "x-amzn-lambda-integration-tag": arrival.request_id,
                "x-amzn-apigateway-api-id": arrival.api_id,
                "Accept": "application/json",
                "User-Agent": f"AmazonAPIGateway_{arrival.api_id}",
                "X-Amzn-Trace-Id": arrival.trace_id,
                "Content-Type": "application/json",
            }
            yield f"Endpoint request headers: {shown(told.items())}"
            yield f"Endpoint request body after transformations: {_text(_encode(_masked(sent)))}"
    yield f"Sending request to {uri}"


def _endpoint(journey: Journey, matched: Matched) -> str | None:
    """Return the URI of the backend that was asked, or None if there is none behind the method."""
    target, variables = matched.route.target, matched.stage.variables
    if target.kind == "MOCK":
        return None
    if target.kind in _SERVERS:
        return fill_url(target.uri, variables, journey.sent) if isinstance(journey.sent, Outbound) else target.uri
    if (found := lambda_uri.function_arn(target.uri, variables)) is not None:
        return f"https://lambda.{found[0]}.amazonaws.com/2015-03-31/functions/{found[2]}/invocations"
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
        headers: Iterable[tuple[str, Any]] = (
            (("Content-Type", "application/json"), ("Content-Length", len(said.payload)))
            if isinstance(said, Result)
            else said.headers
        )
        yield f"Endpoint response headers: {shown(headers)}"
        body = said.payload if isinstance(said, Result) else said.body
        yield f"Endpoint response body before transformations: {_text(body)}"


def _method_response(response: Response) -> Iterator[str]:
    yield f"Method response body after transformations: {_text(response.body)}"
    yield f"Method response headers: {shown(response.headers)}"


def _failure(journey: Journey, arrival: Arrival, refused: Refused) -> str:
    """Return what went wrong."""
    if refused.log_line is not None:
        return refused.log_line
    fault, said = refused.fault, journey.said
    if fault in ("unauthorized", "not_signed", "bad_signature", "expired_token"):
        return f"Unauthorized request: {arrival.request_id}"
    if fault in ("denied", "denied_explicitly", "forbidden"):
        return "The client is not authorized to perform this operation."
    if fault == "timeout":
        return "Execution failed due to a timeout error"
    if fault == "unreachable":
        return "Execution failed due to a network error communicating with endpoint"
    if fault == "bad_answer" and isinstance(said, Result):
        if said.failed:
            told = error_message(said.payload)
            return f"Lambda execution failed with status 200 due to customer function error: {told}."
        return "Execution failed due to configuration error: Malformed Lambda proxy response"
    if fault == "misconfigured" and journey.sent_ms and not isinstance(said, Relayed):
        return "Execution failed due to configuration error: Invalid permissions on Lambda function"
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


def _masked(event: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a function's event with what is secret hidden: it has the client's headers, and the value of its key."""
    if event is None:
        return None
    masked = {**event, "headers": {}, "multiValueHeaders": {}}
    for name, values in event["multiValueHeaders"].items():
        told = [hidden(value) for value in values] if name.lower() in _SECRET_HEADERS else values
        masked["headers"][name], masked["multiValueHeaders"][name] = told[-1], told
    identity = event["requestContext"]["identity"]
    if (key := identity.get("apiKey")) is not None:
        masked["requestContext"] = {**event["requestContext"], "identity": {**identity, "apiKey": hidden(key)}}
    return masked


def _text(body: Any) -> str:
    # A body that came in pieces is gone by now.
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else ""
