"""Requests with API keys: who may call, how often at once, and how often in a period."""

import asyncio
import dataclasses
from typing import Any

import pytest

from cumulet.errors import InvariantViolated
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.pipeline.quotas import Quotas
from cumulet.services.apigateway.plans import USAGE, Quota
from cumulet.store.api import StoreUnavailable
from cumulet.wire.message import Response
from harness import SCOPE
from unit.services.apigateway.fake_lambda import OK, URI, ApiHouse, header

VALUE = "0123456789abcdefghij0123456789"
FORBIDDEN = (403, b'{"message":"Forbidden"}', "ForbiddenException")
THROTTLED = (429, b'{"message":"Too Many Requests"}', "TooManyRequestsException")
EXHAUSTED = (429, b'{"message":"Limit Exceeded"}', "LimitExceededException")


class Metered(ApiHouse):
    """An API whose method GET /pets/{id} wants a key, and a plan that opens its stage `dev`."""

    api_id: str
    plan_id: str
    key_id: str

    async def get(self, key: str | None = VALUE, path: str = "/dev/pets/1") -> Response:
        """Return the answer to a request with this key."""
        headers = {} if key is None else {"x-api-key": key}
        return await self.request(self.api_id, "GET", path, headers=headers)

    async def statuses(self, times: int, key: str = VALUE) -> list[int]:
        """Return the statuses of requests one after the other."""
        return [(await self.get(key)).status for _ in range(times)]

    async def patch_plan(self, *patches: tuple[str, str, str]) -> None:
        """Change the plan."""
        operations = [{"op": op, "path": path, "value": value} for op, path, value in patches]
        await self.v1("UpdateUsagePlan", usagePlanId=self.plan_id, patchOperations=operations)

    async def used(self) -> list[int]:
        """Return what was used and what remains today."""
        today = {"startDate": "2025-10-09", "endDate": "2025-10-09"}
        usage = await self.v1("GetUsage", usagePlanId=self.plan_id, keyId=self.key_id, **today)
        [day] = usage["items"][self.key_id]
        return list(day)


async def metered(house: Metered | None = None, **plan: Any) -> Metered:
    """Return a house with a plan, and an enabled key in it."""
    house = house or Metered()
    house.api_id = await house.rest_api("GET /pets/{id}", "GET /open", deploy=False)
    resources = (await house.v1("GetResources", restApiId=house.api_id))["items"]
    [pets] = [resource["id"] for resource in resources if resource["path"] == "/pets/{id}"]
    at = {"restApiId": house.api_id, "resourceId": pets, "httpMethod": "GET"}
    patch = [{"op": "replace", "path": "/apiKeyRequired", "value": "true"}]
    assert (await house.v1("UpdateMethod", **at, patchOperations=patch))["apiKeyRequired"] is True
    deployment = await house.v1("CreateDeployment", restApiId=house.api_id, stageName="dev")
    summary = await house.v1(
        "GetDeployment", restApiId=house.api_id, deploymentId=deployment["id"], embed=["apisummary"]
    )
    assert summary["apiSummary"]["/pets/{id}"]["GET"]["apiKeyRequired"] is True
    stages = [{"apiId": house.api_id, "stage": "dev"}]
    house.plan_id = (await house.v1("CreateUsagePlan", name="gold", apiStages=stages, **plan))["id"]
    house.key_id = (await house.v1("CreateApiKey", value=VALUE, enabled=True))["id"]
    await house.v1("CreateUsagePlanKey", usagePlanId=house.plan_id, keyId=house.key_id, keyType="API_KEY")
    return house


def told(response: Response) -> tuple[int, Any, str | None]:
    return response.status, response.body, header(response, "x-amzn-ErrorType")


