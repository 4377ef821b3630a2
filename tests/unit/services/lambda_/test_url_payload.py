"""Function URLs: events of payload format 2.0, answers, CORS."""

import base64
import json
from typing import Any

import pytest

from cumulet.services.kit import Principal
from cumulet.services.lambda_.url_payload import (
    MalformedAnswer,
    answer_preflight,
    is_preflight,
    make_event,
    make_response,
    with_cors,
)
from cumulet.wire.message import Headers, Request, Response

DOMAIN = "abc.lambda-url.us-east-1.localhost"
TRACE = "Root=1-68e77a60-000000000000000000000001"


def request(method: str = "POST", body: bytes = b"", query: str = "", **headers: str) -> Request:
    fields = [("host", f"{DOMAIN}:4566"), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return Request(method, "/a%20b", query, Headers(fields), body)


def event(made: Request, principal: Principal | None = None) -> Any:
    return json.loads(make_event(made, "abc", made.path, DOMAIN, principal, "r1", 1_760_000_000_000, TRACE))


def test_an_event() -> None:
    made = event(request(query="x=1&x=2&y=", user_agent="curl", cookie="a=1; b=2"))
    assert made == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/a%20b",
        "rawQueryString": "x=1&x=2&y=",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": f"{DOMAIN}:4566",
            "user-agent": "curl",
            "cookie": "a=1; b=2",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "4566",
            "x-forwarded-proto": "http",
            "x-amzn-trace-id": TRACE,
        },
        "queryStringParameters": {"x": "1,2", "y": ""},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": DOMAIN,
            "domainPrefix": "abc",
            "http": {
                "method": "POST",
                "path": "/a b",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl",
            },
            "requestId": "r1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "09/Oct/2025:08:53:20 +0000",
            "timeEpoch": 1_760_000_000_000,
        },
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    ("content_type", "is_text"),
    [
        ("application/json; charset=utf-8", True),
        ("text/csv", True),
        ("application/problem+json", True),
        ("application/x-www-form-urlencoded", False),
        ("image/png", False),
    ],
)
def test_bodies(content_type: str, is_text: bool) -> None:
    made = event(request(body=b"body", content_type=content_type))
    assert made["isBase64Encoded"] is not is_text
    assert made["body"] == ("body" if is_text else base64.b64encode(b"body").decode())


def test_who_signed_is_told() -> None:
    made = event(request(), Principal.root("123456789012", "AKIA"))["requestContext"]
    assert (made["accountId"], made["authorizer"]["iam"]["accessKey"]) == ("123456789012", "AKIA")


JSON = ("content-type", "application/json")


@pytest.mark.parametrize(
    ("payload", "status", "headers", "body"),
    [
        (b'{"a": 1}', 200, (JSON,), b'{"a": 1}'),
        (b'"hello"', 200, (JSON,), b"hello"),
        (b"null", 200, (JSON,), b""),
        (b'"half \\ud83d"', 200, (JSON,), b"half ?"),
        (b'{"statusCode": 200, "body": "half \\ud83d"}', 200, (JSON,), b"half ?"),
        (b'{"statusCode": 200, "body": ["\\ud83d"]}', 200, (JSON,), b'["?"]'),
        (b'{"statusCode": 201, "body": "x"}', 201, (JSON,), b"x"),
        (b'{"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}', 200, (JSON,), b"hi"),
        (
            b'{"statusCode": 302, "headers": {"Location": "/", "Content-Type": "text/html", "X-N": 5}}',
            302,
            (("location", "/"), ("content-type", "text/html"), ("x-n", "5")),
            b"",
        ),
        (
            b'{"statusCode": 200, "cookies": ["a=1", "b=2"]}',
            200,
            (JSON, ("set-cookie", "a=1"), ("set-cookie", "b=2")),
            b"",
        ),
    ],
)
def test_answers(payload: bytes, status: int, headers: Any, body: bytes) -> None:
    assert make_response(payload) == Response(status, headers, body)


@pytest.mark.parametrize(
    "payload",
    [
        b"no json",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"statusCode": "many"}',
        b'{"statusCode": 99}',
        b'{"statusCode": true}',
        b'{"statusCode": 200, "headers": ["x"]}',
        b'{"statusCode": 200, "headers": {"x": "a\\r\\nb: c"}}',
        b'{"statusCode": 200, "body": "a", "isBase64Encoded": true}',
    ],
    ids=lambda payload: payload[:60].decode(),
)
def test_what_is_no_answer(payload: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        make_response(payload)


CORS = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET", "PUT"], "MaxAge": 60, "AllowCredentials": True}


def test_preflights() -> None:
    asked = request("OPTIONS", origin="https://a.example", access_control_request_method="PUT")
    assert is_preflight(asked)
    assert answer_preflight(asked, CORS).headers == (
        ("access-control-allow-origin", "https://a.example"),
        ("vary", "Origin"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET,PUT"),
        ("access-control-max-age", "60"),
    )
    foreign = request("OPTIONS", origin="https://b.example", access_control_request_method="PUT")
    assert answer_preflight(foreign, CORS).headers == ()
    assert not is_preflight(request("OPTIONS"))


def test_cors_replaces_what_the_function_says() -> None:
    said = Response(200, (("access-control-allow-origin", "*"), JSON), b"")
    shown = with_cors(said, request(origin="https://a.example"), {**CORS, "ExposeHeaders": ["x-n"]})
    assert shown.headers == (
        JSON,
        ("access-control-allow-origin", "https://a.example"),
        ("vary", "Origin"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-n"),
    )
