"""API keys and usage plans: what is kept, what is shown, and what is refused in which words."""

from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway import limits
from unit.services.apigateway.fake_lambda import ApiHouse
from unit.services.apigateway.test_rest_control import refused

VALUE = "0123456789abcdefghij0123456789"


async def plan_with_stage(house: ApiHouse, **settings: Any) -> tuple[str, str]:
    """Return the ids of a plan and of the API whose stage `dev` it opens."""
    api_id = await house.rest_api("GET /pets")
    plan = await house.v1("CreateUsagePlan", name="gold", apiStages=[{"apiId": api_id, "stage": "dev"}], **settings)
    return plan["id"], api_id


def patch(op: str, path: str, value: str | None = None) -> dict[str, Any]:
    return {"op": op, "path": path, **({} if value is None else {"value": value})}


async def test_a_key_is_created_shown_changed_and_deleted() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /pets")
    key = await house.v1(
        "CreateApiKey",
        name="first",
        description="d",
        enabled=True,
        value=VALUE,
        customerId="c",
        tags={"a": "1"},
        stageKeys=[{"restApiId": api_id, "stageName": "dev"}],
    )
    assert key == {
        "id": key["id"],
        "value": VALUE,
        "name": "first",
        "description": "d",
        "customerId": "c",
        "enabled": True,
        "createdDate": 1_760_000_000,
        "lastUpdatedDate": 1_760_000_000,
        "stageKeys": [f"{api_id}/dev"],
        "tags": {"a": "1"},
    }
    assert len(key["id"]) == 10
    hidden = {name: value for name, value in key.items() if name != "value"}
    assert await house.v1("GetApiKey", apiKey=key["id"]) == hidden
    assert await house.v1("GetApiKey", apiKey=key["id"], includeValue=True) == key
    house.clock.advance(5)
    changed = await house.v1(
        "UpdateApiKey",
        apiKey=key["id"],
        patchOperations=[
            patch("replace", "/enabled", "false"),
            patch("replace", "/name", "second"),
            patch("replace", "/description", ""),
            patch("remove", "/stages", f"{api_id}/dev"),
        ],
    )
    assert (changed["enabled"], changed["name"], "description" in changed, changed["stageKeys"]) == (
        False,
        "second",
        False,
        [],
    )
    assert changed["lastUpdatedDate"] == 1_760_000_005
    await house.v1("DeleteApiKey", apiKey=key["id"])
    assert await refused(house, "GetApiKey", apiKey=key["id"]) == (
        "NotFoundException",
        "Invalid API Key identifier specified",
    )


async def test_a_key_that_aws_makes_has_forty_letters_and_is_disabled() -> None:
    house = ApiHouse()
    one, two = await house.v1("CreateApiKey"), await house.v1("CreateApiKey", generateDistinctId=True)
    assert len(one["value"]) == 40
    assert one["enabled"] is False
    assert one["value"] != two["value"]
    assert one["id"] != two["id"]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"value": "short"}, ("BadRequestException", "API Key value should be at least 20 characters")),
        ({"value": "x" * 129}, ("BadRequestException", "API Key value should be at most 128 characters")),
        ({"value": "with blanks in it, many"}, ("BadRequestException", "API Key value should be alphanumeric")),
        ({"name": "n" * 1025}, ("BadRequestException", "API Key name should be at most 1024 characters")),
        ({"value": VALUE}, ("ConflictException", "API Key already exists")),
        (
            {"stageKeys": [{"restApiId": "a", "stageName": "b"}]},
            ("BadRequestException", "Invalid stage identifier specified"),
        ),
    ],
)
async def test_keys_that_cannot_be(params: dict[str, Any], error: tuple[str, str]) -> None:
    house = ApiHouse()
    await house.v1("CreateApiKey", value=VALUE)
    assert await refused(house, "CreateApiKey", **params) == error


