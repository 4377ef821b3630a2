"""The aws cli against Lambda: each group of operations, as a shell session would have them."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aws_cli import Shell, aws_shell
from functions import Functions, packed
from patience import killed_if_silent
from running import Server

pytestmark = pytest.mark.slow
HANDLER = "def handler(event, context):\n    print('heard', event)\n    return {'version': context.function_version}\n"


@pytest.fixture(scope="module")
def shell(server: Server) -> Iterator[Shell]:
    with aws_shell(server) as opened:
        yield opened


@pytest.fixture(scope="module")
def role(server: Server) -> Iterator[str]:
    with Functions(server, "lambda-cli") as functions:
        yield functions.role


@pytest.fixture
def archive(tmp_path: Path) -> str:
    file = tmp_path / "function.zip"
    file.write_bytes(packed({"app.py": HANDLER}))
    return f"fileb://{file}"


@pytest.fixture
def function(shell: Shell, role: str, archive: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A function that waits to be used, named after its test; the waiters of the cli have seen it become active."""
    named = f"--function-name {request.node.name.replace('_', '-')}"
    shell.aws(
        f"lambda create-function {named} --runtime python3.12 --handler app.handler --role {role} --timeout 10 "
        f"--zip-file {archive}"
    )
    shell.aws(f"lambda wait function-active-v2 {named}")
    yield named
    shell.aws(f"lambda delete-function {named}")
    assert "(ResourceNotFoundException)" in shell.run(f"lambda get-function {named}")[2]


def invoke(shell: Shell, line: str, out: Path, payload: Any = None) -> tuple[Any, Any]:
    """Return what `aws lambda invoke` printed, and what it wrote."""
    told = shell.aws(f"lambda invoke {line} --payload", json.dumps(payload), str(out))
    content = out.read_text()
    return told, json.loads(content) if content else None


def test_functions(shell: Shell, function: str, archive: str, tmp_path: Path) -> None:
    aws, out = shell.aws, tmp_path / "out.json"
    told, answer = invoke(shell, f"{function} --log-type Tail", out, {"a": 1})
    assert (told["StatusCode"], told["ExecutedVersion"], answer) == (200, "$LATEST", {"version": "$LATEST"})
    assert "heard {'a': 1}" in base64.b64decode(told["LogResult"]).decode()
    assert invoke(shell, f"{function} --invocation-type Event", out)[0] == {"StatusCode": 202}
    assert invoke(shell, f"{function} --invocation-type DryRun", out)[0] == {"StatusCode": 204}
    assert "(InvalidRequestContentException)" in shell.run(f"lambda invoke {function} --payload !", str(out))[2]
    changed = aws(
        f"lambda update-function-configuration {function} --memory-size 256 --environment Variables={{KEY=1}} "
        "--logging-config LogFormat=JSON --ephemeral-storage Size=600"
    )
    assert (changed["MemorySize"], changed["Environment"]) == (256, {"Variables": {"KEY": "1"}})
    aws(f"lambda wait function-updated-v2 {function}")
    aws(f"lambda update-function-code {function} --zip-file {archive}")
    aws(f"lambda wait function-updated {function}")
    shown = aws(f"lambda get-function {function}")
    assert set(shown) >= {"Configuration", "Code"}
    listed = aws("lambda list-functions", "--query", "Functions[].FunctionName")
    assert function.split()[1] in listed
    assert aws("lambda get-account-settings")["AccountLimit"]["ConcurrentExecutions"] == 1000


def test_versions_and_aliases(shell: Shell, function: str, tmp_path: Path) -> None:
    aws = shell.aws
    first = aws(f"lambda publish-version {function} --description first")["Version"]
    aws(f"lambda wait published-version-active {function} --qualifier {first}")
    aws(f"lambda update-function-configuration {function} --description changed")
    second = aws(f"lambda publish-version {function}")["Version"]
    assert aws(f"lambda list-versions-by-function {function}", "--query", "Versions[].Version") == [
        "$LATEST",
        first,
        second,
    ]
    alias = aws(f"lambda create-alias {function} --name live --function-version {first}")
    assert aws(f"lambda get-alias {function} --name live") == alias
    routing = f"AdditionalVersionWeights={{{second}=0.5}}"
    updated = aws(f"lambda update-alias {function} --name live --routing-config {routing}")
    assert updated["RoutingConfig"] == {"AdditionalVersionWeights": {second: 0.5}}
    assert aws(f"lambda list-aliases {function}")["Aliases"] == [updated]
    aws(f"lambda update-alias {function} --name live --routing-config AdditionalVersionWeights={{}}")
    assert invoke(shell, f"{function} --qualifier live", tmp_path / "out")[1] == {"version": first}
    aws(f"lambda delete-alias {function} --name live")


def test_layers(shell: Shell, function: str, tmp_path: Path) -> None:
    aws = shell.aws
    (tmp_path / "layer.zip").write_bytes(packed({"python/shared.py": "VALUE = 7"}))
    layer = aws(
        "lambda publish-layer-version --layer-name cli-layer --compatible-runtimes python3.12 "
        f"--zip-file fileb://{tmp_path}/layer.zip"
    )
    (tmp_path / "app.zip").write_bytes(packed({"app.py": "import shared\ndef handler(e, c): return shared.VALUE"}))
    aws(f"lambda update-function-code {function} --zip-file fileb://{tmp_path}/app.zip")
    aws(f"lambda update-function-configuration {function} --layers {layer['LayerVersionArn']}")
    assert invoke(shell, function, tmp_path / "out")[1] == 7
    at = f"--layer-name cli-layer --version-number {layer['Version']}"
    assert aws(f"lambda get-layer-version {at}")["LayerArn"] == layer["LayerArn"]
    granted = aws(
        f"lambda add-layer-version-permission {at} --statement-id all --action lambda:GetLayerVersion --principal *"
    )
    assert json.loads(granted["Statement"])["Principal"] == "*"
    assert "all" in aws(f"lambda get-layer-version-policy {at}")["Policy"]
    aws(f"lambda remove-layer-version-permission {at} --statement-id all")
    assert "cli-layer" in aws("lambda list-layers", "--query", "Layers[].LayerName")
    assert len(aws("lambda list-layer-versions --layer-name cli-layer")["LayerVersions"]) == 1
    aws(f"lambda delete-layer-version {at}")


