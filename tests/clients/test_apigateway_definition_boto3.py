"""The definition of REST APIs through boto3: patches, documents, documentation."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def error_of(refused: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    """Return the code and words of an error."""
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_everything_that_can_be_patched(client: Callable[..., Any]) -> None:
    apis = client("apigateway")
    api = apis.create_rest_api(name="patched", minimumCompressionSize=10)
    by_id = {"restApiId": api["id"]}
    resource = apis.create_resource(**by_id, parentId=api["rootResourceId"], pathPart="a")
    method = {**by_id, "resourceId": resource["id"], "httpMethod": "GET"}
    apis.put_method(**method, authorizationType="NONE")
    apis.put_integration(**method, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    apis.put_method_response(**method, statusCode="200")
    apis.put_integration_response(**method, statusCode="200")
    deployment = apis.create_deployment(**by_id)

    def replace(path: str, value: str) -> list[dict[str, str]]:
        return [{"op": "replace", "path": path, "value": value}]

    def add(path: str, value: str) -> list[dict[str, str]]:
        return [{"op": "add", "path": path, "value": value}]

    assert (
        apis.update_rest_api(**by_id, patchOperations=replace("/apiKeySource", "AUTHORIZER"))["apiKeySource"]
        == "AUTHORIZER"
    )
    moved = apis.update_resource(**by_id, resourceId=resource["id"], patchOperations=replace("/pathPart", "b"))
    assert moved["path"] == "/b"
    asked = apis.update_method(**method, patchOperations=add("/requestParameters/method.request.path.id", "true"))
    assert asked["requestParameters"] == {"method.request.path.id": True}
    told = apis.update_integration(**method, patchOperations=replace("/timeoutInMillis", "50"))
    assert told["timeoutInMillis"] == 50
    operations = add("/responseParameters/method.response.header.X", "false")
    declared = apis.update_method_response(**method, statusCode="200", patchOperations=operations)
    assert declared["responseParameters"] == {"method.response.header.X": False}
    operations = add("/responseParameters/method.response.header.X", "'x'")
    answered = apis.update_integration_response(**method, statusCode="200", patchOperations=operations)
    assert answered["responseParameters"] == {"method.response.header.X": "'x'"}
    described = apis.update_deployment(
        **by_id, deploymentId=deployment["id"], patchOperations=replace("/description", "d")
    )
    assert described["description"] == "d"

    wrong = replace("/x", "1")
    for update, words in (
        (
            lambda: apis.update_resource(**by_id, resourceId=resource["id"], patchOperations=wrong),
            "Must be one of: [/parentId, /pathPart]",
        ),
        (
            lambda: apis.update_deployment(**by_id, deploymentId=deployment["id"], patchOperations=wrong),
            "Must be one of: [/description]",
        ),
        (
            lambda: apis.update_method_response(**method, statusCode="200", patchOperations=wrong),
            "Must be one of: [/responseModels/{contentType}, /responseParameters/{parameter}]",
        ),
    ):
        with pytest.raises(ClientError) as refused:
            update()
        assert error_of(refused) == (
            "BadRequestException",
            f"Invalid patch path  '/x' specified for op 'replace'. {words}",
        )
    apis.delete_rest_api(**by_id)


def test_an_api_goes_out_and_comes_back(client: Callable[..., Any]) -> None:
    apis = client("apigateway")
    document = {
        "openapi": "3.0.1",
        "info": {"title": "there and back", "version": "1"},
        "paths": {
            "/notes": {
                "post": {
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}}},
                    "responses": {"200": {"description": "ok"}},
                    "x-amazon-apigateway-request-validator": "all",
                    "x-amazon-apigateway-integration": {
                        "type": "mock",
                        "requestTemplates": {"application/json": '{"statusCode": 200}'},
                        "responses": {"default": {"statusCode": "200"}},
                    },
                }
            }
        },
        "components": {"schemas": {"Note": {"type": "object", "required": ["text"]}}},
        "x-amazon-apigateway-request-validators": {"all": {"validateRequestBody": True}},
    }
    api = apis.import_rest_api(body=json.dumps(document), parameters={"endpointConfigurationTypes": "REGIONAL"})
    assert api["endpointConfiguration"]["types"] == ["REGIONAL"]
    by_id = {"restApiId": api["id"]}
    apis.create_deployment(**by_id, stageName="dev")
    asked = {"stageName": "dev", "exportType": "oas30", "parameters": {"extensions": "apigateway,postman"}}
    exported = apis.get_export(**by_id, **asked, accepts="application/yaml")
    assert exported["contentType"] == "application/yaml"
    assert exported["contentDisposition"].startswith('attachment; filename="oas30_')
    body = exported["body"].read()
    copy = apis.import_rest_api(body=body, failOnWarnings=True)
    assert apis.get_model(restApiId=copy["id"], modelName="Note", flatten=True)["schema"] == (
        '{"type":"object","required":["text"]}'
    )
    assert apis.get_model_template(restApiId=copy["id"], modelName="Note")["value"].startswith("#set($inputRoot")
    replaced = apis.put_rest_api(restApiId=copy["id"], mode="overwrite", body=body, failOnWarnings=True)
    assert replaced["name"] == "there and back"

    with pytest.raises(ClientError) as refused:
        apis.get_export(**by_id, stageName="dev", exportType="raml")
    assert error_of(refused) == (
        "BadRequestException",
        "Invalid export type: raml. Must be one of [oas20, oas30, swagger]",
    )
    with pytest.raises(ClientError) as refused:
        apis.import_rest_api(body=json.dumps({**document, "components": {}}), failOnWarnings=True)
    assert error_of(refused) == (
        "BadRequestException",
        "Warnings found during import:\n\tUnable to find model 'Note' on 'POST' for resource at path '/notes', "
        "it is ignored",
    )
    for one in (api, copy):
        apis.delete_rest_api(restApiId=one["id"])


def test_an_http_api_goes_out_and_comes_back(client: Callable[..., Any]) -> None:
    apis = client("apigatewayv2")
    document = {
        "openapi": "3.0.1",
        "info": {"title": "there and back", "version": "1"},
        "servers": [{"url": "https://a.example/v1"}],
        "paths": {
            "/notes": {
                "get": {
                    "responses": {},
                    "x-amazon-apigateway-integration": {"$ref": "#/components/x-amazon-apigateway-integrations/shared"},
                }
            }
        },
        "components": {
            "x-amazon-apigateway-integrations": {
                "shared": {
                    "type": "HTTP_PROXY",
                    "httpMethod": "GET",
                    "uri": "http://b.example",
                    "payloadFormatVersion": "1.0",
                }
            }
        },
    }
    api = apis.import_api(Body=json.dumps(document), Basepath="prepend")
    [route] = apis.get_routes(ApiId=api["ApiId"])["Items"]
    assert route["RouteKey"] == "GET /v1/notes"
    body = apis.export_api(ApiId=api["ApiId"], Specification="OAS30", OutputType="JSON")["body"].read()
    copy = apis.import_api(Body=body.decode(), FailOnWarnings=True)
    assert [route["RouteKey"] for route in apis.get_routes(ApiId=copy["ApiId"])["Items"]] == ["GET /v1/notes"]

    for wrong, words in (
        ({"Specification": "OAS20", "OutputType": "JSON"}, "Invalid specification: OAS20. Must be one of [OAS30]"),
        ({"Specification": "OAS30", "OutputType": "XML"}, "Invalid output type: XML. Must be one of [JSON, YAML]"),
    ):
        with pytest.raises(ClientError) as refused:
            apis.export_api(ApiId=api["ApiId"], **wrong)
        assert error_of(refused) == ("BadRequestException", words)
    for one in (api, copy):
        apis.delete_api(ApiId=one["ApiId"])


def test_documentation(client: Callable[..., Any]) -> None:
    apis = client("apigateway")
    api = apis.create_rest_api(name="documented")
    by_id = {"restApiId": api["id"]}
    part = apis.create_documentation_part(**by_id, location={"type": "API"}, properties='{"description": "d"}')
    assert apis.get_documentation_part(**by_id, documentationPartId=part["id"])["location"] == {"type": "API"}
    patch = [{"op": "replace", "path": "/properties", "value": '{"description": "e"}'}]
    changed = apis.update_documentation_part(**by_id, documentationPartId=part["id"], patchOperations=patch)
    assert changed["properties"] == '{"description": "e"}'
    body = json.dumps(
        {
            "swagger": "2.0",
            "x-amazon-apigateway-documentation": {
                "documentationParts": [{"location": {"type": "RESOURCE"}, "properties": {"description": "root"}}]
            },
        }
    )
    assert len(apis.import_documentation_parts(**by_id, mode="merge", body=body)["ids"]) == 1
    assert len(apis.get_documentation_parts(**by_id, locationStatus="DOCUMENTED")["items"]) == 2
    version = apis.create_documentation_version(**by_id, documentationVersion="1", description="first")
    assert (version["version"], version["description"]) == ("1", "first")
    assert [one["version"] for one in apis.get_documentation_versions(**by_id)["items"]] == ["1"]
    assert apis.get_documentation_version(**by_id, documentationVersion="1")["createdDate"] == version["createdDate"]
    patch = [{"op": "replace", "path": "/description", "value": "one"}]
    told = apis.update_documentation_version(**by_id, documentationVersion="1", patchOperations=patch)
    assert told["description"] == "one"
    for refuse, code, words in (
        (
            lambda: apis.create_documentation_part(**by_id, location={"type": "API"}, properties="{}"),
            "ConflictException",
            "Documentation part already exists for the specified location: type 'API'.",
        ),
        (
            lambda: apis.create_documentation_part(**by_id, location={"type": "MODEL"}, properties="{}"),
            "BadRequestException",
            "Invalid documentation part location: a location of type MODEL needs a name",
        ),
        (
            lambda: apis.get_documentation_part(**by_id, documentationPartId="x"),
            "NotFoundException",
            "Invalid Documentation part identifier specified",
        ),
        (
            lambda: apis.get_documentation_version(**by_id, documentationVersion="x"),
            "NotFoundException",
            "Invalid Documentation version specified",
        ),
    ):
        with pytest.raises(ClientError) as refused:
            refuse()
        assert error_of(refused) == (code, words)
    apis.delete_documentation_version(**by_id, documentationVersion="1")
    apis.delete_documentation_part(**by_id, documentationPartId=part["id"])
    assert [one["location"]["type"] for one in apis.get_documentation_parts(**by_id)["items"]] == ["RESOURCE"]
    apis.delete_rest_api(**by_id)


FAST = {"Delay": 0, "MaxAttempts": 2000}
STACK = """
Parameters:
  Needed: {Type: String, Default: text}
  Says: {Type: String, Default: first}
