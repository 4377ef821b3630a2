"""Stages that keep answers, and canaries that share a stage."""

from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits
from cumulet.services.kit import Call, Demand, Ruling
from cumulet.store.api import ReadTx
from cumulet.wire.message import Response
from harness import AllowAll
from unit.services.apigateway.fake_lambda import ApiHouse, header
from unit.services.apigateway.test_stage_settings import replace

ON = [replace("/cacheClusterEnabled", "true"), replace("/*/*/caching/enabled", "true")]
OPEN = replace("/*/*/caching/requireAuthorizationForCacheControl", "false")
ANEW = {"cache-control": "no-transform, Max-Age=0"}


class Counting(ApiHouse):
    """A function that answers with how often it was asked."""

    api_id: str

    async def count(self, event: dict[str, Any]) -> Any:
        return {"statusCode": 200, "headers": {"X-Some": "1"}, "body": str(len(self.function.calls))}

    async def get(self, path: str = "/pets/1", method: str = "GET", **more: Any) -> Response:
        """Return the answer to a request."""
        return await self.request(self.api_id, method, f"/dev{path}", **more)

    async def told(self, path: str = "/pets/1", **more: Any) -> str:
        """Return the body of an answer, which says how many times the function had been asked."""
        response = await self.get(path, **more)
        assert isinstance(response.body, bytes)
        return response.body.decode()

    async def patch(self, *patches: dict[str, str]) -> None:
        """Change the stage."""
        await self.v1("UpdateStage", restApiId=self.api_id, stageName="dev", patchOperations=list(patches))

    async def at(self, path: str, method: str) -> dict[str, str]:
        """Return the params that name a method."""
        resources = (await self.v1("GetResources", restApiId=self.api_id))["items"]
        [resource_id] = [resource["id"] for resource in resources if resource["path"] == path]
        return {"restApiId": self.api_id, "resourceId": resource_id, "httpMethod": method}

    async def declare(self, *parameters: str) -> None:
        """Let GET /pets/{id} declare parameters, which only then can be keys."""
        patches = [{"op": "add", "path": f"/requestParameters/method.request.{name}"} for name in parameters]
        await self.v1("UpdateMethod", **await self.at("/pets/{id}", "GET"), patchOperations=patches)

    async def integration(self, path: str, method: str, *patches: dict[str, str]) -> None:
        """Change the integration of a method and deploy."""
        await self.v1("UpdateIntegration", **await self.at(path, method), patchOperations=list(patches))
        await self.v1("CreateDeployment", restApiId=self.api_id, stageName="dev")


async def counting(*patches: dict[str, str], authorizer: Any = None) -> Counting:
    """Return a house whose API has these settings on its stage."""
    house = Counting(authorizer)
    house.function.answer = house.count
    house.api_id = await house.rest_api("GET /pets/{id}", "POST /pets/{id}", "GET /other")
    await house.patch(*(patches or ON))
    return house


async def test_an_answer_is_kept_until_its_time_is_over() -> None:
    house = await counting()
    first, again = await house.get(), await house.get()
    assert (first.body, again.body, header(again, "x-some")) == (b"1", b"1", "1")
    assert header(first, "x-amzn-requestid") != header(again, "x-amzn-requestid")
    assert [name.lower() for name, _ in again.headers].count("x-amzn-requestid") == 1
    assert header(again, "x-amzn-trace-id") is None
    house.clock.advance(299)
    assert await house.told() == "1"
    house.clock.advance(1)
    assert await house.told() == "2"