async def test_keys_are_listed_by_the_beginning_of_their_names() -> None:
    house = ApiHouse()
    for name in ("blue-1", "blue-2", "red"):
        await house.v1("CreateApiKey", name=name, customerId=name[-1])
    found = await house.v1("GetApiKeys", nameQuery="blue")
    assert sorted(key["name"] for key in found["items"]) == ["blue-1", "blue-2"]
    assert all("value" not in key for key in found["items"])
    [one] = (await house.v1("GetApiKeys", customerId="2", includeValues=True))["items"]
    assert (one["name"], len(one["value"])) == ("blue-2", 40)
    first = await house.v1("GetApiKeys", limit=1, nameQuery="blue")
    second = await house.v1("GetApiKeys", limit=1, nameQuery="blue", position=first["position"])
    assert {key["name"] for key in first["items"] + second["items"]} == {"blue-1", "blue-2"}
    assert "position" not in second


async def test_a_file_of_keys_is_imported_into_plans_and_overwrites() -> None:
    house = ApiHouse()
    plan_id, _ = await plan_with_stage(house)
    other = (await house.v1("CreateUsagePlan", name="other"))["id"]
    rows = [
        "key, Name , description,Enabled,usageplanIds,unknown",
        f'{VALUE},one, first,tRuE,"{plan_id},{other}",x',
        f"x{VALUE},two,,false,,",
        "tooshort,three,,true,,",
    ]
    imported = await house.v1("ImportApiKeys", format="csv", body="\n".join(rows).encode())
    assert len(imported["ids"]) == 2
    assert imported["warnings"] == ["Line 4: the key must have between 30 and 128 characters"]
    one = await house.v1("GetApiKey", apiKey=imported["ids"][0], includeValue=True)
    assert (one["name"], one["description"], one["enabled"], one["value"]) == ("one", "first", True, VALUE)
    assert (await house.v1("GetApiKey", apiKey=imported["ids"][1]))["enabled"] is False
    assert [key["id"] for key in (await house.v1("GetUsagePlanKeys", usagePlanId=plan_id))["items"]] == [one["id"]]
    assert {plan["id"] for plan in (await house.v1("GetUsagePlans", keyId=one["id"]))["items"]} == {plan_id, other}

    again = await house.v1("ImportApiKeys", format="csv", body=f"Key,Name\n{VALUE},renamed".encode())
    assert again == {"ids": [one["id"]], "warnings": []}
    assert (await house.v1("GetApiKey", apiKey=one["id"]))["name"] == "renamed"


@pytest.mark.parametrize(
    ("body", "more", "words"),
    [
        (b"", {}, "The imported file is empty"),
        (b"key\nx", {}, "The imported file has no column name"),
        (b"key,name,KEY\nx,y,z", {}, "The imported file has the column key more than once"),
        (b"\xff", {}, "The imported file is not in UTF-8"),
        (
            b"key,name\nx,y",
            {"failOnWarnings": True},
            "Warnings found during import: Line 2: the key must have between 30 and 128 characters",
        ),
    ],
)
async def test_files_that_cannot_be_imported(body: bytes, more: dict[str, Any], words: str) -> None:
    house = ApiHouse()
    error = await refused(house, "ImportApiKeys", format="csv", body=body, **more)
    assert error == ("BadRequestException", words)
    assert (await house.v1("GetApiKeys"))["items"] == []