Resources:
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: defined, MinimumCompressionSize: 0}
  Person:
    Type: AWS::ApiGateway::Model
    Properties: {RestApiId: !Ref Api, Name: Person, Schema: {type: object, required: [name]}}
  Note:
    Type: AWS::ApiGateway::Model
    Properties:
      RestApiId: !Ref Api
      ContentType: application/json
      Schema:
        type: object
        required: [!Ref Needed]
        properties:
          by: {$ref: !Sub "https://apigateway.amazonaws.com/restapis/${Api}/models/${Person}"}
  Validator:
    Type: AWS::ApiGateway::RequestValidator
    Properties: {RestApiId: !Ref Api, Name: bodies, ValidateRequestBody: true}
  Method:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: POST
      AuthorizationType: NONE
      RequestModels: {application/json: !Ref Note}
      RequestValidatorId: !GetAtt Validator.RequestValidatorId
      Integration:
        Type: MOCK
        RequestTemplates: {application/json: '{"statusCode": 200}'}
        IntegrationResponses: [{StatusCode: '200', ContentHandling: CONVERT_TO_TEXT}]
      MethodResponses: [{StatusCode: '200'}]
  Said:
    Type: AWS::ApiGateway::DocumentationPart
    Properties:
      RestApiId: !Ref Api
      Location: {Type: METHOD, Path: /, Method: POST}
      Properties: !Sub '{"description": "${Says}"}'
  Version:
    Type: AWS::ApiGateway::DocumentationVersion
    DependsOn: Said
    Properties: {RestApiId: !Ref Api, DocumentationVersion: v1, Description: !Ref Says}
  Deployment:
    Type: AWS::ApiGateway::Deployment
    DependsOn: Method
    Properties: {RestApiId: !Ref Api}
  Stage:
    Type: AWS::ApiGateway::Stage
    Properties:
      RestApiId: !Ref Api
      StageName: dev
      DeploymentId: !Ref Deployment
      DocumentationVersion: !Ref Version