async def test_parameters_tell_answers_apart_only_if_they_are_keys() -> None:
    house = await counting()
    assert [await house.told("/pets/1"), await house.told("/pets/2")] == ["1", "1"]
    await house.declare("path.id", "querystring.kind", "header.X-Lang")
    await house.integration(
        "/pets/{id}",
        "GET",
        {"op": "add", "path": "/cacheKeyParameters/method.request.path.id"},
        {"op": "add", "path": "/cacheKeyParameters/method.request.querystring.kind"},
        {"op": "add", "path": "/cacheKeyParameters/method.request.header.X-Lang"},
    )
    assert [await house.told("/pets/1"), await house.told("/pets/2"), await house.told("/pets/1")] == ["2", "3", "2"]
    assert [await house.told(query="kind=a"), await house.told(query="kind=a&other=b")] == ["4", "4"]
    assert [await house.told(headers={"x-lang": "de"}), await house.told(headers={"X-LANG": "de"})] == ["5", "5"]
    assert await house.told(headers={"x-lang": "fr"}) == "6"


async def test_methods_and_stages_have_caches_of_their_own() -> None:
    house = await counting()
    assert [await house.told(), await house.told("/other"), await house.told("/other")] == ["1", "2", "2"]
    await house.v1("CreateDeployment", restApiId=house.api_id, stageName="live")
    response = await house.request(house.api_id, "GET", "/live/pets/1")
    assert response.body == b"3"


async def test_only_get_is_cached_unless_a_method_says_so_itself() -> None:
    house = await counting()
    assert [await house.told(method="POST"), await house.told(method="POST")] == ["1", "2"]
    await house.patch(replace("/~1pets~1{id}/POST/caching/enabled", "true"))
    assert [await house.told(method="POST"), await house.told(method="POST"), await house.told()] == ["3", "3", "4"]
    await house.patch(replace("/~1pets~1{id}/GET/caching/enabled", "false"))
    assert [await house.told(), await house.told()] == ["5", "6"]


@pytest.mark.parametrize(
    "patches",
    [
        [replace("/*/*/caching/enabled", "true")],
        [replace("/cacheClusterEnabled", "true")],
        [*ON, replace("/*/*/caching/ttlInSeconds", "0")],
    ],
)
async def test_what_keeps_nothing(patches: list[dict[str, str]]) -> None:
    house = await counting(*patches)
    assert [await house.told(), await house.told()] == ["1", "2"]


async def test_flushing_forgets_at_once() -> None:
    house = await counting()
    assert [await house.told(), await house.told()] == ["1", "1"]
    await house.v1("FlushStageCache", restApiId=house.api_id, stageName="dev")
    assert [await house.told(), await house.told()] == ["2", "2"]
    await house.patch(replace("/cacheClusterSize", "1.6"))
    assert await house.told() == "3"
    with pytest.raises(ServiceError, match="Invalid stage identifier specified"):
        await house.v1("FlushStageCache", restApiId=house.api_id, stageName="none")


async def test_what_went_wrong_or_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await counting()
    house.function.answer = {"statusCode": 404}
    assert [(await house.get()).status, len(house.function.calls)] == [404, 1]
    assert [(await house.get()).status, len(house.function.calls)] == [404, 2]
    monkeypatch.setattr(limits, "CACHED_BYTES_MAX", 3)
    house.function.answer = {"statusCode": 200, "body": "four"}
    await house.get()
    await house.get()
    assert len(house.function.calls) == 4
    house.function.answer = {"statusCode": 200, "body": "two"}
    await house.get()
    await house.get()
    assert len(house.function.calls) == 5


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CACHE_BYTES_MAX", 20_000)  # whose text is less than that
    house = await counting()
    key = {"op": "add", "path": "/cacheKeyParameters/method.request.path.id"}
    await house.declare("path.id")
    await house.integration("/pets/{id}", "GET", key)
    for number in range(50):
        await house.told(f"/pets/{number}")
    assert [await house.told("/pets/49"), await house.told("/pets/0")] == ["50", "51"]


async def test_whoever_may_can_have_an_answer_made_anew() -> None:
    house = await counting(*ON, OPEN)
    assert [await house.told(), await house.told(headers=ANEW), await house.told()] == ["1", "2", "2"]
    assert await house.told(headers={"cache-control": "max-age=01"}) == "2"


