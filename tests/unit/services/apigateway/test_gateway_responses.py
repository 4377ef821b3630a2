"""Refusals in the words of a REST API's owner."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from unit.services.apigateway.fake_lambda import URI, ApiHouse, header

MISSING = "MISSING_AUTHENTICATION_TOKEN"
JSON = "application/json"


async def put(house: ApiHouse, api_id: str, response_type: str, deploy: bool = True, **members: Any) -> Any:
    output = await house.v1("PutGatewayResponse", restApiId=api_id, responseType=response_type, **members)
    if deploy:
        await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")
    return output


async def api_with(response_type: str, **members: Any) -> tuple[ApiHouse, str]:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes/{id}", deploy=False)
    await put(house, api_id, response_type, **members)
    return house, api_id


async def test_status_headers_and_body() -> None:
    house, api_id = await api_with(
        MISSING,
        statusCode="404",
        responseParameters={
            "gatewayresponse.header.Access-Control-Allow-Origin": "'*'",
            "gatewayresponse.header.Content-Security-Policy": "'default-src 'self''",
            "gatewayresponse.header.X-Asked": "method.request.header.X-Ask",
            "gatewayresponse.header.X-Query": "method.request.querystring.q",
            "gatewayresponse.header.X-Id": "context.requestId",
            "gatewayresponse.header.X-None": "method.request.path.id",
        },
        responseTemplates={
            JSON: '{"message":$context.error.messageString,"type":"$context.error.responseType",'
            '"stage":"$context.stage","at":"${context.path}","who":"$stageVariables.who",'
            '"asked":"$method.request.header.X-Ask","no":"$context.none","two":"$context.stage-$context.httpMethod"}'
        },
    )

    response = await house.request(api_id, "GET", "/dev/no", query="q=a%0d%0ab", headers={"x-ask": "me"})

    assert response.status == 404
    assert header(response, "access-control-allow-origin") == "*"
    assert header(response, "content-security-policy") == "default-src 'self'"
    assert header(response, "x-asked") == "me"
    assert header(response, "x-query") == "a  b"
    assert header(response, "x-id") == header(response, "x-amzn-requestid")
    assert header(response, "x-none") is None
    assert header(response, "x-amzn-errortype") == "MissingAuthenticationTokenException"
    assert header(response, "content-type") == JSON
    assert json.loads(response.body) == {  # type: ignore[arg-type]
        "message": "Missing Authentication Token",
        "type": MISSING,
        "stage": "dev",
        "at": "/dev/no",
        "who": "",
        "asked": "me",
        "no": "",
        "two": "dev-GET",
    }


@pytest.mark.parametrize(
    ("customized", "expected"),
    [
        ({"DEFAULT_4XX": "418"}, 418),
        ({"DEFAULT_5XX": "599"}, 403),
        ({"DEFAULT_4XX": "418", MISSING: "404"}, 404),
        ({"DEFAULT_4XX": "418", MISSING: None}, 403),
    ],
)
async def test_a_type_of_its_own_comes_before_the_default(customized: dict[str, str | None], expected: int) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")
    for response_type, status in customized.items():
        await put(house, api_id, response_type, statusCode=status)
    assert (await house.request(api_id, "GET", "/dev/no")).status == expected


async def test_an_integration_that_fails_keeps_its_status_and_gets_the_headers() -> None:
    house, api_id = await api_with(
        "DEFAULT_5XX", responseParameters={"gatewayresponse.header.Access-Control-Allow-Origin": "'https://a.b'"}
    )
    house.function.answer = b"no json"

    response = await house.request(api_id, "GET", "/dev/notes/1")

    assert (response.status, response.body) == (502, b'{"message": "Internal server error"}')
    assert header(response, "access-control-allow-origin") == "https://a.b"


async def test_the_template_for_the_media_type_that_the_client_accepts() -> None:
    house, api_id = await api_with(
        MISSING, responseTemplates={JSON: "{}", "application/xml": "<m>$context.error.message</m>"}
    )
    response = await house.request(api_id, "GET", "/dev/no", headers={"accept": "application/xml"})
    assert (response.body, header(response, "content-type")) == (
        b"<m>Missing Authentication Token</m>",
        "application/xml",
    )
    assert (await house.request(api_id, "GET", "/dev/no", headers={"accept": "text/html"})).body == b"{}"


async def test_what_a_validator_says() -> None:
    house, api_id = await api_with("BAD_REQUEST_PARAMETERS", responseTemplates={JSON: "$context.error.messageString"})
    validator = await house.v1("CreateRequestValidator", restApiId=api_id, name="v", validateRequestParameters=True)
    root = (await house.v1("GetRestApi", restApiId=api_id))["rootResourceId"]
    at = {"restApiId": api_id, "resourceId": root, "httpMethod": "POST"}
    needed = {"method.request.querystring.q": True}
    await house.v1(
        "PutMethod",
        **at,
        authorizationType="NONE",
        requestParameters=needed,
        requestValidatorId=validator["id"],
    )
    await house.v1("PutIntegration", **at, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")

    response = await house.request(api_id, "POST", "/dev/")

    assert (response.status, response.body) == (400, b'"Missing required request parameters: [q]"')


async def test_an_answer_that_no_client_could_take_in_two_ways() -> None:
    length = {"gatewayresponse.header.Content-Length": "'7'", "gatewayresponse.header.Transfer-Encoding": "'chunked'"}
    house, api_id = await api_with(MISSING, statusCode="204", responseParameters=length)
    response = await house.request(api_id, "GET", "/dev/no")
    assert (response.status, response.body) == (204, b"")
    assert (header(response, "content-length"), header(response, "transfer-encoding")) == (None, None)


async def test_what_is_wrong_with_a_body() -> None:
    template = '{"message":$context.error.messageString,"why":"$context.error.validationErrorString"}'
    house, api_id = await api_with("BAD_REQUEST_BODY", responseTemplates={JSON: template})
    validator = await house.v1("CreateRequestValidator", restApiId=api_id, name="v", validateRequestBody=True)
    schema = json.dumps({"required": ["name"]})
    await house.v1("CreateModel", restApiId=api_id, name="Note", contentType=JSON, schema=schema)
    root = (await house.v1("GetRestApi", restApiId=api_id))["rootResourceId"]
    at = {"restApiId": api_id, "resourceId": root, "httpMethod": "POST"}
    models = {"requestModels": {JSON: "Note"}, "requestValidatorId": validator["id"]}
    await house.v1("PutMethod", **at, authorizationType="NONE", **models)
    await house.v1("PutIntegration", **at, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")

    for body, why in (
        (b"{}", '[object has missing required properties (["name"])]'),
        (b"{", "[Unknown error parsing request body]"),
    ):
        response = await house.request(api_id, "POST", "/dev/", body=body)
        assert isinstance(response.body, bytes)
        assert (response.status, json.loads(response.body)) == (400, {"message": "Invalid request body", "why": why})


async def test_what_is_deployed_does_not_change() -> None:
    house, api_id = await api_with(MISSING, statusCode="404")
    await put(house, api_id, MISSING, deploy=False, statusCode="410")
    assert (await house.request(api_id, "GET", "/dev/no")).status == 404


async def test_responses_are_put_shown_patched_and_deleted() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /")
    named = {"restApiId": api_id, "responseType": "THROTTLED"}
    default = {
        "responseType": "THROTTLED",
        "statusCode": "429",
        "responseParameters": {},
        "responseTemplates": {JSON: '{"message":$context.error.messageString}'},
        "defaultResponse": True,
    }
    assert await house.v1("GetGatewayResponse", **named) == default
    every = (await house.v1("GetGatewayResponses", restApiId=api_id))["items"]
    assert len(every) == 21
    assert default in every
    assert "statusCode" not in next(item for item in every if item["responseType"] == "DEFAULT_4XX")

    patches = [
        {"op": "replace", "path": "/statusCode", "value": "430"},
        {"op": "add", "path": "/responseParameters/gatewayresponse.header.X-A", "value": "'b'"},
        {"op": "remove", "path": "/responseTemplates/application~1json"},
    ]
    changed = {
        "responseType": "THROTTLED",
        "statusCode": "430",
        "responseParameters": {"gatewayresponse.header.X-A": "'b'"},
        "responseTemplates": {},
        "defaultResponse": False,
    }
    assert await house.v1("UpdateGatewayResponse", **named, patchOperations=patches) == changed
    page = await house.v1("GetGatewayResponses", restApiId=api_id, limit=18)
    more = await house.v1("GetGatewayResponses", restApiId=api_id, limit=18, position=page["position"])
    assert changed in page["items"] + more["items"]
    assert "position" not in more
    await house.v1("DeleteGatewayResponse", **named)
    assert await house.v1("GetGatewayResponse", **named) == default
    with pytest.raises(ServiceError, match="Gateway response type not defined on api"):
        await house.v1("DeleteGatewayResponse", **named)


async def test_parameters_that_no_response_has_are_kept_and_shown_and_change_nothing() -> None:
    given = {"gatewayresponse.path.a": "'p'", "gatewayresponse.querystring.b": "'q'", "gatewayresponse.header.c": "'h'"}
    house, api_id = await api_with(MISSING, responseParameters=given)
    shown = await house.v1("GetGatewayResponse", restApiId=api_id, responseType=MISSING)
    assert shown["responseParameters"] == given
    response = await house.request(api_id, "GET", "/dev/no")
    assert [(name, value) for name, value in response.headers if value in ("p", "q", "h")] == [("c", "h")]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"responseType": "WHATEVER"}, "Invalid response type: WHATEVER"),
        ({"statusCode": "999"}, "Invalid status code: 999"),
        ({"statusCode": "100"}, "Invalid status code: 100"),
        ({"responseParameters": {"method.response.header.X": "'a'"}}, "[Invalid mapping expression parameter"),
        ({"responseParameters": {"gatewayresponse.header.X": "a"}}, "[Invalid mapping expression parameter"),
        ({"responseParameters": {"gatewayresponse.header.X": "'a'\n"}}, "[Invalid mapping expression parameter"),
        ({"responseTemplates": {JSON: "x" * 307_201}}, "Template size cannot exceed"),
    ],
)
async def test_responses_are_checked(members: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /")
    with pytest.raises(ServiceError) as error:
        await house.v1("PutGatewayResponse", **{"restApiId": api_id, "responseType": "THROTTLED", **members})
    assert error.value.code == "BadRequestException"
    assert words in error.value.message
