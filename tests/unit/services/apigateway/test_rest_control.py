"""The REST control plane: what is kept, what is shown, and what is refused in which words."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from unit.services.apigateway.fake_lambda import URI, ApiHouse


async def refused(house: ApiHouse, operation: str, **params: Any) -> tuple[str, str]:
    """Return the code and words with which an operation is refused."""
    with pytest.raises(ServiceError) as error:
        await house.v1(operation, **params)
    return error.value.code, error.value.message


async def test_an_api_is_created_shown_changed_and_deleted() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="notes", description="d", tags={"a": "1"}, version="1")

    assert len(api["id"]) == 10
    assert api == {
        "id": api["id"],
        "name": "notes",
        "description": "d",
        "version": "1",
        "createdDate": 1_760_000_000,
        "rootResourceId": api["rootResourceId"],
        "apiKeySource": "HEADER",
        "endpointConfiguration": {"types": ["EDGE"], "ipAddressType": "ipv4"},
        "disableExecuteApiEndpoint": False,
        "apiStatus": "AVAILABLE",
        "tags": {"a": "1"},
    }
    assert await house.v1("GetRestApi", restApiId=api["id"]) == api
    assert await house.v1("GetRestApis") == {"items": [api]}
    patch = [
        {"op": "replace", "path": "/name", "value": "other"},
        {"op": "replace", "path": "/description", "value": ""},
        {"op": "add", "path": "/binaryMediaTypes/image~1png"},
    ]
    changed = await house.v1("UpdateRestApi", restApiId=api["id"], patchOperations=patch)
    assert (changed["name"], "description" in changed, changed["binaryMediaTypes"]) == ("other", False, ["image/png"])

    await house.v1("DeleteRestApi", restApiId=api["id"])
    assert await refused(house, "GetRestApi", restApiId=api["id"]) == (
        "NotFoundException",
        f"Invalid API identifier specified 000000000000:{api['id']}",
    )


async def test_lists_come_in_pages() -> None:
    house = ApiHouse()
    ids = {(await house.v1("CreateRestApi", name=f"n{n}"))["id"] for n in range(5)}
    seen, position, pages = set[str](), None, 0
    while pages == 0 or position:
        page = await house.v1("GetRestApis", limit=2, **({"position": position} if position else {}))
        seen |= {api["id"] for api in page["items"]}
        position, pages = page.get("position"), pages + 1
    assert (seen, pages) == (ids, 3)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"endpointConfiguration": {"types": ["PRIVATE"]}}, "PRIVATE"),
        ({"endpointConfiguration": {"vpcEndpointIds": ["v"]}}, "vpcEndpointIds"),
    ],
)
async def test_what_is_not_built_is_refused_by_name(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(NotImplementedHere, match=what):
        await ApiHouse().v1("CreateRestApi", name="n", **settings)


@pytest.mark.parametrize(
    ("parent", "part", "code", "words"),
    [
        ("/", "notes", "ConflictException", "Another resource with the same parent already has this name: notes"),
        ("/notes", "a b", "BadRequestException", "Resource's path part only allow a-zA-Z0-9._-:, or a valid greedy"),
        ("/notes", "a\n", "BadRequestException", "Resource's path part only allow a-zA-Z0-9._-:, or a valid greedy"),
        ("/notes", "x{id}", "BadRequestException", "Resource's path part only allow a-zA-Z0-9._-:, or a valid greedy"),
        ("/notes", "{other}", "BadRequestException", "A sibling ({id}) of this resource already has a variable path "),
        ("/notes", "{proxy+}", "BadRequestException", "A sibling ({id}) of this resource already has a variable path "),
        ("/files/{proxy+}", "x", "BadRequestException", "Cannot create a child of a resource with a greedy path "),
    ],
)
async def test_resources_are_checked(parent: str, part: str, code: str, words: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes/{id}", "ANY /files/{proxy+}", deploy=False)
    resources = (await house.v1("GetResources", restApiId=api_id))["items"]
    [parent_id] = [resource["id"] for resource in resources if resource["path"] == parent]

    found = await refused(house, "CreateResource", restApiId=api_id, parentId=parent_id, pathPart=part)

    assert found[0] == code
    assert found[1].startswith(words)


async def test_resources_are_shown_with_or_without_their_methods_and_deleted_with_their_children() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes/{id}", "GET /notes-too", deploy=False)
    resources = (await house.v1("GetResources", restApiId=api_id))["items"]
    by_path = {resource["path"]: resource for resource in resources}
    assert set(by_path) == {"/", "/notes", "/notes/{id}", "/notes-too"}
    item = by_path["/notes/{id}"]
    assert item == {
        "id": item["id"],
        "parentId": by_path["/notes"]["id"],
        "pathPart": "{id}",
        "path": "/notes/{id}",
        "resourceMethods": {"GET": {}},
    }
    assert "parentId" not in by_path["/"]
    full = await house.v1("GetResource", restApiId=api_id, resourceId=item["id"], embed=["methods"])
    assert full["resourceMethods"]["GET"]["methodIntegration"]["uri"] == URI

    await house.v1("DeleteResource", restApiId=api_id, resourceId=by_path["/notes"]["id"])

    left = (await house.v1("GetResources", restApiId=api_id))["items"]
    assert {resource["path"] for resource in left} == {"/", "/notes-too"}
    missing = await refused(house, "GetResource", restApiId=api_id, resourceId=item["id"])
    assert missing == ("NotFoundException", "Invalid Resource identifier specified")
    root = await refused(house, "DeleteResource", restApiId=api_id, resourceId=by_path["/"]["id"])
    assert root[0] == "BadRequestException"


async def test_a_method_its_integration_and_their_responses() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    assert await refused(house, "GetMethod", **at) == ("NotFoundException", "Invalid Method identifier specified")
    method = await house.v1(
        "PutMethod", **at, authorizationType="NONE", requestParameters={"method.request.querystring.x": True}
    )
    assert method == {
        "httpMethod": "GET",
        "authorizationType": "NONE",
        "apiKeyRequired": False,
        "requestParameters": {"method.request.querystring.x": True},
    }
    again = await refused(house, "PutMethod", **at, authorizationType="NONE")
    assert again == ("ConflictException", "Method already exists for this resource")
    missing = await refused(house, "GetIntegration", **at)
    assert missing == ("NotFoundException", "Invalid Integration identifier specified")

    integration = await house.v1("PutIntegration", **at, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
    assert integration == {
        "type": "AWS_PROXY",
        "httpMethod": "POST",
        "uri": URI,
        "cacheNamespace": api["rootResourceId"],
        "cacheKeyParameters": [],
        "timeoutInMillis": 29_000,
        "passthroughBehavior": "WHEN_NO_MATCH",
    }
    undeclared = await refused(house, "PutIntegrationResponse", **at, statusCode="200")
    assert undeclared == ("NotFoundException", "Invalid Response status code specified")
    response = await house.v1("PutMethodResponse", **at, statusCode="200", responseModels={"application/json": "Empty"})
    assert response == {"statusCode": "200", "responseModels": {"application/json": "Empty"}}
    assert (await refused(house, "PutMethodResponse", **at, statusCode="200"))[0] == "ConflictException"
    await house.v1("PutIntegrationResponse", **at, statusCode="200", responseTemplates={"application/json": ""})
    shown = await house.v1("GetMethod", **at)
    assert shown["methodResponses"] == {"200": response}
    assert shown["methodIntegration"]["integrationResponses"] == {
        "200": {"statusCode": "200", "responseTemplates": {"application/json": ""}}
    }

    await house.v1("DeleteIntegrationResponse", **at, statusCode="200")
    await house.v1("DeleteMethodResponse", **at, statusCode="200")
    await house.v1("DeleteIntegration", **at)
    assert await house.v1("GetMethod", **at) == method
    await house.v1("DeleteMethod", **at)
    assert "resourceMethods" not in await house.v1("GetResource", restApiId=api["id"], resourceId=api["rootResourceId"])


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"type": "HTTP_PROXY"}, "BadRequestException", "Invalid HTTP endpoint specified for URI"),
        (
            {"type": "AWS", "uri": "arn:aws:apigateway:us-east-1:sqs:path/q"},
            "NotImplementedException",
            "An integration with sqs",
        ),
        ({"type": "AWS", "uri": "arn:aws:lambda:x"}, "BadRequestException", "Invalid ARN"),
        ({"type": "AWS", "requestParameters": {"x": "'y'"}}, "BadRequestException", "Invalid mapping expression"),
        (
            {"type": "AWS", "requestParameters": {"integration.request.header.x": "'y'\n"}},
            "BadRequestException",
            "Invalid mapping expression",
        ),
        (
            {"type": "AWS", "requestParameters": {"integration.request.path.x": "y"}},
            "BadRequestException",
            "Invalid mapping",
        ),
        ({"type": "NONE"}, "BadRequestException", "Invalid integration type"),
        ({"connectionType": "VPC_LINK"}, "NotImplementedException", "The connection type VPC_LINK"),
        ({"requestTemplates": {"a": "#parse('x')"}}, "NotImplementedException", "The directive #parse"),
        ({"requestTemplates": {"a": "x" * 307_201}}, "BadRequestException", "Template size"),
        ({"integrationHttpMethod": None}, "BadRequestException", "Enumeration value for HttpMethod must be non-empty"),
        ({"uri": "nowhere"}, "BadRequestException", "Invalid ARN specified in the request"),
        ({"uri": "https://example.com"}, "BadRequestException", "Invalid ARN specified in the request"),
        ({"uri": "arn:aws:apigateway:us-east-1:lambda"}, "BadRequestException", "AWS ARN for integration must contain"),
        ({"uri": "arn:aws:apigateway:us-east-1:sns:path/x"}, "BadRequestException", "Integrations of type 'AWS_PROXY'"),
        ({"timeoutInMillis": 49}, "BadRequestException", "Timeout should be between 50 ms and 29000 ms"),
        ({"timeoutInMillis": 29_001}, "BadRequestException", "Timeout should be between 50 ms and 29000 ms"),
        ({"credentials": "arn:aws:iam::1:user/ada"}, "BadRequestException", "Invalid ARN specified in the request"),
    ],
)
async def test_integrations_are_checked(change: dict[str, Any], code: str, words: str) -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    await house.v1("PutMethod", **at, authorizationType="NONE")

    settings = {"type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": URI, **change}
    found = await refused(house, "PutIntegration", **at, **settings)

    assert found[0] == code
    assert found[1].startswith(words)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"authorizationType": "JWT"}, "BadRequestException", "Invalid authorizer ID specified."),
        ({"authorizationType": "x"}, "BadRequestException", "Invalid authorization type: x."),
        ({"httpMethod": "TRACE"}, "BadRequestException", "Invalid HttpMethod specified. Valid options are"),
        ({"requestModels": {"a/b": "Note"}}, "BadRequestException", "Invalid model identifier specified: Note"),
        ({"requestParameters": {"x": True}}, "BadRequestException", "Invalid mapping expression specified"),
    ],
)
async def test_methods_are_checked(change: dict[str, Any], code: str, words: str) -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    method = {"httpMethod": "GET", "authorizationType": "NONE", **change}

    found = await refused(house, "PutMethod", restApiId=api["id"], resourceId=api["rootResourceId"], **method)

    assert found[0] == code
    assert found[1].startswith(words)


async def test_a_deployment_needs_methods_with_integrations() -> None:
    house = ApiHouse()
    api = await house.v1("CreateRestApi", name="n")
    empty = await refused(house, "CreateDeployment", restApiId=api["id"])
    assert empty == ("BadRequestException", "The REST API doesn't contain any methods")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    await house.v1("PutMethod", **at, authorizationType="NONE")
    bare = await refused(house, "CreateDeployment", restApiId=api["id"])
    assert bare == ("BadRequestException", "No integration defined for method")


async def test_deployments_and_stages() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes", deploy=False)
    api = {"restApiId": api_id}
    deployment = await house.v1("CreateDeployment", **api, description="first")
    assert deployment == {"id": deployment["id"], "description": "first", "createdDate": 1_760_000_000}
    summary = await house.v1("GetDeployment", **api, deploymentId=deployment["id"], embed=["apisummary"])
    assert summary["apiSummary"] == {"/notes": {"GET": {"authorizationType": "NONE", "apiKeyRequired": False}}}

    stage = await house.v1("CreateStage", **api, stageName="v1", deploymentId=deployment["id"], variables={"a": "b"})
    assert (stage["deploymentId"], stage["variables"]) == (deployment["id"], {"a": "b"})
    wrong = {"stageName": "v2", "deploymentId": "nope"}
    assert await refused(house, "CreateStage", **api, **wrong) == (
        "BadRequestException",
        "Deployment id does not exist",
    )
    again = {"stageName": "v1", "deploymentId": deployment["id"]}
    assert await refused(house, "CreateStage", **api, **again) == ("ConflictException", "Stage already exists")
    bad = {"stageName": "a b", "deploymentId": deployment["id"]}
    assert await refused(house, "CreateStage", **api, **bad) == (
        "BadRequestException",
        "Stage name only allows a-zA-Z0-9_-",
    )
    in_use = await refused(house, "DeleteDeployment", **api, deploymentId=deployment["id"])
    assert in_use == ("BadRequestException", "Active stages pointing to this deployment must be moved or deleted")

    patch = [
        {"op": "replace", "path": "/variables/c", "value": "d"},
        {"op": "remove", "path": "/variables/a"},
        {"op": "replace", "path": "/description", "value": "x"},
    ]
    changed = await house.v1("UpdateStage", **api, stageName="v1", patchOperations=patch)
    assert (changed["variables"], changed["description"]) == ({"c": "d"}, "x")
    assert (await house.v1("GetStages", **api))["item"] == [changed]
    traced = [{"op": "replace", "path": "/tracingEnabled", "value": "true"}]
    assert not changed["tracingEnabled"]
    assert (await house.v1("UpdateStage", **api, stageName="v1", patchOperations=traced))["tracingEnabled"]
    unknown = await refused(
        house, "UpdateStage", **api, stageName="v1", patchOperations=[{"op": "replace", "path": "/nope", "value": "x"}]
    )
    assert unknown[0] == "BadRequestException"
    assert unknown[1].startswith("Invalid patch path  '/nope' specified for op 'replace'. Must be one of: [/access")

    await house.v1("DeleteStage", **api, stageName="v1")
    missing = await refused(house, "GetStage", **api, stageName="v1")
    assert missing == ("NotFoundException", "Invalid stage identifier specified")
    await house.v1("DeleteDeployment", **api, deploymentId=deployment["id"])
    assert (await house.v1("GetDeployments", **api))["items"] == []


async def test_tags_of_apis_and_stages() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /notes")
    arn = f"arn:aws:apigateway:us-east-1::/restapis/{api_id}"
    for resource in (arn, f"{arn}/stages/dev"):
        await house.v1("TagResource", resourceArn=resource, tags={"a": "1", "b": "2"})
        await house.v1("UntagResource", resourceArn=resource, tagKeys=["a"])
        assert await house.v1("GetTags", resourceArn=resource) == {"tags": {"b": "2"}}
    reserved = await refused(house, "TagResource", resourceArn=arn, tags={"aws:x": "1"})
    assert reserved[0] == "BadRequestException"
    assert (await refused(house, "GetTags", resourceArn="arn:aws:sns:us-east-1::x"))[0] == "BadRequestException"


@pytest.mark.parametrize(
    ("operation", "params", "words"),
    [
        ("GetResources", {"embed": ["model"]}, "Invalid embed specified: model. Must be one of [methods]"),
        ("GetDeployment", {"embed": ["methods"]}, "Invalid embed specified: methods. Must be one of [apisummary]"),
        ("PutRestApi", {"body": b"{}", "parameters": {"ignore": "models"}}, "Invalid import parameter: ignore=models"),
        (
            "UpdateStage",
            {"patchOperations": [{"op": "move", "path": "/description"}]},
            "Invalid patch path  '/description' specified for op 'move'. Please choose supported operations",
        ),
        ("UpdateStage", {"patchOperations": [{"path": "/description"}]}, "Invalid patch operation specified: null"),
        ("UpdateRestApi", {"patchOperations": [{"path": "/name"}]}, "Invalid patch operation specified: null"),
        (
            "UpdateRestApi",
            {"patchOperations": [{"op": "replace", "path": "/endpointConfiguration/ipAddressType", "value": "ipv6"}]},
            "Invalid ipAddressType. Must be one of [ipv4, dualstack]",
        ),
    ],
)
async def test_what_makes_no_sense_is_told_so(operation: str, params: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a")
    at: dict[str, Any] = {"restApiId": api_id}
    if operation == "UpdateStage":
        at["stageName"] = "dev"
    if operation == "GetDeployment":
        at["deploymentId"] = (await house.v1("GetDeployments", **at))["items"][0]["id"]
    with pytest.raises(ServiceError) as refused:
        await house.v1(operation, **at, **params)
    assert (refused.value.code, refused.value.message) == ("BadRequestException", words)
