"""Every event of one request, field by field, and how an independent reader (Powertools for AWS Lambda) takes them.

The request is of the kind that https://github.com/hotsock/voker/tree/main/vokerhttp/testdata captured on AWS: an
encoded path, repeated and encoded query parameters, a repeated header, two cookies, and a JSON body.
"""

import importlib
import json
from typing import Any

import pytest
from pydantic import BaseModel

from cumulet.services.kit import Principal
from cumulet.services.lambda_.url_payload import make_event
from cumulet.wire.message import Headers, Request
from unit.services.apigateway.fake_lambda import URI, ApiHouse

EPOCH_MS = 1_760_000_000_000
TIME = "09/Oct/2025:08:53:20 +0000"
TRACE = "Root=1-68e77a60-0123456789abcdef01234567"
ACCOUNT = "000000000000"
QUERY = "repeat=one&repeat=two&redirect=https%3A%2F%2Fa.example%2Fb&literalPlus=a+b&encodedPlus=a%2Bb&empty="
LAST = {"repeat": "two", "redirect": "https://a.example/b", "literalPlus": "a b", "encodedPlus": "a+b", "empty": ""}
ALL = {name: [value] for name, value in LAST.items()} | {"repeat": ["one", "two"]}
JOINED = LAST | {"repeat": "one,two"}
BODY = '{"unicode":"lambda-λ"}'
HEADERS = [
    ("User-Agent", "curl/8.7.1"),
    ("accept", "*/*"),
    ("content-type", "application/json"),
    ("content-length", str(len(BODY.encode()))),
    ("cookie", "session=abc123; theme=dark"),
    ("x-Probe", "first"),
    ("x-probe", "second"),
    ("x-amzn-trace-id", TRACE),
]
UNKNOWN = (
    "accessKey accountId caller cognitoAuthenticationProvider cognitoAuthenticationType cognitoIdentityId "
    "cognitoIdentityPoolId principalOrgId user userArn"
)
NO_IDENTITY = dict.fromkeys(UNKNOWN.split())
FORWARDED = {"x-forwarded-for": "127.0.0.1", "x-forwarded-port": "4566", "x-forwarded-proto": "http"}


async def asked(house: ApiHouse, api_id: str, path: str) -> dict[str, Any]:
    """Return the first event of the request, whoever got it, with what is made up for each request taken out."""
    sent = {"headers": HEADERS, "query": QUERY, "body": BODY.encode(), "via": "host"}
    await house.request(api_id, "POST", path, **sent)  # type: ignore[arg-type]
    event: dict[str, Any] = json.loads(house.function.calls[0][1]["Payload"])
    return event


async def rest_event(kind: str | None = None) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the event of a REST API's function, or of its authorizer of this kind, and the ids in it."""
    house = ApiHouse()
    api_id = await house.rest_api("POST /capture/{proxy+}", deploy=False)
    [resource] = [r for r in (await house.v1("GetResources", restApiId=api_id))["items"] if "proxy" in r["path"]]
    if kind is not None:
        made = await house.v1("CreateAuthorizer", restApiId=api_id, name="a", type=kind, authorizerUri=URI, **SOURCE)
        patch = [
            {"op": "replace", "path": "/authorizationType", "value": "CUSTOM"},
            {"op": "replace", "path": "/authorizerId", "value": made["id"]},
        ]
        at = {"restApiId": api_id, "resourceId": resource["id"], "httpMethod": "POST"}
        await house.v1("UpdateMethod", **at, patchOperations=patch)
    deployed = await house.v1("CreateDeployment", restApiId=api_id, stageName="live")
    event = await asked(house, api_id, "/live/capture/space%20value/x%2Fy")
    return event, {"api": api_id, "resource": resource["id"], "deployment": deployed["id"]}


SOURCE = {"identitySource": "method.request.header.x-probe"}