async def test_a_method_that_wants_a_key_opens_to_those_who_have_one() -> None:
    house = await metered()
    assert (await house.get()).status == 200
    identity = house.function.event["requestContext"]["identity"]
    assert (identity["apiKey"], identity["apiKeyId"]) == (VALUE, house.key_id)
    assert told(await house.get(None)) == FORBIDDEN
    assert told(await house.get(VALUE + "x")) == FORBIDDEN
    assert (await house.get(None, "/dev/open")).status == 200
    assert "apiKey" not in house.function.event["requestContext"]["identity"]


async def test_a_key_that_opens_nothing_any_more() -> None:
    house = await metered()
    disable = [{"op": "replace", "path": "/enabled", "value": "false"}]
    await house.v1("UpdateApiKey", apiKey=house.key_id, patchOperations=disable)
    assert told(await house.get()) == FORBIDDEN
    enable = [{"op": "replace", "path": "/enabled", "value": "true"}]
    await house.v1("UpdateApiKey", apiKey=house.key_id, patchOperations=enable)
    assert (await house.get()).status == 200
    await house.patch_plan(("remove", "/apiStages", f"{house.api_id}:dev"))
    assert told(await house.get()) == FORBIDDEN
    add = [{"op": "add", "path": "/stages", "value": f"{house.api_id}/dev"}]
    await house.v1("UpdateApiKey", apiKey=house.key_id, patchOperations=add)
    assert (await house.get()).status == 200
    await house.v1("DeleteApiKey", apiKey=house.key_id)
    assert told(await house.get()) == FORBIDDEN


async def test_a_key_of_another_stage_opens_nothing() -> None:
    house = await metered()
    await house.v1("CreateDeployment", restApiId=house.api_id, stageName="live")
    assert told(await house.get(path="/live/pets/1")) == FORBIDDEN


async def test_a_plan_throttles_each_of_its_keys_by_itself() -> None:
    house = await metered(throttle={"rateLimit": 0.5, "burstLimit": 2})
    other = "z" * 30
    key = await house.v1("CreateApiKey", value=other, enabled=True)
    await house.v1("CreateUsagePlanKey", usagePlanId=house.plan_id, keyId=key["id"], keyType="API_KEY")
    assert await house.statuses(3) == [200, 200, 429]
    assert told(await house.get()) == THROTTLED
    assert await house.statuses(3, other) == [200, 200, 429]
    house.clock.advance(2)
    assert await house.statuses(2) == [200, 429]


async def test_a_plan_can_throttle_one_method() -> None:
    house = await metered(throttle={"rateLimit": 0.0, "burstLimit": 1})
    throttle = f"/apiStages/{house.api_id}:dev/throttle/~1pets~1{{id}}/GET"
    await house.patch_plan(("replace", f"{throttle}/burstLimit", "3"), ("replace", f"{throttle}/rateLimit", "0"))
    assert await house.statuses(4) == [200, 200, 200, 429]


@pytest.mark.parametrize(("period", "days"), [("DAY", 1), ("WEEK", 3), ("MONTH", 23)])
async def test_a_quota_ends_with_its_period(period: str, days: int) -> None:
    house = await metered(quota={"limit": 3, "period": period})
    assert await house.statuses(2) == [200, 200]
    house.clock.advance((days - 1) * 86_400)
    assert await house.statuses(2) == [200, 429]
    assert told(await house.get()) == EXHAUSTED
    house.clock.advance(86_400)
    assert await house.statuses(1) == [200]


async def test_what_is_refused_is_not_counted() -> None:
    house = await metered(quota={"limit": 5, "period": "DAY"}, throttle={"rateLimit": 0.0, "burstLimit": 2})
    await house.get(None)
    assert await house.statuses(4) == [200, 200, 429, 429]
    assert await house.used() == [2, 3]
    await house.patch_plan(("remove", "/throttle", ""), ("replace", "/quota/limit", "3"))
    assert await house.statuses(2) == [200, 429]
    assert await house.used() == [3, 0]


