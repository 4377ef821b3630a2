"""An HTTP API answers through the same pipeline: stages, routes, formats 2.0 and 1.0, CORS."""

import asyncio
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.apigateway.pipeline.exchange import new_extended_id
from patience import until
from unit.services.apigateway.fake_lambda import FUNCTION, ApiHouse, header

HEADERS = [
    ("x-many", "1"),
    ("x-many", "2"),
    ("cookie", "a=1; b=2"),
    ("user-agent", "curl"),
    ("x-forwarded-for", "9.9.9.9"),
]


async def test_the_event_of_format_2_is_what_aws_sends() -> None:
    house = ApiHouse()
    api_id = await house.http_api("POST /notes/{id}")

    response = await house.request(
        api_id,
        "POST",
        "/notes/a%20b",
        query="x=1&x=2&y=a%2Bb&z",
        headers=[*HEADERS, ("content-type", "application/json")],
        body=b'{"n":1}',
    )

    assert response.status == 200
    event = house.function.event
    extended_id = header(response, "apigw-requestid")
    trace_id = event["headers"].pop("x-amzn-trace-id")
    assert trace_id.startswith("Root=1-")
    assert event == {
        "version": "2.0",
        "routeKey": "POST /notes/{id}",
        "rawPath": "/notes/a b",
        "rawQueryString": "x=1&x=2&y=a%2Bb&z",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": "localhost:4566",
            "x-many": "1,2",
            "user-agent": "curl",
            "content-type": "application/json",
            "content-length": "7",
            "x-forwarded-for": "9.9.9.9, 127.0.0.1",
            "x-forwarded-port": "4566",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"x": "1,2", "y": "a+b", "z": ""},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": api_id,
            "domainName": f"{api_id}.execute-api.localhost",
            "domainPrefix": api_id,
            "http": {
                "method": "POST",
                "path": "/notes/a b",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl",
            },
            "requestId": extended_id,
            "routeKey": "POST /notes/{id}",
            "stage": "$default",
            "time": "09/Oct/2025:08:53:20 +0000",
            "timeEpoch": 1_760_000_000_000,
        },
        "pathParameters": {"id": "a b"},
        "body": '{"n":1}',
        "isBase64Encoded": False,
    }


async def test_the_event_of_format_1_has_nulls_and_both_forms_of_values() -> None:
    house = ApiHouse()
    api_id = await house.http_api("ANY /notes/{proxy+}", payload_format="1.0")

    await house.request(api_id, "GET", "/notes/1/2", query="x=1&x=2", headers=HEADERS)

    event = house.function.event
    assert event["version"] == "1.0"
    assert event["resource"] == event["requestContext"]["resourcePath"] == "/notes/{proxy+}"
    assert event["requestContext"]["resourceId"] == "ANY /notes/{proxy+}"
    assert event["pathParameters"] == {"proxy": "1/2"}
    assert event["queryStringParameters"] == {"x": "2"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
    assert event["multiValueHeaders"]["x-many"] == ["1", "2"]
    assert event["headers"]["User-Agent"] == "curl"
    assert event["body"] is event["stageVariables"] is None
    assert event["requestContext"]["identity"]["userArn"] is None


@pytest.mark.parametrize(
    ("path", "via", "stage", "raw_path"),
    [
        ("/things", "path", "$default", "/things"),
        ("/$default/things", "path", "$default", "/things"),
        ("/%24default/things", "path", "$default", "/things"),
        ("/dev/things", "path", "dev", "/dev/things"),
        ("/dev/things", "host", "dev", "/dev/things"),
        ("/things", "host", "$default", "/things"),
        ("/$default/things", "host", "$default", "/$default/things"),
        ("/dev", "path", "dev", "/dev/"),
        ("", "path", "$default", "/"),
    ],
)
async def test_the_stage_is_the_first_segment_or_the_default(path: str, via: Any, stage: str, raw_path: str) -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    await house.v2("CreateStage", ApiId=api_id, StageName="dev", AutoDeploy=True, StageVariables={"color": "blue"})

    assert (await house.request(api_id, "GET", path, via=via)).status == 200

    event = house.function.event
    assert (event["requestContext"]["stage"], event["rawPath"]) == (stage, raw_path)
    assert event["routeKey"] == "$default"
    assert event.get("stageVariables") == ({"color": "blue"} if stage == "dev" else None)


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1"),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}"),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}"),
        ("POST", "/test/5", "ANY /{proxy+}"),
        ("GET", "/", "$default"),
        ("GET", "/pets/", "ANY /{proxy+}"),
    ],
)
async def test_the_most_specific_route_is_taken(method: str, path: str, key: str) -> None:
    # The first four rows are the developer guide's own example, "Routing API requests".
    house = ApiHouse()
    routes = ("GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default")
    api_id = await house.http_api(*routes)

    await house.request(api_id, method, path)

    assert house.function.event["routeKey"] == key


