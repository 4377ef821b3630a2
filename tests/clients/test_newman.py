"""newman runs a collection over an API of each kind: events, own answers, and requests that Postman signs."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.test_lambda_boto3 import TRUST, packed
from running import ROOT, Server

COLLECTION = Path(__file__).with_name("apis.postman_collection.json")
HANDLER = b"""
import json


def handler(event, context):
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(event)}
"""


@pytest.fixture(scope="module")
def urls(server: Server) -> Iterator[tuple[str, str]]:
    """The URLs of an HTTP API and a REST API with the same routes and one function."""
    iam, functions = server.client("iam"), server.client("lambda")
    role = iam.create_role(RoleName="newman-tests", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    function = functions.create_function(
        FunctionName="newman-tests",
        Runtime="python3.12",
        Role=role["Arn"],
        Handler="app.handler",
        Code={"ZipFile": packed({"app.py": HANDLER})},
    )["FunctionArn"]
    functions.add_permission(
        FunctionName=function, StatementId="s", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    v2, v1 = server.client("apigatewayv2"), server.client("apigateway")
    http = v2.create_api(Name="newman", ProtocolType="HTTP")["ApiId"]
    made = v2.create_integration(
        ApiId=http, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )
    rest = v1.create_rest_api(name="newman")
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    for part, kind in (("echo", "NONE"), ("signed", "AWS_IAM")):
        v2.create_route(
            ApiId=http,
            RouteKey=f"GET /{part}",
            AuthorizationType=kind,
            Target=f"integrations/{made['IntegrationId']}",
        )
        resource = v1.create_resource(restApiId=rest["id"], parentId=rest["rootResourceId"], pathPart=part)
        at = {"restApiId": rest["id"], "resourceId": resource["id"], "httpMethod": "GET"}
        v1.put_method(**at, authorizationType=kind)
        v1.put_integration(**at, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    v2.create_stage(ApiId=http, StageName="$default", AutoDeploy=True)
    v1.create_deployment(restApiId=rest["id"], stageName="dev")
    base = f"{server.endpoint}/_aws/execute-api"
    yield f"{base}/{http}/$default", f"{base}/{rest['id']}/dev"
    v2.delete_api(ApiId=http)
    v1.delete_rest_api(restApiId=rest["id"])
    functions.delete_function(FunctionName=function)
    iam.delete_role(RoleName="newman-tests")


@pytest.mark.slow
def test_newman_runs_the_collection_over_both_kinds(server: Server, urls: tuple[str, str]) -> None:
    newman = ROOT / "node_modules" / ".bin" / "newman"
    assert newman.exists(), "run `make test`, which installs newman"
    http, rest = urls
    command = [newman, "run", COLLECTION, "--env-var", f"httpUrl={http}", "--env-var", f"restUrl={rest}"]
    done = subprocess.run(
        [*command, "--color", "off"], env=server.environ(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
