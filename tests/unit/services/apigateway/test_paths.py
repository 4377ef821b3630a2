"""How paths are read, and what no backend is asked for."""

import pytest

from cumulet.services.apigateway.pipeline.paths import climbs, encoded_parameters, read_http_path
from unit.services.apigateway.backends import backend
from unit.services.apigateway.fake_lambda import ApiHouse

# Captured on AWS: https://github.com/hotsock/voker/blob/main/vokerhttp/testdata/ingress-paths.json
CAPTURED: dict[str, str | None] = {
    "/capture/plain": "/capture/plain",
    "/capture/space%20value": "/capture/space value",
    "/capture/question%3Fvalue": "/capture/question",
    "/capture/percent%25done": None,
    "/capture/hash%23value": "/capture/hash#value",
    "/capture/slash%2Fvalue": "/capture/slash/value",
    "/capture/unicode-%CE%BB-%E4%B8%96%E7%95%8C": "/capture/unicode-λ-世界",
    "/capture/literal%252Fvalue": "/capture/literal/value",
    "/capture/literal%253Fvalue": "/capture/literal?value",
    "/capture/literal%2525value": "/capture/literal%value",
}


@pytest.mark.parametrize(("sent", "read"), CAPTURED.items())
async def test_an_http_api_reads_a_path_as_aws_does(sent: str, read: str | None) -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /capture/{proxy+}")
    response = await house.request(api_id, "GET", sent)
    if read is None:
        assert (response.status, house.function.calls) == (400, [])
        return
    event = house.function.event
    assert (event["rawPath"], event["pathParameters"]["proxy"]) == (read, read.removeprefix("/capture/"))


@pytest.mark.parametrize("path", ["/%", "/%z", "/%2", "/a%", "/%25", "/%2525%25z"])
def test_what_cannot_be_read_is_not(path: str) -> None:
    assert read_http_path(path) is None


@pytest.mark.parametrize(
    ("template", "path", "found"),
    [
        ("/a/{b}", "/a/%2F", {"b": "%2F"}),
        ("/a/{b}", "/a/x%20y/", {"b": "x%20y"}),
        ("/{a}/b/{c}", "/1%31/%62/%63", {"a": "1%31", "c": "%63"}),
        ("/{a}/{rest+}", "/%41/b/c%2Fd/", {"a": "%41", "rest": "b/c%2Fd"}),
    ],
)
def test_parameters_as_they_came(template: str, path: str, found: dict[str, str]) -> None:
    assert encoded_parameters(template, path) == found


@pytest.mark.parametrize(
    ("path", "does"),
    [
        ("/a/../b", True),
        ("/a/%2e%2E", True),
        ("/a/.", True),
        ("/a/..%5cb", True),
        ("/a/..b/c../...", False),
        ("/a.b/.well-known", False),
        ("/", False),
    ],
)
def test_dots_that_lead_elsewhere(path: str, does: bool) -> None:
    assert climbs(path) is does


@pytest.mark.parametrize(
    "path", ["/open/%2e%2e/secret", "/open/..%2fsecret", "/open/x/%2E%2e/%2e%2e/secret", "/open/."]
)
@pytest.mark.parametrize("kind", ["HTTP_PROXY", "HTTP", "HTTP API"])
async def test_nobody_leaves_what_an_integration_names(kind: str, path: str) -> None:
    house = ApiHouse()
    async with backend() as served:
        uri = f"{served.url}/public/{{proxy}}"
        if kind == "HTTP API":
            api_id, stage = await house.http_api(), ""
            made = {"IntegrationType": "HTTP_PROXY", "IntegrationMethod": "ANY", "PayloadFormatVersion": "1.0"}
            back = await house.v2("CreateIntegration", ApiId=api_id, IntegrationUri=uri, **made)
            target = f"integrations/{back['IntegrationId']}"
            await house.v2("CreateRoute", ApiId=api_id, RouteKey="GET /open/{proxy+}", Target=target)
        else:
            api_id, stage = await house.rest_api("GET /open/{proxy+}", deploy=False), "/dev"
            [found] = [r for r in (await house.v1("GetResources", restApiId=api_id))["items"] if "proxy" in r["path"]]
            at = {"restApiId": api_id, "resourceId": found["id"], "httpMethod": "GET"}
            names = {"integration.request.path.proxy": "method.request.path.proxy"}
            await house.v1("UpdateMethod", **at, patchOperations=[NAMED])
            await house.v1(
                "PutIntegration", **at, type=kind, integrationHttpMethod="GET", uri=uri, requestParameters=names
            )
            await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")
        response = await house.request(api_id, "GET", stage + path)
    assert (response.status, response.body) == (400, b'{"message":"Bad Request"}')
    assert served.requests == []


NAMED = {"op": "add", "path": "/requestParameters/method.request.path.proxy", "value": "true"}
