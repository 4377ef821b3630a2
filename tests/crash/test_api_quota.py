"""kill -9 does not give a key back what it has used of its quota."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from clients.test_rest_stages_boto3 import make_api
from running import Server, start_server

pytestmark = pytest.mark.slow

VALUE = "0123456789abcdefghij0123456789"


def status_of(server: Server, api_id: str) -> int:
    """Return the status of a request with the key."""
    url = f"{server.endpoint}/_aws/execute-api/{api_id}/dev/"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"x-api-key": VALUE}), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code


def test_what_was_used_stays_used(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    try:
        gateway = server.client("apigateway")
        api_id, at = make_api(gateway)
        required = [{"op": "replace", "path": "/apiKeyRequired", "value": "true"}]
        gateway.update_method(**at, patchOperations=required)
        gateway.create_deployment(restApiId=api_id, stageName="dev")
        key_id = gateway.create_api_key(value=VALUE, enabled=True)["id"]
        plan_id = gateway.create_usage_plan(
            name="p", apiStages=[{"apiId": api_id, "stage": "dev"}], quota={"limit": 3, "period": "MONTH"}
        )["id"]
        gateway.create_usage_plan_key(usagePlanId=plan_id, keyId=key_id, keyType="API_KEY")
        assert [status_of(server, api_id) for _ in range(2)] == [200, 200]
    finally:
        server.kill()
    server = start_server(tmp_path / "data")
    try:
        assert [status_of(server, api_id) for _ in range(2)] == [200, 429]
    finally:
        server.stop()