async def test_a_plan_is_created_shown_changed_and_deleted() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /pets")
    plan = await house.v1(
        "CreateUsagePlan",
        name="gold",
        description="d",
        apiStages=[{"apiId": api_id, "stage": "dev", "throttle": {"/pets/GET": {"rateLimit": 1.5, "burstLimit": 2}}}],
        throttle={"rateLimit": 5.0, "burstLimit": 10},
        quota={"limit": 100, "period": "MONTH"},
        tags={"a": "1"},
    )
    assert plan == {
        "id": plan["id"],
        "name": "gold",
        "description": "d",
        "apiStages": [
            {"apiId": api_id, "stage": "dev", "throttle": {"/pets/GET": {"rateLimit": 1.5, "burstLimit": 2}}}
        ],
        "throttle": {"rateLimit": 5.0, "burstLimit": 10},
        "quota": {"limit": 100, "offset": 0, "period": "MONTH"},
        "tags": {"a": "1"},
    }
    assert await house.v1("GetUsagePlan", usagePlanId=plan["id"]) == plan
    assert await house.v1("GetUsagePlans") == {"items": [plan]}
    stage = f"/apiStages/{api_id}:dev"
    assert await refused(house, "DeleteUsagePlan", usagePlanId=plan["id"]) == (
        "BadRequestException",
        f"Cannot delete Usage Plan {plan['id']} because there are API Stages associated with it, including "
        f"{api_id}:dev",
    )
    changed = await house.v1(
        "UpdateUsagePlan",
        usagePlanId=plan["id"],
        patchOperations=[
            patch("replace", "/name", "silver"),
            patch("replace", "/throttle/rateLimit", "0.5"),
            patch("remove", "/quota"),
            patch("add", f"{stage}/throttle/~1pets/GET/burstLimit", "7"),
            patch("replace", f"{stage}/throttle//pets/POST/rateLimit", "3"),
            patch("add", f"{stage}/throttle/~1/GET/rateLimit", "9"),
        ],
    )
    assert changed == {
        "id": plan["id"],
        "name": "silver",
        "description": "d",
        "apiStages": [
            {
                "apiId": api_id,
                "stage": "dev",
                "throttle": {
                    "/pets/GET": {"rateLimit": 1.5, "burstLimit": 7},
                    "/pets/POST": {"rateLimit": 3.0},
                    "//GET": {"rateLimit": 9.0},
                },
            }
        ],
        "throttle": {"rateLimit": 0.5, "burstLimit": 10},
        "tags": {"a": "1"},
    }
    changed = await house.v1(
        "UpdateUsagePlan",
        usagePlanId=plan["id"],
        patchOperations=[
            patch("remove", f"{stage}/throttle/~1pets/GET"),
            patch("replace", f"{stage}/throttle", '{"/a/GET": {"rateLimit": 1.0, "burstLimit": 1}}'),
            patch("remove", "/throttle"),
            patch("replace", "/quota/limit", "7"),
            patch("replace", "/quota/period", "WEEK"),
            patch("replace", "/quota/offset", "6"),
        ],
    )
    assert changed["apiStages"][0]["throttle"] == {"/a/GET": {"rateLimit": 1.0, "burstLimit": 1}}
    assert ("throttle" in changed, changed["quota"]) == (False, {"limit": 7, "offset": 6, "period": "WEEK"})
    await house.v1(
        "UpdateUsagePlan", usagePlanId=plan["id"], patchOperations=[patch("remove", "/apiStages", f"{api_id}:dev")]
    )
    await house.v1("DeleteUsagePlan", usagePlanId=plan["id"])
    assert await refused(house, "GetUsagePlan", usagePlanId=plan["id"]) == (
        "NotFoundException",
        "Invalid Usage Plan ID specified",
    )


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"name": " "}, ("BadRequestException", "Usage Plan name cannot be blank")),
        ({"apiStages": [{"apiId": "a", "stage": "b"}]}, ("NotFoundException", "API Stage not found: a:b")),
        ({"throttle": {"rateLimit": -1.0}}, ("BadRequestException", "Invalid rate limit specified: -1.0")),
        ({"throttle": {"burstLimit": -1}}, ("BadRequestException", "Invalid burst limit specified: -1")),
        ({"quota": {"limit": 1}}, ("BadRequestException", "Usage Plan quota period must be one of [DAY, WEEK, MONTH]")),
        ({"quota": {"period": "DAY"}}, ("BadRequestException", "Usage Plan quota limit must be specified")),
        (
            {"quota": {"limit": 1, "period": "DAY", "offset": 1}},
            ("BadRequestException", "Usage Plan quota offset must be zero in the DAY period"),
        ),
        (
            {"quota": {"limit": 1, "period": "WEEK", "offset": 7}},
            ("BadRequestException", "Usage Plan quota offset must be between 0 and 6 inclusive in the WEEK period"),
        ),
        (
            {"quota": {"limit": 1, "period": "MONTH", "offset": 28}},
            ("BadRequestException", "Usage Plan quota offset must be between 0 and 27 inclusive in the MONTH period"),
        ),
    ],
)
async def test_plans_that_cannot_be(params: dict[str, Any], error: tuple[str, str]) -> None:
    house = ApiHouse()
    assert await refused(house, "CreateUsagePlan", **{"name": "gold", **params}) == error
    assert (await house.v1("GetUsagePlans"))["items"] == []