@pytest.mark.parametrize("keys", [("GET /p/{a}", "GET /p/{b}"), ("GET /p/{b}", "GET /p/{a}")])
async def test_names_of_variables_tell_no_routes_apart_but_always_the_same_one_answers(keys: tuple[str, str]) -> None:
    house = ApiHouse()
    api_id = await house.http_api(*keys)
    await house.request(api_id, "GET", "/p/1")
    assert house.function.event["pathParameters"] == {"a": "1"}


@pytest.mark.parametrize(
    ("content_type", "is_base64"),
    [
        ("text/html; charset=utf-8", False),
        ("application/json", False),
        ("application/xml", False),
        ("application/octet-stream", True),
        ("application/x-www-form-urlencoded", True),
        (None, True),
    ],
)
async def test_only_text_types_are_passed_as_text(content_type: str | None, is_base64: bool) -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")

    headers = {"content-type": content_type} if content_type else {}
    await house.request(api_id, "PUT", "/", headers=headers, body=b"hello")

    event = house.function.event
    assert (event["body"], event["isBase64Encoded"]) == (("aGVsbG8=", True) if is_base64 else ("hello", False))


@pytest.mark.parametrize(
    ("answer", "status", "content_type", "body"),
    [
        ("Hello", 200, "application/json", b"Hello"),
        ({"message": "Hello"}, 200, "application/json", b'{"message": "Hello"}'),
        ([1, 2], 200, "application/json", b"[1, 2]"),
        (None, 200, "application/json", b"null"),
        ({"statusCode": 204}, 204, "text/plain; charset=utf-8", b""),
        ({"statusCode": "418", "body": "x"}, 418, "text/plain; charset=utf-8", b"x"),
        ({"statusCode": 200, "body": "aGk=", "isBase64Encoded": True}, 200, "text/plain; charset=utf-8", b"hi"),
        ({"statusCode": 200, "headers": {"content-type": "a/b"}, "body": "x"}, 200, "a/b", b"x"),
        ({"statusCode": 200, "body": "aGk=", "isBase64Encoded": None}, 200, "text/plain; charset=utf-8", b"aGk="),
        (
            {"statusCode": 200, "body": "aGk=", "isBase64Encoded": "false"},
            500,
            "application/json",
            b'{"message":"Internal Server Error"}',
        ),
        ({"statusCode": "9" * 5000}, 500, "application/json", b'{"message":"Internal Server Error"}'),
        ({"statusCode": "good"}, 500, "application/json", b'{"message":"Internal Server Error"}'),
        ({"statusCode": 200, "body": {"no": "text"}}, 500, "application/json", b'{"message":"Internal Server Error"}'),
        (b"no json", 500, "application/json", b'{"message":"Internal Server Error"}'),
        (
            {"statusCode": 200, "headers": {"a": "b\r\nc: d"}},
            500,
            "application/json",
            b'{"message":"Internal Server Error"}',
        ),
    ],
)
async def test_answers_of_format_2(answer: Any, status: int, content_type: str, body: bytes) -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    house.function.answer = answer

    response = await house.request(api_id, "GET", "/")

    assert (response.status, header(response, "content-type"), response.body) == (status, content_type, body)
    assert header(response, "apigw-requestid")


