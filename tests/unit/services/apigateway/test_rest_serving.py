"""A REST API answers through the pipeline."""

import asyncio
import gc
import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.kit import Ground, Operation, Output, Params, Service, operation
from patience import until
from unit.services.apigateway.fake_lambda import FUNCTION, URI, ApiHouse, header

ERROR = b'{"message": "Internal server error"}'
NO_TOKEN = b'{"message":"Missing Authentication Token"}'


async def test_a_proxy_integration_answers() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes/{id}", "ANY /other/{proxy+}")
    house.function.answer = {"statusCode": 201, "headers": {"X-Note": "1"}, "body": json.dumps({"ok": True})}

    response = await house.request(api_id, "GET", "/dev/notes/7")

    assert (response.status, response.body) == (201, b'{"ok": true}')
    assert header(response, "x-note") == "1"
    assert header(response, "content-type") == "application/json"
    call, params = house.function.calls[0]
    assert params["FunctionName"] == FUNCTION
    assert call.principal.arn == "apigateway.amazonaws.com"
    assert call.principal.source_account == "000000000000"
    assert call.principal.source_arn == f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/dev/GET/notes/{{id}}"


async def test_the_event_is_what_aws_sends() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("POST /notes/{id}")
    resources = (await house.v1("GetResources", restApiId=api_id))["items"]
    [resource_id] = [resource["id"] for resource in resources if resource["path"] == "/notes/{id}"]
    [deployment] = (await house.v1("GetDeployments", restApiId=api_id))["items"]

    response = await house.request(
        api_id,
        "POST",
        "/dev/notes/a%2Fb",
        query="x=1&x=2&y=a%2Bb&z",
        headers=[
            ("Content-Type", "text/plain"),
            ("x-Many", "1"),
            ("X-MANY", "2"),
            ("user-agent", "curl"),
            ("TE", "x"),
            ("content-length", "2"),
        ],
        body="é".encode(),
        via="host",
    )

    event = house.function.event
    trace_id = event["headers"]["X-Amzn-Trace-Id"]
    headers = {
        "Host": f"{api_id}.execute-api.localhost:4566",
        "Content-Type": "text/plain",
        "x-Many": "2",
        "User-Agent": "curl",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Port": "4566",
        "X-Forwarded-Proto": "http",
        "X-Amzn-Trace-Id": trace_id,
    }
    assert event == {
        "resource": "/notes/{id}",
        "path": "/notes/a%2Fb",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {**{name: [value] for name, value in headers.items()}, "x-Many": ["1", "2"]},
        "queryStringParameters": {"x": "2", "y": "a+b", "z": ""},
        "multiValueQueryStringParameters": {"x": ["1", "2"], "y": ["a+b"], "z": [""]},
        "pathParameters": {"id": "a%2Fb"},
        "stageVariables": None,
        "requestContext": {
            "resourceId": resource_id,
            "resourcePath": "/notes/{id}",
            "httpMethod": "POST",
            "extendedRequestId": header(response, "x-amz-apigw-id"),
            "requestTime": "09/Oct/2025:08:53:20 +0000",
            "path": "/dev/notes/a%2Fb",
            "accountId": "000000000000",
            "protocol": "HTTP/1.1",
            "stage": "dev",
            "domainPrefix": api_id,
            "requestTimeEpoch": 1_760_000_000_000,
            "requestId": header(response, "x-amzn-requestid"),
            "identity": {
                "cognitoIdentityPoolId": None,
                "accountId": None,
                "cognitoIdentityId": None,
                "caller": None,
                "sourceIp": "127.0.0.1",
                "principalOrgId": None,
                "accessKey": None,
                "cognitoAuthenticationType": None,
                "cognitoAuthenticationProvider": None,
                "userArn": None,
                "userAgent": "curl",
                "user": None,
            },
            "domainName": f"{api_id}.execute-api.localhost",
            "deploymentId": deployment["id"],
            "apiId": api_id,
        },
        "body": "é",
        "isBase64Encoded": False,
    }


async def test_what_is_empty_is_null() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /")

    await house.request(api_id, "GET", "/dev")

    empty = "queryStringParameters multiValueQueryStringParameters pathParameters stageVariables body"
    assert all(house.function.event[name] is None for name in empty.split())
    assert house.function.event["path"] == "/"