REPLACED = (
    "Must be one of: [/name, /description, /throttle/rateLimit, /throttle/burstLimit, /quota/limit, /quota/offset, "
    "/quota/period, /apiStages/{apiId:stage}/throttle, "
    "/apiStages/{apiId:stage}/throttle/{resourcePath}/{httpMethod}/rateLimit, "
    "/apiStages/{apiId:stage}/throttle/{resourcePath}/{httpMethod}/burstLimit]"
)


async def test_methods_are_named_with_their_first_slash_or_without() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /a/b")

    async def made(method: str) -> Any:
        stage = {"apiId": api_id, "stage": "dev", "throttle": {method: {"burstLimit": 1}}}
        return await house.v1("CreateUsagePlan", name="p", apiStages=[stage])

    for method in ("/a/b/GET", "a/b/GET"):
        assert (await made(method))["apiStages"][0]["throttle"] == {"/a/b/GET": {"burstLimit": 1}}
    for method in ("/a/b", "*/*", ""):
        with pytest.raises(ServiceError) as error:
            await made(method)
        words = f"Invalid method specified: {method}. Must be a resource's path and an HTTP method"
        assert (error.value.code, error.value.message) == ("BadRequestException", words)


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (patch("remove", "/apiStages", "a:b"), ("NotFoundException", "API Stage not found: a:b")),
        (patch("add", "/apiStages", "a:b"), ("NotFoundException", "API Stage not found: a:b")),
        (
            patch("replace", "/apiStages", "a:b"),
            ("BadRequestException", f"Invalid patch path  '/apiStages' specified for op 'replace'. {REPLACED}"),
        ),
        (
            patch("replace", "/apiStages/{stage}/other", "1"),
            (
                "BadRequestException",
                f"Invalid patch path  '/apiStages/{{stage}}/other' specified for op 'replace'. {REPLACED}",
            ),
        ),
        (
            patch("remove", "/throttle/rateLimit"),
            (
                "BadRequestException",
                "Invalid patch path  '/throttle/rateLimit' specified for op 'remove'. Must be one of: [/throttle, "
                "/quota, /apiStages, /apiStages/{apiId:stage}/throttle, "
                "/apiStages/{apiId:stage}/throttle/{resourcePath}/{httpMethod}]",
            ),
        ),
        (
            patch("replace", "/apiStages/{stage}/throttle", "[1]"),
            ("BadRequestException", "Invalid throttle settings specified: not a JSON object"),
        ),
        (
            patch("replace", "/apiStages/{stage}/throttle", '{"/a/GET": 1}'),
            ("BadRequestException", "Invalid throttle setting specified: "),
        ),
        (
            patch("replace", "/apiStages/{stage}/throttle/~1a/GET/rateLimit", "much"),
            ("BadRequestException", "Invalid rate limit specified: much"),
        ),
        (
            patch("replace", "/apiStages/{stage}/throttle", '{"/a/GET": {"rateLimit": [1]}}'),
            ("BadRequestException", "Invalid rate limit specified: [1]"),
        ),
        (
            patch("add", "/apiStages/{stage}/throttle/~1a/GET/rateLimit", f"1{'0' * 310}"),
            ("BadRequestException", f"Invalid rate limit specified: 1{'0' * 310}"),
        ),
        (patch("replace", "/quota/limit", "1.5"), ("BadRequestException", "Invalid quota limit specified: 1.5")),
    ],
)
async def test_patches_that_no_plan_takes(operation: dict[str, Any], error: tuple[str, str]) -> None:
    house = ApiHouse()
    plan_id, api_id = await plan_with_stage(house, quota={"limit": 1, "period": "DAY"})
    before = await house.v1("GetUsagePlan", usagePlanId=plan_id)
    stage = f"{api_id}:dev"
    given = {**operation, "path": operation["path"].replace("{stage}", stage)}
    code, words = await refused(house, "UpdateUsagePlan", usagePlanId=plan_id, patchOperations=[given])
    assert (code, words.replace(stage, "{stage}")) == error
    assert await house.v1("GetUsagePlan", usagePlanId=plan_id) == before


