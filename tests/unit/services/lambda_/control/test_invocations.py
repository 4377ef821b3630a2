"""Invoke."""

import base64
from typing import Any

import msgspec
import pytest

from cumulet.errors import InvariantViolated
from cumulet.services.kit import Call, Demand, Principal, Ruling
from cumulet.services.lambda_.execution.plane import FunctionChanged
from cumulet.store.api import ReadTx


async def test_the_answer_of_the_handler_comes_back(house: Any) -> None:
    await house.create()
    output = await house.call("lambda", "Invoke", {"FunctionName": "notes", "Payload": b'{"a": 1}'})
    assert output == {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": b'{"ok": true}'}
    scope, version, invocation = house.execution.invocations[0]
    assert (scope.account, scope.region) == ("000000000000", "us-east-1")
    assert version.handler == "app.handler"
    assert invocation.payload == b'{"a": 1}'
    assert invocation.invoked_arn == "arn:aws:lambda:us-east-1:000000000000:function:notes"


@pytest.mark.parametrize("payload", [None, b""])
async def test_no_payload_is_an_empty_object(house: Any, payload: bytes | None) -> None:
    await house.create()
    await house.call("lambda", "Invoke", {"FunctionName": "notes", "Payload": payload})
    assert house.execution.invocations[0][2].payload == b"{}"


async def test_a_function_error_is_named(house: Any) -> None:
    await house.create()
    house.execution.result = msgspec.structs.replace(house.execution.result, function_error="Unhandled")
    output = await house.call("lambda", "Invoke", {"FunctionName": "notes"})
    assert output["FunctionError"] == "Unhandled"
    assert output["StatusCode"] == 200


async def test_the_log_tail_is_base64_and_only_on_request(house: Any) -> None:
    await house.create()
    output = await house.call("lambda", "Invoke", {"FunctionName": "notes", "LogType": "Tail"})
    assert base64.b64decode(output["LogResult"]) == b"START\nEND\n"
    assert "LogResult" not in await house.call("lambda", "Invoke", {"FunctionName": "notes", "LogType": "None"})


async def test_dry_run_runs_nothing(house: Any) -> None:
    await house.create()
    output = await house.call("lambda", "Invoke", {"FunctionName": "notes", "InvocationType": "DryRun"})
    assert output == {"StatusCode": 204}
    assert house.execution.invocations == []


async def test_client_context_arrives_decoded(house: Any) -> None:
    await house.create()
    context = base64.b64encode(b'{"custom": {}}').decode()
    await house.call("lambda", "Invoke", {"FunctionName": "notes", "ClientContext": context})
    assert house.execution.invocations[0][2].client_context == '{"custom": {}}'


@pytest.mark.parametrize("context", ["%%%", base64.b64encode(b"{").decode(), "A" * 4000])
async def test_a_client_context_that_is_none_is_refused(house: Any, context: str) -> None:
    await house.create()
    assert await house.refusal("Invoke", {"FunctionName": "notes", "ClientContext": context}) == (
        "InvalidRequestContentException",
        "Client context must be a valid Base64-encoded JSON object.",
    )


async def test_a_payload_over_six_megabytes_is_refused(house: Any) -> None:
    await house.create()
    payload = b'"' + b"a" * (6 * 1024 * 1024) + b'"'
    assert await house.refusal("Invoke", {"FunctionName": "notes", "Payload": payload}) == (
        "RequestEntityTooLargeException",
        "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
    )


PREFIX = "Could not parse request body into json: Could not parse payload into json: "
VALUE = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (
            b"test data",
            f"Unrecognized token 'test': was expecting {VALUE}\n"
            ' at [Source: (byte[])"test data"; line: 1, column: 6]',
        ),
        (
            b'{"a": }',
            f"Unexpected character ('}}' (code 125)): expected a valid value {VALUE}\n"
            ' at [Source: (byte[])"{"a": }"; line: 1, column: 8]',
        ),
        (b'{"a":\n', 'Unexpected end-of-input\n at [Source: (byte[])"{"a":\n"; line: 2, column: 1]'),
        (b'"\x97"', 'Invalid UTF-8 start byte 0x97\n at [Source: (byte[])""\ufffd""; line: 1, column: 3]'),
    ],
)
async def test_a_payload_that_is_no_json_is_refused(house: Any, payload: bytes, words: str) -> None:
    await house.create()
    assert await house.refusal("Invoke", {"FunctionName": "notes", "Payload": payload}) == (
        "InvalidRequestContentException",
        PREFIX + words,
    )


ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"


