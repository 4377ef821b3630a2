"""The operations of HTTP APIs that other client tests do not reach, over the wire: what is changed afterwards, and what
only WebSocket APIs have."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"


@pytest.fixture(scope="module")
def apis(server: Any) -> Any:
    return server.client("apigatewayv2")


@pytest.fixture(scope="module")
def ids(apis: Any) -> Iterator[dict[str, str]]:
    """An HTTP API with a route, its integration, and a deployment."""
    api_id = apis.create_api(Name="n", ProtocolType="HTTP", Target="http://127.0.0.1:9/")["ApiId"]
    (route,) = apis.get_routes(ApiId=api_id)["Items"]
    yield {
        "ApiId": api_id,
        "RouteId": route["RouteId"],
        "IntegrationId": route["Target"].partition("/")[2],
        "DeploymentId": apis.create_deployment(ApiId=api_id, Description="one")["DeploymentId"],
    }
    apis.delete_api(ApiId=api_id)


def refusal(call: Callable[..., Any], **params: Any) -> tuple[int, str, str]:
    """Return status, code and words of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


UNSUPPORTED, ABSENT = (400, "BadRequestException"), (404, "NotFoundException")

REFUSED: list[tuple[str, str, dict[str, Any], tuple[int, str], str]] = [
    ("create_model", "", {"Name": "m", "Schema": "{}"}, UNSUPPORTED, "Models are not supported on protocolType HTTP"),
    ("get_model", "", {"ModelId": "m"}, ABSENT, "Invalid Model identifier specified m"),
    ("get_model_template", "", {"ModelId": "m"}, ABSENT, "Invalid Model identifier specified m"),
    ("update_model", "", {"ModelId": "m", "Name": "x"}, ABSENT, "Invalid Model identifier specified m"),
    ("delete_model", "", {"ModelId": "m"}, ABSENT, "Invalid Model identifier specified m"),
    (
        "create_route_response",
        "RouteId",
        {"RouteResponseKey": "$default"},
        UNSUPPORTED,
        "Route responses are not supported on protocolType HTTP",
    ),
    (
        "create_integration_response",
        "IntegrationId",
        {"IntegrationResponseKey": "$default"},
        UNSUPPORTED,
        "Integration responses are not supported on protocolType HTTP",
    ),
    (
        "delete_route_request_parameter",
        "RouteId",
        {"RequestParameterKey": "p"},
        ABSENT,
        "Invalid RequestParameter identifier specified p",
    ),
    *[
        (
            f"{verb}_route_response",
            "RouteId",
            {"RouteResponseId": "r"},
            ABSENT,
            "Invalid RouteResponse identifier specified r",
        )
        for verb in ("get", "update", "delete")
    ],
    *[
        (
            f"{verb}_integration_response",
            "IntegrationId",
            {"IntegrationResponseId": "i"},
            ABSENT,
            "Invalid IntegrationResponse identifier specified i",
        )
        for verb in ("get", "update", "delete")
    ],
]


