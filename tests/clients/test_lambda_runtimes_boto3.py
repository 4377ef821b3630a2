"""Runtimes other than Python through boto3, and answers that come piece by piece."""

import base64
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")]

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
STREAMING = """
export const handler = awslambda.streamifyResponse(async (event, out) => {
  out.setContentType('text/plain');
  out.write('one');
  await new Promise((resolve) => setTimeout(resolve, 60));
  out.write('two');
  if (event.fail) throw new TypeError('torn');
  if (event.large) for (let n = 0; n < 64; n++) {
    if (!out.write('x'.repeat(65536))) await new Promise((resolve) => out.once('drain', resolve));
  }
  if (event.leave) process.exit(4);
  out.end();
});
"""
WEB = """
export const handler = awslambda.streamifyResponse(async (event, out) => {
  const web = awslambda.HttpResponseStream.from(out, {statusCode: 201});
  web.write('made'); web.end();
});
"""
WHOLE = "exports.handler = async (event) => { if (event.fail) throw new TypeError('no'); return event; };"
SHELL = """#!/bin/sh
while true; do
  EVENT=$(curl -sS -D /tmp/headers "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next")
  ID=$(grep -Fi lambda-runtime-aws-request-id /tmp/headers | tr -d '[:space:]' | cut -d: -f2)
  curl -sS -o /dev/null -d "$EVENT" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$ID/response"
done
"""

Make = Callable[..., str]


@pytest.fixture(scope="module")
def functions(server: Any) -> Any:
    return server.client("lambda")