Outputs:
  Api: {Value: !Ref Api}
  Note: {Value: !Ref Note}
  Validator: {Value: !Ref Validator}
  Said: {Value: !Ref Said}
"""


@pytest.mark.slow
def test_a_stack_describes_an_api(client: Callable[..., Any], fetch: Callable[..., Any]) -> None:
    cfn, apis = client("cloudformation"), client("apigateway")
    cfn.create_stack(StackName="defined", TemplateBody=STACK)
    cfn.get_waiter("stack_create_complete").wait(StackName="defined", WaiterConfig=FAST)
    [stack] = cfn.describe_stacks(StackName="defined")["Stacks"]
    made = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    url = f"/_aws/execute-api/{made['Api']}/dev/"
    headers = {"Content-Type": "application/json"}
    assert fetch("POST", url, b'{"text": "a", "by": {"name": "b"}}', headers)[0] == 200
    assert fetch("POST", url, b'{"text": "a", "by": {}}', headers)[0] == 400
    assert made["Note"].isalnum()
    by_id = {"restApiId": made["Api"]}
    assert apis.get_stage(**by_id, stageName="dev")["documentationVersion"] == "v1"

    changed = [
        {"ParameterKey": "Needed", "ParameterValue": "title"},
        {"ParameterKey": "Says", "ParameterValue": "second"},
    ]
    cfn.update_stack(StackName="defined", TemplateBody=STACK, Parameters=changed)
    cfn.get_waiter("stack_update_complete").wait(StackName="defined", WaiterConfig=FAST)
    assert json.loads(apis.get_model(**by_id, modelName=made["Note"])["schema"])["required"] == ["title"]
    part = apis.get_documentation_part(**by_id, documentationPartId=made["Said"])
    assert json.loads(part["properties"]) == {"description": "second"}
    assert apis.get_documentation_version(**by_id, documentationVersion="v1")["description"] == "second"
    assert apis.get_request_validator(**by_id, requestValidatorId=made["Validator"])["name"] == "bodies"

    cfn.delete_stack(StackName="defined")
    cfn.get_waiter("stack_delete_complete").wait(StackName="defined", WaiterConfig=FAST)
    with pytest.raises(ClientError) as refused:
        apis.get_rest_api(**by_id)
    assert error_of(refused)[0] == "NotFoundException"


SAM = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: dev
      DefinitionBody:
        openapi: 3.0.1
        info: {title: sam-defined, version: '1'}
        x-amazon-apigateway-request-validators: {all: {validateRequestBody: true, validateRequestParameters: true}}
        paths:
          /notes:
            post:
              x-amazon-apigateway-request-validator: all
              parameters: [{name: X-Key, in: header, required: true, schema: {type: string}}]
              requestBody:
                content:
                  application/json:
                    schema: {$ref: '#/components/schemas/Note'}
              responses: {'200': {description: ok}}
              x-amazon-apigateway-integration:
                type: mock
                requestTemplates: {application/json: '{"statusCode": 200}'}
                responses: {default: {statusCode: '200'}}
        components:
          schemas:
            Note: {type: object, required: [text]}
Outputs:
  Api: {Value: !Ref Api}
"""


