"""A stage that is a segment of X-Ray's traces: what functions and servers are told of the trace."""

import re
from typing import Any

import pytest

from unit.services.apigateway.backends import backend
from unit.services.apigateway.fake_lambda import ApiHouse, header

ROOT = "1-68e77a60-0123456789abcdef01234567"
TRACED = [{"op": "replace", "path": "/tracingEnabled", "value": "true"}]


async def traced_api(house: ApiHouse) -> str:
    api_id = await house.rest_api("GET /x")
    await house.v1("UpdateStage", restApiId=api_id, stageName="dev", patchOperations=TRACED)
    return api_id


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1"),
        (f"Root={ROOT}", rf"Root={ROOT};Parent=[0-9a-f]{{16}};Sampled=1"),
        (f"Root={ROOT};Parent=aaaaaaaaaaaaaaaa;Sampled=1", rf"Root={ROOT};Parent=(?!a{{16}})[0-9a-f]{{16}};Sampled=1"),
        (f"Root={ROOT};Sampled=0", rf"Root={ROOT};Parent=[0-9a-f]{{16}};Sampled=0"),
        ("Sampled=?", r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1"),
    ],
)
async def test_the_function_is_told_of_the_stage_s_segment(given: str | None, expected: str) -> None:
    house = ApiHouse()
    api_id = await traced_api(house)
    sent = {} if given is None else {"x-amzn-trace-id": given}
    response = await house.request(api_id, "GET", "/dev/x", headers=sent)
    [(call, _)] = house.function.calls
    assert re.fullmatch(expected, call.trace_header)
    shown = house.function.event["headers"]["X-Amzn-Trace-Id"]
    assert shown == header(response, "x-amzn-trace-id")
    assert shown == given or re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", shown)


@pytest.mark.parametrize("kind", ["HTTP", "HTTP_PROXY"])
async def test_a_server_is_told_too(kind: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /x")
    resources: Any = (await house.v1("GetResources", restApiId=api_id))["items"]
    [found] = [resource for resource in resources if resource["path"] == "/x"]
    at = {"restApiId": api_id, "resourceId": found["id"], "httpMethod": "GET"}
    async with backend() as served:
        await house.v1("PutIntegration", **at, type=kind, integrationHttpMethod="GET", uri=served.url)
        if kind == "HTTP":
            await house.v1("PutMethodResponse", **at, statusCode="200")
            await house.v1("PutIntegrationResponse", **at, statusCode="200")
        deployed = {"restApiId": api_id, "stageName": "dev", "tracingEnabled": True}
        await house.v1("CreateDeployment", **deployed)
        await house.request(api_id, "GET", "/dev/x", headers={"x-amzn-trace-id": f"Root={ROOT}"})
    [(_, headers, _)] = served.requests
    assert re.fullmatch(rf"Root={ROOT};Parent=[0-9a-f]{{16}};Sampled=1", headers["x-amzn-trace-id"])


async def test_a_stage_that_is_no_segment_passes_a_trace_on_as_it_is() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /x")
    for given in (f"Root={ROOT}", f"Root={ROOT};Parent=aaaaaaaaaaaaaaaa;Sampled=1"):
        await house.request(api_id, "GET", "/dev/x", headers={"x-amzn-trace-id": given})
        assert house.function.calls[-1][0].trace_header == given


async def test_tracing_stays_until_it_is_turned_off() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /x")
    at = {"restApiId": api_id, "stageName": "two"}
    [deployment] = (await house.v1("GetDeployments", restApiId=api_id))["items"]
    made = await house.v1("CreateStage", **at, deploymentId=deployment["id"], tracingEnabled=True)
    assert made["tracingEnabled"] is True
    await house.v1("CreateDeployment", **at)
    assert (await house.v1("GetStage", **at))["tracingEnabled"] is True
    await house.v1("CreateDeployment", **at, tracingEnabled=False)
    assert (await house.v1("GetStage", **at))["tracingEnabled"] is False
