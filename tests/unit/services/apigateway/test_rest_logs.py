"""The logs of REST APIs' stages: a line of the owner's for each request, and what happened to it step by step."""

import asyncio
import json
from typing import Any

import pytest

from cumulet.errors import NotImplementedHere
from cumulet.services.apigateway.pipeline.execution_log import body_text, cut, shown
from cumulet.services.iam import build as build_iam
from cumulet.services.iam import build_sts
from cumulet.services.logs import build as build_logs
from unit.services.apigateway.fake_lambda import FUNCTION, ApiHouse
from unit.services.apigateway.test_metering import VALUE, Metered, metered
from unit.services.apigateway.test_rest_authorizers import OK, Guarded, get, guarded, policy
from unit.services.apigateway.test_rest_mapping import deployed
from unit.services.apigateway.test_stage_settings import GROUP, replace, with_role

SERVICES = {"logs": build_logs, "iam": build_iam, "sts": build_sts}


async def logging_api(*patches: dict[str, str]) -> tuple[ApiHouse, str]:
    """Return a house, and an API whose stage `dev` has these settings; the account has a role for its logs."""
    house = ApiHouse(more=SERVICES)
    role = await with_role(house)
    await house.v1("UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", role)])
    api_id = await house.rest_api("GET /pets/{id}", "POST /pets")
    await house.v1("UpdateStage", restApiId=api_id, stageName="dev", patchOperations=list(patches))
    return house, api_id


async def written(house: ApiHouse, group: str) -> list[str]:
    """Return the lines of a log group once everything is written; none if it is not there."""
    await house.gateway.stop()
    groups = (await house.call("logs", "DescribeLogGroups", {"logGroupNamePrefix": group}))["logGroups"]
    if group not in [found["logGroupName"] for found in groups]:
        return []
    lines = []
    for stream in (await house.call("logs", "DescribeLogStreams", {"logGroupName": group}))["logStreams"]:
        at = {"logGroupName": group, "logStreamName": stream["logStreamName"], "startFromHead": True}
        lines += [event["message"] for event in (await house.call("logs", "GetLogEvents", at))["events"]]
    return lines


INFO = replace("/*/*/logging/loglevel", "INFO")
ERROR = replace("/*/*/logging/loglevel", "ERROR")
DATA = replace("/*/*/logging/dataTrace", "true")
FORMAT = (
    "$context.requestId $context.extendedRequestId $context.httpMethod $context.resourcePath "
    '"$context.identity.userAgent" $context.status $context.responseLength $context.identity.caller '
    "$context.error.message $context.error.responseType $context.integrationStatus $context.integration.latency "
    "$context.isCanaryRequest $context.stage $context.path"
)
ACCESS = [replace("/accessLogSettings/destinationArn", GROUP), replace("/accessLogSettings/format", FORMAT)]


async def test_each_request_is_a_line_of_the_access_log() -> None:
    house, api_id = await logging_api(*ACCESS)
    await house.call("logs", "CreateLogGroup", {"logGroupName": "access"})
    await house.request(api_id, "GET", "/dev/pets/1", headers={"user-agent": 'a "b"'})
    await house.request(api_id, "GET", "/dev/nothing")
    first, second = [line.split(" ") for line in await written(house, "access")]
    assert len(first[0]) == 36
    assert len(first[1]) == 16
    assert first[2:] == [
        *("GET", "/pets/{id}", '"a', '\\"b\\""', "200", "4", "-", "-", "-", "200", "0", "-", "dev", "/dev/pets/1")
    ]
    assert second[2:4] == ["GET", "-"]
    assert " ".join(second[5:]) == (
        "403 42 - Missing Authentication Token MISSING_AUTHENTICATION_TOKEN - - - dev /dev/nothing"
    )


async def test_what_happened_to_a_request_at_info() -> None:
    house, api_id = await logging_api(INFO)
    response = await house.request(api_id, "GET", "/dev/pets/1")
    headers = {name.lower(): value for name, value in response.headers}
    request_id = headers["x-amzn-requestid"]
    group = f"API-Gateway-Execution-Logs_{api_id}/dev"
    uri = f"https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/{FUNCTION}/invocations"
    assert await written(house, group) == [
        f"({request_id}) {text}"
        for text in (
            f"Extended Request Id: {headers['x-amz-apigw-id']}",
            f"Verifying Usage Plan for request: {request_id}. API Key:  API Stage: {api_id}/dev",
            "API Key  authorized because method 'GET /pets/{id}' does not require API Key. Request will not contribute "
            "to throttle or quota limits",
            f"Usage Plan check succeeded for API Key  and API Stage {api_id}/dev",
            f"Starting execution for request: {request_id}",
            "HTTP Method: GET, Resource Path: /pets/1",
            f"Sending request to {uri}",
            "Received response. Status: 200, Integration latency: 0 ms",
            "Successfully completed execution",
            "Method completed with status: 200",
            f"AWS Integration Endpoint RequestId : {house.function.calls[-1][0].request_id}",
        )
    ]