@pytest.mark.slow
def test_sam_takes_a_document_with_models(client: Callable[..., Any], fetch: Callable[..., Any]) -> None:
    cfn, apis = client("cloudformation"), client("apigateway")
    cfn.create_stack(StackName="sam-defined", TemplateBody=SAM, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    cfn.get_waiter("stack_create_complete").wait(StackName="sam-defined", WaiterConfig=FAST)
    [output] = cfn.describe_stacks(StackName="sam-defined")["Stacks"][0]["Outputs"]
    url = f"/_aws/execute-api/{output['OutputValue']}/dev/notes"
    headers = {"Content-Type": "application/json", "X-Key": "k"}
    assert fetch("POST", url, b'{"text": "a"}', headers)[0] == 200
    assert fetch("POST", url, b'{"title": "a"}', headers)[2] == b'{"message": "Invalid request body"}'
    assert fetch("POST", url, b'{"text": "a"}', {"Content-Type": "application/json"})[0] == 400
    assert "Note" in {model["name"] for model in apis.get_models(restApiId=output["OutputValue"])["items"]}
    cfn.delete_stack(StackName="sam-defined")
    cfn.get_waiter("stack_delete_complete").wait(StackName="sam-defined", WaiterConfig=FAST)


def test_an_api_whose_document_has_no_title_has_a_name(client: Callable[..., Any]) -> None:
    cfn, apis = client("cloudformation"), client("apigateway")
    document = {"openapi": "3.0.1", "paths": {"/a": {}}}
    made = apis.import_rest_api(body=json.dumps(document))
    assert made["name"].startswith("Imported on 20")
    template = {
        "Resources": {"Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": document}}},
        "Outputs": {"Api": {"Value": {"Ref": "Api"}}},
    }
    cfn.create_stack(StackName="untitled", TemplateBody=json.dumps(template))
    cfn.get_waiter("stack_create_complete").wait(StackName="untitled", WaiterConfig=FAST)
    [output] = cfn.describe_stacks(StackName="untitled")["Stacks"][0]["Outputs"]
    assert apis.get_rest_api(restApiId=output["OutputValue"])["name"].startswith("Imported on 20")
    apis.delete_rest_api(restApiId=made["id"])
    cfn.delete_stack(StackName="untitled")
    cfn.get_waiter("stack_delete_complete").wait(StackName="untitled", WaiterConfig=FAST)


