"""What the stages of REST APIs can be set to, and in which words they cannot."""

import json
from typing import Any

import pytest

from cumulet.services.iam import IamAuthorizer, build, build_sts
from unit.services.apigateway.fake_lambda import ApiHouse
from unit.services.apigateway.test_rest_control import refused

GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:access"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
DEFAULTS = {
    "metricsEnabled": False,
    "dataTraceEnabled": False,
    "throttlingBurstLimit": 5000,
    "throttlingRateLimit": 10000.0,
    "cachingEnabled": False,
    "cacheTtlInSeconds": 300,
    "cacheDataEncrypted": False,
    "requireAuthorizationForCacheControl": True,
    "unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER",
}
NO_ROLE = ("BadRequestException", "CloudWatch Logs role ARN must be set in account settings to enable logging")


def replace(path: str, value: str) -> dict[str, str]:
    return {"op": "replace", "path": path, "value": value}


async def stage_of(house: ApiHouse, *patches: dict[str, str], **api: Any) -> dict[str, Any]:
    """Return the stage `dev` of an API of its own, patched."""
    api_id = api.get("api_id") or await house.rest_api("GET /pets")
    changed = await house.v1("UpdateStage", restApiId=api_id, stageName="dev", patchOperations=list(patches))
    assert await house.v1("GetStage", restApiId=api_id, stageName="dev") == changed
    return dict(changed)


async def with_role(house: ApiHouse, trust: dict[str, Any] | None = None) -> str:
    """Return the ARN of a role that API Gateway may assume."""
    document = json.dumps(trust or TRUST)
    created = await house.call("iam", "CreateRole", {"RoleName": "logs", "AssumeRolePolicyDocument": document})
    return str(created["Role"]["Arn"])


def logging_house(authorizer: Any = None) -> ApiHouse:
    return ApiHouse(authorizer, more={"iam": build, "sts": build_sts})


async def test_one_setting_of_a_method_shows_them_all() -> None:
    stage = await stage_of(ApiHouse(), replace("/~1pets/GET/logging/dataTrace", "true"))
    assert stage["methodSettings"] == {"~1pets/GET": {**DEFAULTS, "dataTraceEnabled": True}}


async def test_the_settings_of_a_method_begin_as_those_of_all() -> None:
    house = ApiHouse()
    stage = await stage_of(
        house,
        replace("/*/*/throttling/rateLimit", "7.5"),
        replace("/*/*/throttling/burstLimit", "8"),
        replace("/~1pets/GET/caching/ttlInSeconds", "60"),
        replace("/*/*/throttling/burstLimit", "9"),
        replace("/*/*/caching/enabled", "true"),
        replace("/*/*/caching/dataEncrypted", "true"),
        replace("/*/*/caching/requireAuthorizationForCacheControl", "false"),
        replace("/*/*/caching/unauthorizedCacheControlHeaderStrategy", "FAIL_WITH_403"),
        replace("/*/*/metrics/enabled", "true"),
        replace("/*/*/logging/loglevel", "OFF"),
    )
    assert stage["methodSettings"]["~1pets/GET"] == {
        **DEFAULTS,
        "throttlingRateLimit": 7.5,
        "throttlingBurstLimit": 8,
        "cacheTtlInSeconds": 60,
    }
    assert stage["methodSettings"]["*/*"] == {
        "metricsEnabled": True,
        "dataTraceEnabled": False,
        "throttlingBurstLimit": 9,
        "throttlingRateLimit": 7.5,
        "cachingEnabled": True,
        "cacheTtlInSeconds": 300,
        "cacheDataEncrypted": True,
        "requireAuthorizationForCacheControl": False,
        "unauthorizedCacheControlHeaderStrategy": "FAIL_WITH_403",
        "loggingLevel": "OFF",
    }


