"""What the stages of HTTP APIs can do beside pointing to a deployment: throttle their routes, and log who came."""

import asyncio
import json
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.pipeline.access_logs import render_line
from cumulet.services.logs import build as build_logs
from unit.services.apigateway.fake_lambda import ApiHouse

GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:access"


async def statuses(house: ApiHouse, api_id: str, path: str, times: int) -> list[int]:
    return [(await house.request(api_id, "GET", path)).status for _ in range(times)]


async def test_a_route_lets_a_burst_through_and_then_its_rate() -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /a", "GET /b")
    stage = await house.v2(
        "UpdateStage",
        ApiId=api_id,
        StageName="$default",
        RouteSettings={"GET /a": {"ThrottlingBurstLimit": 2, "ThrottlingRateLimit": 0.5}},
    )
    assert stage["RouteSettings"] == {
        "GET /a": {"DetailedMetricsEnabled": False, "ThrottlingBurstLimit": 2, "ThrottlingRateLimit": 0.5}
    }

    assert await statuses(house, api_id, "/a", 3) == [200, 200, 429]
    assert (await house.request(api_id, "GET", "/a")).body == b'{"message":"Too Many Requests"}'
    assert await statuses(house, api_id, "/b", 3) == [200, 200, 200]
    house.clock.advance(2)
    assert await statuses(house, api_id, "/a", 2) == [200, 429]

    await house.v2("DeleteRouteSettings", ApiId=api_id, StageName="$default", RouteKey="GET /a")
    assert await statuses(house, api_id, "/a", 2) == [200, 200]


async def test_default_settings_are_for_each_route_by_itself() -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /a", "GET /b")
    settings = {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 0.0}
    await house.v2("UpdateStage", ApiId=api_id, StageName="$default", DefaultRouteSettings=settings)
    assert await statuses(house, api_id, "/a", 2) + await statuses(house, api_id, "/b", 2) == [200, 429, 200, 429]


async def logged(house: ApiHouse) -> list[str]:
    """Return the lines of the log group, once there are any."""
    for _ in range(1_000):
        await asyncio.sleep(0)
        streams = (await house.call("logs", "DescribeLogStreams", {"logGroupName": "access"}))["logStreams"]
        for stream in streams:
            at = {"logGroupName": "access", "logStreamName": stream["logStreamName"], "startFromHead": True}
            if events := (await house.call("logs", "GetLogEvents", at))["events"]:
                return [event["message"] for event in events]
    return []


async def test_each_request_is_a_line_of_the_access_log() -> None:
    house = ApiHouse(more={"logs": build_logs})
    await house.call("logs", "CreateLogGroup", {"logGroupName": "access"})
    api_id = await house.http_api("GET /a/{id}")
    names = ("requestId", "httpMethod", "routeKey", "path", "status", "responseLength", "identity.userAgent", "nothing")
    line = json.dumps({name: f"$context.{name}" for name in (*names, "error.message")})
    await house.v2(
        "UpdateStage",
        ApiId=api_id,
        StageName="$default",
        AccessLogSettings={"DestinationArn": f"{GROUP}:*", "Format": line},
    )
    await house.request(api_id, "GET", "/a/1", headers=[("user-agent", 'a"b\nc')])
    [first] = [json.loads(text) for text in await logged(house)]
    assert first.pop("requestId")
    assert first == {
        "httpMethod": "GET",
        "routeKey": "GET /a/{id}",
        "path": "/a/1",
        "status": "200",
        "responseLength": "4",
        "identity.userAgent": 'a"b\nc',
        "nothing": "-",
        "error.message": "-",
    }


DENIED = ServiceError("AccessDeniedException", "nobody may", status=403)
FUNCTIONS_OWN = "The Lambda function returned the following error: boom. Check your Lambda function code and try again."
TOLD = ("status", "error.responseType", "integrationErrorMessage", "authorizer.error", "integration.status")