async def test_an_unknown_path_is_refused_with_those_that_are_known() -> None:
    house = ApiHouse()
    plan_id, _ = await plan_with_stage(house)
    code, words = await refused(
        house, "UpdateUsagePlan", usagePlanId=plan_id, patchOperations=[patch("replace", "/nothing", "1")]
    )
    assert code == "BadRequestException"
    assert words.startswith("Invalid patch path  '/nothing' specified for op 'replace'. Must be one of: [/name, ")
    assert "/apiStages/{apiId:stage}/throttle" in words
    with pytest.raises(NotImplementedHere, match="productCode"):
        await house.v1("UpdateUsagePlan", usagePlanId=plan_id, patchOperations=[patch("replace", "/productCode", "x")])


async def test_methods_with_throttling_of_their_own_are_limited() -> None:
    house = ApiHouse()
    plan_id, api_id = await plan_with_stage(house)
    patches = [
        patch("replace", f"/apiStages/{api_id}:dev/throttle/~1p{number}/GET/rateLimit", "1")
        for number in range(limits.PLAN_METHODS_MAX + 1)
    ]
    assert (await refused(house, "UpdateUsagePlan", usagePlanId=plan_id, patchOperations=patches))[0] == (
        "LimitExceededException"
    )
    await house.v1("UpdateUsagePlan", usagePlanId=plan_id, patchOperations=patches[1:])


async def test_keys_are_added_to_a_plan_listed_and_removed() -> None:
    house = ApiHouse()
    plan_id, api_id = await plan_with_stage(house)
    key = await house.v1("CreateApiKey", name="first", value=VALUE)
    added = await house.v1("CreateUsagePlanKey", usagePlanId=plan_id, keyId=key["id"], keyType="API_KEY")
    assert added == {"id": key["id"], "type": "API_KEY", "value": VALUE, "name": "first"}
    assert await house.v1("GetUsagePlanKey", usagePlanId=plan_id, keyId=key["id"]) == added
    assert await house.v1("GetUsagePlanKeys", usagePlanId=plan_id, nameQuery="fi") == {"items": [added]}
    assert await house.v1("GetUsagePlanKeys", usagePlanId=plan_id, nameQuery="x") == {"items": []}
    add = {"keyId": key["id"], "keyType": "API_KEY"}
    assert await refused(house, "CreateUsagePlanKey", usagePlanId=plan_id, **add) == (
        "ConflictException",
        f"Usage Plan {plan_id} already contains a subscription for API Key {key['id']}",
    )
    other = await house.v1("CreateUsagePlan", name="other", apiStages=[{"apiId": api_id, "stage": "dev"}])
    assert await refused(house, "CreateUsagePlanKey", usagePlanId=other["id"], **add) == (
        "ConflictException",
        f"API Key {key['id']} cannot be added to Usage Plan {other['id']} because API Stages {api_id}:dev are "
        "otherwise subscribed",
    )
    empty = await house.v1("CreateUsagePlan", name="empty")
    await house.v1("CreateUsagePlanKey", usagePlanId=empty["id"], **add)
    stage = [patch("add", "/apiStages", f"{api_id}:dev")]
    assert (await refused(house, "UpdateUsagePlan", usagePlanId=empty["id"], patchOperations=stage))[0] == (
        "ConflictException"
    )
    await house.v1("DeleteUsagePlanKey", usagePlanId=plan_id, keyId=key["id"])
    await house.v1("UpdateUsagePlan", usagePlanId=empty["id"], patchOperations=stage)
    assert await refused(house, "GetUsagePlanKey", usagePlanId=plan_id, keyId=key["id"]) == (
        "NotFoundException",
        "Invalid API Key identifier specified",
    )
    await house.v1("DeleteApiKey", apiKey=key["id"])
    assert (await house.v1("GetUsagePlanKeys", usagePlanId=empty["id"]))["items"] == []


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"keyType": "OTHER"}, ("BadRequestException", "Invalid key type specified. Valid values are [API_KEY]")),
        ({"keyId": "nokey"}, ("NotFoundException", "Invalid API Key identifier specified")),
        ({"usagePlanId": "noplan"}, ("NotFoundException", "Invalid Usage Plan ID specified")),
    ],
)
async def test_keys_that_cannot_be_added(params: dict[str, Any], error: tuple[str, str]) -> None:
    house = ApiHouse()
    plan_id, _ = await plan_with_stage(house)
    key = await house.v1("CreateApiKey")
    given = {"usagePlanId": plan_id, "keyId": key["id"], "keyType": "API_KEY", **params}
    assert await refused(house, "CreateUsagePlanKey", **given) == error