@pytest.mark.parametrize("name", ["notes", ARN, "000000000000:function:notes", "function:notes", f"{ARN}:$LATEST"])
async def test_a_function_has_many_names(house: Any, name: str) -> None:
    await house.create()
    await house.call("lambda", "Invoke", {"FunctionName": name})
    assert len(house.execution.invocations) == 1


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"FunctionName": "other"}, "ResourceNotFoundException", f"Function not found: {ARN[:-5]}other"),
        ({"FunctionName": "notes", "Qualifier": "1"}, "ResourceNotFoundException", f"Function not found: {ARN}:1"),
        ({"FunctionName": "notes:live"}, "ResourceNotFoundException", f"Function not found: {ARN}:live"),
        (
            {"FunctionName": f"{ARN}:1", "Qualifier": "2"},
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        ),
        (
            {"FunctionName": "arn:aws:lambda:eu-west-1:000000000000:function:notes"},
            "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        ),
    ],
)
async def test_what_is_not_there(house: Any, params: dict[str, str], code: str, words: str) -> None:
    await house.create()
    assert await house.refusal("Invoke", params) == (code, words)


class PolicyWatcher:
    """An authorizer that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str | None]] = []

    def decide(self, tx: ReadTx, call: Call, demand: Demand, resource_policy: str | None, *more: Any) -> Ruling:
        self.asked.append((call.principal.arn, demand.action, demand.resource, resource_policy))
        return Ruling(True)


async def test_a_service_is_checked_against_the_policy_of_the_function(lambda_house: Any) -> None:
    watcher = PolicyWatcher()
    house = lambda_house(watcher)
    await house.create()
    permission = {"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
    await house.call("lambda", "AddPermission", {"FunctionName": "notes", **permission})
    gateway = Principal.service("apigateway.amazonaws.com", source_arn="arn:aws:execute-api:us-east-1:1:x")
    await house.call("lambda", "Invoke", {"FunctionName": ARN}, principal=gateway)
    principal, action, resource, policy = watcher.asked[-1]
    assert (principal, action, resource) == ("apigateway.amazonaws.com", "lambda:InvokeFunction", ARN)
    assert policy is not None
    assert '"Service":"apigateway.amazonaws.com"' in policy


async def test_another_accounts_function_is_reached_by_its_arn(house: Any) -> None:
    await house.create()
    stranger = Principal.root("111111111111")
    from cumulet.scope import Scope

    await house.call(
        "lambda", "Invoke", {"FunctionName": ARN}, principal=stranger, scope=Scope("111111111111", "us-east-1")
    )
    assert house.execution.invocations[0][0].account == "000000000000"


async def test_a_function_that_changes_before_its_code_is_read_runs_as_it_is_now(house: Any, make_zip: Any) -> None:
    await house.create()

    async def change() -> None:
        house.execution.before_each = None
        await house.call(
            "lambda", "UpdateFunctionCode", {"FunctionName": "notes", "ZipFile": make_zip({"app.py": b"new"})}
        )
        raise FunctionChanged

    house.execution.before_each = change
    assert (await house.call("lambda", "Invoke", {"FunctionName": "notes"}))["StatusCode"] == 200
    now = await house.call("lambda", "GetFunctionConfiguration", {"FunctionName": "notes"})
    assert [version.revision_id for _, version, _ in house.execution.invocations] == [now["RevisionId"]]


async def test_a_function_that_is_deleted_before_its_code_is_read_is_not_found(house: Any) -> None:
    await house.create()

    async def delete() -> None:
        await house.call("lambda", "DeleteFunction", {"FunctionName": "notes"})
        raise FunctionChanged

    house.execution.before_each = delete
    code, _ = await house.refusal("Invoke", {"FunctionName": "notes"})
    assert code == "ResourceNotFoundException"


async def test_code_that_is_missing_is_a_failure_and_not_a_loop(house: Any) -> None:
    await house.create()

    async def fail() -> None:
        raise FunctionChanged

    house.execution.before_each = fail
    with pytest.raises(InvariantViolated):
        await house.call("lambda", "Invoke", {"FunctionName": "notes"})


async def test_active_tracing_has_invocations_sampled(house: Any) -> None:
    created = await house.create(TracingConfig={"Mode": "Active"})
    assert created["TracingConfig"] == {"Mode": "Active"}
    await house.call("lambda", "Invoke", {"FunctionName": "notes"})
    await house.call("lambda", "UpdateFunctionConfiguration", {"FunctionName": "notes", "TracingConfig": {}})
    await house.call("lambda", "Invoke", {"FunctionName": "notes"})
    headers = [invocation.trace_header for _, _, invocation in house.execution.invocations]
    assert [";Sampled=1;" in header for header in headers] == [True, False]
