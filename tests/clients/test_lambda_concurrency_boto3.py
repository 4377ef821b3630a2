"""Reserved concurrency through boto3, where several processes serve requests: the limit is that of all together."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, pairwise
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


class Group:
    """Several processes over one store, behind one or several addresses."""

    def __init__(self, servers: list[Server]) -> None:
        self._servers = servers
        self._turns = cycle(servers)

    def client(self, service: str, **more: Any) -> Any:
        """Return a client of whichever comes next."""
        return next(self._turns).client(service, **more)


@pytest.fixture(scope="module", params=["workers", "nodes"])
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    folder = tmp_path_factory.mktemp("group")
    if request.param == "workers":
        servers = [start_server(folder / "data", "--workers", "2")]
    else:
        cluster = request.getfixturevalue("postgres")
        store = cluster.url(cluster.new_database())
        servers = [start_server(folder / name, store=store) for name in ("one", "two")]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", CODE)
    group = Group(servers)
    role = group.client("iam").create_role(RoleName="one", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    group.client("lambda").create_function(
        FunctionName="one",
        Runtime="python3.12",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        Publish=True,
    )
    yield group
    assert [server.stop() for server in servers] == [0] * len(servers)


def invoke(group: Group, sleep: float, version: str = "$LATEST") -> Any:
    """Return when the function ran, or code, reason, status and Retry-After of a refusal, over a new connection."""
    functions = group.client("lambda", config=Config(retries={"max_attempts": 0}))
    try:
        payload = json.dumps({"sleep": sleep}).encode()
        return json.loads(functions.invoke(FunctionName="one", Qualifier=version, Payload=payload)["Payload"].read())
    except ClientError as refused:
        error = refused.response
        sent = error["ResponseMetadata"]
        return error["Error"]["Code"], error["Reason"], sent["HTTPStatusCode"], sent["HTTPHeaders"].get("retry-after")
    finally:
        functions.close()


def test_a_reservation_of_one_lets_one_run_at_a_time(group: Group) -> None:
    functions = group.client("lambda")
    functions.put_function_concurrency(FunctionName="one", ReservedConcurrentExecutions=1)
    assert [type(invoke(group, 0)) for _ in range(8)] == [list] * 8, "one after the other nobody is refused"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: invoke(group, 0.15), range(16)))
    ran = sorted(answer for answer in answers if isinstance(answer, list))
    refused = {answer for answer in answers if not isinstance(answer, list)}
    assert all(first[1] <= second[0] for first, second in pairwise(ran))
    assert refused == {("TooManyRequestsException", "ReservedFunctionConcurrentInvocationLimitExceeded", 429, "1")}
    functions.delete_function_concurrency(FunctionName="one")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: invoke(group, 0.15), range(4)))
    assert all(isinstance(answer, list) for answer in answers)


def test_what_is_provisioned_is_a_limit_of_all_together(group: Group) -> None:
    functions = group.client("lambda")
    named = {"FunctionName": "one", "Qualifier": "1"}
    functions.put_function_concurrency(FunctionName="one", ReservedConcurrentExecutions=2)
    functions.put_provisioned_concurrency_config(**named, ProvisionedConcurrentExecutions=2)
    deadline = time.monotonic() + 30
    while functions.get_provisioned_concurrency_config(**named)["Status"] != "READY":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [type(invoke(group, 0, "1")) for _ in range(8)] == [list] * 8
    assert invoke(group, 0)[0] == "TooManyRequestsException", "the version has all that the function has reserved"
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: invoke(group, 0.15, "1"), range(12)))
    ran = [answer for answer in answers if isinstance(answer, list)]
    for began, _ in ran:
        assert sum(other[0] <= began < other[1] for other in ran) <= 2
    functions.delete_provisioned_concurrency_config(**named)
    functions.delete_function_concurrency(FunctionName="one")