async def http_event(payload_format: str, *, authorizer: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the event of an HTTP API's function, or of its authorizer, in a payload format, and the ids in it."""
    house = ApiHouse()
    api_id = await house.http_api("ANY /capture/{proxy+}", payload_format=payload_format)
    if authorizer:
        made = await house.v2(
            "CreateAuthorizer",
            ApiId=api_id,
            Name="a",
            AuthorizerType="REQUEST",
            AuthorizerUri=URI,
            AuthorizerPayloadFormatVersion=payload_format,
            IdentitySource=["$request.header.x-probe"],
        )
        [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
        guard = {"AuthorizationType": "CUSTOM", "AuthorizerId": made["AuthorizerId"]}
        await house.v2("UpdateRoute", ApiId=api_id, RouteId=route["RouteId"], **guard)
    return await asked(house, api_id, "/capture/space%20value/x"), {"api": api_id}


def url_event(principal: Principal | None = None) -> dict[str, Any]:
    """Return the event of a function URL."""
    made = Request("POST", "/capture/space%20value", QUERY, Headers([("host", "u:4566"), *HEADERS]), BODY.encode())
    event = make_event(made, "u", made.path, "u.lambda-url.us-east-1.localhost", principal, "r", EPOCH_MS, TRACE)
    decoded: dict[str, Any] = json.loads(event)
    return decoded


def without_body(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ("version", "body", "isBase64Encoded")}


def rest_expected(ids: dict[str, str], made: dict[str, Any]) -> dict[str, Any]:
    host = f"{ids['api']}.execute-api.localhost"
    headers = {
        "Host": f"{host}:4566",
        "User-Agent": "curl/8.7.1",
        "accept": "*/*",
        "content-type": "application/json",
        "cookie": "session=abc123; theme=dark",
        "x-Probe": "second",
        "X-Amzn-Trace-Id": TRACE,
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Port": "4566",
        "X-Forwarded-Proto": "http",
    }
    return {
        "resource": "/capture/{proxy+}",
        "path": "/capture/space%20value/x%2Fy",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()} | {"x-Probe": ["first", "second"]},
        "queryStringParameters": LAST,
        "multiValueQueryStringParameters": ALL,
        "pathParameters": {"proxy": "space%20value/x%2Fy"},
        "stageVariables": None,
        "requestContext": {
            "resourceId": ids["resource"],
            "resourcePath": "/capture/{proxy+}",
            "httpMethod": "POST",
            "extendedRequestId": made["extendedRequestId"],
            "requestTime": TIME,
            "path": "/live/capture/space%20value/x%2Fy",
            "accountId": ACCOUNT,
            "protocol": "HTTP/1.1",
            "stage": "live",
            "domainPrefix": ids["api"],
            "requestTimeEpoch": EPOCH_MS,
            "requestId": made["requestId"],
            "identity": {**NO_IDENTITY, "sourceIp": "127.0.0.1", "userAgent": "curl/8.7.1"},
            "domainName": host,
            "deploymentId": ids["deployment"],
            "apiId": ids["api"],
        },
        "body": BODY,
        "isBase64Encoded": False,
    }


async def test_a_rest_api_s_function() -> None:
    event, ids = await rest_event()
    assert event == rest_expected(ids, event["requestContext"])
    assert list(map(len, (event["requestContext"]["requestId"], event["requestContext"]["extendedRequestId"]))) == [
        36,
        16,
    ]


async def test_a_rest_api_s_authorizer_of_requests() -> None:
    event, ids = await rest_event("REQUEST")
    arn = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{ids['api']}/live/POST/capture/space value/x%2Fy"
    same = without_body(rest_expected(ids, event["requestContext"]))
    assert event == {"type": "REQUEST", "methodArn": arn, **same, "stageVariables": {}}
    assert list(event)[:2] == ["type", "methodArn"]


async def test_a_rest_api_s_authorizer_of_tokens() -> None:
    event, ids = await rest_event("TOKEN")
    arn = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{ids['api']}/live/POST/capture/space value/x%2Fy"
    assert event == {"type": "TOKEN", "methodArn": arn, "authorizationToken": "second"}


def http_headers(api_id: str) -> dict[str, str]:
    return {
        "host": f"{api_id}.execute-api.localhost:4566",
        "user-agent": "curl/8.7.1",
        "accept": "*/*",
        "content-type": "application/json",
        "content-length": "23",
        "x-amzn-trace-id": TRACE,
        **FORWARDED,
    }


def v2_expected(ids: dict[str, str], made: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": "ANY /capture/{proxy+}",
        "rawPath": "/capture/space value/x",
        "rawQueryString": QUERY,
        "cookies": ["session=abc123", "theme=dark"],
        "headers": {**http_headers(ids["api"]), "x-probe": "first,second"},
        "queryStringParameters": JOINED,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": ids["api"],
            "domainName": f"{ids['api']}.execute-api.localhost",
            "domainPrefix": ids["api"],
            "http": {
                "method": "POST",
                "path": "/capture/space value/x",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl/8.7.1",
            },
            "requestId": made["requestId"],
            "routeKey": "ANY /capture/{proxy+}",
            "stage": "$default",
            "time": TIME,
            "timeEpoch": EPOCH_MS,
        },
        "pathParameters": {"proxy": "space value/x"},
        "body": BODY,
        "isBase64Encoded": False,
    }


async def test_an_http_api_s_function_in_format_2() -> None:
    event, ids = await http_event("2.0")
    assert event == v2_expected(ids, event["requestContext"])


async def test_an_http_api_s_authorizer_in_format_2() -> None:
    event, ids = await http_event("2.0", authorizer=True)
    arn = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{ids['api']}/$default/POST/capture/space value/x"
    same = without_body(v2_expected(ids, event["requestContext"]))
    named = {"version": "2.0", "type": "REQUEST", "routeArn": arn, "identitySource": ["first,second"]}
    assert event == {**named, **same}
    assert list(event)[:4] == list(named)


