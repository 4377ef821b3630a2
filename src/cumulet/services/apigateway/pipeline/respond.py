"""From a function's answer to an HTTP answer, by the rules of the payload format (pure).

REST: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
HTTP: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import binascii
import re
from typing import Any

import msgspec

from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import (
    Answer,
    Matched,
    Outbound,
    Relayed,
    Result,
    Said,
    Sent,
    Streamed,
)
from cumulet.services.apigateway.pipeline.faults import Refused, own_headers
from cumulet.services.apigateway.pipeline.parameters import map_response as map_http_response
from cumulet.services.apigateway.pipeline.rest_mapping import map_response as map_rest_response
from cumulet.services.apigateway.pipeline.rest_mapping import relayed, remapped
from cumulet.wire.message import Response

HeaderList = list[tuple[str, str]]

_PROXY_MEMBERS = frozenset(("statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"))

_PRELUDE_MEMBERS = frozenset(("statusCode", "headers", "multiValueHeaders", "cookies"))

_REST_DROPPED = frozenset(["expect", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"])
_HTTP_DROPPED = frozenset(
    ["apigw-requestid", "connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"]
)
"""The first is API Gateway's own, also where the backend is an API itself."""

_JSON_TYPE = ("Content-Type", "application/json")
_TEXT_TYPE = ("Content-Type", "text/plain; charset=utf-8")

_line_break = re.compile(r"[\r\n\0]").search

_STATUS = range(200, 600)
"""A 1xx status is no final answer in HTTP."""


def respond(matched: Matched, sent: Sent, said: Said) -> Response:
    """Return the answer for the client. Raises Refused if a backend failed or answered in no known form."""
    target = matched.route.target
    if isinstance(said, Streamed):
        return _streamed_response(matched, said)
    if isinstance(said, Answer):
        assert isinstance(sent, Outbound) and target.mapping is not None
        return map_rest_response(matched, target.mapping, sent, said)
    response = _relayed_response(matched, said) if isinstance(said, Relayed) else _function_response(matched, said)
    if target.parameters is not None and target.parameters.response:
        response = map_http_response(matched, response, target.parameters.response)
    return response


def _relayed_response(matched: Matched, result: Relayed) -> Response:
    headers = list(own_headers(matched.arrival))
    headers += [(name, value) for name, value in result.headers if name not in _HTTP_DROPPED]
    return Response(result.status, tuple(headers), b"" if result.status in events.BODILESS else result.body)


