"""The definition of REST APIs through boto3: patches, documents, documentation."""

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