@pytest.mark.parametrize(
    ("path", "resource", "shown"),
    [
        ("/~1a~1b/GET", "/a/b", "~1a~1b/GET"),
        ("/a~1b/GET", "/a/b", "a~1b/GET"),
        ("/a/b/GET", "/a/b", "a/b/GET"),
        ("/a/GET", "/a", "a/GET"),
        ("/~1/GET", "/", "~1/GET"),
    ],
)
async def test_every_way_to_write_a_resource_s_path(path: str, resource: str, shown: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api(f"GET {resource}")
    stage = await stage_of(house, replace(f"{path}/throttling/burstLimit", "0"), api_id=api_id)
    assert set(stage["methodSettings"]) == {shown}
    assert (await house.request(api_id, "GET", f"/dev{resource}")).status == 429


async def test_settings_of_a_method_are_taken_away() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /pets")
    await stage_of(house, replace("/~1pets/GET/metrics/enabled", "true"), api_id=api_id)
    stage = await stage_of(house, {"op": "remove", "path": "/~1pets/GET"}, api_id=api_id)
    assert stage["methodSettings"] == {}


async def test_several_members_are_replaced_by_one_patch() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /pets")
    stage = await stage_of(
        house,
        replace("/variables/old", "1"),
        replace("/variables", '{"a": "x", "b": "y"}'),
        replace("/methodSettings", '{"*/*": {"throttlingBurstLimit": 3, "metricsEnabled": true}}'),
        replace("/canarySettings/stageVariableOverrides", '{"a": "z"}'),
        api_id=api_id,
    )
    assert stage["variables"] == {"a": "x", "b": "y"}
    assert stage["methodSettings"] == {"*/*": {**DEFAULTS, "throttlingBurstLimit": 3, "metricsEnabled": True}}
    assert stage["canarySettings"]["stageVariableOverrides"] == {"a": "z"}
    stage = await stage_of(house, {"op": "remove", "path": "/variables"}, api_id=api_id)
    assert "variables" not in stage


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (replace("/*/*/caching/ttlInSeconds", "3601"), "Invalid cache TTL specified: 3601. Must be between 0 and 3600"),
        (replace("/*/*/caching/ttlInSeconds", "1.5"), "Invalid cache TTL specified: 1.5"),
        (replace("/*/*/throttling/rateLimit", "fast"), "Invalid rate limit specified: fast"),
        (replace("/*/*/throttling/burstLimit", "1e400"), "Invalid burst limit specified: 1e400"),
        (replace("/*/*/logging/loglevel", "DEBUG"), "Invalid logging level specified: DEBUG."),
        (replace("/*/*/caching/unauthorizedCacheControlHeaderStrategy", "X"), "Invalid strategy specified: X."),
        (
            replace("/*/*/caching/nothing", "1"),
            "Invalid method setting path: /*/*/caching/nothing. Must be one of: [/access",
        ),
        (replace("/cacheClusterSize", "1"), "Invalid cache cluster size specified: 1."),
        (replace("/canarySettings/percentTraffic", "101"), "Canary percent traffic must be between 0.0 and 100.0"),
        (replace("/canarySettings/percentTraffic", "nan"), "Invalid percentage of traffic specified: nan"),
        (replace("/canarySettings/deploymentId", "nope"), "Deployment id does not exist"),
        (replace("/canarySettings/stageVariableOverrides/a", "\x00"), "Invalid stage variable value: \x00."),
        (replace("/deploymentId", "nope"), "Deployment id does not exist"),
        ({"op": "copy", "path": "/variables", "from": "/x"}, "The stage has no canary settings"),
        ({"op": "copy", "path": "/description", "from": "/x"}, "The stage has no canary settings"),
        ({"op": "remove", "path": "/canarySettings/stageVariableOverrides"}, "The stage has no canary settings"),
        ({"op": "remove", "path": "/canarySettings/stageVariableOverrides/a"}, "The stage has no canary settings"),
        (replace("/variables/a", "x\n"), "Invalid stage variable value: x\n."),
        ({"op": "test", "path": "/description"}, "Invalid patch path  '/description' specified for op 'test'."),
        (replace("//a/GET/caching/enabled", "true"), "Invalid method setting path: //a/GET/caching/enabled."),
        (replace("xdescription", "d"), "Invalid patch path  'xdescription' specified for op 'replace'."),
        (replace("x/a/GET/caching/enabled", "true"), "Invalid patch path  'x/a/GET/caching/enabled' specified"),
        ({"op": "flip", "path": "/description"}, "Invalid patch operation specified: flip"),
        ({"op": "remove", "path": "/deploymentId"}, "Invalid patch path  '/deploymentId' specified for op 'remove'."),
        ({"op": "remove", "path": "/description"}, "Invalid patch path  '/description' specified for op 'remove'."),
        (
            {"op": "add", "path": "/description", "value": "d"},
            "Invalid patch path  '/description' specified for op 'add'",
        ),
        ({"op": "remove", "path": "/~1no/GET"}, "Invalid method setting path specified"),
        (
            replace("/{proxy+}/ANY//throttling/burstLimit", "1"),
            "Invalid method setting path: /{proxy+}/ANY//throttling/burstLimit. Must be one of: [/access",
        ),
        (replace("/GET/throttling/burstLimit", "1"), "Invalid method setting path: /GET/throttling/burstLimit."),
        (replace("/methodSettings", '{"*/*": {"speed": 1}}'), "Invalid method setting specified: speed"),
        (replace("/methodSettings", '{"*": {"cachingEnabled": true}}'), "Invalid method setting specified: *"),
        (replace("/variables", '{"a": 1}'), 'Invalid patch value {"a": 1} specified for path /variables'),
    ],
)
async def test_patches_that_no_stage_takes(patch: dict[str, str], words: str) -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /pets")
    before = await house.v1("GetStage", restApiId=api_id, stageName="dev")
    _, told = await refused(house, "UpdateStage", restApiId=api_id, stageName="dev", patchOperations=[patch])
    assert told.startswith(words)
    assert await house.v1("GetStage", restApiId=api_id, stageName="dev") == before