@pytest.mark.parametrize(
    ("strategy", "status", "warning"),
    [
        ("SUCCEED_WITH_RESPONSE_HEADER", 200, True),
        ("SUCCEED_WITHOUT_RESPONSE_HEADER", 200, False),
        ("FAIL_WITH_403", 403, False),
    ],
)
async def test_who_may_not_have_it_made_anew(strategy: str, status: int, warning: bool) -> None:
    house = await counting(*ON, replace("/*/*/caching/unauthorizedCacheControlHeaderStrategy", strategy))
    await house.get()
    response = await house.get(headers=ANEW)
    assert response.status == status
    assert len(house.function.calls) == 1
    told = header(response, "warning")
    assert told == ("199 Cache-control headers were ignored because the caller was unauthorized." if warning else None)
    # Others see nothing of it.
    assert header(await house.get(), "warning") is None


class MayNotInvalidate(AllowAll):
    """Lets everybody do everything but have answers made anew, unless `allowed` says so."""

    allowed = True
    asked: str = ""

    def decide(self, tx: ReadTx, call: Call, demand: Demand, *more: Any) -> Ruling:
        if demand.action != "execute-api:InvalidateCache":
            return super().decide(tx, call, demand)
        self.asked = demand.resource
        return Ruling(self.allowed)


async def test_who_signed_is_asked_for_a_permission() -> None:
    iam = MayNotInvalidate()
    house = await counting(authorizer=iam)
    resources = (await house.v1("GetResources", restApiId=house.api_id))["items"]
    [resource_id] = [resource["id"] for resource in resources if resource["path"] == "/other"]
    at = {"restApiId": house.api_id, "resourceId": resource_id, "httpMethod": "GET"}
    await house.v1("UpdateMethod", **at, patchOperations=[replace("/authorizationType", "AWS_IAM")])
    await house.v1("CreateDeployment", restApiId=house.api_id, stageName="dev")
    assert [await house.told("/other"), await house.told("/other", headers=ANEW)] == ["1", "2"]
    assert iam.asked == f"arn:aws:execute-api:us-east-1:000000000000:{house.api_id}/dev/GET/other"
    iam.allowed = False
    assert await house.told("/other", headers=ANEW) == "2"


async def test_a_canary_gets_its_share_with_its_own_variables() -> None:
    house = await counting(replace("/canarySettings/percentTraffic", "25"))
    await house.patch(replace("/variables/v", "production"), replace("/variables/w", "both"))
    await house.patch(replace("/canarySettings/stageVariableOverrides/v", "canary"))
    await house.v1("CreateDeployment", restApiId=house.api_id, stageName="dev")
    seen = []
    for draw in (0, 2**30 - 1, 2**30, 2**32 - 1):
        house.ids.secret = lambda length, draw=draw: draw.to_bytes(4, "big")[-length:].rjust(length, b"\0")  # type: ignore[method-assign,misc]
        await house.get()
        event = house.function.event
        seen.append(
            (event["stageVariables"]["v"], event["stageVariables"]["w"], event["requestContext"]["isCanaryRequest"])
        )
    assert seen == [("canary", "both", True)] * 2 + [("production", "both", False)] * 2


async def test_a_canary_uses_the_stage_s_cache_only_if_it_is_told_to() -> None:
    house = await counting(*ON, replace("/canarySettings/percentTraffic", "100"))
    assert [await house.told(), await house.told()] == ["1", "2"]
    await house.patch(replace("/canarySettings/useStageCache", "true"))
    assert [await house.told(), await house.told()] == ["3", "3"]
    await house.patch(replace("/canarySettings/percentTraffic", "0"))
    # Both have the same deployment, so they share.
    assert await house.told() == "3"
    await house.patch(replace("/canarySettings/percentTraffic", "100"))
    await house.v1("CreateDeployment", restApiId=house.api_id, stageName="dev")
    assert await house.told() == "4"
