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


@pytest.fixture(scope="module")
def functions(server: Server) -> Iterator[Functions]:
    with Functions(server, "rest-streaming") as made:
        yield made


def test_the_first_piece_is_there_before_the_second(server: Server, functions: Functions) -> None:
    apis: Any = server.client("apigateway")
    name = functions.make({"index.mjs": STREAMS}, "nodejs20.x", "index.handler")
    arn = server.client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]
    document = {
        "openapi": "3.0.1",
        "info": {"title": "streams", "version": "1"},
        "paths": {
            "/": {
                "get": {
                    "x-amazon-apigateway-integration": {
                        "type": "aws_proxy",
                        "httpMethod": "POST",
                        "responseTransferMode": "STREAM",
                        "uri": "arn:aws:apigateway:us-east-1:lambda:path/2021-11-15/functions/"
                        f"{arn}/response-streaming-invocations",
                    }
                }
            }
        },
    }
    api_id = apis.import_rest_api(body=json.dumps(document))["id"]
    apis.create_deployment(restApiId=api_id, stageName="dev")
    server.client("lambda").add_permission(
        FunctionName=name, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", f"/_aws/execute-api/{api_id}/dev/")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["content-type"]) == (207, "text/event-stream")
        assert answer.headers["set-cookie"] == "a=1"
        assert answer.read1() == b"one"  # the function still has its next piece in hand
        assert answer.read() == b"two"
    finally:
        connection.close()
    apis.delete_rest_api(restApiId=api_id)
