"""Custom domain names through boto3 and CloudFormation, and requests that come by their host."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, WaiterError

CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
REGIONAL = {"EndpointType": "REGIONAL", "CertificateArn": CERTIFICATE}
FAST = {"Delay": 0, "MaxAttempts": 2000}
MOCK = {"application/json": '{"statusCode": 200}'}

Fetch = Callable[..., tuple[int, dict[str, str], bytes]]


def refusal(call: Any, **params: Any) -> tuple[int, str, str]:
    """Return status, code and words of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def mock_api(apis: Any, words: str) -> str:
    """Return the id of a REST API that answers GET /words from a template, deployed to `dev`."""
    api = apis.create_rest_api(name="mocked")
    made = apis.create_resource(restApiId=api["id"], parentId=api["rootResourceId"], pathPart="words")
    at = {"restApiId": api["id"], "resourceId": made["id"], "httpMethod": "GET"}
    apis.put_method(**at, authorizationType="NONE")
    apis.put_method_response(**at, statusCode="200")
    apis.put_integration(**at, type="MOCK", requestTemplates=MOCK)
    template = json.dumps({"words": words, "domain": "$context.domainName", "path": "$context.path"})
    apis.put_integration_response(**at, statusCode="200", responseTemplates={"application/json": template})
    apis.create_deployment(restApiId=api["id"], stageName="dev")
    return str(api["id"])


