"""The HTTP control plane: what is kept, what is shown, and what is refused in which words."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from unit.services.apigateway.fake_lambda import FUNCTION, ApiHouse

PARTS = (
    "One or more path parts appear to be invalid. Parts are validated against this regular expression: "
    r"^(\{[\w.:-]+\+?\}|[a-zA-Z0-9.:_-]+)$"
)


async def refused(house: ApiHouse, operation: str, **params: Any) -> tuple[str, str]:
    """Return the code and words with which an operation is refused."""
    with pytest.raises(ServiceError) as error:
        await house.v2(operation, **params)
    return error.value.code, error.value.message


async def test_an_api_is_created_shown_changed_and_deleted() -> None:
    house = ApiHouse()
    api = await house.v2("CreateApi", Name="notes", ProtocolType="HTTP", Description="d", Tags={"a": "1"})
    api_id = api["ApiId"]
    assert api == {
        "ApiId": api_id,
        "ApiEndpoint": f"http://{api_id}.execute-api.localhost:4566",
        "ApiKeySelectionExpression": "$request.header.x-api-key",
        "CreatedDate": 1_760_000_000,
        "Description": "d",
        "DisableExecuteApiEndpoint": False,
        "IpAddressType": "ipv4",
        "Name": "notes",
        "ProtocolType": "HTTP",
        "RouteSelectionExpression": "$request.method $request.path",
        "Tags": {"a": "1"},
    }
    assert await house.v2("GetApi", ApiId=api_id) == api
    cors = {"AllowOrigins": ["https://a.example"], "MaxAge": 5}
    changed = await house.v2("UpdateApi", ApiId=api_id, Name="other", CorsConfiguration=cors)
    assert (changed["Name"], changed["CorsConfiguration"], changed["Description"]) == ("other", cors, "d")
    assert (await house.v2("GetApis"))["Items"] == [changed]
    await house.v2("DeleteCorsConfiguration", ApiId=api_id)
    assert "CorsConfiguration" not in await house.v2("GetApi", ApiId=api_id)

    await house.v2("DeleteApi", ApiId=api_id)
    assert await refused(house, "GetApi", ApiId=api_id) == (
        "NotFoundException",
        f"Invalid API identifier specified 000000000000:{api_id}",
    )


async def test_quick_create_makes_a_whole_api() -> None:
    house = ApiHouse()
    api = await house.v2("CreateApi", Name="notes", ProtocolType="HTTP", Target=FUNCTION)
    api_id = api["ApiId"]

    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    [integration] = (await house.v2("GetIntegrations", ApiId=api_id))["Items"]
    [stage] = (await house.v2("GetStages", ApiId=api_id))["Items"]

    assert (route["RouteKey"], route["ApiGatewayManaged"]) == ("$default", True)
    assert route["Target"] == f"integrations/{integration['IntegrationId']}"
    assert (integration["PayloadFormatVersion"], integration["IntegrationUri"]) == ("2.0", FUNCTION)
    assert (stage["StageName"], stage["AutoDeploy"], stage["ApiGatewayManaged"]) == ("$default", True, True)
    assert (await house.request(api_id, "GET", "/x")).status == 200


async def test_websocket_apis_are_refused_by_name() -> None:
    with pytest.raises(NotImplementedHere, match="WEBSOCKET"):
        await ApiHouse().v2("CreateApi", Name="n", ProtocolType="WEBSOCKET")


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        ("GET notes", "BadRequestException", "The provided route key is not formatted properly for HTTP protocol."),
        ("FETCH /notes", "BadRequestException", "The provided route key is not formatted properly for HTTP protocol."),
        ("$connect", "BadRequestException", "The provided route key is not formatted properly for HTTP protocol."),
        ("GET /{a+}/b", "BadRequestException", "A greedy path variable must be at the end of the resource path"),
        ("GET /{a}/{a}", "BadRequestException", "Invalid path variables in route key GET /{a}/{a}"),
        ("GET /a{b}", "BadRequestException", PARTS),
        ("GET /{a}.json", "BadRequestException", PARTS),
        ("GET /{}", "BadRequestException", PARTS),
        ("GET /{a", "BadRequestException", PARTS),
        ("GET /a b", "BadRequestException", PARTS),
        ("GET /a?b", "BadRequestException", PARTS),
        ("GET /\u00e4", "BadRequestException", PARTS),
        ("GET /a/", "BadRequestException", PARTS),
        ("GET //", "BadRequestException", PARTS),
        ("GET /notes", "ConflictException", "Route with key GET /notes already exists for this API"),
    ],
)
async def test_route_keys_are_checked(key: str, code: str, words: str) -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /notes")
    found = await refused(house, "CreateRoute", ApiId=api_id, RouteKey=key)
    assert found[0] == code
    assert found[1].startswith(words)


async def test_routes_and_integrations() -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /notes")
    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    assert route == {
        "RouteId": route["RouteId"],
        "RouteKey": "GET /notes",
        "ApiKeyRequired": False,
        "AuthorizationType": "NONE",
        "Target": route["Target"],
    }
    assert await house.v2("GetRoute", ApiId=api_id, RouteId=route["RouteId"]) == route
    integration_id = route["Target"].partition("/")[2]
    at = {"ApiId": api_id, "IntegrationId": integration_id}
    integration = await house.v2("UpdateIntegration", **at, PayloadFormatVersion="1.0", TimeoutInMillis=100)
    assert integration == await house.v2("GetIntegration", **at)
    assert integration == {
        "IntegrationId": integration_id,
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": FUNCTION,
        "IntegrationMethod": "POST",
        "ConnectionType": "INTERNET",
        "PayloadFormatVersion": "1.0",
        "TimeoutInMillis": 100,
    }
    await house.request(api_id, "GET", "/notes")
    assert house.function.event["version"] == "1.0"

    assert await refused(house, "DeleteIntegration", **at) == (
        "ConflictException",
        f"Cannot delete Integration because it is referenced by the following Routes with Ids: [{route['RouteId']}]",
    )
    await house.v2("DeleteRoute", ApiId=api_id, RouteId=route["RouteId"])
    await house.v2("DeleteIntegration", **at)
    assert (await refused(house, "GetIntegration", **at))[0] == "NotFoundException"
    assert (await refused(house, "GetRoute", ApiId=api_id, RouteId=route["RouteId"]))[0] == "NotFoundException"
    assert (await house.request(api_id, "GET", "/notes")).status == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"IntegrationType": "HTTP_PROXY"}, "BadRequestException"),
        ({"IntegrationType": "MOCK"}, "BadRequestException"),
        ({"ConnectionType": "VPC_LINK"}, "NotImplementedException"),
        ({"IntegrationSubtype": "SQS-SendMessage"}, "NotImplementedException"),
        ({"RequestParameters": {"a": "b"}}, "BadRequestException"),
        ({"IntegrationUri": None}, "BadRequestException"),
        ({"PayloadFormatVersion": None}, "BadRequestException"),
        ({"PayloadFormatVersion": "3.0"}, "BadRequestException"),
        ({"TimeoutInMillis": 30_001}, "BadRequestException"),
    ],
)
async def test_integrations_are_checked(change: dict[str, Any], code: str) -> None:
    house = ApiHouse()
    api = await house.v2("CreateApi", Name="n", ProtocolType="HTTP")
    settings = {
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": FUNCTION,
        "PayloadFormatVersion": "2.0",
        **change,
    }
    assert (await refused(house, "CreateIntegration", ApiId=api["ApiId"], **settings))[0] == code


@pytest.mark.parametrize(
    ("limit", "operation", "what"),
    [
        ("ROUTES_PER_API_MAX", "CreateRoute", "routes"),
        ("INTEGRATIONS_PER_API_MAX", "CreateIntegration", "integrations"),
        ("STAGES_PER_API_MAX", "CreateStage", "stages"),
        ("AUTHORIZERS_PER_API_MAX", "CreateAuthorizer", "authorizers"),
    ],
)
async def test_an_api_has_so_much_of_everything(
    monkeypatch: pytest.MonkeyPatch, limit: str, operation: str, what: str
) -> None:
    house = ApiHouse()
    api_id = await house.http_api("$default")
    monkeypatch.setattr(limits, limit, 2 if what == "authorizers" else 1)
    given: dict[str, Any] = {
        "CreateRoute": {"RouteKey": "GET /one-more"},
        "CreateIntegration": {
            "IntegrationType": "HTTP_PROXY",
            "IntegrationUri": "http://a",
            "IntegrationMethod": "ANY",
        },
        "CreateStage": {"StageName": "one-more"},
        "CreateAuthorizer": {
            "AuthorizerType": "JWT",
            "Name": "a",
            "IdentitySource": ["$request.header.Authorization"],
            "JwtConfiguration": {"Issuer": "https://a.example", "Audience": ["a"]},
        },
    }[operation]
    if what == "authorizers":
        for name in "bc":
            await house.v2(operation, ApiId=api_id, **{**given, "Name": name})
    assert await refused(house, operation, ApiId=api_id, **given) == (
        "TooManyRequestsException",
        f"Maximum number of {what} for this API has been reached.",
    )


async def test_deployments_by_hand() -> None:
    house = ApiHouse()
    api = await house.v2("CreateApi", Name="n", ProtocolType="HTTP")
    at = {"ApiId": api["ApiId"]}
    empty = await refused(house, "CreateDeployment", **at)
    assert empty == ("BadRequestException", "At least one route is required before deploying the Api.")
    integration = await house.v2(
        "CreateIntegration",
        **at,
        IntegrationType="AWS_PROXY",
        IntegrationUri=FUNCTION,
        PayloadFormatVersion="2.0",
    )
    target = f"integrations/{integration['IntegrationId']}"
    await house.v2("CreateRoute", **at, RouteKey="GET /a", Target=target)
    await house.v2("CreateStage", **at, StageName="live")
    assert (await house.request(api["ApiId"], "GET", "/live/a")).status == 404

    first = await house.v2("CreateDeployment", **at, StageName="live", Description="one")
    assert first == {
        "DeploymentId": first["DeploymentId"],
        "DeploymentStatus": "DEPLOYED",
        "AutoDeployed": False,
        "CreatedDate": 1_760_000_000,
        "Description": "one",
    }
    assert (await house.request(api["ApiId"], "GET", "/live/a")).status == 200
    await house.v2("CreateRoute", **at, RouteKey="GET /b", Target=target)
    assert (await house.request(api["ApiId"], "GET", "/live/b")).status == 404
    second = await house.v2("CreateDeployment", **at)
    await house.v2("UpdateStage", **at, StageName="live", DeploymentId=second["DeploymentId"])
    assert (await house.request(api["ApiId"], "GET", "/live/b")).status == 200

    assert len((await house.v2("GetDeployments", **at))["Items"]) == 2
    in_use = await refused(house, "DeleteDeployment", **at, DeploymentId=second["DeploymentId"])
    assert in_use == ("BadRequestException", "Active stages pointing to this deployment must be moved or deleted")
    await house.v2("DeleteDeployment", **at, DeploymentId=first["DeploymentId"])
    assert await house.v2("GetDeployment", **at, DeploymentId=second["DeploymentId"]) == second


async def test_auto_deploy_leaves_no_old_deployments() -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /a")
    [route] = (await house.v2("GetRoutes", ApiId=api_id))["Items"]
    for path in "bcd":
        await house.v2("CreateRoute", ApiId=api_id, RouteKey=f"GET /{path}", Target=route["Target"])

    [deployment] = (await house.v2("GetDeployments", ApiId=api_id))["Items"]
    stage = await house.v2("GetStage", ApiId=api_id, StageName="$default")

    assert deployment["AutoDeployed"]
    assert stage["DeploymentId"] == deployment["DeploymentId"]
    await house.v2("DeleteStage", ApiId=api_id, StageName="$default")
    missing = await refused(house, "GetStage", ApiId=api_id, StageName="$default")
    assert missing == ("NotFoundException", "Invalid stage identifier specified")


async def test_lists_come_in_pages() -> None:
    house = ApiHouse()
    api_id = await house.http_api(*(f"GET /{n}" for n in range(5)))
    seen, token, pages = set[str](), None, 0
    while pages == 0 or token:
        page = await house.v2("GetRoutes", ApiId=api_id, MaxResults="2", **({"NextToken": token} if token else {}))
        seen |= {route["RouteKey"] for route in page["Items"]}
        token, pages = page.get("NextToken"), pages + 1
    assert (len(seen), pages) == (5, 3)
    for many in ("many", "0", "9" * 5000):
        assert (await refused(house, "GetRoutes", ApiId=api_id, MaxResults=many))[0] == "BadRequestException"


async def test_tags() -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /a")
    arn = f"arn:aws:apigateway:us-east-1::/apis/{api_id}"
    for resource in (arn, f"{arn}/stages/$default"):
        await house.v2("TagResource", ResourceArn=resource, Tags={"a": "1", "b": "2"})
        await house.v2("UntagResource", ResourceArn=resource, TagKeys=["a"])
        assert await house.v2("GetTags", ResourceArn=resource) == {"Tags": {"b": "2"}}
