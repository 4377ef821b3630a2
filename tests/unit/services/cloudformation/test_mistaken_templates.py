"""What is wrong with a template, or with its properties, is told; a stack is rolled back, and nothing fails inside."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from stacking import TRUST, Stacks, log_group, role

METHOD: dict[str, Any] = {
    "RestApiId": {"Ref": "Api"},
    "ResourceId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
    "HttpMethod": "GET",
    "AuthorizationType": "NONE",
}
HTTP: dict[str, Any] = {
    "ApiId": "a",
    "IntegrationType": "HTTP_PROXY",
    "IntegrationMethod": "GET",
    "IntegrationUri": "https://example.com",
    "PayloadFormatVersion": "1.0",
}
API = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "a"}}


@pytest.mark.parametrize(
    ("template", "place"),
    [
        # The words, and "Type" for the properties, as users of AWS have reported them.
        (
            {"Resources": {"One": log_group(None) | {"Properties": {"RetentionInDays": None}}}},
            "One/Type/RetentionInDays",
        ),
        ({"Resources": {"One": role(Tags=[{"Key": "a", "Value": None}])}}, "One/Type/Tags/0/Value"),
        ({"Resources": {"One": {**role(), "DependsOn": [None]}}}, "One/DependsOn/0"),
        ({"Resources": {"One": role()}, "Outputs": None}, None),
    ],
)
async def test_nulls_are_refused(template: dict[str, Any], place: str | None) -> None:
    stacks = Stacks()
    where = "/Outputs" if place is None else f"/Resources/{place}"
    for operation, more in (("ValidateTemplate", {}), ("CreateStack", {"StackName": "s"})):
        with pytest.raises(ServiceError) as refused:
            await stacks.call(operation, TemplateBody=json.dumps(template), **more)
        assert (refused.value.code, refused.value.message) == (
            "ValidationError",
            f"[{where}] 'null' values are not allowed in templates",
        )


async def test_empty_values_in_yaml_are_nulls() -> None:
    text = "Resources:\n  Group:\n    Type: AWS::Logs::LogGroup\n    Properties:\n      LogGroupName:\n"
    with pytest.raises(ServiceError, match=r"\[/Resources/Group/Type/LogGroupName\] 'null' values are not allowed"):
        await Stacks().call("CreateStack", StackName="s", TemplateBody=text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{{resolve:ssm:/stage/url:3}}", "{{resolve:ssm:/stage/url:3}} (there is no Systems Manager"),
        ("{{resolve:ssm-secure:url}}", "{{resolve:ssm-secure:url}} (there is no Systems Manager"),
        (
            {"Fn::Sub": "a {{resolve:secretsmanager:${AWS::Region}:SecretString}}"},
            "{{resolve:secretsmanager:us-east-1:",
        ),
        ({"Fn::Sub": "{{resolve:ssm:${Role.Arn}}}"}, "{{resolve:ssm:"),
    ],
)
async def test_dynamic_references_are_refused_and_not_taken_for_text(text: Any, named: str) -> None:
    group = log_group("g") | {"Properties": {"Tags": [{"Key": "a", "Value": text}]}}
    with pytest.raises(ServiceError) as refused:
        await Stacks().create(G=group, Role=role())
    assert refused.value.message.startswith(f"The dynamic reference {named}")
    assert "here: give the value as a parameter) is not implemented" in refused.value.message


async def test_braces_that_are_no_dynamic_reference_are_text() -> None:
    stacks = Stacks()
    await stacks.create(G=log_group() | {"Properties": {"Tags": [{"Key": "a", "Value": "{{resolve}} {{x:ssm:y}}"}]}})
    assert await stacks.status() == "CREATE_COMPLETE"


async def test_a_resource_may_have_a_description_beside_its_properties() -> None:
    stacks = Stacks()
    await stacks.create(G=log_group() | {"Description": "of the notes"})
    assert await stacks.status() == "CREATE_COMPLETE"


async def test_what_a_condition_spares_need_not_be_built() -> None:
    stacks = Stacks()
    body = {
        "Parameters": {"Place": {"Type": "String", "Default": "here"}},
        "Conditions": {"InAws": {"Fn::Equals": [{"Ref": "Place"}, "aws"]}},
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue", "Condition": "InAws"},
            "Group": log_group({"Fn::If": ["InAws", {"Fn::GetAtt": ["Queue", "QueueName"]}, "none"]}),
        },
    }
    await stacks.call("CreateStack", StackName="s", TemplateBody=json.dumps(body))
    assert (await stacks.status(), await stacks.log_groups()) == ("CREATE_COMPLETE", {"none": 7})
    aws = [{"ParameterKey": "Place", "ParameterValue": "aws"}]
    with pytest.raises(ServiceError, match="The resource type AWS::SQS::Queue is not implemented"):
        await stacks.call("UpdateStack", StackName="s", TemplateBody=json.dumps(body), Parameters=aws)
    await stacks.call("DeleteStack", StackName="s")
    assert await stacks.log_groups() == {}


def made_of(kind: str, **given: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": given}


@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        (log_group(["a"]), " for resource One with message:\n#/LogGroupName: expected type: String, found: JSONArray"),
        (
            made_of("AWS::S3::Bucket", BucketName={"a": "b"}),
            " for resource One with message:\n#/BucketName: expected type: String, found: JSONObject",
        ),
        (
            made_of("AWS::Logs::LogGroup", RetentionInDays=[7]),
            " with message:\n#/retentionInDays: expected type: Integer, found: JSONArray",
        ),
        (
            role(Tags=[{"Key": ["a"], "Value": "b"}]),
            " for resource One with message:\n#/Tags/0/Key: expected type: String, found: JSONArray",
        ),
        (
            role(Policies=[{"PolicyName": {"a": "b"}, "PolicyDocument": TRUST}]),
            " for resource One with message:\n#/Policies/0/PolicyName: expected type: String, found: JSONObject",
        ),
        (
            made_of("AWS::ApiGateway::Method", **METHOD | {"HttpMethod": ["GET"]}),
            " with message:\n#/HttpMethod: expected type: String, found: JSONArray",
        ),
        (
            made_of("AWS::ApiGateway::Method", **METHOD, Integration={"Type": "MOCK", "IntegrationResponses": 5}),
            " with message:\n#/Integration/IntegrationResponses: expected type: JSONArray, found: Integer",
        ),
        (
            made_of("AWS::ApiGateway::Method", **METHOD, MethodResponses=["200"]),
            " for resource One with message:\n#/MethodResponses/0: expected type: JSONObject, found: String",
        ),
        (
            made_of("AWS::ApiGateway::Method", **METHOD, Integration={"Type": "MOCK", "RequestTemplates": ["a"]}),
            " with message:\n#/requestTemplates: expected type: JSONObject, found: JSONArray",
        ),
        (
            made_of("AWS::ApiGatewayV2::Integration", **HTTP, ResponseParameters={"200": ["a"]}),
            " with message:\n#/ResponseParameters/200: expected type: JSONObject, found: JSONArray",
        ),
        (
            made_of("AWS::ApiGatewayV2::Integration", **HTTP, ResponseParameters={"200": {"overwrite:header.a": "b"}}),
            " with message:\n#/ResponseParameters/200: extraneous key [overwrite:header.a] is not permitted",
        ),
        (
            made_of(
                "AWS::ApiGatewayV2::Integration",
                **HTTP,
                ResponseParameters={"200": {"ResponseParameters": [{"Destination": "overwrite:header.a"}]}},
            ),
            " with message:\n#/ResponseParameters/200/ResponseParameters/0: required key [Source] not found",
        ),
    ],
)
async def test_properties_of_a_wrong_type_are_told_and_the_stack_rolls_back(
    resource: dict[str, Any], problem: str
) -> None:
    stacks = Stacks()
    await stacks.create(Api=API, One=resource)
    assert (await stacks.reasons())["One CREATE_FAILED"] == f"Properties validation failed{problem}"
    assert await stacks.status() == "ROLLBACK_COMPLETE"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"Value": ["a"]}, "The Value field of every Outputs member must evaluate to a String (O)"),
        ({"Value": "a", "Export": ["a"]}, "[/Outputs/O/Export] Every Export member must be an object"),
    ],
)
async def test_a_stack_whose_outputs_cannot_be_is_rolled_back(output: Any, words: str) -> None:
    stacks = Stacks()
    await stacks.create(outputs={"O": output}, Group=log_group("g"))
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    assert (await stacks.reasons())["s ROLLBACK_IN_PROGRESS"].startswith(f"Template format error: {words}")
    assert await stacks.log_groups() == {}


async def test_a_number_is_a_name_as_well() -> None:
    stacks = Stacks()
    await stacks.create(Bucket=made_of("AWS::S3::Bucket", BucketName=12345), Group=log_group(678))
    assert await stacks.status() == "CREATE_COMPLETE"
    assert await stacks.physical_id("Bucket") == "12345"


async def test_what_an_integration_makes_of_responses_is_a_list_in_templates() -> None:
    stacks = Stacks()

    def template(source: str) -> dict[str, Any]:
        parameters = {"200": {"ResponseParameters": [{"Destination": "overwrite:header.a", "Source": source}]}}
        given = HTTP | {"ApiId": {"Ref": "Http"}, "ResponseParameters": parameters}
        http = made_of("AWS::ApiGatewayV2::Api", Name="h", ProtocolType="HTTP")
        return {"Http": http, "One": made_of("AWS::ApiGatewayV2::Integration", **given)}

    async def parameters() -> Any:
        params = {"ApiId": await stacks.physical_id("Http"), "IntegrationId": await stacks.physical_id("One")}
        return (await stacks.house.call("apigatewayv2", "GetIntegration", params))["ResponseParameters"]

    await stacks.create(**template("b"))
    assert await parameters() == {"200": {"overwrite:header.a": "b"}}
    await stacks.update(**template("c"))
    assert await parameters() == {"200": {"overwrite:header.a": "c"}}