@pytest.mark.parametrize(
    ("method", "path", "resource"),
    [
        ("GET", "/users/me", "/users/{userId}"),
        ("PATCH", "/users/me", "/users/me"),
        ("POST", "/users/me", None),
        ("GET", "/things/real", "/things/real"),
        ("POST", "/things/real", "/things/{proxy+}"),
        ("GET", "/things/real/", "/things/real"),
        ("GET", "/things", None),
        ("GET", "/things//x", "/things/{proxy+}"),
        ("GET", "/users/a/b", None),
    ],
)
async def test_path_and_method_are_resolved_as_one(method: str, path: str, resource: str | None) -> None:
    # Measured on AWS: https://github.com/floci-io/floci/pull/3399
    house = ApiHouse()
    routes = ("GET /users/{userId}", "PATCH /users/me", "GET /things/real", "ANY /things/{proxy+}")
    api_id = await house.rest_api(*routes)

    response = await house.request(api_id, method, f"/dev{path}")

    if resource is None:
        assert (response.status, response.body) == (403, NO_TOKEN)
        assert header(response, "x-amzn-errortype") == "MissingAuthenticationTokenException"
    else:
        assert house.function.event["resource"] == resource


@pytest.mark.parametrize("method", ["get", "TRACE", "PROPFIND"])
async def test_any_is_one_of_seven_methods(method: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("ANY /notes")
    response = await house.request(api_id, method, "/dev/notes")
    assert (response.status, response.body, house.function.calls) == (403, NO_TOKEN, [])


@pytest.mark.parametrize("path", ["/other/notes", "/", ""])
async def test_an_unknown_stage_is_forbidden(path: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")

    response = await house.request(api_id, "GET", path)

    assert (response.status, response.body) == (403, b'{"message":"Forbidden"}')
    assert header(response, "x-amzn-errortype") == "ForbiddenException"


async def test_an_unknown_api_is_forbidden() -> None:
    response = await ApiHouse().request("nosuchapi0", "GET", "/dev/notes")
    assert (response.status, response.body) == (403, b'{"message":"Forbidden"}')


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        ({}, 200, b""),
        ({"statusCode": 404.0, "body": None}, 404, b""),
        ({"statusCode": "200", "body": "x"}, 200, b"x"),
        ({"statusCode": 204, "body": "x"}, 204, b""),
        ({"statusCode": 0}, 502, ERROR),
        ({"statusCode": 101}, 502, ERROR),
        ({"statusCode": True}, 502, ERROR),
        ({"statusCode": 200, "cookies": []}, 502, ERROR),
        ({"statusCode": 200, "body": 5}, 502, ERROR),
        ({"statusCode": 200, "headers": ["x"]}, 502, ERROR),
        ({"statusCode": 200, "headers": {"a b": "c"}}, 502, ERROR),
        ("text", 502, ERROR),
        (None, 502, ERROR),
        (b"", 502, ERROR),
    ],
)
async def test_answers(answer: Any, status: int, body: bytes) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")
    house.function.answer = answer

    response = await house.request(api_id, "GET", "/dev/notes")

    assert (response.status, response.body) == (status, body)
    assert header(response, "content-type") == "application/json"
    assert header(response, "x-amzn-requestid")
    assert header(response, "x-amzn-errortype") == ("InternalServerErrorException" if status == 502 else None)