async def test_data_traces_tell_headers_and_bodies_but_no_secrets() -> None:
    house, api_id = await logging_api(INFO, DATA)
    secrets = {"authorization": "Bearer abcdefghij", "X-other": "1"}
    await house.request(api_id, "POST", "/dev/pets", query="a=1&a=2", headers=secrets, body=b"to be told")
    told = "\n".join(await written(house, f"API-Gateway-Execution-Logs_{api_id}/dev"))
    assert "Method request path: {}" in told
    assert "Method request query string: {a=2}" in told
    assert "X-other=1" in told
    assert "Authorization=***********efghij" in told
    assert '"Authorization":"***********efghij"' in told
    assert "Bearer" not in told
    assert "Method request body before transformations: to be told" in told
    assert f"Endpoint request URI: https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/{FUNCTION}" in told
    assert 'Endpoint request body after transformations: {"resource":"/pets"' in told
    assert " [TRUNCATED]\n" in told
    assert 'Endpoint response body before transformations: {"statusCode": 200, "body": "fine"}' in told
    assert "Method response body after transformations: fine" in told
    assert "Method response headers: {X-Amzn-Trace-Id=Root=1-" in told


@pytest.mark.parametrize(
    ("answer", "failed", "line", "status"),
    [
        ("x", False, "Execution failed due to configuration error: Malformed Lambda proxy response", 502),
        (
            {"errorMessage": "no such note", "errorType": "E"},
            True,
            "Lambda execution failed with status 200 due to customer function error: no such note. "
            "Lambda request id: ID",
            502,
        ),
    ],
)
async def test_only_what_failed_is_told_at_error(answer: Any, failed: bool, line: str, status: int) -> None:
    house, api_id = await logging_api(ERROR)
    await house.request(api_id, "GET", "/dev/pets/1")
    house.function.answer, house.function.function_error = answer, "Unhandled" if failed else None
    assert (await house.request(api_id, "GET", "/dev/pets/1")).status == status
    told = await written(house, f"API-Gateway-Execution-Logs_{api_id}/dev")
    asked_as = house.function.calls[-1][0].request_id
    assert [text.partition(") ")[2].replace(asked_as, "ID") for text in told] == [
        line,
        f"Method completed with status: {status}",
        "AWS Integration Endpoint RequestId : ID",
    ]


async def test_what_is_not_built_is_told_by_its_name() -> None:
    house, api_id = await logging_api(ERROR)
    house.function.answer = NotImplementedHere("The runtime cobol")
    assert (await house.request(api_id, "GET", "/dev/pets/1")).status == 501
    told = await written(house, f"API-Gateway-Execution-Logs_{api_id}/dev")
    assert [text.partition(") ")[2] for text in told] == [
        "The runtime cobol is not implemented by Cumulet. docs/operations.md lists what is.",
        "Method completed with status: 501",
    ]


async def test_a_method_s_own_level_counts() -> None:
    house, api_id = await logging_api(INFO, replace("/~1pets/POST/logging/loglevel", "OFF"))
    await house.request(api_id, "POST", "/dev/pets")
    assert await written(house, f"API-Gateway-Execution-Logs_{api_id}/dev") == []
    await house.request(api_id, "GET", "/dev/nowhere")
    told = await written(house, f"API-Gateway-Execution-Logs_{api_id}/dev")
    assert [text.partition(") ")[2] for text in told][1:] == [
        "Request failed: Missing Authentication Token",
        "Method completed with status: 403",
    ]


async def test_without_the_account_s_role_nothing_is_written() -> None:
    house, api_id = await logging_api(INFO, *ACCESS)
    await house.call("logs", "CreateLogGroup", {"logGroupName": "access"})
    await house.v1("UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", "")])
    assert (await house.request(api_id, "GET", "/dev/pets/1")).status == 200
    assert await written(house, "access") + await written(house, f"API-Gateway-Execution-Logs_{api_id}/dev") == []


