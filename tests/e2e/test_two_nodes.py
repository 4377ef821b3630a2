"""What one node has acknowledged is in force for the next request on the other, whatever that one kept in memory."""

import http.client
import io
import json
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from running import Server, start_server

pytestmark = pytest.mark.slow

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
TELL = "import os\ndef handler(event, context):\n    return {'statusCode': 200, 'body': os.environ.get('SAYS', '-')}\n"
ROUNDS = 3


class _Body(io.BytesIO):
    def stream(self, **kwargs: Any) -> Iterator[bytes]:
        yield self.read()


class Node:
    """One process of the server, through a connection that stays with it."""

    def __init__(self, server: Server, connection: http.client.HTTPConnection) -> None:
        self.server = server
        self.connection = connection
        self.pid = 0
        self.client = cache(self._make_client)

    def send(self, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any, bytes]:
        """Return the answer of this process."""
        self.connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def _make_client(self, service: str, **more: Any) -> Any:
        """Return a boto3 client whose requests go to this process."""
        client = self.server.client(service, **more)

        def send(request: Any, **kwargs: Any) -> AWSResponse:
            parts = urlsplit(request.url)
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            headers = {
                name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
            }
            status, answered, body = self.send(request.method, path, request.body, headers)
            return AWSResponse(request.url, status, answered, _Body(body))

        client.meta.events.register("before-send", send)
        return client


@contextmanager
def two_processes(folder: Path) -> Iterator[tuple[Node, Node]]:
    """Yield both processes of a server."""
    server = start_server(folder / "data", "--workers", "2")
    nodes: dict[int, Node] = {}
    spare = []
    try:
        while len(nodes) < 2:
            node = Node(server, http.client.HTTPConnection("localhost", server.port, timeout=30))
            spare.append(node)
            node.pid = json.loads(node.send("GET", "/_cumulet/health")[2])["pid"]
            nodes.setdefault(node.pid, node)
        one, other = nodes.values()
        yield one, other
    finally:
        for node in spare:
            node.connection.close()
        server.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """Both processes of a server that the tests share."""
    with two_processes(tmp_path_factory.mktemp("two")) as both:
        yield both


def code_of(says: str | None = None) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("index.py", TELL if says is None else TELL.replace("'-'", repr(says)))
    return archive.getvalue()


def make_function(node: Node, name: str, says: str) -> str:
    role = node.client("iam").create_role(RoleName=f"role-{name}", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    made = node.client("lambda").create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.11",
        Handler="index.handler",
        Timeout=30,
        Code={"ZipFile": code_of(says)},
    )
    return str(made["FunctionArn"])


def say(node: Node, name: str) -> Any:
    answer = node.client("lambda").invoke(FunctionName=name)
    return json.loads(answer["Payload"].read())["body"]


def code_for(call: Any, **params: Any) -> str:
    """Return the code of the error that a call gets."""
    with pytest.raises(ClientError) as refused:
        call(**params)
    return str(refused.value.response["Error"]["Code"])


def test_functions(pair: tuple[Node, Node]) -> None:
    one, other = pair
    make_function(one, "changing", "first")
    assert [say(node, "changing") for node in pair] == ["first", "first"]  # both keep an environment of it
    for number in range(ROUNDS):
        changing, asked = (one, other) if number % 2 else (other, one)
        changing.client("lambda").update_function_configuration(
            FunctionName="changing", Environment={"Variables": {"SAYS": str(number)}}
        )
        assert say(asked, "changing") == str(number)
    one.client("lambda").update_function_configuration(FunctionName="changing", Environment={"Variables": {}})
    one.client("lambda").update_function_code(FunctionName="changing", ZipFile=code_of("second"))
    assert say(other, "changing") == "second"
    one.client("lambda").delete_function(FunctionName="changing")
    assert code_for(other.client("lambda").invoke, FunctionName="changing") == "ResourceNotFoundException"


