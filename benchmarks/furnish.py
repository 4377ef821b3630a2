"""What servers are given before they are measured: tables, functions, the notes application."""

import io
import json
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from load import always, http_bytes, latencies, signed

ROOT = Path(__file__).resolve().parents[1]
HANDLER = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'ok'}\n"
ITEM = {
    "pk": {"S": "bench"},
    "sk": {"S": "0000"},
    "title": {"S": "A note of the usual length"},
    "body": {"S": "x" * 200},
    "version": {"N": "1"},
    "tags": {"SS": ["a", "b", "c"]},
}


def zipped(source: str, file: str = "index.py") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(file, source)
    return buffer.getvalue()


def connect(server: Any, service: str) -> Any:
    """Return a boto3 client of a server."""
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}, read_timeout=60),
    )


def make_table(server: Any) -> dict[str, Callable[[], bytes]]:
    """Make the table with its items, and return the requests of each path over it."""
    connect(server, "dynamodb").create_table(
        TableName="bench",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )

    def request(operation: str, body: dict[str, Any]) -> bytes:
        return signed(server.port, "dynamodb", f"DynamoDB_20120810.{operation}", "/", {"TableName": "bench", **body})

    # Each item in two versions, in turn: SQLite writes nothing, and syncs nothing, when a value does not change.
    puts = [
        request("PutItem", {"Item": {**ITEM, "sk": {"S": f"{n:04}"}, "version": {"N": version}}})
        for version in ("1", "2")
        for n in range(20)
    ]
    for put in puts:
        latencies(server.port, always(put), 0)
    key = {"pk": {"S": "bench"}, "sk": {"S": "0007"}}
    numbers = iter(range(10**9))
    update = request(
        "UpdateItem",
        {
            "Key": key,
            "UpdateExpression": "SET version = version + :one",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        },
    )
    query = request(
        "Query",
        {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "bench"}}},
    )
    return {
        "GetItem": always(request("GetItem", {"Key": key})),
        "PutItem": lambda: puts[next(numbers) % len(puts)],
        "UpdateItem with condition": always(update),
        "Query of 20": always(query),
    }


def deploy_notes(server: Any) -> tuple[bytes, str]:
    """Deploy the notes application and make a note. Return the request that reads it, and its id.

    The function runs on the Python that runs this, so that what is compared with it runs on the same.
    """
    command = [sys.executable, "-m", "cumulet", "deploy", str(ROOT / "examples/notes"), "--endpoint", server.endpoint]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    resources = connect(server, "cloudformation").describe_stack_resources(StackName="notes")["StackResources"]
    ids = {resource["ResourceType"]: resource["PhysicalResourceId"] for resource in resources}
    functions, name = connect(server, "lambda"), ids["AWS::Lambda::Function"]
    functions.update_function_configuration(FunctionName=name, Runtime=f"python3.{sys.version_info.minor}")
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    base = f"/_aws/execute-api/{ids['AWS::ApiGateway::RestApi']}/Prod/notes"
    body = json.dumps({"title": "bench", "text": "x" * 200}).encode()
    headers = {"content-type": "application/json"}
    made = urllib.request.Request(server.endpoint + base, data=body, method="POST", headers=headers)
    note = json.load(urllib.request.urlopen(made))
    return http_bytes("GET", f"{base}/{note['id']}", {"Host": f"127.0.0.1:{server.port}"}, b""), note["id"]


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (0 where /proc does not tell)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
