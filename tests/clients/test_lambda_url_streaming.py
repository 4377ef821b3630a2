"""Function URLs with InvokeMode RESPONSE_STREAM, over plain HTTP."""

import contextlib
import http.client
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from functions import Functions
from patience import join
from running import Server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")]

STREAMS = """
import { setTimeout as sleep } from 'node:timers/promises';
export const handler = awslambda.streamifyResponse(async (event, out, context) => {
  const path = event.rawPath;
  if (path === '/fail-at-once') throw new Error('at once');
  if (path === '/plain') { out.write('one'); out.end(); return; }
  if (path === '/typed') { out.setContentType('text/csv'); out.write('a,b'); out.end(); return; }
  if (path === '/nothing') { out.end(); return; }
  if (path === '/broken-prelude') {
    out.setContentType('application/vnd.awslambda.http-integration-response'); out.write('no'); out.end(); return;
  }
  const metadata = path === '/empty' ? {statusCode: 204} : {
    statusCode: 207, headers: {'Content-Type': 'text/plain', 'X-Path': path, 'Content-Length': '1'},
    cookies: ['a=1', 'b=2; Secure'],
  };
  const web = awslambda.HttpResponseStream.from(out, metadata);
  if (path === '/empty') { web.end(); return; }
  web.write('one');
  if (path === '/hold') await sleep(300);
  if (path === '/never') await sleep(60000);
  if (path === '/fail-later') throw new Error('later');
  if (path === '/exit') { await sleep(50); process.exit(3); }
  if (path === '/flood') {
    for (let n = 0; n < 480; n++) {
      if (!web.write(Buffer.alloc(65536, 120))) await new Promise((resolve) => web.once('drain', resolve));
    }
  }
  web.write('two');
  web.end();
});
"""
BUFFERED = "def handler(event, context): return {'statusCode': 418, 'body': event['rawPath']}"
SHELL = """#!/bin/sh
API="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  curl -sS -o /dev/null -D /tmp/headers "$API/next"
  ID=$(grep -Fi lambda-runtime-aws-request-id /tmp/headers | tr -d '[:space:]' | cut -d: -f2)
  (printf '{"statusCode":203}\\0\\0\\0\\0\\0\\0\\0\\0first '; sleep 0.1; printf second) |
    curl -sS -o /dev/null -X POST -T - -H 'Transfer-Encoding: chunked' \\
      -H 'Content-Type: application/vnd.awslambda.http-integration-response' \\
      -H 'Lambda-Runtime-Function-Response-Mode: streaming' "$API/$ID/response"
done
"""
STREAMED = {"InvokeMode": "RESPONSE_STREAM"}


@pytest.fixture(scope="module")
def functions(server: Server) -> Iterator[Functions]:
    with Functions(server, "url-streaming") as made:
        yield made


@pytest.fixture(scope="module")
def url(functions: Functions) -> str:
    return functions.open_url(functions.make({"index.mjs": STREAMS}, "nodejs20.x", "index.handler"), **STREAMED)


@contextlib.contextmanager
def asked(
    server: Server, url: str, path: str = "", method: str = "GET", **headers: str
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, f"/{path}", None, {"Host": urlsplit(url).netloc, **headers})
        yield connection.getresponse()
    finally:
        connection.close()


def test_status_headers_and_cookies_come_before_the_body(server: Server, url: str) -> None:
    with asked(server, url, "hold") as answer:
        assert (answer.status, answer.headers["content-type"], answer.headers["x-path"]) == (207, "text/plain", "/hold")
        assert answer.headers.get_all("set-cookie") == ["a=1", "b=2; Secure"]
        assert (answer.headers["transfer-encoding"], answer.headers["content-length"]) == ("chunked", None)
        assert answer.headers["x-amzn-requestid"]
        assert answer.read1() == b"one"  # the function still has its next piece in hand
        assert answer.read() == b"two"


