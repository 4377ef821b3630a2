"""The aws cli against keys, plans, accounts and stages of REST APIs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aws_cli import Shell, aws_shell
from clients.test_rest_stages_boto3 import make_api
from running import Server

pytestmark = pytest.mark.slow

VALUE = "cli-0123456789-abcdefghij-0123"


@pytest.fixture(scope="module")
def shell(server: Server) -> Iterator[Shell]:
    with aws_shell(server) as opened:
        yield opened


def test_keys_and_plans(shell: Shell, server: Server, tmp_path: Path) -> None:
    aws = shell.aws
    api_id, _ = make_api(server.client("apigateway"))
    key = aws(f"apigateway create-api-key --name cli --enabled --value {VALUE} --tags a=1")
    assert aws(f"apigateway get-api-key --api-key {key['id']} --include-value")["value"] == VALUE
    plan = aws(
        f"apigateway create-usage-plan --name cli --api-stages apiId={api_id},stage=dev "
        "--throttle burstLimit=10,rateLimit=5 --quota limit=500,offset=0,period=MONTH"
    )
    at = f"--usage-plan-id {plan['id']}"
    added = aws(f"apigateway create-usage-plan-key {at} --key-type API_KEY --key-id {key['id']}")
    assert aws(f"apigateway get-usage-plan-keys {at}")["items"] == [added]
    patch = f"op=replace,path=/apiStages/{api_id}:dev/throttle/~1/GET/rateLimit,value=0.1"
    changed = aws(f"apigateway update-usage-plan {at} --patch-operations {patch}")
    assert changed["apiStages"][0]["throttle"] == {"//GET": {"rateLimit": 0.1}}
    more = "op=replace,path=/remaining,value=50"
    usage = aws(f"apigateway update-usage {at} --key-id {key['id']} --patch-operations {more}")
    assert usage["items"] == {key["id"]: [[0, 50]]}
    days = f"--start-date {usage['startDate']} --end-date {usage['endDate']}"
    assert aws(f"apigateway get-usage {at} {days}")["items"] == {key["id"]: [[0, 50]]}
    keys = tmp_path / "keys.csv"
    keys.write_text(f"name,key,enabled,usageplanids\nimported,{VALUE}-imported,true,{plan['id']}\n")
    imported = aws(f"apigateway import-api-keys --format csv --body fileb://{keys}")
    assert len(aws(f"apigateway get-usage-plan-keys {at}")["items"]) == 2
    for key_id in (key["id"], *imported["ids"]):
        aws(f"apigateway delete-api-key --api-key {key_id}")


def test_stages_and_accounts(shell: Shell, server: Server) -> None:
    aws = shell.aws
    api_id, method = make_api(server.client("apigateway"))
    at = f"--rest-api-id {api_id}"
    patch = "op=replace,path=/*/*/throttling/burstLimit,value=7"
    stage: Any = aws(f"apigateway update-stage {at} --stage-name dev --patch-operations {patch}")
    assert stage["methodSettings"]["*/*"]["throttlingBurstLimit"] == 7
    aws(f"apigateway flush-stage-cache {at} --stage-name dev")
    assert aws("apigateway get-account")["throttleSettings"]["burstLimit"] == 5000
    tried = aws(f"apigateway test-invoke-method {at} --resource-id {method['resourceId']} --http-method GET")
    assert (tried["status"], tried["log"].splitlines()[-1].endswith("Method completed with status: 200")) == (200, True)