async def test_headers_are_merged_and_reserved_ones_are_renamed() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")
    house.function.answer = {
        "statusCode": 200,
        "headers": {"X-One": "1", "Date": "now", "WWW-Authenticate": "Basic", "TE": "x", "Flag": True},
        "multiValueHeaders": {"x-one": ["1", "2"], "Set-Cookie": ["a=1", "b=2"]},
    }

    response = await house.request(api_id, "GET", "/dev/notes")

    named = [pair for pair in response.headers if not pair[0].lower().startswith("x-amz") or "Remapped" in pair[0]]
    assert named == [
        ("x-one", "1"),
        ("x-one", "2"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("x-amzn-Remapped-Date", "now"),
        ("x-amzn-Remapped-WWW-Authenticate", "Basic"),
        ("Flag", "true"),
        ("Content-Type", "application/json"),
    ]


@pytest.mark.parametrize(
    ("types", "accept", "body"),
    [
        ([], "image/png", b"aGk="),
        (["image/*"], "image/png, text/html", b"hi"),
        (["image/*"], "text/html, image/png", b"aGk="),
        (["image/png"], None, b"aGk="),
        (["*/*"], None, b"hi"),
    ],
)
async def test_binary_media_types_decide_on_base64(types: list[str], accept: str | None, body: bytes) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("POST /notes", binaryMediaTypes=types)
    house.function.answer = {"statusCode": 200, "body": "aGk=", "isBase64Encoded": True}
    headers = {"content-type": "image/png", **({"accept": accept} if accept else {})}

    response = await house.request(api_id, "POST", "/dev/notes", headers=headers, body=b"\x01")

    assert response.body == body
    event = house.function.event
    assert (event["body"], event["isBase64Encoded"]) == (("AQ==", True) if types else ("\x01", False))


@pytest.mark.parametrize(("told", "body"), [("true", b"hi"), ("false", b"aGk="), (False, b"aGk="), (None, b"aGk=")])
async def test_functions_say_in_words_whether_a_body_is_base64(told: Any, body: bytes) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes", binaryMediaTypes=["*/*"])
    house.function.answer = {"statusCode": 200, "body": "aGk=", "isBase64Encoded": told}
    assert (await house.request(api_id, "GET", "/dev/notes", headers={"accept": "*/*"})).body == body


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "TooManyRequestsException"])
async def test_a_function_that_cannot_be_asked_is_a_500(code: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")
    house.function.answer = ServiceError(code, "secret")

    response = await house.request(api_id, "GET", "/dev/notes")

    assert (response.status, response.body) == (500, ERROR)


async def test_an_unhandled_error_of_the_function_is_a_502() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")
    house.function.function_error = "Unhandled"

    assert (await house.request(api_id, "GET", "/dev/notes")).status == 502


async def test_a_slow_function_is_a_504() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")

    async def never(event: dict[str, Any]) -> None:
        await house.clock.sleep(1000)

    house.function.answer = never
    request = asyncio.ensure_future(house.request(api_id, "GET", "/dev/notes"))
    await until(lambda: house.function.calls, "the function is called", every_s=0)
    house.clock.advance(29)

    response = await request

    assert (response.status, response.body) == (504, b'{"message": "Endpoint request timed out"}')
    house.clock.advance(1000)
    await asyncio.sleep(0)


async def test_a_body_over_ten_megabytes_is_refused_before_the_api_has_a_say() -> None:
    # Captured on AWS: https://github.com/koki-develop/lgtm-generator/issues/10, whose gateway response did not apply
    house = ApiHouse()
    api_id = await house.rest_api("POST /notes")
    await house.v1("PutGatewayResponse", restApiId=api_id, responseType="REQUEST_TOO_LARGE", statusCode="400")

    response = await house.request(api_id, "POST", "/dev/notes", body=bytes(10 * 1024 * 1024 + 1))

    assert (response.status, response.body) == (413, b"HTTP content length exceeded 10485760 bytes.")
    assert response.headers == (("content-type", "text; charset=utf-8"),)
    assert not house.function.calls


async def test_an_event_that_is_more_than_lambda_takes_is_too_long() -> None:
    # Captured on AWS: https://github.com/koki-develop/lgtm-generator/issues/10
    house = ApiHouse()
    api_id = await house.rest_api("POST /notes")
    house.function.answer = ServiceError("RequestEntityTooLargeException", "Request must be smaller", status=413)

    response = await house.request(api_id, "POST", "/dev/notes", body=b"a")

    assert (response.status, response.body) == (413, b'{"message": "Request Too Long"}')
    assert header(response, "x-amzn-errortype") == "BadRequestException"


async def test_a_deployment_is_frozen_and_a_stage_can_be_pointed_back() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")
    [first] = (await house.v1("GetDeployments", restApiId=api_id))["items"]
    resources = (await house.v1("GetResources", restApiId=api_id))["items"]
    [notes] = [resource["id"] for resource in resources if resource["path"] == "/notes"]
    await house.v1("DeleteResource", restApiId=api_id, resourceId=notes)
    root = {
        "restApiId": api_id,
        "resourceId": next(r["id"] for r in resources if r["path"] == "/"),
        "httpMethod": "GET",
    }
    await house.v1("PutMethod", **root, authorizationType="NONE")
    await house.v1("PutIntegration", **root, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
    assert (await house.request(api_id, "GET", "/dev/notes")).status == 200

    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")
    assert (await house.request(api_id, "GET", "/dev/notes")).status == 403
    assert (await house.request(api_id, "GET", "/dev/")).status == 200

    patch = [{"op": "replace", "path": "/deploymentId", "value": first["id"]}]
    await house.v1("UpdateStage", restApiId=api_id, stageName="dev", patchOperations=patch)
    assert (await house.request(api_id, "GET", "/dev/notes")).status == 200

    await house.v1("DeleteRestApi", restApiId=api_id)
    assert (await house.request(api_id, "GET", "/dev/notes")).status == 403


class FakeSts:
    """Counts the roles that it hands out."""

    def __init__(self) -> None:
        self.assumed: list[Params] = []
        self.callers: list[str] = []

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass


@operation("AssumeRole", resource="*", params="RoleArn RoleSessionName")
async def assume_role(call: Any, plane: FakeSts, params: Params) -> Output:
    """A session of the role."""
    plane.assumed.append(params)
    plane.callers.append(call.principal.arn)
    arn = f"arn:aws:sts::000000000000:assumed-role/caller/{params['RoleSessionName']}"
    return {"Credentials": {"AccessKeyId": "ASIA1"}, "AssumedRoleUser": {"Arn": arn, "AssumedRoleId": "AROA1:x"}}


async def test_integration_credentials_are_an_assumed_role() -> None:
    sts = FakeSts()
    operations: dict[str, Operation] = {"AssumeRole": assume_role}

    def build_sts(ground: Ground) -> Service:
        return Service("sts", operations, iam_prefix="sts", plane=sts)

    house = ApiHouse(more={"sts": build_sts})
    api_id = await house.rest_api("GET /notes", deploy=False)
    resources = (await house.v1("GetResources", restApiId=api_id))["items"]
    [notes] = [resource["id"] for resource in resources if resource["path"] == "/notes"]
    role = "arn:aws:iam::000000000000:role/service/caller"
    integration = {"type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": URI, "credentials": role}
    await house.v1("PutIntegration", restApiId=api_id, resourceId=notes, httpMethod="GET", **integration)
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")

    for _ in range(2):
        assert (await house.request(api_id, "GET", "/dev/notes")).status == 200

    principal = house.function.calls[-1][0].principal
    assert (principal.kind, principal.name) == ("role", "caller")
    assert [params["RoleArn"] for params in sts.assumed] == [role]
    assert sts.callers == ["apigateway.amazonaws.com"]
    house.clock.advance(301)
    await house.request(api_id, "GET", "/dev/notes")
    assert len(sts.assumed) == 2


async def test_a_client_that_goes_away_leaves_the_function_running() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")
    go_on, finished = asyncio.Event(), asyncio.Event()

    async def slow(event: dict[str, Any]) -> dict[str, Any]:
        await go_on.wait()
        finished.set()
        raise ServiceError("ServiceException", "nobody hears this")

    house.function.answer = slow
    request = asyncio.ensure_future(house.request(api_id, "GET", "/dev/notes"))
    await until(lambda: house.function.calls, "the function is called", every_s=0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    go_on.set()
    await until(finished.is_set, "the function has finished", every_s=0)


async def test_a_client_that_goes_away_as_its_function_fails_leaves_nothing_to_report() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, told: reported.append(told))
    waiting: list[asyncio.Task[Any]] = []

    async def fails(event: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        waiting[0].cancel()
        raise ServiceError("ServiceException", "nobody hears this")

    house.function.answer = fails
    waiting.append(asyncio.ensure_future(house.request(api_id, "GET", "/dev/notes")))
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    waiting.clear()
    await asyncio.sleep(0)
    gc.collect()

    assert reported == []