async def test_keys_and_plans_are_told_with_the_key_s_end_alone() -> None:
    house = Metered(more=SERVICES)
    role = await with_role(house)
    await house.v1("UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", role)])
    await metered(house, quota={"limit": 1, "period": "DAY"}, throttle={"rateLimit": 0.0, "burstLimit": 2})
    await house.v1("UpdateStage", restApiId=house.api_id, stageName="dev", patchOperations=[INFO, DATA])
    assert [await house.statuses(3), (await house.get(None)).status] == [[200, 429, 429], 403]
    told = "\n".join(await written(house, f"API-Gateway-Execution-Logs_{house.api_id}/dev"))
    assert VALUE not in told
    place, key = f"{house.api_id}/dev", "*" * 24 + VALUE[-6:]
    assert f"API Key: {key} API Stage: {place}" in told
    assert f"Usage Plan check succeeded for API Key {key} and API Stage {place}" in told
    assert f"Key quota limit exceeded for RestApi {house.api_id}, Stage dev, Resource " in told
    assert "HttpMethod GET. Limit: 0.00 Burst: 2" in told
    assert (
        "API Key  not authorized because method 'GET /pets/{id}' requires API Key and API Key is not associated with a "
        f"Usage Plan for API Stage {place}: No Usage Plan found for key and API Stage" in told
    )


async def test_a_canary_has_logs_of_its_own_beside() -> None:
    canary = [
        replace("/canarySettings/percentTraffic", "100"),
        replace("/canarySettings/stageVariableOverrides/a", "canary"),
    ]
    house, api_id = await logging_api(INFO, *ACCESS, *canary)
    await house.call("logs", "CreateLogGroup", {"logGroupName": "access"})
    await house.request(api_id, "GET", "/dev/pets/1")
    assert house.function.event["stageVariables"] == {"a": "canary"}
    group = f"API-Gateway-Execution-Logs_{api_id}/dev"
    assert await written(house, f"{group}/Canary") == await written(house, group) != []
    [line] = await written(house, "access/Canary")
    assert line.split(" ")[-3:] == ["true", "dev", "/dev/pets/1"]
    assert await written(house, "access") == [line]


async def test_lines_are_written_before_the_gateway_stops() -> None:
    house, api_id = await logging_api(*ACCESS)
    await house.call("logs", "CreateLogGroup", {"logGroupName": "access"})
    await asyncio.gather(*[house.request(api_id, "GET", f"/dev/pets/{number}") for number in range(40)])
    assert len(await written(house, "access")) == 40


def test_a_line_is_cut_where_a_letter_ends() -> None:
    assert cut("a" * 1024) == "a" * 1024
    cut_off = cut("ä" * 600)
    assert cut_off.endswith("ä [TRUNCATED]")
    assert len(cut_off.encode()) <= 1024


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", ""),
        ("é".encode() * 600, "é" * 512),
        (b"a" + "é".encode() * 600, "a" + "é" * 511),
        (b"\xc3", "[Binary Data]"),
        (b"\x89PNG" + b"a" * 2000, "[Binary Data]"),
        (None, ""),
    ],
)
def test_a_body_is_told_as_far_as_a_line_goes(body: Any, told: str) -> None:
    assert body_text(body) == told


def test_pairs_are_shown_as_java_prints_a_map() -> None:
    assert shown([("a", "1"), ("X-Api-Key", "abcdefghij"), ("b", "")]) == "{a=1, X-Api-Key=****efghij, b=}"
    assert shown({}) == "{}"


async def guarded_and_logged(*patches: dict[str, str]) -> Guarded:
    """Return a house whose API has an authorizer's function, and whose stage has these settings."""
    house = Guarded(more=SERVICES)
    role = await with_role(house)
    await house.v1("UpdateAccount", patchOperations=[replace("/cloudwatchRoleArn", role)])
    await guarded(house=house)
    await house.v1("UpdateStage", restApiId=house.api_id, stageName="dev", patchOperations=list(patches))
    return house


async def test_how_an_authorizer_was_asked() -> None:
    house = await guarded_and_logged(INFO, DATA)
    await get(house, "Bearer secret")
    await get(house, "Bearer secret")
    lines = await written(house, f"API-Gateway-Execution-Logs_{house.api_id}/dev")
    told = [line.partition(") ")[2] for line in lines]
    started = [at for at, text in enumerate(told) if text.startswith("Starting authorizer: ")]
    words = [text.partition(": ")[0] for text in told]
    assert words[started[0] : started[0] + 9] == [
        "Starting authorizer",
        "Incoming identity",
        "Endpoint request URI",
        "Endpoint request headers",
        "Endpoint request body after transformations",
        told[started[0] + 5],
        "Authorizer result body before parsing",
        "Using valid authorizer policy for principal",
        "Successfully completed authorizer execution",
    ]
    # Nobody was asked again.
    assert told[started[1] + 1] == "Successfully completed authorizer execution"
    assert "Bearer" not in "".join(lines)


