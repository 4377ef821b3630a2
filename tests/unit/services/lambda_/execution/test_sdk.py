"""What the fork server does to boto3 before it forks: calls are made faster, not changed."""

import subprocess
import sys
from pathlib import Path

import pytest

import cumulet

SDK = Path(cumulet.__file__).parent / "services/lambda_/runtimes/python/sdk.py"

PROGRAM = """
import importlib.util, sys
import boto3
from botocore import useragent
sent = []
def header():
    session = boto3.session.Session()
    client = session.client("dynamodb", region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-")
    def note(request, **more):
        sent.append(request.headers["User-Agent"])
        return 1 / 0
    client.meta.events.register("before-send", note)
    for _ in range(2):
        try:
            client.list_tables()
        except ZeroDivisionError:
            pass
header()
spec = importlib.util.spec_from_file_location("sdk", sys.argv[1])
sdk = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sdk)
sdk.warm_up()
header()
print(len(sent), len(set(sent)), useragent.sanitize_user_agent_string_component.cache_info().hits > 0)
"""


@pytest.mark.slow
def test_user_agents_are_the_same_and_looked_at_once() -> None:
    command = [sys.executable, "-c", PROGRAM, str(SDK)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == "4 1 True\n"