@pytest.mark.parametrize(
    ("path", "status", "content_type", "body"),
    [
        ("plain", 200, "application/octet-stream", b"one"),
        ("typed", 200, "text/csv", b"a,b"),
        ("nothing", 200, "application/octet-stream", b""),
        ("empty", 204, "application/octet-stream", b""),
        ("fail-at-once", 502, "application/json", b"Internal Server Error"),
        ("broken-prelude", 502, "application/json", b"Internal Server Error"),
    ],
)
def test_answers(server: Server, url: str, path: str, status: int, content_type: str, body: bytes) -> None:
    with asked(server, url, path) as answer:
        assert (answer.status, answer.headers["content-type"], answer.read()) == (status, content_type, body)


@pytest.mark.parametrize("path", ["fail-later", "exit"])
def test_an_answer_that_breaks_off_is_seen_to(server: Server, url: str, path: str) -> None:
    with asked(server, url, path) as answer, pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    assert (answer.status, caught.value.partial) == (207, b"one")


def test_an_answer_that_takes_too_long_breaks_off(server: Server, functions: Functions) -> None:
    own = functions.open_url(
        functions.make({"index.mjs": STREAMS}, "nodejs20.x", "index.handler", Timeout=1), **STREAMED
    )
    with asked(server, own, "never") as answer, pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    assert (answer.status, caught.value.partial) == (207, b"one")
    with asked(server, own) as answer:
        assert answer.read() == b"onetwo"


def test_the_answer_to_head_has_no_body(server: Server, url: str) -> None:
    with asked(server, url, "hold", "HEAD") as answer:
        assert (answer.status, answer.read()) == (207, b"")


def test_other_sites_are_told_what_the_address_allows(server: Server, functions: Functions, url: str) -> None:
    name = functions.make({"index.mjs": STREAMS}, "nodejs20.x", "index.handler")
    own = functions.open_url(name, Cors={"AllowOrigins": ["https://a.example"]}, **STREAMED)
    with asked(server, own, Origin="https://a.example") as answer:
        assert (answer.headers["access-control-allow-origin"], answer.read()) == ("https://a.example", b"onetwo")


def memory_mb(server: Server) -> float:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4 / 1024