async def test_a_cache_cluster_is_there_at_once() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /pets")
    stage = await stage_of(
        house, replace("/cacheClusterSize", "1.6"), replace("/cacheClusterEnabled", "true"), api_id=api_id
    )
    assert (stage["cacheClusterEnabled"], stage["cacheClusterSize"], stage["cacheClusterStatus"]) == (
        True,
        "1.6",
        "AVAILABLE",
    )
    stage = await stage_of(house, replace("/cacheClusterEnabled", "false"), api_id=api_id)
    assert (stage["cacheClusterStatus"], stage["cacheClusterSize"]) == ("NOT_AVAILABLE", "1.6")
    made = await house.v1(
        "CreateStage",
        restApiId=api_id,
        stageName="two",
        deploymentId=stage["deploymentId"],
        cacheClusterEnabled=True,
        cacheClusterSize="0.5",
    )
    assert (made["cacheClusterSize"], made["cacheClusterStatus"]) == ("0.5", "AVAILABLE")
    await house.v1("CreateDeployment", restApiId=api_id, stageName="two", cacheClusterEnabled=False)
    again = await house.v1("GetStage", restApiId=api_id, stageName="two")
    assert (again["cacheClusterEnabled"], again["cacheClusterSize"]) == (False, "0.5")


async def test_a_canary_is_set_changed_promoted_and_removed() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /pets")
    first = (await house.v1("GetStage", restApiId=api_id, stageName="dev"))["deploymentId"]
    stage = await stage_of(
        house,
        replace("/variables/sv0", "val0"),
        replace("/variables/sv1", "val1"),
        replace("/canarySettings/percentTraffic", "10.5"),
        replace("/canarySettings/stageVariableOverrides/sv1", "val2"),
        replace("/canarySettings/stageVariableOverrides/sv2", "val3"),
        replace("/canarySettings/useStageCache", "true"),
        api_id=api_id,
    )
    assert stage["canarySettings"] == {
        "percentTraffic": 10.5,
        "deploymentId": first,
        "stageVariableOverrides": {"sv1": "val2", "sv2": "val3"},
        "useStageCache": True,
    }
    second = (await house.v1("CreateDeployment", restApiId=api_id, stageName="dev"))["id"]
    stage = await house.v1("GetStage", restApiId=api_id, stageName="dev")
    assert (stage["deploymentId"], stage["canarySettings"]["deploymentId"]) == (first, second)
    in_use = await refused(house, "DeleteDeployment", restApiId=api_id, deploymentId=second)
    assert in_use == ("BadRequestException", "Active stages pointing to this deployment must be moved or deleted")
    promoted = await stage_of(
        house,
        replace("/canarySettings/percentTraffic", "0.0"),
        {"op": "copy", "from": "/canarySettings/stageVariableOverrides", "path": "/variables"},
        {"op": "copy", "from": "/canarySettings/deploymentId", "path": "/deploymentId"},
        {"op": "remove", "path": "/canarySettings/stageVariableOverrides/sv1"},
        api_id=api_id,
    )
    assert promoted["deploymentId"] == second
    assert promoted["variables"] == {"sv0": "val0", "sv1": "val2", "sv2": "val3"}
    assert promoted["canarySettings"]["stageVariableOverrides"] == {"sv2": "val3"}
    stage = await stage_of(house, {"op": "remove", "path": "/canarySettings"}, api_id=api_id)
    assert "canarySettings" not in stage
    await house.v1("DeleteDeployment", restApiId=api_id, deploymentId=first)


