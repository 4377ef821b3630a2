"""CloudWatch Logs through boto3 against the running server."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def logs(client: Callable[[str], Any]) -> Any:
    return client("logs")


@pytest.fixture
def group(logs: Any, request: pytest.FixtureRequest) -> str:
    name = f"/client/{request.node.name}"
    logs.create_log_group(logGroupName=name, tags={"test": "yes"})
    for stream in ("one", "two"):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
    return name


def events(*messages: str) -> list[dict[str, Any]]:
    now_ms = int(time.time() * 1000)
    return [{"timestamp": now_ms + index, "message": message} for index, message in enumerate(messages)]


def error_of(call: Callable[..., Any], **params: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as raised:
        call(**params)
    answer = raised.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_events_are_put_read_and_searched(logs: Any, group: str) -> None:
    logs.put_log_events(
        logGroupName=group, logStreamName="one", logEvents=events("START", "ERROR ünï\nsecond line", "END")
    )
    logs.put_log_events(logGroupName=group, logStreamName="two", logEvents=events("WARN x", "INFO y"))

    one = logs.get_log_events(logGroupName=group, logStreamName="one", startFromHead=True)
    end = logs.get_log_events(
        logGroupName=group, logStreamName="one", startFromHead=True, nextToken=one["nextForwardToken"]
    )
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern="?ERROR ?WARN", PaginationConfig={"PageSize": 1}
    )

    assert [event["message"] for event in one["events"]] == ["START", "ERROR ünï\nsecond line", "END"]
    assert end["events"] == []
    assert end["nextForwardToken"] == one["nextForwardToken"]
    assert sorted(event["message"] for page in pages for event in page["events"]) == [
        "ERROR ünï\nsecond line",
        "WARN x",
    ]


def test_groups_and_streams_are_described(logs: Any, group: str) -> None:
    logs.put_retention_policy(logGroupName=group, retentionInDays=30)
    [found] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    streams = logs.get_paginator("describe_log_streams").paginate(logGroupName=group, PaginationConfig={"PageSize": 1})

    assert found["arn"].endswith(f":log-group:{group}:*")
    assert found["retentionInDays"] == 30
    assert logs.list_tags_for_resource(resourceArn=found["logGroupArn"])["tags"] == {"test": "yes"}
    assert [stream["logStreamName"] for page in streams for stream in page["logStreams"]] == ["one", "two"]

    logs.delete_retention_policy(logGroupName=group)
    logs.delete_log_stream(logGroupName=group, logStreamName="one")
    logs.delete_log_group(logGroupName=group)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []


def test_errors_have_awss_code_words_and_status(logs: Any, group: str) -> None:
    assert error_of(logs.create_log_group, logGroupName=group) == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
        400,
    )
    assert error_of(logs.get_log_events, logGroupName="none", logStreamName="one") == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
        400,
    )
    assert error_of(logs.put_log_events, logGroupName=group, logStreamName="one", logEvents=events("a", "b")[::-1]) == (
        "InvalidParameterException",
        "Log events in a single PutLogEvents request must be in chronological order.",
        400,
    )
    assert error_of(logs.create_log_group, logGroupName="with space") == (
        "InvalidParameterException",
        "1 validation error detected: Value 'with space' at 'logGroupName' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+",
        400,
    )


def test_what_is_not_built_is_refused_by_name(logs: Any) -> None:
    code, message, status = error_of(
        logs.put_account_policy, policyName="p", policyDocument="{}", policyType="DATA_PROTECTION_POLICY"
    )

    assert (code, status) == ("NotImplementedException", 501)
    assert "PutAccountPolicy" in message