def test_a_slow_reader_costs_no_memory_and_a_reader_who_leaves_nothing_at_all(server: Server, url: str) -> None:
    host = urlsplit(url).netloc
    with asked(server, url) as answer:
        answer.read()
    before = memory_mb(server)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(f"GET /flood HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        taken = connection.recv(65536)
        with asked(server, url) as answer:  # long enough for the 30 MB to have come, if anybody let them
            assert answer.read() == b"onetwo"
        assert memory_mb(server) - before < 12
        while len(taken) < 4 * 1024 * 1024:
            piece = connection.recv(65536)
            assert piece, "the stream has ended"
            taken += piece
    with asked(server, url, "flood") as answer:
        body = answer.read()
    assert (len(body), body[:4], body[-4:]) == (6 + 480 * 65536, b"onex", b"xtwo")


def test_many_read_at_once(server: Server, url: str) -> None:
    bodies: list[bytes] = []

    def read() -> None:
        with asked(server, url, "hold") as answer:
            bodies.append(answer.read())

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    join(*readers)
    assert bodies == [b"onetwo"] * 4


def test_a_handler_that_does_not_stream_is_answered_as_it_stands(server: Server, functions: Functions) -> None:
    name = functions.make({"app.py": BUFFERED})
    own = functions.open_url(name, **STREAMED)
    with asked(server, own, "x") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert json.loads(answer.read()) == {"statusCode": 418, "body": "/x"}
    changed = functions.client.update_function_url_config(FunctionName=name, InvokeMode="BUFFERED")
    assert changed["InvokeMode"] == functions.client.get_function_url_config(FunctionName=name)["InvokeMode"]
    with asked(server, own, "x") as answer:
        assert (answer.status, answer.read()) == (418, b"/x")


def test_a_runtime_of_the_functions_own_streams(server: Server, functions: Functions) -> None:
    own = functions.open_url(functions.make({"bootstrap": SHELL}, "provided.al2023"), **STREAMED)
    with asked(server, own) as answer:
        assert (answer.status, answer.read()) == (203, b"first second")


def test_who_may_not_call_gets_no_stream(server: Server, functions: Functions, url: str) -> None:
    name = functions.make({"index.mjs": STREAMS}, "nodejs20.x", "index.handler")
    created: dict[str, Any] = functions.client.create_function_url_config(
        FunctionName=name, AuthType="AWS_IAM", **STREAMED
    )
    assert created["InvokeMode"] == "RESPONSE_STREAM"
    with asked(server, created["FunctionUrl"]) as answer:
        assert (answer.status, json.loads(answer.read())["Message"][:10]) == (403, "Forbidden.")
    functions.client.update_function_url_config(FunctionName=name, AuthType="NONE")
    grant = {"FunctionName": name, "StatementId": "a", "Action": "lambda:InvokeFunctionUrl", "Principal": "*"}
    functions.client.add_permission(**grant, FunctionUrlAuthType="AWS_IAM")
    functions.client.add_permission(
        FunctionName=name,
        StatementId="b",
        Action="lambda:InvokeFunction",
        Principal="*",
        InvokedViaFunctionUrl=True,
    )
    with asked(server, created["FunctionUrl"]) as answer:
        assert answer.status == 403  # what is granted is for those who sign
    functions.client.remove_permission(FunctionName=name, StatementId="a")
    functions.client.add_permission(**grant, FunctionUrlAuthType="NONE")
    with asked(server, created["FunctionUrl"]) as answer:
        assert (answer.status, answer.read()) == (207, b"onetwo")


TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Chat:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: nodejs20.x
      Handler: index.handler
      InlineCode: |
        exports.handler = awslambda.streamifyResponse(async (event, out) => {
          out = awslambda.HttpResponseStream.from(out, {statusCode: 202});
          out.write('a'); out.end('b');
        });
      FunctionUrlConfig:
        AuthType: NONE
        InvokeMode: RESPONSE_STREAM
Outputs:
  Url:
    Value: !GetAtt ChatUrl.FunctionUrl
"""


def test_a_template_has_it_so(server: Server) -> None:
    stacks = server.client("cloudformation")
    stacks.create_stack(
        StackName="streams", TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    )
    stacks.get_waiter("stack_create_complete").wait(StackName="streams", WaiterConfig={"Delay": 1})
    (output,) = stacks.describe_stacks(StackName="streams")["Stacks"][0]["Outputs"]
    with asked(server, output["OutputValue"]) as answer:
        assert (answer.status, answer.read()) == (202, b"ab")
    stacks.delete_stack(StackName="streams")


TELLING = """
import json, os
def handler(event, context):
    trace = [event["headers"]["x-amzn-trace-id"], os.environ["_X_AMZN_TRACE_ID"]]
    return {"path": [event["rawPath"], event["requestContext"]["http"]["path"]], "trace": trace}
"""


def test_a_url_s_function_sees_the_path_as_it_came_and_its_own_trace(server: Server, functions: Functions) -> None:
    telling = functions.open_url(functions.make({"app.py": TELLING}))
    with asked(server, telling, "a%2Fb%20c") as answer:
        told = json.loads(answer.read())
    assert told["path"] == ["/a%2Fb%20c", "/a/b c"]
    root, own = told["trace"]
    assert root.startswith("Root=1-")
    assert own.startswith(f"{root};Parent=")
    given = "Root=1-68e77a60-0123456789abcdef01234567"
    with asked(server, telling, **{"X-Amzn-Trace-Id": given}) as answer:
        root, own = json.loads(answer.read())["trace"]
    assert (root, own.startswith(f"{given};Parent=")) == (given, True)