@pytest.mark.parametrize(
    ("path", "answer", "failed", "told"),
    [
        ("/dev/a", {"statusCode": 418}, False, ["418", "-", "-", "-", "418"]),
        ("/dev/a", {"errorMessage": "boom"}, True, ["500", "DEFAULT_5XX", FUNCTIONS_OWN, "-", "-"]),
        (
            "/dev/a",
            {"statusCode": 200, "body": {}},
            False,
            [
                "500",
                "DEFAULT_5XX",
                "The response from the Lambda function doesn't match the format that API Gateway expects.",
                "-",
                "200",
            ],
        ),
        (
            "/dev/a",
            DENIED,
            False,
            [
                "500",
                "API_CONFIGURATION_ERROR",
                "The IAM role configured on the integration or API Gateway doesn't have permissions to call the "
                "integration. Check the permissions and try again.",
                "-",
                "-",
            ],
        ),
        (
            "/dev/guarded",
            {"statusCode": 200},
            False,
            [
                "403",
                "MISSING_AUTHENTICATION_TOKEN",
                "-",
                "The request for the IAM Authorizer doesn't match the format that API Gateway expects.",
                "-",
            ],
        ),
        ("/dev/none", {"statusCode": 200}, False, ["404", "-", "-", "-", "-"]),
    ],
)
async def test_the_access_log_tells_why_a_request_failed(path: str, answer: Any, failed: bool, told: list[str]) -> None:
    house = ApiHouse(more={"logs": build_logs})
    house.function.answer, house.function.function_error = answer, "Unhandled" if failed else None
    house.signer = ServiceError("MissingAuthenticationTokenException", "no", status=403)
    await house.call("logs", "CreateLogGroup", {"logGroupName": "access"})
    api_id = await house.http_api("GET /a", "GET /guarded")
    for route in (await house.v2("GetRoutes", ApiId=api_id))["Items"]:
        if route["RouteKey"] == "GET /guarded":
            await house.v2("UpdateRoute", ApiId=api_id, RouteId=route["RouteId"], AuthorizationType="AWS_IAM")
    line = "|".join([f"$context.{name}" for name in (*TOLD, "path", "requestId")])
    log = {"DestinationArn": GROUP, "Format": line}
    await house.v2("CreateStage", ApiId=api_id, StageName="dev", AutoDeploy=True, AccessLogSettings=log)
    await house.request(api_id, "GET", path)
    [text] = await logged(house)
    *found, shown_path, request_id = text.split("|")
    assert (found, shown_path) == (told, path)
    assert request_id != "-"


async def test_a_log_that_is_not_there_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    house = ApiHouse(more={"logs": build_logs})
    api_id = await house.http_api("GET /a")
    settings = {"DestinationArn": GROUP, "Format": "$context.requestId"}
    await house.v2("UpdateStage", ApiId=api_id, StageName="$default", AccessLogSettings=settings)
    assert await statuses(house, api_id, "/a", 2) == [200, 200]
    for _ in range(100):
        await asyncio.sleep(0)
    assert "a log of an API cannot be written" in caplog.text
    await house.v2("DeleteAccessLogSettings", ApiId=api_id, StageName="$default")
    assert "AccessLogSettings" not in await house.v2("GetStage", ApiId=api_id, StageName="$default")


def test_what_looks_like_a_variable_in_a_value_stays_as_it_is() -> None:
    assert render_line("$context.a.b-$context.c", {"a.b": "$context.c", "c": True}) == "$context.c-true"


async def test_the_format_of_an_access_log_may_end_with_a_line_break() -> None:
    """As YAML's folded texts do."""
    house = ApiHouse()
    api_id = await house.http_api("GET /a")
    line = {"DestinationArn": GROUP, "Format": "$context.requestId\n"}
    stage = await house.v2("UpdateStage", ApiId=api_id, StageName="$default", AccessLogSettings=line)
    assert stage["AccessLogSettings"] == line


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        (
            {"RouteSettings": {"GET /x": {}}},
            "NotFoundException",
            "Unable to find Route by key GET /x within the provided RouteSettings",
        ),
        (
            {"DefaultRouteSettings": {"LoggingLevel": "INFO"}},
            "BadRequestException",
            "Execution logs are not supported on protocolType HTTP",
        ),
        (
            {"AccessLogSettings": {"DestinationArn": "arn:aws:s3:::bucket", "Format": "x"}},
            "BadRequestException",
            "Invalid ARN specified in the request",
        ),
        (
            {"AccessLogSettings": {"DestinationArn": GROUP, "Format": "x\ny"}},
            "BadRequestException",
            "Access Log format must be single line, new line character is allowed only at end of the format",
        ),
        (
            {"AccessLogSettings": {"DestinationArn": GROUP, "Format": "$context.status $context.requestIdentity"}},
            "BadRequestException",
            "Access log format must include $context.requestId or $context.extendedRequestId",
        ),
    ],
)
async def test_settings_are_checked(settings: dict[str, Any], code: str, words: str) -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /a")
    with pytest.raises(ServiceError) as refused:
        await house.v2("UpdateStage", ApiId=api_id, StageName="$default", **settings)
    assert (refused.value.code, refused.value.message) == (code, words)


async def test_an_update_adds_stage_variables_and_takes_away_what_it_empties() -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /a")
    at = {"ApiId": api_id, "StageName": "$default"}
    await house.v2("UpdateStage", **at, StageVariables={"a": "1", "b": "2"})
    stage = await house.v2("UpdateStage", **at, StageVariables={"b": "", "c": "3"})
    assert stage["StageVariables"] == {"a": "1", "c": "3"}
    with pytest.raises(ServiceError) as refused:
        await house.v2("UpdateStage", **at, StageVariables={f"n{number}": "1" for number in range(99)})
    assert refused.value.code == "LimitExceededException"


async def test_access_logs_to_firehose_are_refused_by_name() -> None:
    house = ApiHouse()
    api_id = await house.http_api("GET /a")
    arn = "arn:aws:firehose:us-east-1:000000000000:deliverystream/x"
    with pytest.raises(NotImplementedHere, match="Firehose"):
        await house.v2(
            "UpdateStage",
            ApiId=api_id,
            StageName="$default",
            AccessLogSettings={"DestinationArn": arn, "Format": "x"},
        )