def v1_expected(ids: dict[str, str], made: dict[str, Any]) -> dict[str, Any]:
    capitals = "host user-agent content-length x-amzn-trace-id x-forwarded-for x-forwarded-port x-forwarded-proto"
    headers = {
        name.title() if name in capitals.split() else name: value
        for name, value in {
            **http_headers(ids["api"]),
            "cookie": "session=abc123; theme=dark",
            "x-probe": "second",
        }.items()
    }
    return {
        "version": "1.0",
        "resource": "/capture/{proxy+}",
        "path": "/capture/space value/x",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()} | {"x-probe": ["first", "second"]},
        "queryStringParameters": LAST,
        "multiValueQueryStringParameters": ALL,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": ids["api"],
            "domainName": f"{ids['api']}.execute-api.localhost",
            "domainPrefix": ids["api"],
            "extendedRequestId": made["requestId"],
            "httpMethod": "POST",
            "identity": {**NO_IDENTITY, "cognitoAmr": None, "sourceIp": "127.0.0.1", "userAgent": "curl/8.7.1"},
            "path": "/capture/space value/x",
            "protocol": "HTTP/1.1",
            "requestId": made["requestId"],
            "requestTime": TIME,
            "requestTimeEpoch": EPOCH_MS,
            "resourceId": "ANY /capture/{proxy+}",
            "resourcePath": "/capture/{proxy+}",
            "stage": "$default",
        },
        "pathParameters": {"proxy": "space value/x"},
        "stageVariables": None,
        "body": BODY,
        "isBase64Encoded": False,
    }


async def test_an_http_api_s_function_in_format_1() -> None:
    event, ids = await http_event("1.0")
    assert event == v1_expected(ids, event["requestContext"])


async def test_an_http_api_s_authorizer_in_format_1() -> None:
    event, ids = await http_event("1.0", authorizer=True)
    arn = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{ids['api']}/$default/POST/capture/space value/x"
    same = without_body(v1_expected(ids, event["requestContext"]))
    named = {"version": "1.0", "type": "REQUEST", "methodArn": arn}
    sources = {"identitySource": "first,second", "authorizationToken": "first,second"}
    assert event == {**named, **sources, **same, "stageVariables": {}}


def test_a_function_url() -> None:
    assert url_event() == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/capture/space%20value",
        "rawQueryString": QUERY,
        "cookies": ["session=abc123", "theme=dark"],
        "headers": {
            "host": "u:4566",
            "user-agent": "curl/8.7.1",
            "accept": "*/*",
            "content-type": "application/json",
            "content-length": "23",
            "cookie": "session=abc123; theme=dark",
            "x-probe": "first,second",
            "x-amzn-trace-id": TRACE,
            **FORWARDED,
        },
        "queryStringParameters": JOINED,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "u",
            "domainName": "u.lambda-url.us-east-1.localhost",
            "domainPrefix": "u",
            "http": {
                "method": "POST",
                "path": "/capture/space value",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl/8.7.1",
            },
            "requestId": "r",
            "routeKey": "$default",
            "stage": "$default",
            "time": TIME,
            "timeEpoch": EPOCH_MS,
        },
        "body": BODY,
        "isBase64Encoded": False,
    }


async def event_of(kind: str) -> dict[str, Any]:
    """Return the event of one kind."""
    if kind.startswith("url"):
        return url_event(Principal.root(ACCOUNT, "AKIA") if kind == "url, signed" else None)
    if kind.startswith("rest"):
        return (await rest_event(kind.removeprefix("rest").strip() or None))[0]
    return (await http_event(kind.split()[1], authorizer=kind.endswith("authorizer")))[0]


READERS: dict[str, tuple[str, set[str]]] = {
    # What each is read by, and what the reader does not know: the event of REST APIs tells of their deployment.
    "rest": ("APIGatewayProxyEventModel", {"requestContext.deploymentId"}),
    "rest REQUEST": ("ApiGatewayAuthorizerRequest", {"requestContext.deploymentId"}),
    "rest TOKEN": ("ApiGatewayAuthorizerToken", set()),
    "http 2.0": ("APIGatewayProxyEventV2Model", set()),
    "http 2.0 authorizer": ("ApiGatewayAuthorizerRequestV2", set()),
    "http 1.0": ("APIGatewayProxyEventModel", {"requestContext.identity.cognitoAmr"}),
    "http 1.0 authorizer": (
        "ApiGatewayAuthorizerRequest",
        {"requestContext.identity.cognitoAmr", "identitySource", "authorizationToken"},
    ),
    "url": ("LambdaFunctionUrlModel", set()),
    "url, signed": ("LambdaFunctionUrlModel", set()),
}


def unread(event: dict[str, Any], read: Any, above: str = "") -> set[str]:
    """Return the dotted names of what a reader has no field for."""
    if not isinstance(read, BaseModel):
        return set()
    names = set()
    for name, value in event.items():
        if name not in type(read).model_fields:
            names.add(f"{above}{name}")
        elif isinstance(value, dict):
            names |= unread(value, getattr(read, name), f"{above}{name}.")
    return names


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
async def test_an_independent_reader_knows_every_field_and_its_type(kind: str) -> None:
    model, unknown = READERS[kind]
    models = importlib.import_module("aws_lambda_powertools.utilities.parser.models")
    event = await event_of(kind)
    assert unread(event, getattr(models, model).model_validate(event)) == unknown
