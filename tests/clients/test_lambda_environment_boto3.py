"""What surrounds a function, through boto3: extensions from layers, traces, loops."""

import base64
import io
import json
import os
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["lambda:InvokeFunction", "logs:*"], "Resource": "*"}],
}
AGENT = """#!/var/lang/bin/python -IS
import http.client, json, os
line = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def ask(method, path, body=None, **headers):
    line.request(method, "/2020-01-01/extension/" + path, body,
                 {"Lambda-Extension-" + name.replace("_", "-"): value for name, value in headers.items()})
    answer = line.getresponse()
    return answer.headers, json.loads(answer.read())
headers, _ = ask("POST", "register", '{"events": ["INVOKE", "SHUTDOWN"]}', Name="agent", Accept_Feature="accountId")
me = headers["Lambda-Extension-Identifier"]
while True:
    _, event = ask("GET", "event/next", Identifier=me)
    print("agent saw", event["eventType"], event.get("shutdownReason", ""), flush=True)
    if event["eventType"] == "SHUTDOWN":
        break
"""
LOOP = """
import boto3, json, os
client = boto3.client("lambda")
def handler(event, context):
    try:
        answer = client.invoke(FunctionName=context.function_name, Payload=json.dumps(event + 1))
    except client.exceptions.RecursiveInvocationException as stopped:
        return [event, stopped.response["Error"]["Code"]]
    return json.loads(answer["Payload"].read())
"""
LISTS_TABLES = """
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    try:
        return sorted(client.list_tables())[:1]
    except client.exceptions.ClientError as refused:
        return refused.response["Error"]["Code"]
"""
TRACE = "import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n"


def zipped(files: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, text in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o755 << 16
            opened.writestr(member, text)
    return archive.getvalue()


@pytest.fixture(scope="module")
def functions(server: Any) -> Any:
    return server.client("lambda")


@pytest.fixture(scope="module")
def role(server: Any) -> str:
    iam = server.client("iam")
    made = iam.create_role(RoleName="environment-client-tests", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="environment-client-tests", PolicyName="runs", PolicyDocument=json.dumps(ALLOWED))
    return str(made["Role"]["Arn"])


@pytest.fixture
def make(functions: Any, role: str) -> Any:
    """Makes functions of a few lines, and removes them in the end."""
    made: list[str] = []

    def make_one(name: str, code: str, **more: Any) -> str:
        functions.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=role,
            Handler="app.handler",
            Timeout=20,
            MemorySize=512,
            Code={"ZipFile": zipped({"app.py": code})},
            **more,
        )
        made.append(name)
        return name

    yield make_one
    for name in made:
        functions.delete_function(FunctionName=name)


Make = Callable[..., str]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces")
def test_an_extension_in_a_layer(functions: Any, make: Make, client: Callable[..., Any]) -> None:
    layer = functions.publish_layer_version(LayerName="agent", Content={"ZipFile": zipped({"extensions/agent": AGENT})})
    name = make("beside-agent", "def handler(e, c):\n    return e\n", Layers=[layer["LayerVersionArn"]])
    answer = functions.invoke(FunctionName=name, Payload=b"7", LogType="Tail")
    assert answer["Payload"].read() == b"7"
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE,SHUTDOWN]\n" in tail
    functions.update_function_configuration(FunctionName=name, Description="another")
    logs = client("logs")
    deadline = time.monotonic() + 20
    while True:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        said = [event["message"].strip() for event in events if event["message"].startswith("agent saw")]
        if said == ["agent saw INVOKE", "agent saw SHUTDOWN spindown"]:
            break
        assert time.monotonic() < deadline, [event["message"] for event in events]
        time.sleep(0.05)  # real time: the environment ends in a process of its own
    functions.delete_layer_version(LayerName="agent", VersionNumber=layer["Version"])


def test_a_function_that_calls_itself_is_stopped(functions: Any, make: Make) -> None:
    name = make("calls-itself", LOOP)
    answer = functions.invoke(FunctionName=name, Payload=b"1")
    assert json.loads(answer["Payload"].read()) == [16, "RecursiveInvocationException"]


def test_the_trace_of_a_request_is_the_functions(functions: Any, make: Make) -> None:
    name = make("traced", TRACE)
    root = "1-67891233-abcdef012345678912345678"

    def mark(params: dict[str, Any], **_: Any) -> None:
        params["headers"]["X-Amzn-Trace-Id"] = f"Root={root};Sampled=1"

    functions.meta.events.register("before-call.lambda.Invoke", mark)
    try:
        answer = functions.invoke(FunctionName=name)
    finally:
        functions.meta.events.unregister("before-call.lambda.Invoke", mark)
    header = json.loads(answer["Payload"].read())
    fields = dict(field.split("=") for field in header.split(";"))
    assert (fields["Root"], fields["Sampled"]) == (root, "1")
    assert len(fields["Parent"]) == 16
    assert fields["Lineage"].endswith(":1")


def test_the_trace_of_a_request_to_an_api_is_the_functions(
    functions: Any, make: Make, client: Callable[..., Any], fetch: Callable[..., tuple[int, dict[str, str], bytes]]
) -> None:
    name = make(
        "traced-by-api",
        "import os\ndef handler(event, context):\n"
        "    return [os.environ['_X_AMZN_TRACE_ID'], event['headers']['x-amzn-trace-id']]\n",
    )
    arn = functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    gateway = client("apigatewayv2")
    api = gateway.create_api(Name=name, ProtocolType="HTTP", Target=arn)["ApiId"]
    functions.add_permission(
        FunctionName=name, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    try:
        status, _, body = fetch("GET", f"/_aws/execute-api/{api}/$default/")
    finally:
        gateway.delete_api(ApiId=api)
    assert status == 200
    functions_own, gateways = (dict(field.split("=") for field in header.split(";")) for header in json.loads(body))
    assert functions_own["Root"] == gateways["Root"]


def test_a_policy_tells_functions_of_one_role_apart(functions: Any, make: Make, client: Callable[..., Any]) -> None:
    names = [make("told-apart-1", LISTS_TABLES), make("told-apart-2", LISTS_TABLES)]
    only = {"lambda:SourceFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:told-apart-1"}
    statement = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*", "Condition": {"ArnEquals": only}}
    named = {"RoleName": "environment-client-tests", "PolicyName": "told-apart"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("iam").put_role_policy(**named, PolicyDocument=text)

    answers = [json.loads(functions.invoke(FunctionName=name)["Payload"].read()) for name in names]

    assert answers == [["ResponseMetadata"], "AccessDeniedException"]
