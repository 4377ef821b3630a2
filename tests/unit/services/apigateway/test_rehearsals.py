"""TestInvokeMethod: methods are tried as they are now."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.iam import build as build_iam
from cumulet.services.iam import build_sts
from unit.services.apigateway.fake_lambda import FUNCTION, URI, ApiHouse, header
from unit.services.apigateway.test_rest_mapping import JSON, custom, deployed, mock


async def place(house: ApiHouse, api_id: str, path: str, method: str = "GET") -> dict[str, Any]:
    """Return the members that name a method."""
    resources = (await house.v1("GetResources", restApiId=api_id))["items"]
    [resource_id] = [resource["id"] for resource in resources if resource["path"] == path]
    return {"restApiId": api_id, "resourceId": resource_id, "httpMethod": method}


async def test_a_method_that_is_not_deployed_answers() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("POST /notes/{id}", deploy=False)
    at = await place(house, api_id, "/notes/{id}", "POST")
    house.function.answer = {"statusCode": 201, "headers": {"X-Note": "1"}, "body": "made"}

    tried = await house.v1(
        "TestInvokeMethod",
        **at,
        pathWithQueryString="/notes/a%20b?x=1",
        body="hello",
        headers={"X-One": "1", "X-Many": "0"},
        multiValueHeaders={"X-Many": ["1", "2"]},
        stageVariables={"v": "w"},
    )

    assert (tried["status"], tried["body"], tried["latency"]) == (201, "made", 0)
    assert tried["headers"]["X-Note"] == "1"
    assert tried["multiValueHeaders"]["X-Note"] == ["1"]
    assert "x-amzn-RequestId" not in tried["headers"]
    event = house.function.event
    assert (event["path"], event["pathParameters"], event["queryStringParameters"]) == (
        "/notes/a%20b",
        {"id": "a%20b"},
        {"x": "1"},
    )
    assert event["multiValueHeaders"]["X-Many"] == ["1", "2"]
    assert (event["headers"]["X-One"], event["body"], event["stageVariables"]) == ("1", "hello", {"v": "w"})
    context = event["requestContext"]
    assert (context["stage"], context["path"], context["domainName"]) == (
        "test-invoke-stage",
        "/notes/a%20b",
        "testPrefix.testDomainName",
    )
    assert {name: context["identity"][name] for name in ("apiKey", "apiKeyId", "sourceIp", "userArn", "caller")} == {
        "apiKey": "test-invoke-api-key",
        "apiKeyId": "test-invoke-api-key-id",
        "sourceIp": "test-invoke-source-ip",
        "userArn": "arn:aws:iam::000000000000:root",
        "caller": "000000000000",
    }
    call, _ = house.function.calls[0]
    assert call.principal.source_arn == (
        f"arn:aws:execute-api:us-east-1:000000000000:{api_id}/test-invoke-stage/POST/notes/{{id}}"
    )


async def test_the_log_tells_each_step() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes", deploy=False)
    tried = await house.v1("TestInvokeMethod", **await place(house, api_id, "/notes"))
    first, *lines = tried["log"].splitlines()
    request_id = first.removeprefix("Execution log for request ")
    when = "Thu Oct 09 08:53:20 UTC 2025 : "
    assert [line.removeprefix(when) for line in lines[:6]] == [
        f"Starting execution for request: {request_id}",
        "HTTP Method: GET, Resource Path: /notes",
        "Method request path: {}",
        "Method request query string: {}",
        "Method request headers: {}",
        "Method request body before transformations: ",
    ]
    event = house.function.event
    assert (event["headers"], event["multiValueHeaders"], event["queryStringParameters"]) == (None, None, None)
    assert (
        f"{when}Endpoint request URI: https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/{FUNCTION}"
        in (tried["log"])
    )
    assert [line.removeprefix(when) for line in lines[-2:]] == [
        "Successfully completed execution",
        "Method completed with status: 200",
    ]


async def test_neither_authorizer_nor_key_are_asked_for() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes", deploy=False)
    at = await place(house, api_id, "/notes")
    authorizer = await house.v1(
        "CreateAuthorizer",
        restApiId=api_id,
        name="a",
        type="TOKEN",
        authorizerUri=URI,
        identitySource="method.request.header.token",
    )
    guard = [
        {"op": "replace", "path": "/authorizationType", "value": "CUSTOM"},
        {"op": "replace", "path": "/authorizerId", "value": authorizer["id"]},
        {"op": "replace", "path": "/apiKeyRequired", "value": "true"},
    ]
    await house.v1("UpdateMethod", **at, patchOperations=guard)
    assert (await house.v1("TestInvokeMethod", **at))["status"] == 200
    assert len(house.function.calls) == 1


async def test_what_goes_wrong_is_an_answer_too() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("ANY /notes", deploy=False)
    at = await place(house, api_id, "/notes", "ANY")
    house.function.answer = "no response"
    tried = await house.v1("TestInvokeMethod", **at)
    assert (tried["status"], json.loads(tried["body"])) == (502, {"message": "Internal server error"})
    assert "Execution failed due to configuration error: Malformed Lambda proxy response" in tried["log"]
    house.function.answer = ServiceError("AccessDeniedException", "no", status=403)
    tried = await house.v1("TestInvokeMethod", **at, pathWithQueryString="/notes")
    assert tried["status"] == 500
    assert "Invalid permissions on Lambda function" in tried["log"]
    tried = await house.v1("TestInvokeMethod", **at, pathWithQueryString="/elsewhere")
    assert (tried["status"], json.loads(tried["body"])) == (403, {"message": "Missing Authentication Token"})


@pytest.mark.parametrize(
    ("integration", "answer", "reply", "why"),
    [
        (mock("#if("), None, {}, "Unable to transform request"),
        (mock(), None, {"responseTemplates": {JSON: "$util.parseJson('{')"}}, "Unable to transform response"),
        (
            mock("{}"),
            None,
            {},
            "Unable to parse statusCode. It should be an integer that is defined in the request template.",
        ),
        (
            mock(),
            None,
            {"selectionPattern": "3.."},
            "No match for output mapping and no default output mapping configured. Endpoint Response Status Code: 200",
        ),
        (custom(), {"a": 1}, {"contentHandling": "CONVERT_TO_BINARY"}, "Unable to base64 decode the body."),
        (custom(integrationHttpMethod="GET"), {}, {}, "Invalid permissions on Lambda function"),
        (
            custom(credentials="arn:aws:iam::000000000000:role/none"),
            {},
            {},
            "API Gateway does not have permission to assume the provided role arn:aws:iam::000000000000:role/none",
        ),
        (
            {
                "type": "AWS",
                "integrationHttpMethod": "POST",
                "uri": "arn:aws:apigateway:us-east-1:logs:action/DescribeLogGroups",
                "credentials": "arn:aws:iam::000000000000:role/none",
            },
            None,
            {},
            "API Gateway does not have permission to assume the provided role arn:aws:iam::000000000000:role/none",
        ),
    ],
)
async def test_why_a_method_is_misconfigured(
    integration: dict[str, Any], answer: Any, reply: dict[str, Any], why: str
) -> None:
    house = ApiHouse(more={"iam": build_iam, "sts": build_sts})
    house.function.answer = answer
    api_id = await deployed(house, integration, {"statusCode": "200", **reply}, path="x")
    tried = await house.v1("TestInvokeMethod", **await place(house, api_id, "/x", "ANY"))
    assert (tried["status"], json.loads(tried["body"])) == (500, {"message": "Internal server error"})
    assert f"Execution failed due to configuration error: {why}\n" in tried["log"]
    served = await house.request(api_id, "GET", "/dev/x")
    assert (served.status, header(served, "x-amzn-errortype")) == (500, "InternalServerErrorException")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"httpMethod": "POST"}, "Invalid Method identifier specified"),
        ({"resourceId": "none"}, "Invalid Resource identifier specified"),
        ({"stageVariables": {"a b": "c"}}, "Invalid stage variable name: a b. Please only use A-Z, a-z, 0-9 and _"),
    ],
)
async def test_attempts_that_cannot_be_made(change: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes", deploy=False)
    at = await place(house, api_id, "/notes")
    with pytest.raises(ServiceError) as error:
        await house.v1("TestInvokeMethod", **{**at, **change})
    assert error.value.message == words


async def test_a_method_without_an_integration_cannot_be_tried() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    await house.v1("PutMethod", **at, authorizationType="NONE")
    with pytest.raises(ServiceError, match="No integration defined for method"):
        await house.v1("TestInvokeMethod", **at)
