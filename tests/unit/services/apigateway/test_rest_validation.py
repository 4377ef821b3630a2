"""Request validators and models of REST APIs."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from unit.services.apigateway.fake_lambda import URI, ApiHouse, header

SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^(a+)+$"},
        "size": {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
        "next": {"$ref": "#/definitions/next"},
    },
    "required": ["name"],
    "definitions": {"next": {"type": "object", "properties": {"next": {"$ref": "#/definitions/next"}}}},
}
PARAMETERS = {
    "method.request.querystring.q": True,
    "method.request.header.X-Key": True,
    "method.request.path.id": True,
    "method.request.querystring.optional": False,
}
BAD_BODY = (400, b'{"message": "Invalid request body"}')


async def validated(
    *,
    body: bool = True,
    parameters: bool = False,
    media_type: str = "application/json",
    of_model: str = "application/json",
    schema: dict[str, Any] = SCHEMA,
) -> tuple[ApiHouse, str]:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="validated")
    at = {"restApiId": api["id"]}
    await house.v1("CreateModel", **at, name="Thing", contentType=of_model, schema=json.dumps(schema))
    settings = {"validateRequestBody": body, "validateRequestParameters": parameters}
    validator = await house.v1("CreateRequestValidator", **at, name="v", **settings)
    resource = await house.v1("CreateResource", **at, parentId=api["rootResourceId"], pathPart="{id}")
    method = {**at, "resourceId": resource["id"], "httpMethod": "POST"}
    await house.v1(
        "PutMethod",
        **method,
        authorizationType="NONE",
        requestModels={media_type: "Thing"},
        requestParameters=PARAMETERS,
        requestValidatorId=validator["id"],
    )
    await house.v1("PutIntegration", **method, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
    await house.v1("CreateDeployment", **at, stageName="dev")
    return house, str(api["id"])


@pytest.mark.parametrize(
    ("body", "content_type", "accepted"),
    [
        (b'{"name": "aa"}', None, True),
        (b'{"name": "aa", "size": 2}', "application/json; charset=utf-8", True),
        (b'{"name": "aa", "size": 1}', None, False),
        (b'{"name": "aa", "next": {"next": {"next": 1}}}', None, False),
        (b'{"name": "' + b"a" * 100_000 + b'!"}', None, False),
        (b"{}", None, False),
        (b"[]", None, False),
        (b"{", None, False),
        (b"", None, False),
        (b'{"name": "aa", "next": ' + b'{"next": ' * 5000 + b"{}" + b"}" * 5001, None, False),
        (b"<xml/>", "application/xml", True),
    ],
)
async def test_bodies(body: bytes, content_type: str | None, accepted: bool) -> None:
    house, api_id = await validated()
    headers = {} if content_type is None else {"content-type": content_type}

    response = await house.request(api_id, "POST", "/dev/1", headers=headers, body=body)

    assert (response.status, response.body) == ((200, b"fine") if accepted else BAD_BODY)
    assert bool(house.function.calls) is accepted


async def test_no_body_counts_as_an_empty_object() -> None:
    house, api_id = await validated(schema={"type": "object"})
    assert (await house.request(api_id, "POST", "/dev/1")).status == 200
    assert (await house.request(api_id, "POST", "/dev/1", body=b" ")).status == 400


@pytest.mark.parametrize("of_model", ["application/json", "$default"])
async def test_one_model_for_bodies_of_any_type(of_model: str) -> None:
    house, api_id = await validated(media_type="$default", of_model=of_model)
    for content_type in ("application/json", "text/plain"):
        headers = {"content-type": content_type}
        good = await house.request(api_id, "POST", "/dev/1", headers=headers, body=b'{"name": "aa"}')
        bad = await house.request(api_id, "POST", "/dev/1", headers=headers, body=b"{}")
        assert (good.status, (bad.status, bad.body)) == (200, BAD_BODY)


@pytest.mark.parametrize("of_model", ["application/json", "$default"])
async def test_what_no_body_can_be_held_against_is_no_model(of_model: str) -> None:
    for schema in ([], {"$ref": "#/nowhere"}, {"unheard": 1}):
        with pytest.raises(ServiceError, match="Invalid model specified"):
            await validated(of_model=of_model, schema=schema)


@pytest.mark.parametrize("of_model", ["application/json", "$default"])
async def test_a_model_that_another_refers_to_stays(of_model: str) -> None:
    house = ApiHouse()
    at = {"restApiId": (await house.v1("CreateRestApi", name="referring"))["id"]}
    schema = {"$ref": f"https://apigateway.amazonaws.com/restapis/{at['restApiId']}/models/Error"}
    await house.v1("CreateModel", **at, name="Thing", contentType=of_model, schema=json.dumps(schema))
    with pytest.raises(ServiceError, match="Cannot delete model"):
        await house.v1("DeleteModel", **at, modelName="Error")


async def test_parameters() -> None:
    house, api_id = await validated(body=False, parameters=True)

    none = await house.request(api_id, "POST", "/dev/1")
    empty = await house.request(api_id, "POST", "/dev/1", query="q=", headers={"x-key": "k"})
    fine = await house.request(api_id, "POST", "/dev/1", query="q=1", headers={"x-key": "k"})

    assert (none.status, none.body) == (400, b'{"message": "Missing required request parameters: [q, X-Key]"}')
    assert header(none, "x-amzn-errortype") == "BadRequestException"
    assert empty.body == b'{"message": "Missing required request parameters: [q]"}'
    assert fine.status == 200


async def test_models_from_create_to_delete() -> None:
    house, api_id = await validated()
    at = {"restApiId": api_id}
    names = [model["name"] for model in (await house.v1("GetModels", **at))["items"]]
    assert names == ["Empty", "Error", "Thing"]
    patch = [{"op": "replace", "path": "/schema", "value": '{"type": "array"}'}]
    assert (await house.v1("UpdateModel", **at, modelName="Empty", patchOperations=patch))["schema"] == patch[0][
        "value"
    ]
    with pytest.raises(ServiceError, match="Cannot delete model 'Thing'"):
        await house.v1("DeleteModel", **at, modelName="Thing")
    await house.v1("DeleteModel", **at, modelName="Error")
    with pytest.raises(ServiceError, match="Invalid model name specified: Error"):
        await house.v1("GetModel", **at, modelName="Error")


async def test_validators_from_create_to_delete() -> None:
    house, api_id = await validated()
    [shown] = (await house.v1("GetRequestValidators", restApiId=api_id))["items"]
    at = {"restApiId": api_id, "requestValidatorId": shown["id"]}
    assert await house.v1("GetRequestValidator", **at) == {
        "id": shown["id"],
        "name": "v",
        "validateRequestBody": True,
        "validateRequestParameters": False,
    }
    patch = [{"op": "replace", "path": "/validateRequestParameters", "value": "true"}]
    assert (await house.v1("UpdateRequestValidator", **at, patchOperations=patch))["validateRequestParameters"]
    with pytest.raises(ServiceError, match="is referenced in a method"):
        await house.v1("DeleteRequestValidator", **at)
    unused = await house.v1("CreateRequestValidator", restApiId=api_id)
    await house.v1("DeleteRequestValidator", restApiId=api_id, requestValidatorId=unused["id"])
    with pytest.raises(ServiceError, match="Invalid Request Validator identifier specified"):
        await house.v1("GetRequestValidator", restApiId=api_id, requestValidatorId=unused["id"])


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"name": "Thing"}, "ConflictException", "Model name already exists for this REST API"),
        ({"name": "a-b"}, "BadRequestException", "Model name must be alphanumeric: a-b"),
        ({"schema": "{"}, "BadRequestException", "Invalid model specified"),
        ({"schema": "[]"}, "BadRequestException", "Invalid model specified"),
        ({"schema": '{"type": 5}'}, "BadRequestException", "Invalid model specified"),
        ({"schema": '{"pattern": "("}'}, "BadRequestException", "Invalid model specified"),
        ({"schema": '{"$ref": "#/definitions/none"}'}, "BadRequestException", "Invalid model specified"),
        ({"schema": '{"$ref": "https://a.example/x"}'}, "NotImplementedException", "The reference"),
        ({"schema": '{"patternProperties": {"(": {}}}'}, "BadRequestException", "Invalid model specified"),
        ({"schema": '{"patternProperties": {"(?=a)": {}}}'}, "NotImplementedException", "A regular expression"),
        ({"schema": '{"pattern": "(?=a)"}'}, "NotImplementedException", "A regular expression"),
        ({"schema": '{"not": ' * 5000 + "{}" + "}" * 5000}, "BadRequestException", "Invalid model specified"),
        ({"schema": " " * 409_601}, "BadRequestException", "Model size exceeds"),
    ],
)
async def test_models_are_checked(change: dict[str, Any], code: str, words: str) -> None:
    house, api_id = await validated()
    given = {"name": "New", "contentType": "application/json", "schema": "{}", **change}
    with pytest.raises(ServiceError) as refused:
        await house.v1("CreateModel", restApiId=api_id, **given)
    assert refused.value.code == code
    assert refused.value.message.startswith(words)
