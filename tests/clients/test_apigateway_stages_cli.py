"""The aws cli: canaries, client certificates, authorizers that are tried, and what else of an API is shown by name."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aws_cli import Shell, aws_shell
from running import Server

pytestmark = pytest.mark.slow

CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
MOCK = '{"application/json":"{\\"statusCode\\": 200}"}'
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:nobody"


@pytest.fixture(scope="module")
def shell(server: Server) -> Iterator[Shell]:
    with aws_shell(server) as opened:
        yield opened


@pytest.fixture
def api(shell: Shell) -> Iterator[dict[str, Any]]:
    """A REST API whose GET /notes says `first`, deployed to the stage dev, with the arguments that lead to it."""
    made = shell.aws("apigateway create-rest-api --name cli-stages")
    at = f"--rest-api-id {made['id']}"
    root = made["rootResourceId"]
    notes = shell.aws(f"apigateway create-resource {at} --parent-id {root} --path-part notes")
    method = f"{at} --resource-id {notes['id']} --http-method GET"
    shell.aws(f"apigateway put-method {method} --authorization-type NONE")
    shell.aws(f"apigateway put-method-response {method} --status-code 200")
    shell.aws(f"apigateway put-integration {method} --type MOCK --request-templates", MOCK)
    say(shell, method, "first")
    first = shell.aws(f"apigateway create-deployment {at} --stage-name dev --variables color=blue")
    yield {"id": made["id"], "at": at, "method": method, "notes": notes["id"], "first": first["id"], "root": root}
    shell.aws(f"apigateway delete-rest-api {at}")


def say(shell: Shell, method: str, words: str) -> None:
    template = json.dumps({"application/json": f"{words} $stageVariables.color"})
    shell.aws(f"apigateway put-integration-response {method} --status-code 200 --response-templates", template)


def refused(shell: Shell, line: str, code: str, *more: str) -> str:
    """Return what `aws` says of a command that is refused with this code."""
    status, _, err = shell.run(line, *more)
    assert status != 0
    assert f"({code})" in err
    return err


def test_a_canary_is_made_promoted_and_deleted(shell: Shell, api: dict[str, Any], fetch: Any) -> None:
    aws, at, url = shell.aws, api["at"], f"/_aws/execute-api/{api['id']}/dev/notes"
    say(shell, api["method"], "second")
    canary = '{"percentTraffic":100,"stageVariableOverrides":{"color":"green"},"useStageCache":false}'
    second = aws(f"apigateway create-deployment {at} --stage-name dev --canary-settings", canary)["id"]
    stage = aws(f"apigateway get-stage {at} --stage-name dev")
    assert (stage["deploymentId"], stage["canarySettings"]["deploymentId"]) == (api["first"], second)
    assert fetch("GET", url)[2] == b"second green"
    none = "op=replace,path=/canarySettings/percentTraffic,value=0.0"
    aws(f"apigateway update-stage {at} --stage-name dev --patch-operations {none}")
    assert fetch("GET", url)[2] == b"first blue"

    promote = (
        "op=replace,path=/canarySettings/percentTraffic,value=0.0 "
        "op=copy,from=/canarySettings/stageVariableOverrides,path=/variables "
        "op=copy,from=/canarySettings/deploymentId,path=/deploymentId"
    )
    stage = aws(f"apigateway update-stage {at} --stage-name dev --patch-operations {promote}")
    assert (stage["deploymentId"], stage["variables"]) == (second, {"color": "green"})
    assert fetch("GET", url)[2] == b"second green"
    gone = aws(f"apigateway update-stage {at} --stage-name dev --patch-operations op=remove,path=/canarySettings")
    assert "canarySettings" not in gone
    line = f"apigateway update-stage {at} --stage-name dev --patch-operations {promote.rpartition(' ')[2]}"
    assert "The stage has no canary settings" in refused(shell, line, "BadRequestException")

    assert [stage["stageName"] for stage in aws(f"apigateway get-stages {at}")["item"]] == ["dev"]
    assert aws(f"apigateway get-stages {at} --deployment-id {api['first']}")["item"] == []
    shown = aws(f"apigateway get-deployment {at} --deployment-id {second} --embed apisummary")
    assert shown["apiSummary"] == {"/notes": {"GET": {"authorizationType": "NONE", "apiKeyRequired": False}}}
    aws(f"apigateway delete-deployment {at} --deployment-id {api['first']}")
    line = f"apigateway get-deployment {at} --deployment-id {api['first']}"
    assert "Invalid Deployment identifier specified" in refused(shell, line, "NotFoundException")


def test_a_client_certificate_is_made_shown_used_and_deleted(shell: Shell, api: dict[str, Any]) -> None:
    aws, at = shell.aws, api["at"]
    made = aws("apigateway generate-client-certificate --description cli --tags a=1")
    assert made["pemEncodedCertificate"].startswith("-----BEGIN CERTIFICATE-----")
    name = f"--client-certificate-id {made['clientCertificateId']}"
    assert aws(f"apigateway get-client-certificate {name}") == made
    assert made in aws("apigateway get-client-certificates")["items"]
    patch = "op=replace,path=/description,value=changed"
    assert aws(f"apigateway update-client-certificate {name} --patch-operations {patch}")["description"] == "changed"
    use = f"op=replace,path=/clientCertificateId,value={made['clientCertificateId']}"
    aws(f"apigateway update-stage {at} --stage-name dev --patch-operations {use}")
    refused(shell, f"apigateway delete-client-certificate {name}", "ConflictException")
    aws(f"apigateway update-stage {at} --stage-name dev --patch-operations op=replace,path=/clientCertificateId,value=")
    aws(f"apigateway delete-client-certificate {name}")
    refused(shell, f"apigateway get-client-certificate {name}", "NotFoundException")


def test_authorizers_are_tried_and_changed(shell: Shell, api: dict[str, Any]) -> None:
    aws, at = shell.aws, api["at"]
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
    source = "--identity-source method.request.header.Authorization"
    guard = aws(
        f"apigateway create-authorizer {at} --name guard --type TOKEN --authorizer-uri {uri} {source} "
        "--identity-validation-expression ^open$"
    )
    named = f"{at} --authorizer-id {guard['id']}"
    tried = f"apigateway test-invoke-authorizer {named} --headers"
    assert aws(f"{tried} Authorization=closed")["clientStatus"] == 401
    assert aws(f"{tried} Authorization=open")["clientStatus"] == 500  # there is no such function
    patch = "op=replace,path=/authorizerResultTtlInSeconds,value=60"
    assert aws(f"apigateway update-authorizer {named} --patch-operations {patch}")["authorizerResultTtlInSeconds"] == 60
    aws(f"apigateway delete-authorizer {named}")
    refused(shell, f"{tried} Authorization=open", "NotFoundException")


def test_what_a_jwt_authorizer_trusts_is_replaced(shell: Shell, server: Server, api: dict[str, Any]) -> None:
    # Not every version of the cli can make one.
    apis = server.client("apigateway")
    issuer = {"issuer": "https://a.example", "audiences": ["app"]}
    trusted: dict[str, Any] = {"issuers": [issuer], "defaultAlgorithms": ["RS256"]}
    source = "method.request.header.Authorization"
    made = apis.create_authorizer(
        restApiId=api["id"], name="tokens", type="JWT", identitySource=source, jwtConfiguration=trusted
    )
    trusted["issuers"].append({"issuer": "https://b.example", "audiences": ["app"]})
    patches = json.dumps([{"op": "replace", "path": "/jwtConfiguration", "value": json.dumps(trusted)}])
    named = f"{api['at']} --authorizer-id {made['id']}"
    shell.aws(f"apigateway update-authorizer {named} --patch-operations", patches)
    assert apis.get_authorizer(restApiId=api["id"], authorizerId=made["id"])["jwtConfiguration"] == trusted
    shell.aws(f"apigateway delete-authorizer {named}")


def test_parts_of_methods_are_shown_and_deleted(shell: Shell, api: dict[str, Any]) -> None:
    aws, at, method = shell.aws, api["at"], api["method"]
    assert aws(f"apigateway get-integration {method}")["type"] == "MOCK"
    assert aws(f"apigateway get-method-response {method} --status-code 200") == {"statusCode": "200"}
    shown = aws(f"apigateway get-integration-response {method} --status-code 200")
    assert shown["responseTemplates"] == {"application/json": "first $stageVariables.color"}
    for part, words in (
        ("integration-response", "Invalid Response status code specified"),
        ("method-response", "Invalid Response status code specified"),
    ):
        aws(f"apigateway delete-{part} {method} --status-code 200")
        said = refused(shell, f"apigateway get-{part} {method} --status-code 200", "NotFoundException")
        assert words in said
    aws(f"apigateway delete-resource {at} --resource-id {api['notes']}")
    (left,) = aws(f"apigateway get-resources {at}")["items"]
    assert left["path"] == "/"
    line = f"apigateway delete-resource {at} --resource-id {api['root']}"
    refused(shell, line, "BadRequestException")


def test_base_path_mappings_are_shown_and_changed(shell: Shell, api: dict[str, Any], fetch: Any) -> None:
    aws = shell.aws
    domain = "--domain-name mapped.cli.example"
    tls = "--security-policy SecurityPolicy_TLS13_1_3_2025_09 --endpoint-access-mode STRICT"
    regional = f"--regional-certificate-arn {CERTIFICATE} --endpoint-configuration types=REGIONAL"
    made = aws(f"apigateway create-domain-name {domain} {regional} {tls}")
    assert made["endpointAccessMode"] == "STRICT"
    aws(f"apigateway create-base-path-mapping {domain} --base-path v1 --rest-api-id {api['id']} --stage dev")
    named = f"{domain} --base-path v1"
    assert aws(f"apigateway get-base-path-mapping {named}")["stage"] == "dev"
    patch = "op=replace,path=/basePath,value=v2"
    aws(f"apigateway update-base-path-mapping {named} --patch-operations {patch}")
    refused(shell, f"apigateway get-base-path-mapping {named}", "NotFoundException")
    assert fetch("GET", "/v2/notes", None, {"Host": "mapped.cli.example"})[::2] == (200, b"first blue")
    aws(f"apigateway delete-domain-name {domain}")


def test_routing_rules_are_made_shown_and_changed(shell: Shell, api: dict[str, Any], fetch: Any) -> None:
    aws, host = shell.aws, "ruled.cli.example"
    domain = f"--domain-name {host}"
    regional = f"CertificateArn={CERTIFICATE},EndpointType=REGIONAL"
    made = aws(
        f"apigatewayv2 create-domain-name {domain} --routing-mode ROUTING_RULE_ONLY "
        f"--domain-name-configurations {regional}"
    )
    assert made["RoutingMode"] == "ROUTING_RULE_ONLY"
    conditions = json.dumps([{"MatchBasePaths": {"AnyOf": ["v1"]}}])
    actions = json.dumps([{"InvokeApi": {"ApiId": api["id"], "Stage": "dev", "StripBasePath": True}}])
    given = ("--conditions", conditions, "--actions", actions)
    rule = aws(f"apigatewayv2 create-routing-rule {domain} --priority 50", *given)
    assert fetch("GET", "/v1/notes", None, {"Host": host})[::2] == (200, b"first blue")
    refused(shell, f"apigatewayv2 create-routing-rule {domain} --priority 50", "ConflictException", *given)
    at = f"{domain} --routing-rule-id {rule['RoutingRuleId']}"
    changed = aws(f"apigatewayv2 put-routing-rule {at} --priority 30", *given)
    assert changed == {**rule, "Priority": 30}
    assert aws(f"apigatewayv2 get-routing-rule {at}") == changed
    assert aws(f"apigatewayv2 list-routing-rules {domain}")["RoutingRules"] == [changed]
    aws(f"apigatewayv2 delete-routing-rule {at}")
    refused(shell, f"apigatewayv2 get-routing-rule {at}", "NotFoundException")
    assert fetch("GET", "/v1/notes", None, {"Host": host})[0] == 403
    aws(f"apigateway delete-domain-name {domain}")


def test_parts_of_http_apis_are_shown(shell: Shell) -> None:
    aws = shell.aws
    api = aws(f"apigatewayv2 create-api --name cli-parts --protocol-type HTTP --target {FUNCTION}")
    at = f"--api-id {api['ApiId']}"
    (integration,) = aws(f"apigatewayv2 get-integrations {at}")["Items"]
    named = f"{at} --integration-id {integration['IntegrationId']}"
    assert aws(f"apigatewayv2 get-integration {named}") == integration
    (route,) = aws(f"apigatewayv2 get-routes {at}")["Items"]
    assert aws(f"apigatewayv2 get-route {at} --route-id {route['RouteId']}") == route
    (stage,) = aws(f"apigatewayv2 get-stages {at}")["Items"]
    assert aws(f"apigatewayv2 get-stage {at} --stage-name $default") == stage
    deployment = aws(f"apigatewayv2 get-deployment {at} --deployment-id {stage['DeploymentId']}")
    assert deployment["DeploymentStatus"] == "DEPLOYED"
    # What only WebSocket APIs have: an HTTP API has none to show, change or delete.
    part = f"{at} --route-id {route['RouteId']} --route-response-id x"
    for line in (
        f"get-route-response {part}",
        f"delete-route-response {part}",
        f"update-route-response {part}",
        f"get-integration-response {named} --integration-response-id x",
        f"delete-integration-response {named} --integration-response-id x",
    ):
        refused(shell, f"apigatewayv2 {line}", "NotFoundException")
    aws(f"apigatewayv2 delete-api {at}")