OUTCOMES = (
    "$context.authorizer.status $context.authorizer.error $context.authorizer.integrationStatus "
    "$context.authorize.status $context.authorize.error $context.integration.status $context.integration.error "
    "$context.requestId"
)


@pytest.mark.parametrize(
    ("verdict", "answer", "line"),
    [
        (policy(), {"statusCode": 418}, "200 - 200 200 - 418 -"),
        (
            policy(),
            {"status": 1},
            "200 - 200 200 - 200 Execution failed due to configuration error: Malformed Lambda proxy response",
        ),
        (
            policy("Deny"),
            OK,
            "200 - 200 403 User is not authorized to access this resource with an explicit deny in an ",
        ),
        ({"principalId": "me"}, OK, "500 - 200 - - - -"),
        ("no", OK, "500 - 200 - - - -"),
    ],
)
async def test_how_a_request_fared(verdict: Any, answer: Any, line: str) -> None:
    house = await guarded_and_logged(ACCESS[0], replace("/accessLogSettings/format", OUTCOMES))
    await house.call("logs", "CreateLogGroup", {"logGroupName": "access"})
    house.verdict = verdict

    async def said(event: dict[str, Any]) -> Any:
        return await house.invoke_any(event) if "methodArn" in event else answer

    house.function.answer = said
    await get(house)
    [told] = await written(house, "access")
    assert told.startswith(line)


async def test_what_is_quoted_is_quoted_once() -> None:
    quoted = '{"told":$context.error.messageString,"id":"$context.requestId"}'
    house, api_id = await logging_api(ACCESS[0], replace("/accessLogSettings/format", quoted))
    await house.call("logs", "CreateLogGroup", {"logGroupName": "access"})
    await house.request(api_id, "GET", "/dev/a")
    [line] = await written(house, "access")
    assert json.loads(line)["told"] == "Missing Authentication Token"


async def test_the_trace_is_told_of() -> None:
    house, api_id = await logging_api(INFO, replace("/tracingEnabled", "true"))
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    await house.request(api_id, "GET", "/dev/pets/1", headers={"x-amzn-trace-id": trace})
    lines = await written(house, f"API-Gateway-Execution-Logs_{api_id}/dev")
    assert lines[-1].endswith(") X-ray Tracing ID : 1-5759e988-bd862e3fe1be46a994272793")


async def test_a_path_that_leads_nowhere_is_logged_like_any_other() -> None:
    house, _ = await logging_api()
    uri = "http://127.0.0.1:1/{id}"
    mapped = {"integration.request.path.id": "method.request.path.id"}
    integration = {"type": "HTTP_PROXY", "integrationHttpMethod": "GET", "uri": uri, "requestParameters": mapped}
    api_id = await deployed(house, integration)
    await house.v1("UpdateStage", restApiId=api_id, stageName="dev", patchOperations=[INFO, DATA])
    assert (await house.request(api_id, "GET", "/dev/things/..")).status == 400
    lines = await written(house, f"API-Gateway-Execution-Logs_{api_id}/dev")
    assert lines[-1].endswith("Method completed with status: 400")


async def test_an_owners_own_words_are_told_too() -> None:
    house, api_id = await logging_api(INFO, DATA)
    house.function.answer = "no response"
    told = {"application/json": '{"own": $context.error.messageString}'}
    await house.v1("PutGatewayResponse", restApiId=api_id, responseType="DEFAULT_5XX", responseTemplates=told)
    await house.v1("CreateDeployment", restApiId=api_id, stageName="dev")
    assert (await house.request(api_id, "GET", "/dev/pets/1")).status == 502
    lines = await written(house, f"API-Gateway-Execution-Logs_{api_id}/dev")
    assert [line.partition(") ")[2].partition("=")[0] for line in lines[-6:-1]] == [
        "Execution failed due to configuration error: Malformed Lambda proxy response",
        "Gateway response type: DEFAULT_5XX with status code: 502",
        'Gateway response body: {"own": "Internal server error"}',
        "Gateway response headers: {x-amzn-ErrorType",
        "Method completed with status: 502",
    ]