async def test_a_key_has_ten_plans_at_most() -> None:
    house = ApiHouse()
    key = await house.v1("CreateApiKey")
    plans = [(await house.v1("CreateUsagePlan", name="p"))["id"] for _ in range(limits.PLANS_PER_KEY_MAX + 1)]
    for plan_id in plans[1:]:
        await house.v1("CreateUsagePlanKey", usagePlanId=plan_id, keyId=key["id"], keyType="API_KEY")
    assert await refused(house, "CreateUsagePlanKey", usagePlanId=plans[0], keyId=key["id"], keyType="API_KEY") == (
        "LimitExceededException",
        "Maximum number of usage plans for this API key has been reached.",
    )


async def test_the_usage_of_a_period_is_shown_and_extended() -> None:
    house = ApiHouse()  # the clock stands on 9 October 2025, a Thursday
    plan_id, _ = await plan_with_stage(house, quota={"limit": 10, "period": "WEEK"})
    key = await house.v1("CreateApiKey")
    await house.v1("CreateUsagePlanKey", usagePlanId=plan_id, keyId=key["id"], keyType="API_KEY")
    days = {"startDate": "2025-10-09", "endDate": "2025-10-10"}
    assert await house.v1("GetUsage", usagePlanId=plan_id, **days) == {
        "usagePlanId": plan_id,
        **days,
        "items": {key["id"]: [[0, 10], [0, 10]]},
    }
    extended = await house.v1(
        "UpdateUsage",
        usagePlanId=plan_id,
        keyId=key["id"],
        patchOperations=[patch("replace", "/remaining", "50")],
    )
    assert extended == {
        "usagePlanId": plan_id,
        "startDate": "2025-10-09",
        "endDate": "2025-10-09",
        "items": {key["id"]: [[0, 50]]},
    }
    # The week ends with Saturday.
    days = {"startDate": "2025-10-08", "endDate": "2025-10-12"}
    usage = await house.v1("GetUsage", usagePlanId=plan_id, keyId=key["id"], **days)
    assert usage["items"] == {key["id"]: [[0, 10], [0, 50], [0, 50], [0, 50], [0, 10]]}


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2025-10-09", "2025-10-08", "Usage start date must not be after the end date"),
        ("yesterday", "2025-10-08", "Invalid date specified: yesterday. Must be YYYY-MM-DD"),
        ("0001-01-01", "0001-01-02", "Invalid date specified: 0001-01-01. Must be YYYY-MM-DD"),
        ("2025-01-01", "2025-12-31", "Usage date range cannot be longer than 90 days"),
    ],
)
async def test_dates_for_which_no_usage_is_shown(start: str, end: str, words: str) -> None:
    house = ApiHouse()
    plan_id, _ = await plan_with_stage(house, quota={"limit": 1, "period": "MONTH", "offset": 5})
    error = await refused(house, "GetUsage", usagePlanId=plan_id, startDate=start, endDate=end)
    assert error == ("BadRequestException", words)


