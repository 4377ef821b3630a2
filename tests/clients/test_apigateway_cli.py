"""The aws cli against both control planes: each group of operations, as a shell session would have them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aws_cli import Shell, aws_shell
from running import Server

pytestmark = pytest.mark.slow

CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
MOCK = '{"application/json":"{\\"statusCode\\": 200}"}'


@pytest.fixture(scope="module")
def shell(server: Server) -> Iterator[Shell]:
    with aws_shell(server) as opened:
        yield opened


def test_rest_apis(shell: Shell, fetch: Any, tmp_path: Path) -> None:
    aws = shell.aws
    api = aws("apigateway create-rest-api --name cli --tags a=1 --endpoint-configuration types=REGIONAL")
    at = f"--rest-api-id {api['id']}"
    (root,) = aws(f"apigateway get-resources {at}")["items"]
    made = aws(f"apigateway create-resource {at} --parent-id {root['id']} --path-part notes")
    method = f"{at} --resource-id {made['id']} --http-method GET"
    required = "method.request.querystring.x=true"
    aws(f"apigateway put-method {method} --authorization-type NONE --request-parameters {required}")
    aws(f"apigateway put-method-response {method} --status-code 200")
    aws(f"apigateway put-integration {method} --type MOCK --request-templates", MOCK)
    aws(
        f"apigateway put-integration-response {method} --status-code 200 --response-templates",
        '{"application/json":"hi"}',
    )
    shown = aws(f"apigateway get-method {method}")
    assert shown["methodIntegration"]["integrationResponses"]["200"]["responseTemplates"] == {"application/json": "hi"}

    schema = '{"type":"object"}'
    aws(f"apigateway create-model {at} --name Note --content-type application/json --schema", schema)
    assert aws(f"apigateway get-model {at} --model-name Note")["schema"] == schema
    validator = aws(f"apigateway create-request-validator {at} --name params --validate-request-parameters")
    patch = f"op=replace,path=/requestValidatorId,value={validator['id']}"
    aws(f"apigateway update-method {method} --patch-operations {patch}")
    deployment = aws(f"apigateway create-deployment {at} --stage-name dev --variables color=blue")
    url = f"/_aws/execute-api/{api['id']}/dev/notes"
    assert fetch("GET", f"{url}?x=1")[::2] == (200, b"hi")
    assert fetch("GET", url)[::2] == (400, b'{"message": "Missing required request parameters: [x]"}')
    aws(f"apigateway update-stage {at} --stage-name dev --patch-operations op=replace,path=/variables/color,value=red")
    assert aws(f"apigateway get-stage {at} --stage-name dev")["variables"] == {"color": "red"}
    aws(f"apigateway flush-stage-authorizers-cache {at} --stage-name dev")

    function = "arn:aws:lambda:us-east-1:000000000000:function:f"
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    guard = aws(
        f"apigateway create-authorizer {at} --name guard --type TOKEN --authorizer-uri {uri} "
        "--identity-source method.request.header.Authorization"
    )
    assert aws(f"apigateway get-authorizers {at}")["items"] == [guard]
    aws(f"apigateway put-gateway-response {at} --response-type THROTTLED --status-code 420")
    assert aws(f"apigateway get-gateway-response {at} --response-type THROTTLED")["statusCode"] == "420"
    words = '{"description":"all of them"}'
    part = aws(f"apigateway create-documentation-part {at} --location type=RESOURCE,path=/notes --properties", words)
    assert aws(f"apigateway get-documentation-parts {at}")["items"] == [part]
    exported = tmp_path / "export.json"
    aws(f"apigateway get-export {at} --stage-name dev --export-type oas30 {exported}")
    assert "/notes" in json.loads(exported.read_text())["paths"]
    tested = aws(f"apigateway test-invoke-method {method} --path-with-query-string /notes?x=1")
    assert (tested["status"], tested["body"]) == (200, "hi")
    assert "throttleSettings" in aws("apigateway get-account")
    key = aws("apigateway create-api-key --name cli --enabled")
    plan = aws(f"apigateway create-usage-plan --name cli --api-stages apiId={api['id']},stage=dev")
    aws(f"apigateway create-usage-plan-key --usage-plan-id {plan['id']} --key-id {key['id']} --key-type API_KEY")
    assert aws(f"apigateway get-usage-plan-keys --usage-plan-id {plan['id']}")["items"][0]["id"] == key["id"]

    arn = f"arn:aws:apigateway:us-east-1::/restapis/{api['id']}"
    aws(f"apigateway tag-resource --resource-arn {arn} --tags b=2")
    assert aws(f"apigateway get-tags --resource-arn {arn}")["tags"] == {"a": "1", "b": "2"}

    aws(
        f"apigateway create-domain-name --domain-name rest.cli.example --regional-certificate-arn {CERTIFICATE} "
        "--endpoint-configuration types=REGIONAL"
    )
    domain = "--domain-name rest.cli.example"
    aws(f"apigateway create-base-path-mapping {domain} --rest-api-id {api['id']} --stage dev")
    assert aws(f"apigateway get-base-path-mappings {domain}")["items"][0]["basePath"] == "(none)"
    assert fetch("GET", "/notes?x=1", None, {"Host": "rest.cli.example"})[::2] == (200, b"hi")
    aws(f"apigateway delete-base-path-mapping {domain} --base-path (none)")
    aws(f"apigateway delete-domain-name {domain}")

    stages = f"op=remove,path=/apiStages,value={api['id']}:dev"
    aws(f"apigateway update-usage-plan --usage-plan-id {plan['id']} --patch-operations {stages}")
    aws(f"apigateway delete-usage-plan --usage-plan-id {plan['id']}")
    aws(f"apigateway delete-api-key --api-key {key['id']}")
    status, _, err = shell.run(f"apigateway delete-deployment {at} --deployment-id {deployment['id']}")
    assert status != 0
    assert "(BadRequestException)" in err
    assert "Active stages pointing to this deployment must be moved or deleted" in err
    aws(f"apigateway delete-rest-api {at}")


def test_imports_of_rest_apis(shell: Shell, tmp_path: Path) -> None:
    document = tmp_path / "api.json"
    document.write_text(json.dumps({"swagger": "2.0", "info": {"title": "imported"}, "paths": {"/a": {}, "/b": {}}}))
    api = shell.aws(f"apigateway import-rest-api --body fileb://{document}")
    found = shell.aws(f"apigateway get-resources --rest-api-id {api['id']}")["items"]
    assert sorted(item["path"] for item in found) == ["/", "/a", "/b"]
    shell.aws(f"apigateway delete-rest-api --rest-api-id {api['id']}")


def test_http_apis(shell: Shell, fetch: Any, server: Server, tmp_path: Path) -> None:
    aws = shell.aws
    api = aws(
        "apigatewayv2 create-api --name cli --protocol-type HTTP --tags a=1 --cors-configuration AllowOrigins=https://a.example"
    )
    at = f"--api-id {api['ApiId']}"
    health = f"{server.endpoint}/_cumulet/health"
    integration = aws(
        f"apigatewayv2 create-integration {at} --integration-type HTTP_PROXY --integration-method GET "
        f"--payload-format-version 1.0 --integration-uri {health}"
    )
    guard = aws(
        f"apigatewayv2 create-authorizer {at} --name guard --authorizer-type JWT "
        "--identity-source $request.header.Authorization --jwt-configuration Audience=a,Issuer=http://127.0.0.1:9"
    )
    target = f"--target integrations/{integration['IntegrationId']}"
    aws(f"apigatewayv2 create-route {at} {target} --route-key", "GET /health")
    aws(
        f"apigatewayv2 create-route {at} {target} --authorization-type JWT --authorizer-id {guard['AuthorizerId']} "
        "--route-key",
        "GET /guarded",
    )
    keys = [route["RouteKey"] for route in aws(f"apigatewayv2 get-routes {at}")["Items"]]
    assert sorted(keys) == ["GET /guarded", "GET /health"]
    aws(f"apigatewayv2 create-stage {at} --stage-name $default --auto-deploy --stage-variables color=blue")
    url = f"/_aws/execute-api/{api['ApiId']}/$default"
    assert fetch("GET", f"{url}/health")[0] == 200
    assert fetch("GET", f"{url}/guarded")[::2] == (401, b'{"message":"Unauthorized"}')
    assert len(aws(f"apigatewayv2 get-deployments {at}")["Items"]) == 1
    aws(f"apigatewayv2 update-stage {at} --stage-name $default --default-route-settings ThrottlingBurstLimit=5")
    aws(f"apigatewayv2 reset-authorizers-cache {at} --stage-name $default")
    aws(f"apigatewayv2 delete-cors-configuration {at}")
    assert aws(f"apigatewayv2 get-models {at}") == {"Items": []}

    arn = f"arn:aws:apigateway:us-east-1::/apis/{api['ApiId']}"
    aws(f"apigatewayv2 tag-resource --resource-arn {arn} --tags b=2")
    assert aws(f"apigatewayv2 get-tags --resource-arn {arn}")["Tags"] == {"a": "1", "b": "2"}

    domain = "--domain-name http.cli.example"
    aws(f"apigatewayv2 create-domain-name {domain} --domain-name-configurations CertificateArn={CERTIFICATE}")
    mapping = aws(f"apigatewayv2 create-api-mapping {domain} {at} --stage $default --api-mapping-key a/b")
    assert fetch("GET", "/a/b/health", None, {"Host": "http.cli.example"})[0] == 200
    aws(f"apigatewayv2 delete-api-mapping {domain} --api-mapping-id {mapping['ApiMappingId']}")
    aws(f"apigatewayv2 delete-domain-name {domain}")

    document = {"openapi": "3.0.1", "info": {"title": "imported", "version": "1"}, "paths": {}}
    imported = aws("apigatewayv2 import-api --body", json.dumps(document))
    aws(f"apigatewayv2 delete-api --api-id {imported['ApiId']}")
    status, _, err = shell.run("apigatewayv2 create-api --name cli --protocol-type WEBSOCKET")
    assert status != 0
    assert "NotImplementedException" in err
    aws(f"apigatewayv2 delete-api {at}")