@pytest.fixture(scope="module")
def make(server: Any, functions: Any) -> Iterator[Make]:
    """Makes functions of one file, and removes them in the end."""
    iam = server.client("iam")
    role = iam.create_role(RoleName="runtimes-client-tests", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    made: list[str] = []

    def make_one(file: str, code: str, runtime: str = "nodejs20.x") -> str:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as opened:
            member = zipfile.ZipInfo(file)
            member.external_attr = 0o755 << 16
            opened.writestr(member, code)
        name = f"runtimes-{len(made)}"
        functions.create_function(
            FunctionName=name,
            Runtime=runtime,
            Role=role,
            Handler="index.handler",
            Timeout=20,
            Code={"ZipFile": archive.getvalue()},
        )
        made.append(name)
        return name

    yield make_one
    for name in made:
        functions.delete_function(FunctionName=name)
    iam.delete_role(RoleName="runtimes-client-tests")


def read(answer: Any) -> tuple[bytes, dict[str, Any]]:
    """Return the pieces as one, and the last event."""
    events = list(answer["EventStream"])
    assert [name for event in events for name in event][-1] == "InvokeComplete"
    return b"".join(event["PayloadChunk"]["Payload"] for event in events[:-1]), events[-1]["InvokeComplete"]


@pytest.fixture(scope="module")
def streaming(make: Make) -> str:
    return make("index.mjs", STREAMING)


def test_an_answer_comes_piece_by_piece(functions: Any, streaming: str) -> None:
    answer = functions.invoke_with_response_stream(FunctionName=streaming, Payload=b"{}", LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    events = list(answer["EventStream"])
    assert [event["PayloadChunk"]["Payload"] for event in events[:-1]] == [b"one", b"two"]
    assert b"REPORT RequestId" in base64.b64decode(events[-1]["InvokeComplete"]["LogResult"])


def test_a_large_answer_comes_whole(functions: Any, streaming: str) -> None:
    answer = functions.invoke_with_response_stream(FunctionName=streaming, Payload=b'{"large": true}')
    body, end = read(answer)
    assert (len(body), end) == (6 + 64 * 65536, {})


def test_an_answer_that_breaks_off_says_so(functions: Any, streaming: str) -> None:
    body, end = read(functions.invoke_with_response_stream(FunctionName=streaming, Payload=b'{"fail": true}'))
    assert (body, end["ErrorCode"]) == (b"onetwo", "TypeError")
    assert json.loads(end["ErrorDetails"])["errorMessage"] == "torn"
    body, end = read(functions.invoke_with_response_stream(FunctionName=streaming, Payload=b'{"leave": true}'))
    assert (body[:3], end["ErrorCode"]) == (b"one", "Runtime.ExitError")


def test_invoke_gets_a_streamed_answer_whole(functions: Any, streaming: str) -> None:
    answer = functions.invoke(FunctionName=streaming, Payload=b"{}")
    assert answer["Payload"].read() == b"onetwo"


def test_a_caller_who_leaves_costs_nobody_anything(functions: Any, streaming: str) -> None:
    answer = functions.invoke_with_response_stream(FunctionName=streaming, Payload=b'{"large": true}')
    answer["EventStream"].close()
    assert read(functions.invoke_with_response_stream(FunctionName=streaming))[0] == b"onetwo"


def test_metadata_of_an_http_answer_precede_its_body(functions: Any, make: Make) -> None:
    answer = functions.invoke_with_response_stream(FunctionName=make("index.mjs", WEB))
    assert read(answer)[0] == b'{"statusCode":201}' + bytes(8) + b"made"


def test_an_answer_in_one_piece(functions: Any, make: Make) -> None:
    name = make("index.js", WHOLE)
    body, end = read(functions.invoke_with_response_stream(FunctionName=name, Payload=b'{"n":1}'))
    assert (body, end) == (b'{"n":1}', {})
    body, end = read(functions.invoke_with_response_stream(FunctionName=name, Payload=b'{"fail":1}'))
    assert (body, end["ErrorCode"]) == (b"", "TypeError")
    dry = functions.invoke_with_response_stream(FunctionName=name, InvocationType="DryRun")
    dry["EventStream"].close()
    assert dry["StatusCode"] == 204


REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    (
        {"Payload": b"{"},
        400,
        "InvalidRequestContentException",
        "Could not parse request body into json: Could not parse payload into json: Unexpected end-of-input",
    ),
    (
        {"FunctionName": "no-such"},
        404,
        "ResourceNotFoundException",
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:no-such",
    ),
]


@pytest.mark.parametrize(("params", "status", "code", "words"), REFUSALS)
def test_what_is_refused(
    functions: Any, streaming: str, params: dict[str, Any], status: int, code: str, words: str
) -> None:
    with pytest.raises(ClientError) as caught:
        functions.invoke_with_response_stream(**{"FunctionName": streaming, **params})
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert (answer["Error"]["Code"], answer["Error"]["Message"][: len(words)]) == (code, words)


def test_a_bootstrap_of_the_functions_own(functions: Any, make: Make) -> None:
    name = make("bootstrap", SHELL, "provided.al2023")
    answer = functions.invoke(FunctionName=name, Payload=b'{"n": 2}')
    assert answer["Payload"].read() == b'{"n": 2}'


def test_the_json_log_format(functions: Any, make: Make) -> None:
    name = make("index.js", "exports.handler = async () => console.log('saw', 'it');")
    given = {"LogFormat": "JSON", "SystemLogLevel": "DEBUG"}
    changed = functions.update_function_configuration(FunctionName=name, LoggingConfig=given)
    assert changed["LoggingConfig"] == {**given, "ApplicationLogLevel": "INFO", "LogGroup": f"/aws/lambda/{name}"}
    log = base64.b64decode(functions.invoke(FunctionName=name, LogType="Tail")["LogResult"]).decode()
    events = [json.loads(line) for line in log.splitlines()]
    assert [event.get("type") or event["message"] for event in events] == [
        "platform.start",
        "saw it",
        "platform.runtimeDone",
        "platform.report",
    ]
    with pytest.raises(ClientError) as caught:
        functions.update_function_configuration(
            FunctionName=name, LoggingConfig={"LogFormat": "Text", "SystemLogLevel": "INFO"}
        )
    assert caught.value.response["Error"] == {
        "Code": "InvalidParameterValueException",
        "Message": "SystemLogLevel cannot be set when LogFormat is Text",
    }
