"""The notes application, deployed and used with the clients that people use: cumulet, newman, curl, the aws cli."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import ROOT, Server, start_server

NOTES = ROOT / "examples" / "notes"
pytestmark = pytest.mark.slow


def run(server: Server, *command: str, status: int = 0, text: str | None = None) -> str:
    """Run a command line client against the server; return what it printed."""
    done = subprocess.run(
        command, env=server.environ(), capture_output=True, text=True, check=False, timeout=120, cwd=ROOT, input=text
    )
    assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def cumulet(server: Server, *arguments: str, status: int = 0) -> str:
    return run(server, sys.executable, "-m", "cumulet", *arguments, status=status)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with the notes deployed, and the URL of their API."""
    server = start_server(tmp_path_factory.mktemp("notes") / "data")
    try:
        printed = cumulet(server, "deploy", str(NOTES))
        url = next(line.split()[1] for line in printed.splitlines() if "/_aws/execute-api/" in line)
        yield server, url
    finally:
        assert server.stop() == 0


def test_deploy_prints_a_line_per_resource_and_the_outputs(deployed: tuple[Server, str]) -> None:
    server, _ = deployed
    printed = cumulet(server, "deploy", str(NOTES), "--stack-name", "second")
    for logical_id in ("NotesTable", "NotesFunctionRole", "NotesFunction", "NotesApi"):
        assert any("CREATE_COMPLETE" in line and line.split()[-1] == logical_id for line in printed.splitlines())
    assert "ApiUrl" in printed
    assert "Nothing has changed." in cumulet(server, "deploy", str(NOTES), "--stack-name", "second")
    assert "DELETE_COMPLETE" in cumulet(server, "delete", "second")
    assert "there is no stack 'second'" in cumulet(server, "delete", "second", status=1)


def test_a_template_that_is_too_large_for_a_request_goes_by_way_of_s3(
    deployed: tuple[Server, str], tmp_path: Path
) -> None:
    server, _ = deployed
    template = {"Metadata": {"Of": "x" * 60_000}, "Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}}}
    (tmp_path / "template.json").write_text(json.dumps(template))
    assert "CREATE_COMPLETE" in cumulet(server, "deploy", str(tmp_path), "--stack-name", "large")


def test_newman_runs_the_postman_collection(deployed: tuple[Server, str]) -> None:
    server, url = deployed
    newman = ROOT / "node_modules" / ".bin" / "newman"
    assert newman.exists(), "run `make test`, which installs newman"
    collection = NOTES / "notes.postman_collection.json"
    run(server, str(newman), "run", str(collection), "--env-var", f"baseUrl={url}", "--bail", "--color", "off")


def test_curl_by_path_and_by_host_name(deployed: tuple[Server, str]) -> None:
    server, url = deployed
    body = json.dumps({"title": "Milk", "text": "two bottles"})
    note = json.loads(run(server, "curl", "-fsS", "-X", "POST", f"{url}/notes", "-d", body))
    api_id, stage = url.split("/")[-2:]
    by_host = f"http://{api_id}.execute-api.localhost:{server.port}/{stage}/notes/{note['id']}"
    resolved = ("--resolve", f"{api_id}.execute-api.localhost:{server.port}:127.0.0.1")
    assert json.loads(run(server, "curl", "-fsS", *resolved, by_host)) == note
    assert "404" in run(server, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/notes/nothing")


def test_logs_and_invoke_by_logical_id(deployed: tuple[Server, str]) -> None:
    server, _url = deployed
    event = {"resource": "/notes", "path": "/notes", "httpMethod": "GET"}
    printed = cumulet(server, "invoke", "NotesFunction", json.dumps(event))
    assert '"statusCode": 200' in printed
    assert "START RequestId" in printed
    assert "REPORT RequestId" in printed
    assert "KeyError" in cumulet(server, "invoke", "NotesFunction", "{}", status=1)
    assert "there is no function 'Nobody'" in cumulet(server, "invoke", "Nobody", status=1)
    assert "INIT_START" in cumulet(server, "logs", "NotesFunction")


def test_status_tells_what_is_there(deployed: tuple[Server, str]) -> None:
    server, _ = deployed
    printed = cumulet(server, "status")
    assert "notes  CREATE_COMPLETE" in printed
    assert "account     000000000000" in printed


def test_the_role_allows_what_it_says_and_nothing_else(deployed: tuple[Server, str]) -> None:
    """Take a permission away; the function then fails with AWS's words, and works again when it is back."""
    server, url = deployed
    iam = server.client("iam")
    role = next(r["RoleName"] for r in iam.list_roles()["Roles"] if "NotesFunctionRole" in r["RoleName"])
    policy = iam.get_role_policy(RoleName=role, PolicyName="notes-table")["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName="notes-table")
    try:
        assert "502" in run(server, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/notes")
        event = {"resource": "/notes", "path": "/notes", "httpMethod": "GET"}
        printed = cumulet(server, "invoke", "NotesFunction", json.dumps(event), status=1)
        assert "AccessDeniedException" in printed
        assert "is not authorized to perform: dynamodb:Query on resource: arn:aws:dynamodb:us-east-1:" in printed
        assert "because no identity-based policy allows the dynamodb:Query action" in printed
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="notes-table", PolicyDocument=json.dumps(policy))
    assert "200" in run(server, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/notes")


def test_the_aws_cli_packages_and_deploys(deployed: tuple[Server, str], tmp_path: Path) -> None:
    server, _ = deployed
    shutil.copytree(NOTES, tmp_path / "notes")
    packaged = tmp_path / "packaged.yaml"
    run(server, "aws", "s3", "mb", "s3://aws-cli-artifacts")
    template = str(tmp_path / "notes" / "template.yaml")
    package = ("aws", "cloudformation", "package", "--template-file", template)
    run(server, *package, "--s3-bucket", "aws-cli-artifacts", "--output-template-file", str(packaged))
    deploy = ("aws", "cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", "by-aws-cli")
    assert "InsufficientCapabilitiesException" in run(server, *deploy, status=255)
    assert "Successfully created/updated stack" in run(server, *deploy, "--capabilities", "CAPABILITY_IAM")
    # The aws cli names a change set by the second, and a deployment here takes less.
    deployed_at = int(time.time())
    while int(time.time()) == deployed_at:
        time.sleep(0.02)
    again = run(server, *deploy, "--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset")
    assert "No changes to deploy" in again
    outputs = json.loads(
        run(
            server,
            "aws",
            "cloudformation",
            "describe-stacks",
            "--stack-name",
            "by-aws-cli",
            "--query",
            "Stacks[0].Outputs",
        )
    )
    api_id = next(output["OutputValue"] for output in outputs if output["OutputKey"] == "ApiId")
    listed = run(server, "curl", "-fsS", f"{server.endpoint}/_aws/execute-api/{api_id}/Prod/notes")
    assert json.loads(listed) == {"notes": []}
    run(server, "aws", "cloudformation", "delete-stack", "--stack-name", "by-aws-cli")
    run(server, "aws", "cloudformation", "wait", "stack-delete-complete", "--stack-name", "by-aws-cli")


def test_down_ends_the_server(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    assert "Cumulet has stopped." in cumulet(server, "down")
    assert server.ended() == 0
    assert "no Cumulet answers" in cumulet(server, "status", status=1)
