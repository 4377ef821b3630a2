"""Reserved concurrency through boto3, where several processes serve requests: the limit is that of all together."""

import io
import json
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from running import Server, start_server

pytestmark = pytest.mark.slow

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
CODE = """
import time

def handler(event, context):
    began = time.monotonic()
    time.sleep(event["sleep"])
    return [began, time.monotonic()]
"""


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("group") / "data", "--workers", "2")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", CODE)
    role = server.client("iam").create_role(RoleName="one", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    functions = server.client("lambda")
    functions.create_function(
        FunctionName="one",
        Runtime="python3.12",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    yield server
    assert server.stop() == 0


def invoke(server: Server, sleep: float) -> Any:
    """Return when the function ran, or code, reason and status of a refusal; over a connection of its own."""
    functions = server.client("lambda", config=Config(retries={"max_attempts": 0}))
    try:
        payload = json.dumps({"sleep": sleep}).encode()
        return json.loads(functions.invoke(FunctionName="one", Payload=payload)["Payload"].read())
    except ClientError as refused:
        error = refused.response
        return error["Error"]["Code"], error["Reason"], error["ResponseMetadata"]["HTTPStatusCode"]
    finally:
        functions.close()


def test_a_reservation_of_one_lets_one_run_at_a_time(group: Server) -> None:
    functions = group.client("lambda")
    functions.put_function_concurrency(FunctionName="one", ReservedConcurrentExecutions=1)
    assert [type(invoke(group, 0)) for _ in range(12)] == [list] * 12, "one after the other nobody is refused"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: invoke(group, 0.3), range(16)))
    ran = sorted(answer for answer in answers if isinstance(answer, list))
    refused = {answer for answer in answers if not isinstance(answer, list)}
    assert all(first[1] <= second[0] for first, second in pairwise(ran))
    assert refused == {("TooManyRequestsException", "ReservedFunctionConcurrentInvocationLimitExceeded", 429)}
    functions.delete_function_concurrency(FunctionName="one")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: invoke(group, 0.3), range(4)))
    assert all(isinstance(answer, list) for answer in answers)