def test_addresses_and_permissions(shell: Shell, function: str) -> None:
    aws = shell.aws
    cors = "AllowOrigins=https://a.example,AllowMethods=GET,MaxAge=5"
    made = aws(
        f"lambda create-function-url-config {function} --auth-type NONE --cors {cors} --invoke-mode RESPONSE_STREAM"
    )
    assert (made["InvokeMode"], made["Cors"]["MaxAge"]) == ("RESPONSE_STREAM", 5)
    aws(f"lambda update-function-url-config {function} --auth-type AWS_IAM")
    assert aws(f"lambda get-function-url-config {function}")["AuthType"] == "AWS_IAM"
    assert len(aws(f"lambda list-function-url-configs {function}")["FunctionUrlConfigs"]) == 1
    aws(f"lambda delete-function-url-config {function}")
    added = aws(
        f"lambda add-permission {function} --statement-id s --action lambda:InvokeFunction "
        "--principal apigateway.amazonaws.com --source-account 000000000000"
    )
    assert json.loads(added["Statement"])["Principal"] == {"Service": "apigateway.amazonaws.com"}
    assert "apigateway" in aws(f"lambda get-policy {function}")["Policy"]
    aws(f"lambda remove-permission {function} --statement-id s")
    assert "(ResourceNotFoundException)" in shell.run(f"lambda get-policy {function}")[2]


def test_settings(shell: Shell, function: str) -> None:
    aws = shell.aws
    aws(f"lambda put-function-concurrency {function} --reserved-concurrent-executions 5")
    assert aws(f"lambda get-function-concurrency {function}") == {"ReservedConcurrentExecutions": 5}
    aws(f"lambda delete-function-concurrency {function}")
    aws(f"lambda put-function-event-invoke-config {function} --maximum-retry-attempts 1")
    aws(f"lambda update-function-event-invoke-config {function} --maximum-event-age-in-seconds 60")
    assert aws(f"lambda get-function-event-invoke-config {function}")["MaximumEventAgeInSeconds"] == 60
    assert len(aws(f"lambda list-function-event-invoke-configs {function}")["FunctionEventInvokeConfigs"]) == 1
    aws(f"lambda delete-function-event-invoke-config {function}")
    arn = aws(f"lambda get-function-configuration {function}")["FunctionArn"]
    aws(f"lambda tag-resource --resource {arn} --tags team=notes,stage=dev")
    aws(f"lambda untag-resource --resource {arn} --tag-keys stage")
    assert aws(f"lambda list-tags --resource {arn}") == {"Tags": {"team": "notes"}}
    aws(f"lambda put-function-recursion-config {function} --recursive-loop Allow")
    assert aws(f"lambda get-function-recursion-config {function}") == {"RecursiveLoop": "Allow"}
    aws(f"lambda put-runtime-management-config {function} --update-runtime-on FunctionUpdate")
    assert aws(f"lambda get-runtime-management-config {function}")["UpdateRuntimeOn"] == "FunctionUpdate"
    version = aws(f"lambda publish-version {function}")["Version"]
    aws(
        f"lambda put-provisioned-concurrency-config {function} --qualifier {version} "
        "--provisioned-concurrent-executions 1"
    )
    aws(f"lambda delete-provisioned-concurrency-config {function} --qualifier {version}")


def second_generation() -> str | None:
    """Return an `aws` of the second generation, which is in no registry of Python's but in those of systems."""
    for folder in os.environ["PATH"].split(os.pathsep):
        if (found := shutil.which("aws", path=folder)) is not None:
            asked = subprocess.run([found, "--version"], capture_output=True, text=True, check=False, timeout=60)
            if asked.stdout.startswith("aws-cli/2"):
                return found
    return None


def test_the_second_generation_follows_a_log(server: Server, shell: Shell, function: str, tmp_path: Path) -> None:
    program = second_generation()
    if program is None:
        pytest.skip("needs version 2 of the aws cli, for `aws logs tail`")

    def aws(*arguments: str) -> str:
        command = [program, "--endpoint-url", server.endpoint, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=server.environ(), timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    name = function.split()[1]
    out = str(tmp_path / "out")
    aws("lambda", "invoke", "--function-name", name, "--cli-binary-format", "raw-in-base64-out", "--payload", "7", out)
    following = subprocess.Popen(
        [
            program,
            "--endpoint-url",
            server.endpoint,
            "logs",
            "tail",
            f"/aws/lambda/{name}",
            "--follow",
            "--format",
            "short",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**server.environ(), "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert following.stdout is not None
        wanted = iter(("INIT_START", "START RequestId", "heard 7", "END RequestId", "REPORT RequestId", "heard 8"))
        next_wanted = next(wanted)
        with killed_if_silent(following):
            for line in following.stdout:
                if next_wanted not in line:
                    continue
                if next_wanted.startswith("REPORT"):
                    invoke(shell, function, tmp_path / "out", 8)
                if (another := next(wanted, None)) is None:
                    break
                next_wanted = another
            else:
                pytest.fail(f"{next_wanted} never came")
    finally:
        following.kill()
        following.wait(20)
        following.stdout.close()  # type: ignore[union-attr]