FROM_S3 = """
Parameters:
  Key: {Type: String, Default: one.yaml}
  Endpoint: {Type: String, Default: EDGE}
Resources:
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties:
      BodyS3Location: {Bucket: documents-of-apis, Key: !Ref Key}
      EndpointConfiguration: {Types: [!Ref Endpoint]}
      FailOnWarnings: true
  Copy:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: copy, CloneFrom: !Ref Api}
Outputs:
  Api: {Value: !Ref Api}
  Copy: {Value: !Ref Copy}
"""


@pytest.mark.slow
def test_a_stack_takes_a_document_from_s3(client: Callable[..., Any]) -> None:
    cfn, apis, s3 = client("cloudformation"), client("apigateway"), client("s3")
    s3.create_bucket(Bucket="documents-of-apis")
    for key, path in (("one.yaml", "/one"), ("two.yaml", "/two")):
        body = f"openapi: 3.0.1\ninfo: {{title: from-s3, version: '1'}}\npaths: {{{path}: {{}}}}\n"
        s3.put_object(Bucket="documents-of-apis", Key=key, Body=body.encode())

    def paths(api_id: str) -> set[str]:
        return {item["path"] for item in apis.get_resources(restApiId=api_id)["items"]}

    cfn.create_stack(StackName="from-s3", TemplateBody=FROM_S3)
    cfn.get_waiter("stack_create_complete").wait(StackName="from-s3", WaiterConfig=FAST)
    [stack] = cfn.describe_stacks(StackName="from-s3")["Stacks"]
    made = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert apis.get_rest_api(restApiId=made["Api"])["name"] == "from-s3"
    assert paths(made["Api"]) == paths(made["Copy"]) == {"/", "/one"}

    changed = [
        {"ParameterKey": "Key", "ParameterValue": "two.yaml"},
        {"ParameterKey": "Endpoint", "ParameterValue": "REGIONAL"},
    ]
    cfn.update_stack(StackName="from-s3", TemplateBody=FROM_S3, Parameters=changed)
    cfn.get_waiter("stack_update_complete").wait(StackName="from-s3", WaiterConfig=FAST)
    assert (paths(made["Api"]), paths(made["Copy"])) == ({"/", "/two"}, {"/", "/one"})
    assert apis.get_rest_api(restApiId=made["Api"])["endpointConfiguration"]["types"] == ["REGIONAL"]

    cfn.delete_stack(StackName="from-s3")
    cfn.get_waiter("stack_delete_complete").wait(StackName="from-s3", WaiterConfig=FAST)
    for key in ("one.yaml", "two.yaml"):
        s3.delete_object(Bucket="documents-of-apis", Key=key)
    s3.delete_bucket(Bucket="documents-of-apis")