@pytest.mark.parametrize(("operation", "owner", "params", "error", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_only_websocket_apis_have(
    apis: Any,
    ids: dict[str, str],
    operation: str,
    owner: str,
    params: dict[str, Any],
    error: tuple[int, str],
    words: str,
) -> None:
    owned = {"ApiId": ids["ApiId"], **({owner: ids[owner]} if owner else {})}
    assert refusal(getattr(apis, operation), **owned, **params) == (*error, words)


def test_lists_of_what_only_websocket_apis_have_are_empty(apis: Any, ids: dict[str, str]) -> None:
    at = {"ApiId": ids["ApiId"]}
    assert apis.get_models(**at)["Items"] == []
    assert apis.get_route_responses(**at, RouteId=ids["RouteId"])["Items"] == []
    assert apis.get_integration_responses(**at, IntegrationId=ids["IntegrationId"])["Items"] == []


@pytest.mark.parametrize(
    ("subtype", "told"),
    [
        (
            "EventBridge-PutEvents",
            (
                501,
                "NotImplementedException",
                "The integration subtype EventBridge-PutEvents of API Gateway is not implemented by Cumulet. "
                "docs/operations.md lists what is.",
            ),
        ),
        ("SNS-Publish", (400, "BadRequestException", "Unsupported IntegrationSubtype specified: SNS-Publish")),
    ],
)
def test_service_integrations_are_refused_wherever_they_come_from(
    apis: Any, client: Callable[..., Any], ids: dict[str, str], subtype: str, told: tuple[int, str, str]
) -> None:
    given = {"IntegrationType": "AWS_PROXY", "IntegrationSubtype": subtype, "PayloadFormatVersion": "1.0"}
    assert refusal(apis.create_integration, ApiId=ids["ApiId"], **given) == told
    by_id = {"ApiId": ids["ApiId"], "IntegrationId": ids["IntegrationId"]}
    assert refusal(apis.update_integration, **by_id, **given) == told
    integration = {"type": "aws_proxy", "integrationSubtype": subtype, "payloadFormatVersion": "1.0"}
    operation = {"responses": {}, "x-amazon-apigateway-integration": integration}
    document = {"openapi": "3.0.1", "info": {"title": "n", "version": "1"}, "paths": {"/a": {"post": operation}}}
    assert refusal(apis.import_api, Body=json.dumps(document)) == told
    assert refusal(apis.reimport_api, ApiId=ids["ApiId"], Body=json.dumps(document)) == told

    stacks = client("cloudformation")
    name = f"refused-{subtype}"
    resource = {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {"ApiId": ids["ApiId"], **given}}
    stacks.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"I": resource}}))
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 2000})
    events = stacks.describe_stack_events(StackName=name)["StackEvents"]
    (reason,) = [event["ResourceStatusReason"] for event in events if event["ResourceStatus"] == "CREATE_FAILED"]
    assert told[2] in reason
    stacks.delete_stack(StackName=name)


def test_descriptions_and_what_quick_create_made_can_be_changed(apis: Any, ids: dict[str, str]) -> None:
    at = {"ApiId": ids["ApiId"]}
    changed = apis.update_deployment(**at, DeploymentId=ids["DeploymentId"], Description="two")
    assert (changed["Description"], changed["ResponseMetadata"]["HTTPStatusCode"]) == ("two", 200)
    assert refusal(apis.update_deployment, **at, DeploymentId="nope") == (
        *ABSENT,
        "Invalid Deployment identifier specified",
    )
    apis.update_api(**at, Target="http://127.0.0.1:9/other", IpAddressType="dualstack")
    (integration,) = apis.get_integrations(**at)["Items"]
    assert integration["IntegrationUri"] == "http://127.0.0.1:9/other"


def test_domain_names_and_mappings_are_changed_and_listed_in_pages(apis: Any, ids: dict[str, str]) -> None:
    names = [f"{letter}.pages.example" for letter in "abc"]
    for name in names:
        apis.create_domain_name(
            DomainName=name, DomainNameConfigurations=[{"CertificateArn": CERTIFICATE}], Tags={"a": "1"}
        )
    found, token = [], None
    while True:
        page = apis.get_domain_names(MaxResults="2", **({"NextToken": token} if token else {}))
        found += [item["DomainName"] for item in page["Items"]]
        if (token := page.get("NextToken")) is None:
            break
    assert [name for name in found if name in names] == names

    changed = apis.update_domain_name(
        DomainName=names[0], DomainNameConfigurations=[{"CertificateArn": CERTIFICATE, "IpAddressType": "dualstack"}]
    )
    assert changed["DomainNameConfigurations"][0]["IpAddressType"] == "dualstack"
    at = {"DomainName": names[0]}
    made = apis.create_api_mapping(**at, ApiId=ids["ApiId"], Stage="$default", ApiMappingKey="one")
    by_id = {**at, "ApiMappingId": made["ApiMappingId"]}
    moved = apis.update_api_mapping(**by_id, ApiId=ids["ApiId"], ApiMappingKey="two")
    assert (moved["ApiMappingKey"], moved["Stage"]) == ("two", "$default")
    assert apis.get_api_mapping(**by_id)["ApiMappingKey"] == "two"
    apis.delete_api_mapping(**by_id)
    assert refusal(apis.get_api_mapping, **by_id) == (*ABSENT, "Invalid API mapping identifier specified")
    for name in names:
        assert apis.delete_domain_name(DomainName=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