def test_permissions(pair: tuple[Node, Node]) -> None:
    one, other = pair
    iam = one.client("iam")
    iam.create_user(UserName="worker")
    key = iam.create_access_key(UserName="worker")["AccessKey"]
    tables = other.client("dynamodb", key_id=key["AccessKeyId"], secret=key["SecretAccessKey"])
    policy = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}}
    )
    for _ in range(ROUNDS):
        assert code_for(tables.list_tables) == "AccessDeniedException"
        iam.put_user_policy(UserName="worker", PolicyName="all", PolicyDocument=policy)
        tables.list_tables()
        iam.delete_user_policy(UserName="worker", PolicyName="all")
    iam.update_access_key(UserName="worker", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert code_for(tables.list_tables) == "UnrecognizedClientException"


def test_tables(pair: tuple[Node, Node]) -> None:
    one, other = pair
    for number in range(ROUNDS):
        making, asked = (one, other) if number % 2 else (other, one)
        name = f"key{number}"
        making.client("dynamodb").create_table(
            TableName="shape",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": name, "KeyType": "HASH"}],
        )
        asked.client("dynamodb").get_waiter("table_exists").wait(TableName="shape")
        asked.client("dynamodb").put_item(TableName="shape", Item={name: {"S": "x"}, "n": {"N": "1"}})
        found = making.client("dynamodb").get_item(TableName="shape", Key={name: {"S": "x"}}, ConsistentRead=True)
        assert found["Item"]["n"] == {"N": "1"}
        making.client("dynamodb").delete_table(TableName="shape")
        making.client("dynamodb").get_waiter("table_not_exists").wait(TableName="shape")
        put = asked.client("dynamodb").put_item
        assert code_for(put, TableName="shape", Item={name: {"S": "x"}}) == "ResourceNotFoundException"


def test_apis(pair: tuple[Node, Node]) -> None:
    one, other = pair
    functions = [make_function(one, name, name) for name in ("left", "right")]
    for name in ("left", "right"):
        one.client("lambda").add_permission(
            FunctionName=name,
            StatementId="api",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
    api = one.client("apigatewayv2").create_api(Name="two", ProtocolType="HTTP", Target=functions[0])
    [integration] = one.client("apigatewayv2").get_integrations(ApiId=api["ApiId"])["Items"]
    path = f"/_aws/execute-api/{api['ApiId']}/"
    assert [node.send("GET", path)[2] for node in pair] == [b"left", b"left"]
    for number in range(ROUNDS):
        changing, asked = (one, other) if number % 2 else (other, one)
        changing.client("apigatewayv2").update_integration(
            ApiId=api["ApiId"], IntegrationId=integration["IntegrationId"], IntegrationUri=functions[1 - number % 2]
        )
        assert asked.send("GET", path)[2] == [b"left", b"right"][1 - number % 2]
    for name in ("left", "right"):
        one.client("lambda").remove_permission(FunctionName=name, StatementId="api")
    assert other.send("GET", path)[0] == 500
    one.client("apigatewayv2").delete_api(ApiId=api["ApiId"])
    assert other.send("GET", path)[0] == 403  # nobody's API, as far as a caller may know


def test_the_clock(pair: tuple[Node, Node]) -> None:
    one, other = pair
    for _ in range(ROUNDS):
        body, headers = json.dumps({"advance_seconds": 100}), {"Content-Type": "application/json"}
        status, _, moved = one.send("POST", "/_cumulet/clock", body, headers)
        seen = json.loads(other.send("GET", "/_cumulet/clock")[2])
        assert (status, seen["ahead_seconds"]) == (200, json.loads(moved)["ahead_seconds"])


def test_the_status_names_both(pair: tuple[Node, Node]) -> None:
    told = [json.loads(node.send("GET", "/_cumulet/status")[2]) for node in pair]
    names = [{node["node_id"] for node in status["nodes"]} for status in told]
    assert names[0] == names[1]
    assert len(names[0]) == 2
    assert [sum(node["answers_this"] for node in status["nodes"]) for status in told] == [1, 1]
    assert told[0]["leases"] == told[1]["leases"]


def test_a_stack_whose_process_is_killed_comes_to_rest_within_seconds(tmp_path: Path) -> None:
    resources = {f"Group{n}": {"Type": "AWS::Logs::LogGroup", "Properties": {}} for n in range(200)}
    with two_processes(tmp_path) as (one, other):
        stacks = other.client("cloudformation")
        begin = partial(one.client("cloudformation").create_stack, StackName="cut")
        template = json.dumps({"Resources": resources})
        with ThreadPoolExecutor(1) as background:
            begun = background.submit(begin, TemplateBody=template)
            while not stacks.describe_stacks()["Stacks"]:
                assert not begun.done()
            os.kill(one.pid, signal.SIGKILL)
            killed_s = time.monotonic()
            assert begun.exception(30) is not None
        status = "CREATE_IN_PROGRESS"
        while status.endswith("IN_PROGRESS"):
            assert time.monotonic() < killed_s + 20
            time.sleep(0.05)
            status = stacks.describe_stacks(StackName="cut")["Stacks"][0]["StackStatus"]
        assert status == "ROLLBACK_COMPLETE"
        assert other.client("logs").describe_log_groups()["logGroups"] == []