def test_a_domain_name_by_both_dialects(client: Callable[..., Any], fetch: Fetch) -> None:
    v1, v2 = client("apigateway"), client("apigatewayv2")
    api_id = mock_api(v1, "hello")
    host = {"Host": "api.client-tests.example"}
    assert fetch("GET", "/v1/words", None, host)[0] != 200  # nobody's domain name yet

    made = v1.create_domain_name(
        domainName="api.client-tests.example",
        regionalCertificateArn=CERTIFICATE,
        endpointConfiguration={"types": ["REGIONAL"]},
        securityPolicy="TLS_1_2",
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert refusal(
        v2.create_domain_name, DomainName="api.client-tests.example", DomainNameConfigurations=[REGIONAL]
    ) == (400, "BadRequestException", "The domain name you provided already exists.")
    at = {"domainName": "api.client-tests.example"}
    mapping = v1.create_base_path_mapping(**at, basePath="v1", restApiId=api_id, stage="dev")
    assert (mapping["basePath"], mapping["stage"]) == ("v1", "dev")
    assert refusal(v1.create_base_path_mapping, **at, basePath="v1", restApiId=api_id) == (
        409,
        "ConflictException",
        "Base path already exists for this domain name",
    )
    v2.create_api_mapping(DomainName=at["domainName"], ApiId=api_id, Stage="dev", ApiMappingKey="deeply/nested/v1")
    keys = {one["ApiMappingKey"] for one in v2.get_api_mappings(DomainName=at["domainName"])["Items"]}
    assert keys == {"v1", "deeply/nested/v1"}

    for path, status in (("/v1/words", 200), ("/deeply/nested/v1/words", 200), ("/v2/words", 403), ("/words", 403)):
        answered, _, body = fetch("GET", path, None, {"Host": "api.client-tests.example:4566"})
        assert answered == status, path
        if status == 200:
            assert json.loads(body) == {"words": "hello", "domain": "api.client-tests.example", "path": path}

    assert refusal(v1.delete_rest_api, restApiId=api_id)[1] == "BadRequestException"
    v2.delete_domain_name(DomainName=at["domainName"])
    assert refusal(v1.get_domain_name, **at) == (
        404,
        "NotFoundException",
        "Invalid domain name identifier specified",
    )
    v1.delete_rest_api(restApiId=api_id)


def test_routing_rules(client: Callable[..., Any], fetch: Fetch) -> None:
    v1, v2 = client("apigateway"), client("apigatewayv2")
    first, second = mock_api(v1, "first"), mock_api(v1, "second")
    name = "rules.client-tests.example"
    at = {"DomainName": name}
    made = v2.create_domain_name(**at, DomainNameConfigurations=[REGIONAL], RoutingMode="ROUTING_RULE_ONLY")
    assert made["RoutingMode"] == "ROUTING_RULE_ONLY"
    beta = {"MatchHeaders": {"AnyOf": [{"Header": "x-version", "ValueGlob": "beta*"}]}}
    pets = {"MatchBasePaths": {"AnyOf": ["pets"]}}

    def to(api_id: str, **more: Any) -> list[Any]:
        return [{"InvokeApi": {"ApiId": api_id, "Stage": "dev", **more}}]

    created = v2.create_routing_rule(**at, Priority=10, Conditions=[beta, pets], Actions=to(second, StripBasePath=True))
    assert created.pop("ResponseMetadata")["HTTPStatusCode"] == 201
    rule = {**at, "RoutingRuleId": created["RoutingRuleId"]}
    got = v2.get_routing_rule(**rule)
    del got["ResponseMetadata"]
    assert got == created
    catch_all = {"Priority": 1_000_000, "Conditions": [], "Actions": to(first)}
    assert v2.create_routing_rule(**at, **catch_all)["Conditions"] == []
    assert [one["Priority"] for one in v2.list_routing_rules(**at)["RoutingRules"]] == [10, 1_000_000]
    for params, told in (
        (
            catch_all,
            (409, "ConflictException", "A routing rule with priority 1000000 already exists for this domain name"),
        ),
        ({**catch_all, "Priority": 1_000_001}, (400, "BadRequestException", None)),
        ({**catch_all, "Priority": 0}, (400, "BadRequestException", None)),
    ):
        status, code, words = refusal(v2.create_routing_rule, **at, **params)
        assert (status, code, told[2] and words) == told

    def answer(path: str, **headers: str) -> Any:
        status, _, body = fetch("GET", path, None, {"Host": f"{name}:4566", **headers})
        return json.loads(body)["words"] if status == 200 else (status, body)

    version = {"X-Version": "beta-2"}
    assert answer("/pets/words", **version) == "second"
    assert answer("/words", **version) == "first"
    assert answer("/words") == "first"
    changed = v2.put_routing_rule(**rule, Priority=20, Conditions=[beta], Actions=to(second))
    assert (changed["Priority"], changed["RoutingRuleId"]) == (20, rule["RoutingRuleId"])
    assert answer("/words", **version) == "second"
    for one in v2.list_routing_rules(**at)["RoutingRules"]:
        gone = v2.delete_routing_rule(**at, RoutingRuleId=one["RoutingRuleId"])
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert answer("/words", **version) == (403, b'{"message":"Forbidden"}')
    assert refusal(v2.get_routing_rule, **rule) == (
        404,
        "NotFoundException",
        "Invalid routing rule identifier specified",
    )
    v2.delete_domain_name(**at)
    for api_id in (first, second):
        v1.delete_rest_api(restApiId=api_id)


def test_who_signs_for_a_custom_domain_name_is_known(client: Callable[..., Any], fetch: Fetch, server: Any) -> None:
    v2 = client("apigatewayv2")
    api_id = v2.create_api(Name="signed", ProtocolType="HTTP")["ApiId"]
    made = v2.create_integration(
        ApiId=api_id,
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="GET",
        IntegrationUri=f"{server.endpoint}/_cumulet/health",
        PayloadFormatVersion="1.0",
    )
    target = f"integrations/{made['IntegrationId']}"
    v2.create_route(ApiId=api_id, RouteKey="GET /health", Target=target, AuthorizationType="AWS_IAM")
    v2.create_stage(ApiId=api_id, StageName="live", AutoDeploy=True)
    v2.create_domain_name(DomainName="signed.example", DomainNameConfigurations=[REGIONAL])
    v2.create_api_mapping(DomainName="signed.example", ApiId=api_id, Stage="live", ApiMappingKey="v1")
    request = AWSRequest("GET", "http://signed.example/v1/health", headers={"Host": "signed.example"})
    SigV4Auth(Credentials("test", "test"), "execute-api", "us-east-1").add_auth(request)

    assert fetch("GET", "/v1/health", None, dict(request.headers.items()))[0] == 200
    assert fetch("GET", "/v1/health", None, {"Host": "signed.example"})[::2] == (403, b'{"message":"Forbidden"}')
    v2.delete_domain_name(DomainName="signed.example")
    v2.delete_api(ApiId=api_id)


@pytest.mark.slow
def test_a_stack_with_a_routing_rule(client: Callable[..., Any], fetch: Fetch) -> None:
    cfn, v1, v2 = client("cloudformation"), client("apigateway"), client("apigatewayv2")
    api_id = mock_api(v1, "ruled")
    name, stack = "stacked.client-tests.example", {"StackName": "routing-rules"}

    def template(priority: int, path: str) -> str:
        resources: dict[str, Any] = {
            "Domain": {
                "Type": "AWS::ApiGateway::DomainName",
                "Properties": {
                    "DomainName": name,
                    "RegionalCertificateArn": CERTIFICATE,
                    "EndpointConfiguration": {"Types": ["REGIONAL"]},
                    "RoutingMode": "ROUTING_RULE_THEN_BASE_PATH_MAPPING",
                },
            },
            "Rule": {
                "Type": "AWS::ApiGatewayV2::RoutingRule",
                "Properties": {
                    "DomainNameArn": {
                        "Fn::Sub": "arn:aws:apigateway:${AWS::Region}::/domainnames/${Domain}",
                    },
                    "Priority": priority,
                    "Conditions": [{"MatchBasePaths": {"AnyOf": [path]}}],
                    "Actions": [{"InvokeApi": {"ApiId": api_id, "Stage": "dev", "StripBasePath": True}}],
                },
            },
        }
        outputs = {"Arn": {"Value": {"Ref": "Rule"}}, "Id": {"Value": {"Fn::GetAtt": ["Rule", "RoutingRuleId"]}}}
        return json.dumps({"Resources": resources, "Outputs": outputs})

    cfn.create_stack(**stack, TemplateBody=template(10, "one"))
    cfn.get_waiter("stack_create_complete").wait(**stack, WaiterConfig=FAST)
    outputs = cfn.describe_stacks(**stack)["Stacks"][0]["Outputs"]
    told = {one["OutputKey"]: one["OutputValue"] for one in outputs}
    assert told["Arn"] == f"arn:aws:apigateway:us-east-1:000000000000:/domainnames/{name}/routingrules/{told['Id']}"
    assert json.loads(fetch("GET", "/one/words", None, {"Host": name})[2])["words"] == "ruled"

    cfn.update_stack(**stack, TemplateBody=template(20, "two"))
    cfn.get_waiter("stack_update_complete").wait(**stack, WaiterConfig=FAST)
    (rule,) = v2.list_routing_rules(DomainName=name)["RoutingRules"]
    assert (rule["RoutingRuleId"], rule["Priority"]) == (told["Id"], 20)
    assert [fetch("GET", f"/{path}/words", None, {"Host": name})[0] for path in ("one", "two")] == [403, 200]

    cfn.delete_stack(**stack)
    cfn.get_waiter("stack_delete_complete").wait(**stack, WaiterConfig=FAST)
    assert refusal(v2.list_routing_rules, DomainName=name)[1] == "NotFoundException"
    v1.delete_rest_api(restApiId=api_id)


@pytest.mark.slow
def test_sam_gives_both_kinds_of_apis_their_domain_names(client: Callable[..., Any], fetch: Fetch) -> None:
    cfn = client("cloudformation")
    path = {"get": {"x-amazon-apigateway-integration": {"type": "MOCK", "requestTemplates": MOCK}, "responses": {}}}

    def domain(name: str, base: str) -> dict[str, Any]:
        return {
            "DomainName": name,
            "CertificateArn": CERTIFICATE,
            "EndpointConfiguration": "REGIONAL",
            "BasePath": [base],
        }

    template: dict[str, Any] = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Rest": {
                "Type": "AWS::Serverless::Api",
                "Properties": {
                    "StageName": "dev",
                    "Domain": domain("rest.sam.example", "one"),
                    "DefinitionBody": {"swagger": "2.0", "info": {"title": "t"}, "paths": {"/words": path}},
                },
            },
            "Http": {
                "Type": "AWS::Serverless::HttpApi",
                "Properties": {"Domain": domain("http.sam.example", "two")},
            },
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": {
                        "Statement": {
                            "Effect": "Allow",
                            "Principal": {"Service": "lambda.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    }
                },
            },
            "F": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Runtime": "python3.11",
                    "Handler": "index.handler",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "InlineCode": "def handler(event, context):\n    return event['requestContext']['domainName']\n",
                    "Events": {
                        "Get": {
                            "Type": "HttpApi",
                            "Properties": {"Path": "/words", "Method": "get", "ApiId": {"Ref": "Http"}},
                        }
                    },
                },
            },
        },
    }
    cfn.create_stack(
        StackName="domains",
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    try:
        cfn.get_waiter("stack_create_complete").wait(StackName="domains", WaiterConfig=FAST)
    except WaiterError:
        events = cfn.describe_stack_events(StackName="domains")["StackEvents"]
        raise AssertionError([event.get("ResourceStatusReason") for event in events]) from None
    assert fetch("GET", "/two/words", None, {"Host": "http.sam.example"})[::2] == (200, b"http.sam.example")
    shown = {item["domainName"] for item in client("apigateway").get_domain_names()["items"]}
    assert {"rest.sam.example", "http.sam.example"} <= shown
    (mapping,) = client("apigateway").get_base_path_mappings(domainName="rest.sam.example")["items"]
    assert (mapping["basePath"], mapping["stage"]) == ("one", "dev")

    names = ("rest.sam.example", "http.sam.example")
    rest, http = [template["Resources"][name]["Properties"]["Domain"] for name in ("Rest", "Http")]
    rest["SecurityPolicy"] = "TLS_1_0"
    rest["BasePath"] = http["BasePath"] = ["three"]
    update = {"TemplateBody": json.dumps(template), "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]}
    cfn.update_stack(StackName="domains", **update)
    cfn.get_waiter("stack_update_complete").wait(StackName="domains", WaiterConfig=FAST)
    assert fetch("GET", "/three/words", None, {"Host": names[1]})[::2] == (200, b"http.sam.example")
    assert fetch("GET", "/two/words", None, {"Host": names[1]})[0] == 403
    assert client("apigateway").get_domain_name(domainName=names[0])["securityPolicy"] == "TLS_1_0"
    (mapping,) = client("apigateway").get_base_path_mappings(domainName=names[0])["items"]
    assert mapping["basePath"] == "three"

    cfn.delete_stack(StackName="domains")
    cfn.get_waiter("stack_delete_complete").wait(StackName="domains", WaiterConfig=FAST)
    assert not set(names) & {item["DomainName"] for item in client("apigatewayv2").get_domain_names()["Items"]}