async def test_a_canary_is_made_with_a_deployment() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /pets")
    canary = {"percentTraffic": 25.0, "stageVariableOverrides": {"a": "b"}, "useStageCache": False}
    made = await house.v1("CreateDeployment", restApiId=api_id, stageName="dev", canarySettings=canary)
    stage = await house.v1("GetStage", restApiId=api_id, stageName="dev")
    assert stage["canarySettings"] == {**canary, "deploymentId": made["id"]}
    assert stage["deploymentId"] != made["id"]
    assert await refused(house, "CreateDeployment", restApiId=api_id, stageName="new", canarySettings=canary) == (
        "NotFoundException",
        "Invalid stage identifier specified",
    )
    stages = (await house.v1("GetStages", restApiId=api_id))["item"]
    assert [stage["stageName"] for stage in stages] == ["dev"]
    created = await house.v1(
        "CreateStage", restApiId=api_id, stageName="new", deploymentId=made["id"], canarySettings={"percentTraffic": 5}
    )
    assert created["canarySettings"]["deploymentId"] == made["id"]


async def test_an_account_has_a_role_for_its_logs() -> None:
    house = logging_house()
    bare = {
        "throttleSettings": {"burstLimit": 5000, "rateLimit": 10000.0},
        "features": ["UsagePlans"],
        "apiKeyVersion": "4",
    }
    assert await house.v1("GetAccount") == bare
    role = await with_role(house)
    account = await house.v1("UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", role)])
    assert account == {**bare, "cloudwatchRoleArn": role}
    same = await house.v1("UpdateAccount", patchOperations=[{"op": "add", "path": "/features", "value": "UsagePlans"}])
    assert same == account == await house.v1("GetAccount")
    assert await house.v1("UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", "")]) == bare


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (replace("/cloudwatchRoleArn", "role"), "Invalid ARN specified in the request: role"),
        (
            replace("/cloudwatchRoleArn", "arn:aws:iam::000000000000:role/nobody"),
            "The role ARN does not have required permissions configured. Please grant trust permission for API Gateway "
            "and add the required role policy.",
        ),
        ({"op": "add", "path": "/features", "value": "Flying"}, "Invalid feature specified: Flying"),
        ({"op": "remove", "path": "/features", "value": "UsagePlans"}, "The feature UsagePlans cannot be removed"),
        (
            replace("/throttleSettings/rateLimit", "1"),
            "Invalid patch path  '/throttleSettings/rateLimit' specified for op 'replace'. Must be one of: "
            "[/cloudwatchRoleArn]",
        ),
    ],
)
async def test_accounts_that_cannot_be(patch: dict[str, str], words: str) -> None:
    house = logging_house()
    assert await refused(house, "UpdateAccount", patchOperations=[patch]) == ("BadRequestException", words)
    assert "cloudwatchRoleArn" not in await house.v1("GetAccount")


async def test_a_role_that_trusts_others_writes_no_logs() -> None:
    house = logging_house(IamAuthorizer())
    other = json.loads(json.dumps(TRUST).replace("apigateway", "lambda"))
    role = await with_role(house, other)
    code, words = await refused(house, "UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", role)])
    assert (code, words.startswith("The role ARN does not have required")) == ("BadRequestException", True)


@pytest.mark.parametrize(
    "patches",
    [
        [replace("/*/*/logging/loglevel", "INFO")],
        [replace("/~1pets/GET/logging/loglevel", "ERROR")],
        [
            replace("/accessLogSettings/destinationArn", GROUP),
            replace("/accessLogSettings/format", "$context.requestId"),
        ],
    ],
)
async def test_logging_needs_the_account_s_role(patches: list[dict[str, str]]) -> None:
    house = logging_house()
    api_id = await house.rest_api("GET /pets")
    update = {"restApiId": api_id, "stageName": "dev", "patchOperations": patches}
    assert await refused(house, "UpdateStage", **update) == NO_ROLE
    role = await with_role(house)
    await house.v1("UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", role)])
    await house.v1("UpdateStage", **update)
    await house.v1("UpdateAccount", patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": ""}])
    # What does not touch the logs goes on.
    await stage_of(house, replace("/description", "d"), api_id=api_id)


async def test_an_access_log_is_set_and_removed() -> None:
    house = logging_house()
    role = await with_role(house)
    await house.v1("UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", role)])
    api_id = await house.rest_api("GET /pets")
    log = {"destinationArn": GROUP, "format": "$context.requestId"}
    stage = await stage_of(
        house, *[replace(f"/accessLogSettings/{name}", value) for name, value in log.items()], api_id=api_id
    )
    assert stage["accessLogSettings"] == log
    silent = [replace("/accessLogSettings/format", "$context.status")]
    assert await refused(house, "UpdateStage", restApiId=api_id, stageName="dev", patchOperations=silent) == (
        "BadRequestException",
        "Access log format must include $context.requestId or $context.extendedRequestId",
    )
    stage = await stage_of(house, {"op": "remove", "path": "/accessLogSettings"}, api_id=api_id)
    assert "accessLogSettings" not in stage