def _function_response(matched: Matched, result: Result) -> Response:
    payload_format = matched.route.target.payload_format
    if result.failed:
        raise Refused("bad_answer")
    try:
        answer = msgspec.json.decode(result.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused("bad_answer") from None
    if payload_format == "rest":
        return _rest_response(matched, answer)
    if payload_format == "1.0":
        return _http_v1_response(matched, answer)
    return _http_v2_response(matched, answer, result.payload)


def _streamed_response(matched: Matched, said: Streamed) -> Response:
    if said.head is None:
        return relayed(matched, said.status, said.headers, said.body)
    if not said.head.keys() <= _PRELUDE_MEMBERS:
        raise Refused("bad_answer")
    status, headers = _status(said.head.get("statusCode", 200)), _rest_headers(matched, said.head)
    headers += [("Set-Cookie", cookie) for cookie in _cookies(said.head)]
    return Response(status, _response(status, headers, _JSON_TYPE, b"").headers, said.body)


def _rest_response(matched: Matched, answer: Any) -> Response:
    # No member is mandatory, but a foreign one makes the answer malformed.
    if not isinstance(answer, dict) or not answer.keys() <= _PROXY_MEMBERS:
        raise Refused("bad_answer")
    headers = _rest_headers(matched, answer)
    decode = answer.get("isBase64Encoded") not in (None, False, 0, "", "false") and _accepts_binary(matched)
    return _response(_status(answer.get("statusCode", 200)), headers, _JSON_TYPE, _body(answer.get("body"), decode))


def _rest_headers(matched: Matched, answer: dict[str, Any]) -> HeaderList:
    headers: HeaderList = list(own_headers(matched.arrival))
    headers.append(("X-Amzn-Trace-Id", matched.arrival.trace_id))
    for name, value in _merged_headers(answer):
        lowered = name.lower()
        if lowered not in _REST_DROPPED:
            headers.append((remapped(name), value))
    return headers


def _http_v1_response(matched: Matched, answer: Any) -> Response:
    if not isinstance(answer, dict) or "statusCode" not in answer:
        raise Refused("bad_answer")
    return _http_response(matched, answer, _merged_headers(answer))


def _http_v2_response(matched: Matched, answer: Any, payload: bytes) -> Response:
    if not isinstance(answer, dict) or "statusCode" not in answer:
        # The whole answer is the body; text stands without its quotes.
        body = answer.encode("utf-8", "replace") if isinstance(answer, str) else payload
        return _response(200, list(own_headers(matched.arrival)), _JSON_TYPE, body)
    cookies = [("Set-Cookie", cookie) for cookie in _cookies(answer)]
    return _http_response(matched, answer, _single_headers(answer) + cookies)


def _cookies(answer: dict[str, Any]) -> list[str]:
    cookies = answer.get("cookies") or []
    if not isinstance(cookies, list) or not all(isinstance(cookie, str) for cookie in cookies):
        raise Refused("bad_answer")
    return [_header_value(cookie) for cookie in cookies]


def _http_response(matched: Matched, answer: dict[str, Any], given: HeaderList) -> Response:
    headers = list(own_headers(matched.arrival))
    headers += [(name, value) for name, value in given if name.lower() not in _HTTP_DROPPED]
    is_base64 = answer.get("isBase64Encoded")
    if is_base64 is not None and not isinstance(is_base64, bool):
        raise Refused("bad_answer")  # the text "false" would say true
    return _response(_status(answer["statusCode"]), headers, _TEXT_TYPE, _body(answer.get("body"), is_base64 is True))


def _response(status: int, headers: HeaderList, default_type: tuple[str, str], body: bytes) -> Response:
    if "content-type" not in [name.lower() for name, _ in headers]:
        headers.append(default_type)
    return Response(status, tuple(headers), b"" if status in events.BODILESS else body)


def _status(given: Any) -> int:
    is_number = isinstance(given, float) and given.is_integer()
    if is_number or (isinstance(given, str) and len(given) == 3 and given.isdigit() and given.isascii()):
        given = int(given)
    if type(given) is not int or given not in _STATUS:  # to Python, true is an integer
        raise Refused("bad_answer")
    return given


def _body(given: Any, decode: bool) -> bytes:
    if given is None:
        return b""
    if not isinstance(given, str):
        raise Refused("bad_answer")
    if not decode:
        return given.encode("utf-8", "replace")
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("bad_answer") from None


def _merged_headers(answer: dict[str, Any]) -> HeaderList:
    """Return multiValueHeaders and headers as one list; a pair that stands in both stands in it once."""
    many = answer.get("multiValueHeaders")
    if not many:
        return _single_headers(answer)
    if not isinstance(many, dict):
        raise Refused("bad_answer")
    merged: HeaderList = []
    for name, values in many.items():
        if not isinstance(values, list):
            raise Refused("bad_answer")
        merged += [(_header_name(name), _header_value(value)) for value in values]
    seen = {(name.lower(), value) for name, value in merged}
    return merged + [pair for pair in _single_headers(answer) if (pair[0].lower(), pair[1]) not in seen]


def _single_headers(answer: dict[str, Any]) -> HeaderList:
    single = answer.get("headers") or {}
    if not isinstance(single, dict):
        raise Refused("bad_answer")
    return [(_header_name(name), _header_value(value)) for name, value in single.items()]


def _header_name(name: str) -> str:
    if not events.is_token(name):
        raise Refused("bad_answer")
    return name


def _header_value(value: Any) -> str:
    if isinstance(value, str) and not _line_break(value):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise Refused("bad_answer")


def _accepts_binary(matched: Matched) -> bool:
    # Only the first media type of Accept counts (the developer guide's notes on REST APIs).
    types = matched.compiled.deployment.binary_media_types
    accepted = events.media_type(matched.arrival.request.headers.get("accept"))
    return events.is_binary_for(types, accepted)