async def test_a_quota_can_be_extended() -> None:
    house = await metered(quota={"limit": 1, "period": "MONTH"})
    assert await house.statuses(2) == [200, 429]
    more = [{"op": "replace", "path": "/remaining", "value": "2"}]
    await house.v1("UpdateUsage", usagePlanId=house.plan_id, keyId=house.key_id, patchOperations=more)
    assert await house.used() == [1, 2]
    assert await house.statuses(3) == [200, 200, 429]
    none = [{"op": "replace", "path": "/remaining", "value": "0"}]
    await house.patch_plan(("replace", "/quota/limit", "100"))
    await house.v1("UpdateUsage", usagePlanId=house.plan_id, keyId=house.key_id, patchOperations=none)
    assert await house.statuses(1) == [429]


async def test_requests_at_once_share_a_quota_exactly() -> None:
    house = await metered(quota={"limit": 10, "period": "DAY"})
    answers = await asyncio.gather(*[house.get() for _ in range(25)])
    assert sorted(answer.status for answer in answers) == [200] * 10 + [429] * 15
    assert await house.used() == [10, 0]


async def test_use_is_counted_without_a_quota_too_but_nobody_waits_for_it() -> None:
    house = await metered()
    await house.statuses(3)
    await house.gateway.stop()
    assert await house.used() == [3, -1]


async def test_processes_share_a_quota_exactly() -> None:
    house = await metered(quota={"limit": 10, "period": "DAY"})
    plan = await house.v1("GetUsagePlan", usagePlanId=house.plan_id)
    quota = Quota(plan["quota"]["limit"], plan["quota"]["period"])
    processes = [Quotas(house.ground), Quotas(house.ground)]
    admitted = await asyncio.gather(
        *[processes[turn % 2].admit(SCOPE, house.plan_id, house.key_id, quota) for turn in range(25)]
    )
    assert admitted.count(True) == 10
    assert await house.used() == [10, 0]


