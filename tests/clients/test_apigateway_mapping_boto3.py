"""REST APIs that map: SAM's CORS, and templates made through boto3, over HTTP."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

FAST = {"Delay": 0, "MaxAttempts": 2000}
Fetch = Callable[..., tuple[int, dict[str, str], bytes]]

CORS = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: dev
      Cors:
        {AllowMethods: "'GET,OPTIONS'", AllowHeaders: "'X-Key'", AllowOrigin: "'https://a.example'", MaxAge: "'600'"}
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: |
        def handler(event, context):
            return {"statusCode": 200, "body": "hello"}
      Events:
        Get: {Type: Api, Properties: {Path: /hello, Method: GET, RestApiId: !Ref Api}}
Outputs:
  Api: {Value: !Ref Api}
"""


@pytest.mark.slow
def test_sam_answers_preflights(client: Callable[..., Any], fetch: Fetch) -> None:
    cfn = client("cloudformation")
    cfn.create_stack(StackName="cors", TemplateBody=CORS, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
    cfn.get_waiter("stack_create_complete").wait(StackName="cors", WaiterConfig=FAST)
    [output] = cfn.describe_stacks(StackName="cors")["Stacks"][0]["Outputs"]
    url = f"/_aws/execute-api/{output['OutputValue']}/dev/hello"

    status, headers, body = fetch("OPTIONS", url, None, {"Origin": "https://a.example"})

    assert (status, body.strip()) == (200, b"{}")
    assert headers["access-control-allow-origin"] == "https://a.example"
    assert headers["access-control-allow-methods"] == "GET,OPTIONS"
    assert headers["access-control-allow-headers"] == "X-Key"
    assert headers["access-control-max-age"] == "600"
    assert fetch("GET", url)[2] == b"hello"
    cfn.delete_stack(StackName="cors")
    cfn.get_waiter("stack_delete_complete").wait(StackName="cors", WaiterConfig=FAST)


def test_a_mock_with_templates(client: Callable[..., Any], fetch: Fetch) -> None:
    apis = client("apigateway")
    api = apis.create_rest_api(name="mock")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "POST"}
    apis.put_method(**at, authorizationType="NONE")
    apis.put_integration(
        **at,
        type="MOCK",
        requestTemplates={"application/json": '{"statusCode": 200}'},
        passthroughBehavior="NEVER",
    )
    apis.put_method_response(**at, statusCode="200", responseParameters={"method.response.header.X-Id": True})
    apis.put_integration_response(
        **at,
        statusCode="200",
        responseParameters={"method.response.header.X-Id": "context.requestId"},
        responseTemplates={
            "application/json": """
                #macro( quoted $text )"$util.escapeJavaScript($text)"#end
                #define( $pair )"q": #quoted($input.params('q'))#end
                {$pair}"""
        },
    )
    apis.create_deployment(restApiId=api["id"], stageName="dev")
    url = f"/_aws/execute-api/{api['id']}/dev/"

    status, headers, body = fetch("POST", f"{url}?q=a%22b", b"{}", {"Content-Type": "application/json"})
    wrong = fetch("POST", url, b"<a/>", {"Content-Type": "application/xml"})

    assert (status, json.loads(body)) == (200, {"q": 'a"b'})
    assert headers["x-id"] == headers["x-amzn-requestid"]
    assert (wrong[0], wrong[2]) == (415, b'{"message":"Unsupported Media Type"}')
    apis.delete_rest_api(restApiId=api["id"])


def test_a_form(client: Callable[..., Any], fetch: Fetch) -> None:
    apis = client("apigateway")
    api = apis.create_rest_api(name="forms")
    at = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "POST"}
    apis.put_method(**at, authorizationType="NONE")
    form = "application/x-www-form-urlencoded"
    status = (
        "{#foreach($pair in $input.path('$').split('&'))"
        "#if($pair.startsWith('status='))\"statusCode\": $pair.split('=')[1]#end#end}"
    )
    apis.put_integration(**at, type="MOCK", requestTemplates={form: status}, passthroughBehavior="NEVER")
    for code in ("200", "404"):
        apis.put_method_response(**at, statusCode=code)
        apis.put_integration_response(**at, statusCode=code, selectionPattern="" if code == "200" else code)
    apis.create_deployment(restApiId=api["id"], stageName="dev")
    url = f"/_aws/execute-api/{api['id']}/dev/"

    assert fetch("POST", url, b"a=b&status=404", {"Content-Type": form})[0] == 404
    assert fetch("POST", url, b"status=200", {"Content-Type": form})[0] == 200
    apis.delete_rest_api(restApiId=api["id"])