async def test_cookies_become_headers() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    house.function.answer = {"statusCode": 200, "cookies": ["a=1", "b=2"], "headers": {"Connection": "close", "N": 1}}

    response = await house.request(api_id, "GET", "/")

    assert [value for name, value in response.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert header(response, "connection") is None
    assert header(response, "n") == "1"


async def test_format_1_wants_a_status_code() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default", payload_format="1.0")
    house.function.answer = {"message": "hello"}
    assert (await house.request(api_id, "GET", "/")).status == 500

    house.function.answer = {"statusCode": 200, "multiValueHeaders": {"X": ["1", "2"]}, "headers": {"x": "1", "Y": "z"}}
    response = await house.request(api_id, "GET", "/")
    assert [pair for pair in response.headers if pair[0].lower() in "xy"] == [("X", "1"), ("X", "2"), ("Y", "z")]


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (ServiceError("AccessDeniedException", "no", status=403), 500, b'{"message":"Internal Server Error"}'),
        (ServiceError("ResourceNotFoundException", "none"), 500, b'{"message":"Internal Server Error"}'),
        (ServiceError("TooManyRequestsException", "Rate Exceeded."), 503, b'{"message":"Service Unavailable"}'),
        (
            ServiceError("RequestEntityTooLargeException", "Request must be smaller", status=413),
            413,
            b'{"message":"Request Entity Too Large"}',
        ),
    ],
)
async def test_an_invoke_that_fails(error: ServiceError, status: int, body: bytes) -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    house.function.answer = error

    response = await house.request(api_id, "GET", "/")

    assert (response.status, response.body) == (status, body)


async def test_an_unhandled_error_of_the_function_is_a_500() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    house.function.function_error = "Unhandled"

    assert (await house.request(api_id, "GET", "/")).status == 500


async def test_a_slow_function_is_a_503_and_is_not_stopped() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    go_on, finished = asyncio.Event(), asyncio.Event()

    async def slow(event: dict[str, Any]) -> dict[str, Any]:
        await go_on.wait()
        finished.set()
        return {"statusCode": 200}

    house.function.answer = slow
    request = asyncio.ensure_future(house.request(api_id, "GET", "/"))
    await until(lambda: house.function.calls, "the function is called", every_s=0)
    house.clock.advance(29.9)
    await asyncio.sleep(0)
    assert not request.done()
    house.clock.advance(0.1)

    response = await request

    assert (response.status, response.body) == (503, b'{"message":"Service Unavailable"}')
    go_on.set()
    await until(finished.is_set, "the function has finished", every_s=0)


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("DELETE", "/notes"), ("GET", "/notes/")])
async def test_no_route_is_a_404(method: str, path: str) -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /notes")

    response = await house.request(api_id, method, path)

    assert (response.status, response.body) == (404, b'{"message":"Not Found"}')


async def test_changes_are_in_force_at_the_next_request() -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /notes")
    assert (await house.request(api_id, "GET", "/notes")).status == 200
    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]

    await house.v2("UpdateRoute", ApiId=api_id, RouteId=route["RouteId"], RouteKey="GET /other")

    assert (await house.request(api_id, "GET", "/notes")).status == 404
    assert (await house.request(api_id, "GET", "/other")).status == 200


async def test_stage_variables_fill_the_integration_uri() -> None:
    house = ApiHouse()
    api = await house.v2("CreateApi", Name="n", ProtocolType="HTTP")
    api_id = api["ApiId"]
    integration = await house.v2(
        "CreateIntegration",
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri="arn:aws:lambda:us-east-1:000000000000:function:${stageVariables.name}",
        PayloadFormatVersion="2.0",
    )
    target = f"integrations/{integration['IntegrationId']}"
    await house.v2("CreateRoute", ApiId=api_id, RouteKey="$default", Target=target)
    await house.v2("CreateStage", ApiId=api_id, StageName="a", AutoDeploy=True, StageVariables={"name": "notes"})
    await house.v2("CreateStage", ApiId=api_id, StageName="b", AutoDeploy=True)

    assert (await house.request(api_id, "GET", "/a/x")).status == 200
    assert house.function.calls[0][1]["FunctionName"] == FUNCTION
    assert (await house.request(api_id, "GET", "/b/x")).status == 500


