"""The checks on a function's configuration, as rows."""

from typing import Any

import pytest

from cumulet.app import check_params
from cumulet.errors import ServiceError
from cumulet.services.lambda_.control.configuration import parse_configuration, parse_environment, parse_logging
from cumulet.services.lambda_.records import VersionRecord

ONE_OF = "failed to satisfy constraint: Member must have value"
RANGES = [
    ({"Timeout": 901}, f"1 validation error detected: Value '901' at 'timeout' {ONE_OF} less than or equal to 900"),
    (
        {"MemorySize": 10241, "Timeout": 0},
        f"2 validation errors detected: Value '0' at 'timeout' {ONE_OF} greater than or equal to 1; Value '10241' at "
        f"'memorySize' {ONE_OF} less than or equal to 10240",
    ),
    (
        {"MemorySize": 127},
        f"1 validation error detected: Value '127' at 'memorySize' {ONE_OF} greater than or equal to 128",
    ),
    (
        {"EphemeralStorage": {"Size": 10241}},
        f"1 validation error detected: Value '10241' at 'ephemeralStorage.size' {ONE_OF} less than or equal to 10240",
    ),
]


@pytest.mark.parametrize(("params", "words"), RANGES)
def test_ranges_are_checked_before_all_else(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceError) as caught:
        check_params("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", **params})
    assert (caught.value.code, caught.value.message) == ("ValidationException", words)


ENVIRONMENT = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
)


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        (
            {"Runtime": "python2.7"},
            "InvalidParameterValueException",
            "The runtime parameter of python2.7 is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions.",
        ),
        (
            {"Environment": {"Variables": {"AWS_REGION": "x", "MINE": "y", "_HANDLER": "z"}}},
            "InvalidParameterValueException",
            f"{ENVIRONMENT}contains reserved keys that are currently not supported for modification. "
            "Reserved keys used in this request: AWS_REGION, _HANDLER",
        ),
    ],
)
def test_what_aws_refuses(params: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(ServiceError) as caught:
        parse_configuration(params)
    assert (caught.value.code, caught.value.message) == (code, words)


def test_an_unknown_runtime_is_told_the_known_ones() -> None:
    with pytest.raises(ServiceError) as caught:
        parse_configuration({"Runtime": "python3"})
    assert caught.value.code == "InvalidParameterValueException"
    assert caught.value.message.startswith(
        "Value python3 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: ["
    )
    assert caught.value.message.endswith("] or be a valid ARN")


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"Runtime": "ruby3.4"}, "Runtime ruby3.4 is not implemented"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "The parameter VpcConfig"),
        ({"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:0:q"}}, "The parameter DeadLetterConfig"),
        ({"FileSystemConfigs": [{"Arn": "x", "LocalMountPath": "/mnt/x"}]}, "The parameter FileSystemConfigs"),
    ],
)
def test_what_is_not_built_is_refused_by_name(params: dict[str, Any], named: str) -> None:
    with pytest.raises(ServiceError, match=named) as caught:
        parse_configuration(params)
    assert caught.value.code == "NotImplementedException"


@pytest.mark.parametrize(
    "params",
    [
        {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False}},
        {"DeadLetterConfig": {"TargetArn": ""}},
        {"Layers": []},
        {"KMSKeyArn": ""},
        {"FileSystemConfigs": []},
    ],
)
def test_asking_for_nothing_is_taken(params: dict[str, Any]) -> None:
    assert parse_configuration(params) == {}


def test_variables_may_take_four_kilobytes_as_json() -> None:
    frame = len('{"A":""}')
    assert parse_environment({"A": "x" * (4096 - frame)})
    with pytest.raises(ServiceError) as caught:
        parse_environment({"A": "x" * (4097 - frame)})
    assert caught.value.message.startswith(ENVIRONMENT + 'exceeded the 4KB limit. String measured: {"A":"xxx')


def version(**logging: str) -> VersionRecord:
    return VersionRecord(
        function_name="notes",
        arn="",
        revision_id="",
        runtime="python3.12",
        handler="app.handler",
        role="",
        code_sha256="",
        code_size=0,
        code_blob="",
        last_modified_ms=0,
        **logging,
    )


LOGGING_FIELDS = ("log_group", "log_format", "application_log_level", "system_log_level")
JSON_LOGGING = ("/notes", "JSON", "DEBUG", "WARN")
Logging = tuple[str, str, str, str]
LOGGING: list[tuple[dict[str, str], Logging | None, Logging]] = [
    ({}, None, ("", "Text", "", "")),
    ({"LogFormat": "Text", "LogGroup": "/notes"}, None, ("/notes", "Text", "", "")),
    ({"LogFormat": "JSON"}, None, ("", "JSON", "INFO", "INFO")),
    (
        {"LogFormat": "JSON", "ApplicationLogLevel": "TRACE", "SystemLogLevel": "WARN"},
        None,
        ("", "JSON", "TRACE", "WARN"),
    ),
    ({"LogGroup": "/others"}, JSON_LOGGING, ("/others", *JSON_LOGGING[1:])),
    ({"ApplicationLogLevel": "ERROR"}, JSON_LOGGING, ("/notes", "JSON", "ERROR", "WARN")),
    ({"LogFormat": "Text"}, JSON_LOGGING, ("/notes", "Text", "", "")),
    ({"LogFormat": "JSON"}, ("/notes", "Text", "", ""), ("/notes", "JSON", "INFO", "INFO")),
]


@pytest.mark.parametrize(("given", "before", "recorded"), LOGGING)
def test_the_log_and_its_levels(given: dict[str, str], before: Logging | None, recorded: Logging) -> None:
    was = None if before is None else version(**dict(zip(LOGGING_FIELDS, before, strict=True)))
    fields = parse_logging(given, was)
    assert tuple(fields[name] for name in LOGGING_FIELDS) == recorded


@pytest.mark.parametrize("before", [None, version(log_format="Text")])
def test_the_text_format_has_no_levels(before: VersionRecord | None) -> None:
    with pytest.raises(ServiceError, match="ApplicationLogLevel cannot be set when LogFormat is Text"):
        parse_logging({"ApplicationLogLevel": "INFO"}, before)