def test_authorizers(client: Callable[..., Any]) -> None:
    apis = client("apigateway")
    api = apis.create_rest_api(name="authorizers")
    at = {"restApiId": api["id"]}
    uri = (
        "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
        "arn:aws:lambda:us-east-1:000000000000:function:f/invocations"
    )
    source = "method.request.header.Auth"
    made = apis.create_authorizer(**at, name="a", type="TOKEN", authorizerUri=uri, identitySource=source)
    assert apis.get_authorizer(**at, authorizerId=made["id"])["identitySource"] == source
    assert [item["id"] for item in apis.get_authorizers(**at)["items"]] == [made["id"]]
    patch = [{"op": "replace", "path": "/name", "value": "b"}]
    assert apis.update_authorizer(**at, authorizerId=made["id"], patchOperations=patch)["name"] == "b"
    with pytest.raises(ClientError) as missing:
        apis.create_authorizer(**at, name="c", type="TOKEN", authorizerUri=uri)
    assert missing.value.response["Error"] == {
        "Code": "BadRequestException",
        "Message": "Identity source cannot be empty",
    }
    apis.delete_authorizer(**at, authorizerId=made["id"])
    with pytest.raises(ClientError) as gone:
        apis.get_authorizer(**at, authorizerId=made["id"])
    assert gone.value.response["Error"]["Code"] == "NotFoundException"
    with pytest.raises(ClientError) as no_stage:
        apis.flush_stage_authorizers_cache(**at, stageName="dev")
    assert no_stage.value.response["Error"]["Message"] == "Invalid stage identifier specified"
    apis.delete_rest_api(**at)


def test_models_and_validators(client: Callable[..., Any], fetch: Fetch) -> None:
    apis = client("apigateway")
    api = apis.create_rest_api(name="validators")
    at = {"restApiId": api["id"]}
    schema = json.dumps({"type": "object", "required": ["a"]})
    model = apis.create_model(**at, name="Thing", contentType="application/json", schema=schema)
    assert apis.get_model(**at, modelName="Thing")["schema"] == model["schema"] == schema
    assert [item["name"] for item in apis.get_models(**at)["items"]] == ["Empty", "Error", "Thing"]
    patch = [{"op": "replace", "path": "/description", "value": "d"}]
    assert apis.update_model(**at, modelName="Thing", patchOperations=patch)["description"] == "d"
    validator = apis.create_request_validator(**at, name="v", validateRequestBody=True)
    by_id = {**at, "requestValidatorId": validator["id"]}
    assert apis.get_request_validator(**by_id)["validateRequestParameters"] is False
    assert len(apis.get_request_validators(**at)["items"]) == 1
    patch = [{"op": "replace", "path": "/validateRequestParameters", "value": "true"}]
    assert apis.update_request_validator(**by_id, patchOperations=patch)["validateRequestParameters"] is True
    method = {**at, "resourceId": api["rootResourceId"], "httpMethod": "POST"}
    apis.put_method(
        **method,
        authorizationType="NONE",
        requestModels={"application/json": "Thing"},
        requestParameters={"method.request.querystring.q": True},
        requestValidatorId=validator["id"],
    )
    apis.put_integration(**method, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    apis.put_method_response(**method, statusCode="200")
    apis.put_integration_response(**method, statusCode="200")
    apis.create_deployment(**at, stageName="dev")
    url = f"/_aws/execute-api/{api['id']}/dev/"
    json_type = {"Content-Type": "application/json"}

    assert fetch("POST", f"{url}?q=1", b'{"a": 1}', json_type)[0] == 200
    assert fetch("POST", f"{url}?q=1", b"{}", json_type)[2] == b'{"message": "Invalid request body"}'
    tried = apis.test_invoke_method(**method, pathWithQueryString="/?q=1", body="{}", headers=json_type)
    assert (
        "Request body does not match model schema for content type application/json: "
        '[object has missing required properties (["a"])]'
    ) in tried["log"]
    template = {"application/json": '{"why": "$context.error.validationErrorString"}'}
    apis.put_gateway_response(**at, responseType="BAD_REQUEST_BODY", responseTemplates=template)
    apis.create_deployment(**at, stageName="dev")
    why = '[object has missing required properties (["a"])]'
    assert json.loads(fetch("POST", f"{url}?q=1", b"{}", json_type)[2]) == {"why": why}
    missing = fetch("POST", url, b'{"a": 1}', json_type)
    assert (missing[0], missing[2]) == (400, b'{"message": "Missing required request parameters: [q]"}')

    refusals: list[tuple[Callable[[], Any], str]] = [
        (lambda: apis.delete_model(**at, modelName="Thing"), "Cannot delete model 'Thing'"),
        (lambda: apis.delete_request_validator(**by_id), "Cannot delete request validator"),
        (lambda: apis.create_model(**at, name="Bad", contentType="application/json", schema="{"), "Invalid model"),
        (lambda: apis.get_model(**at, modelName="None"), "Invalid model name specified: None"),
    ]
    for call, message in refusals:
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Message"].startswith(message)
    apis.delete_method(**method)
    apis.delete_model(**at, modelName="Thing")
    apis.delete_request_validator(**by_id)
    apis.delete_rest_api(**at)
