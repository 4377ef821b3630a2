"""A REST API whose answers reach the client as its function writes them."""

import http.client
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from functions import Functions
from running import Server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")]

STREAMS = """
import { setTimeout as sleep } from 'node:timers/promises';
export const handler = awslambda.streamifyResponse(async (event, out, context) => {
  const head = {statusCode: 207, headers: {'Content-Type': 'text/event-stream'}, cookies: ['a=1']};
  const web = awslambda.HttpResponseStream.from(out, head);
  web.write('one');
  await sleep(300);
  web.write('two');
  web.end();
});
"""

PIECES = 192
FLOODS = f"""
export const handler = awslambda.streamifyResponse(async (event, out) => {{
  const web = awslambda.HttpResponseStream.from(out, {{statusCode: 200}});
  const piece = Buffer.alloc(65536, 'x');
  for (let n = 0; n < (event.path === '/short' ? 1 : {PIECES}); n++) {{
    if (!web.write(piece)) await new Promise(go => web.once('drain', go));
  }}
  web.end();
}});
"""


@pytest.fixture(scope="module")
def functions(server: Server) -> Iterator[Functions]:
    with Functions(server, "rest-streaming") as made:
        yield made


def streaming_api(server: Server, functions: Functions, code: str) -> tuple[str, str]:
    """Return the id of an API whose every path is a function's that streams, and how its deployed stage begins."""
    apis: Any = server.client("apigateway")
    name = functions.make({"index.mjs": code}, "nodejs20.x", "index.handler", Timeout=120)
    arn = server.client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]
    integration = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "responseTransferMode": "STREAM",
        "uri": f"arn:aws:apigateway:us-east-1:lambda:path/2021-11-15/functions/{arn}/response-streaming-invocations",
    }
    document = {
        "openapi": "3.0.1",
        "info": {"title": "streams", "version": "1"},
        "paths": {path: {"get": {"x-amazon-apigateway-integration": integration}} for path in ("/", "/short")},
    }
    api_id = apis.import_rest_api(body=json.dumps(document))["id"]
    apis.create_deployment(restApiId=api_id, stageName="dev")
    server.client("lambda").add_permission(
        FunctionName=name, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    return api_id, f"/_aws/execute-api/{api_id}/dev"


def test_the_first_piece_is_there_before_the_second(server: Server, functions: Functions) -> None:
    api_id, base = streaming_api(server, functions, STREAMS)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", f"{base}/")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["content-type"]) == (207, "text/event-stream")
        assert answer.headers["set-cookie"] == "a=1"
        assert answer.read1() == b"one"  # the function still has its next piece in hand
        assert answer.read() == b"two"
    finally:
        connection.close()
    server.client("apigateway").delete_rest_api(restApiId=api_id)


def test_who_does_not_read_an_answer_holds_nobody_up(server: Server, functions: Functions) -> None:
    api_id, base = streaming_api(server, functions, FLOODS)
    idle = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=60) for _ in range(3)]
    try:
        answers = []
        for connection in idle:
            connection.request("GET", f"{base}/")
            answers.append(connection.getresponse())
        for _ in range(3):
            quick = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            quick.request("GET", f"{base}/short")
            assert len(quick.getresponse().read()) == 65_536
            quick.close()
        # Nothing is lost to whoever reads at last, and nobody minds one who never does.
        assert len(answers[0].read()) == PIECES * 65_536
    finally:
        for connection in idle:
            connection.close()
    server.client("apigateway").delete_rest_api(restApiId=api_id)