async def test_a_plan_without_a_quota_cannot_be_extended() -> None:
    house = ApiHouse()
    plan_id, _ = await plan_with_stage(house)
    key = await house.v1("CreateApiKey")
    await house.v1("CreateUsagePlanKey", usagePlanId=plan_id, keyId=key["id"], keyType="API_KEY")
    patches = [patch("replace", "/remaining", "50")]
    assert await refused(house, "UpdateUsage", usagePlanId=plan_id, keyId=key["id"], patchOperations=patches) == (
        "BadRequestException",
        f"Usage Plan {plan_id} has no quota",
    )


async def test_keys_and_plans_have_tags() -> None:
    house = ApiHouse()
    plan_id, _ = await plan_with_stage(house)
    key = await house.v1("CreateApiKey", tags={"a": "1"})
    for arn in (f"/apikeys/{key['id']}", f"/usageplans/{plan_id}"):
        arn = f"arn:aws:apigateway:us-east-1::{arn}"
        await house.v1("TagResource", resourceArn=arn, tags={"b": "2"})
        await house.v1("UntagResource", resourceArn=arn, tagKeys=["a"])
        assert await house.v1("GetTags", resourceArn=arn) == {"tags": {"b": "2"}}
    with pytest.raises(ServiceError, match="Invalid API Key identifier specified"):
        await house.v1("GetTags", resourceArn="arn:aws:apigateway:us-east-1::/apikeys/nokey")


async def test_a_stage_that_is_gone_leaves_its_plans_and_keys() -> None:
    # https://github.com/hashicorp/terraform-provider-aws/issues/14100
    house = ApiHouse()
    apis = [await house.rest_api("GET /pets") for _ in range(2)]
    [deployment] = (await house.v1("GetDeployments", restApiId=apis[0]))["items"]
    await house.v1("CreateStage", restApiId=apis[0], stageName="two", deploymentId=deployment["id"])
    named = [(apis[0], "dev"), (apis[0], "two"), (apis[1], "dev")]
    plan = await house.v1(
        "CreateUsagePlan", name="p", apiStages=[{"apiId": api, "stage": stage} for api, stage in named]
    )
    key = await house.v1("CreateApiKey", stageKeys=[{"restApiId": api, "stageName": stage} for api, stage in named])

    async def left() -> tuple[list[str], list[str]]:
        stages = (await house.v1("GetUsagePlan", usagePlanId=plan["id"]))["apiStages"]
        keys = (await house.v1("GetApiKey", apiKey=key["id"]))["stageKeys"]
        return [f"{stage['apiId']}/{stage['stage']}" for stage in stages], keys

    dev, two, other = [f"{api}/{stage}" for api, stage in named]
    assert await left() == ([dev, two, other], [dev, two, other])
    await house.v1("DeleteStage", restApiId=apis[0], stageName="two")
    assert await left() == ([dev, other], [dev, other])
    await house.v1("DeleteRestApi", restApiId=apis[0])
    assert await left() == ([other], [other])
    await house.v1("DeleteRestApi", restApiId=apis[1])
    assert await left() == ([], [])
    await house.v1("DeleteUsagePlan", usagePlanId=plan["id"])


async def test_a_plan_has_a_stage_once() -> None:
    house = ApiHouse()
    api_id = await house.rest_api("GET /pets")
    stage = {"apiId": api_id, "stage": "dev"}
    assert await refused(house, "CreateUsagePlan", name="p", apiStages=[stage, stage]) == (
        "BadRequestException",
        f"API Stage {api_id}:dev is specified more than once",
    )
    assert (await house.v1("GetUsagePlans"))["items"] == []
