"""Which refusal wins where several apply: route, caller, key, throttling, quota, validator, media type, backend."""

import json
from typing import Any

from cumulet.wire.message import Response
from unit.services.apigateway.fake_lambda import URI, ApiHouse, header
from unit.services.apigateway.test_rest_authorizers import policy

KEY = "0123456789abcdefghij0123456789"
JSON = "application/json"


async def guarded_by_everything(house: ApiHouse) -> str:
    """Return the id of an API, of which POST / asks for all that can be asked for."""
    api = await house.v1("CreateRestApi", name="strict")
    at: dict[str, Any] = {"restApiId": api["id"]}
    authorizer = await house.v1(
        "CreateAuthorizer",
        **at,
        name="a",
        type="TOKEN",
        identitySource="method.request.header.token",
        authorizerUri=URI,
        authorizerResultTtlInSeconds=0,
    )
    validator = await house.v1(
        "CreateRequestValidator", **at, name="v", validateRequestBody=True, validateRequestParameters=True
    )
    schema = json.dumps({"type": "object", "required": ["a"]})
    await house.v1("CreateModel", **at, name="Thing", contentType=JSON, schema=schema)
    method = {**at, "resourceId": api["rootResourceId"], "httpMethod": "POST"}
    await house.v1(
        "PutMethod",
        **method,
        authorizationType="CUSTOM",
        authorizerId=authorizer["id"],
        apiKeyRequired=True,
        requestValidatorId=validator["id"],
        requestModels={JSON: "Thing"},
        requestParameters={"method.request.querystring.q": True},
    )
    await house.v1(
        "PutIntegration",
        **method,
        type="AWS",
        integrationHttpMethod="POST",
        uri=URI,
        requestTemplates={JSON: "{}"},
        passthroughBehavior="NEVER",
    )
    await house.v1("PutMethodResponse", **method, statusCode="200")
    await house.v1("PutIntegrationResponse", **method, statusCode="200")
    await house.v1("CreateDeployment", **at, stageName="dev")
    plan = await house.v1(
        "CreateUsagePlan",
        name="p",
        apiStages=[{"apiId": api["id"], "stage": "dev"}],
        quota={"limit": 4, "period": "DAY"},
    )
    key = await house.v1("CreateApiKey", value=KEY, enabled=True)
    await house.v1("CreateUsagePlanKey", usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    return str(api["id"])


async def test_the_order_of_refusals() -> None:
    house = ApiHouse()
    house.function.answer = policy()
    api_id = await guarded_by_everything(house)

    async def throttle(rate: str) -> None:
        patches = [
            {"op": "replace", "path": f"/*/*/throttling/{name}", "value": rate} for name in ("rateLimit", "burstLimit")
        ]
        await house.v1("UpdateStage", restApiId=api_id, stageName="dev", patchOperations=patches)

    async def ask(given: dict[str, str], path: str = "/dev", query: str = "", body: bytes = b"{}") -> Response:
        return await house.request(api_id, "POST", path, query=query, headers=given, body=body)

    def told(response: Response) -> tuple[int, str, str | None]:
        return response.status, json.loads(response.body)["message"], header(response, "x-amzn-errortype")

    await throttle("0")
    missing = (403, "Missing Authentication Token", "MissingAuthenticationTokenException")
    assert told(await ask({}, "/dev/none")) == missing
    assert told(await ask({})) == (401, "Unauthorized", "UnauthorizedException")
    assert told(await ask({"token": "t"})) == (403, "Forbidden", "ForbiddenException")
    known = {"token": "t", "x-api-key": KEY}
    assert told(await ask(known)) == (429, "Too Many Requests", "TooManyRequestsException")
    await throttle("100")
    house.clock.advance(1)
    parameters = (400, "Missing required request parameters: [q]", "BadRequestException")
    assert told(await ask(known)) == parameters
    assert told(await ask(known, query="q=1")) == (400, "Invalid request body", "BadRequestException")
    unmapped = (415, "Unsupported Media Type", "BadRequestException")
    assert told(await ask({**known, "content-type": "text/plain"}, query="q=1")) == unmapped
    house.function.calls.clear()
    assert (await ask(known, query="q=1", body=b'{"a": 1}')).status == 200
    assert len(house.function.calls) == 2  # the authorizer's, and the integration's
    # What was refused behind the plan has used it up as well.
    assert told(await ask(known, query="q=1", body=b'{"a": 1}')) == (429, "Limit Exceeded", "LimitExceededException")