class Failing:
    """A store that cannot write."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def write(self, body: Any) -> Any:
        await asyncio.sleep(0)
        raise self._error


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), ValueError("a bug")])
async def test_nobody_waits_for_ever_for_a_count_that_fails(error: Exception) -> None:
    house = await metered()
    ground = dataclasses.replace(house.ground, store=Failing(error))  # type: ignore[arg-type]
    quotas = Quotas(ground)
    quota = Quota(10, "DAY")
    asked = [quotas.admit(SCOPE, house.plan_id, house.key_id, quota) for _ in range(2)]
    counting = asyncio.gather(*asked, return_exceptions=True)
    await asyncio.sleep(0)
    late = asyncio.ensure_future(quotas.admit(SCOPE, house.plan_id, house.key_id, quota))
    answers = [*await counting, *await asyncio.gather(late, return_exceptions=True)]
    assert all(isinstance(answer, StoreUnavailable | InvariantViolated) for answer in answers)


async def test_a_key_that_leaves_while_it_is_counted_leaves_nothing_behind() -> None:
    house = await metered(quota={"limit": 5, "period": "DAY"})
    quotas, quota = Quotas(house.ground), Quota(5, "DAY")
    assert await quotas.admit(SCOPE, house.plan_id, house.key_id, quota)
    assert await house.used() == [1, 4]
    await house.v1("DeleteApiKey", apiKey=house.key_id)
    assert await quotas.admit(SCOPE, house.plan_id, house.key_id, quota)
    assert list(await house.store.read(lambda tx: list(tx.scan(*USAGE.family.range(SCOPE))))) == []


async def test_a_client_that_goes_away_holds_nobody_up() -> None:
    house = await metered(quota={"limit": 2, "period": "DAY"})
    gone = asyncio.ensure_future(house.get())
    await asyncio.sleep(0)
    gone.cancel()
    assert (await house.get()).status == 200


async def test_an_authorizer_can_say_which_key_a_request_has() -> None:
    house = await metered()
    said = {
        "principalId": "me",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": "*"}],
        },
        "usageIdentifierKey": VALUE,
    }

    async def answer(event: dict[str, Any]) -> Any:
        return said if event.get("type") == "TOKEN" else OK

    house.function.answer = answer
    authorizer = await house.v1(
        "CreateAuthorizer",
        restApiId=house.api_id,
        name="a",
        type="TOKEN",
        authorizerUri=URI,
        identitySource="method.request.header.token",
        authorizerResultTtlInSeconds=0,
    )
    resources = (await house.v1("GetResources", restApiId=house.api_id))["items"]
    [pets] = [resource["id"] for resource in resources if resource["path"] == "/pets/{id}"]
    guard = [
        {"op": "replace", "path": "/authorizationType", "value": "CUSTOM"},
        {"op": "replace", "path": "/authorizerId", "value": authorizer["id"]},
    ]
    await house.v1("UpdateMethod", restApiId=house.api_id, resourceId=pets, httpMethod="GET", patchOperations=guard)
    source = [{"op": "replace", "path": "/apiKeySource", "value": "AUTHORIZER"}]
    await house.v1("UpdateRestApi", restApiId=house.api_id, patchOperations=source)
    await house.v1("CreateDeployment", restApiId=house.api_id, stageName="dev")

    async def ask() -> int:
        return (await house.request(house.api_id, "GET", "/dev/pets/1", headers={"token": "t"})).status

    assert await ask() == 200
    assert house.function.event["requestContext"]["identity"]["apiKeyId"] == house.key_id
    said["usageIdentifierKey"] = "x" * 30
    assert await ask() == 403
    del said["usageIdentifierKey"]
    assert await ask() == 403


async def test_what_a_stage_throttles_uses_up_no_quota() -> None:
    house = await metered(quota={"limit": 5, "period": "DAY"})
    slow = [
        {"op": "replace", "path": "/*/*/throttling/rateLimit", "value": "0"},
        {"op": "replace", "path": "/*/*/throttling/burstLimit", "value": "1"},
    ]
    await house.v1("UpdateStage", restApiId=house.api_id, stageName="dev", patchOperations=slow)
    assert await house.statuses(3) == [200, 429, 429]
    assert await house.used() == [1, 4]


async def test_the_settings_of_a_stage_throttle_its_methods() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a", "GET /b", "ANY /c/{id}")

    async def statuses(path: str, times: int) -> list[int]:
        return [(await house.request(api_id, "GET", f"/dev{path}")).status for _ in range(times)]

    def settings(path: str, rate: str, burst: str) -> list[dict[str, str]]:
        return [
            {"op": "replace", "path": f"{path}/throttling/rateLimit", "value": rate},
            {"op": "replace", "path": f"{path}/throttling/burstLimit", "value": burst},
        ]

    patches = settings("/*/*", "0", "1") + settings("/~1c~1{id}/ANY", "0.5", "2") + settings("/b/GET", "-1", "-1")
    await house.v1("UpdateStage", restApiId=api_id, stageName="dev", patchOperations=patches)
    assert await statuses("/a", 2) == [200, 429]
    assert await statuses("/c/1", 3) == [200, 200, 429]
    assert await statuses("/b", 3) == [200, 200, 200]
    house.clock.advance(2)
    assert await statuses("/c/2", 2) == [200, 429]


async def test_an_account_has_a_limit_for_all_of_its_apis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ACCOUNT_BURST", 3)
    monkeypatch.setattr(limits, "ACCOUNT_RATE", 1)
    house = ApiHouse()
    rest, http = await house.rest_api("GET /a"), await house.http_api("GET /a")
    answers = [await house.request(rest, "GET", "/dev/a"), await house.request(http, "GET", "/a")]
    answers += [await house.request(rest, "GET", "/dev/a"), await house.request(http, "GET", "/a")]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    house.clock.advance(1)
    assert (await house.request(rest, "GET", "/dev/a")).status == 200