async def test_cors_answers_preflights_and_replaces_the_functions_headers() -> None:
    house = ApiHouse()
    rules = {
        "AllowOrigins": ["https://a.example"],
        "AllowMethods": ["GET", "PUT"],
        "AllowHeaders": ["x-a"],
        "MaxAge": 9,
    }
    api_id = await house.http_api("GET /notes", CorsConfiguration=rules)
    house.function.answer = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}}
    asks = {"origin": "https://a.example", "access-control-request-method": "PUT"}

    preflight = await house.request(api_id, "OPTIONS", "/notes", headers=asks)
    assert (preflight.status, preflight.body) == (204, b"")
    assert header(preflight, "access-control-allow-origin") == "https://a.example"
    assert header(preflight, "access-control-allow-methods") == "GET,PUT"
    assert header(preflight, "access-control-allow-headers") == "x-a"
    assert header(preflight, "access-control-max-age") == "9"

    foreign = await house.request(api_id, "OPTIONS", "/notes", headers={**asks, "origin": "https://b.example"})
    assert header(foreign, "access-control-allow-origin") is None

    asked_by_none = await house.request(api_id, "GET", "/notes")
    assert (asked_by_none.status, header(asked_by_none, "access-control-allow-origin")) == (200, None)

    for path, status in (("/notes", 200), ("/none", 404)):
        response = await house.request(api_id, "GET", path, headers={"origin": "https://a.example"})
        assert (response.status, header(response, "access-control-allow-origin")) == (status, "https://a.example")


PREFLIGHT = {"origin": "https://a.example", "access-control-request-method": "PUT"}
RULES = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["PUT"], "ExposeHeaders": ["x-b"]}


@pytest.mark.parametrize("key", ["ANY /notes", "OPTIONS /notes", "$default"])
async def test_a_preflight_asks_the_authorizer_of_a_route_that_is_for_it(key: str) -> None:
    house = ApiHouse()
    api_id = await house.http_api(key, CorsConfiguration=RULES)
    free = await house.request(api_id, "OPTIONS", "/notes", headers=PREFLIGHT)
    assert (free.status, header(free, "access-control-allow-methods")) == (204, "PUT")
    assert not house.function.calls  # the gateway answers, not the route's integration

    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    await house.v2("UpdateRoute", ApiId=api_id, RouteId=route["RouteId"], AuthorizationType="AWS_IAM")
    house.signer = ServiceError("MissingAuthenticationTokenException", "no", status=403)
    refused = await house.request(api_id, "OPTIONS", "/notes", headers=PREFLIGHT)
    assert (refused.status, refused.body) == (403, b'{"message":"Forbidden"}')
    # Browsers tell of the status alone: the origin is allowed.
    assert header(refused, "access-control-allow-origin") == "https://a.example"


async def test_what_is_no_preflight_goes_to_its_route() -> None:
    house = ApiHouse()
    api_id = await house.http_api("OPTIONS /notes", CorsConfiguration=RULES)
    asked = await house.request(api_id, "OPTIONS", "/notes", headers={"origin": "https://a.example"})
    assert (asked.status, asked.body, header(asked, "access-control-expose-headers")) == (200, b"fine", "x-b")
    assert header(asked, "access-control-allow-methods") is None
    nowhere = await house.request(api_id, "OPTIONS", "/none", headers=PREFLIGHT)
    assert (nowhere.status, header(nowhere, "access-control-expose-headers")) == (204, None)
    assert (await house.request(api_id, "OPTIONS", "/100%25", headers=PREFLIGHT)).status == 400


async def test_a_body_of_more_than_10_mb_is_refused_in_the_dialect_s_words() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default", CorsConfiguration=RULES)
    assert house.gateway.refuse_body(api_id).body == b"HTTP content length exceeded 10485760 bytes."
    long, origin = b" " * (10 * 1024 * 1024 + 1), {"origin": "https://a.example"}
    response = await house.request(api_id, "POST", "/", headers=origin, body=long)
    assert (response.status, response.body) == (413, b'{"message":"Request Entity Too Large"}')
    assert header(response, "access-control-allow-origin") == "https://a.example"
    assert not house.function.calls
    # Once it is known, the API's own words also refuse what the socket does not read at all.
    unread = house.gateway.refuse_body(api_id)
    assert (unread.status, unread.body) == (response.status, response.body)
    assert header(unread, "apigw-requestid")


async def test_the_source_arn_names_the_route() -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default", "ANY /notes/{id}")
    base = f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/$default"

    await house.request(api_id, "GET", "/x")
    await house.request(api_id, "GET", "/notes/1")

    arns = [call.principal.source_arn for call, _ in house.function.calls]
    assert arns == [f"{base}/$default", f"{base}/*/notes/{{id}}"]


class _Chance:
    def secret(self, size: int) -> bytes:
        return b"\xff\xef\xbe" * (size // 3) + b"\xff\xff"


def test_extended_request_ids_can_stand_in_urls() -> None:
    assert new_extended_id(_Chance()) == "_---_---_---__8="  # type: ignore[arg-type]
