"""REST APIs in front of AWS services, without a function between: IAM decides under the integration's role."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

Fetch = Callable[..., tuple[int, dict[str, str], bytes]]
AT = "arn:aws:apigateway:us-east-1:"


@pytest.fixture(scope="module")
def role(server: Any) -> Iterator[str]:
    """The ARN of a role that API Gateway assumes, which may do little."""
    iam = server.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    made = iam.create_role(RoleName="integrations", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    allowed = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "logs:DescribeLogGroups", "apigateway:GET", "iam:GetRole"],
                "Resource": "*",
            }
        ],
    }
    iam.put_role_policy(RoleName="integrations", PolicyName="p", PolicyDocument=json.dumps(allowed))
    yield made["Arn"]
    iam.delete_role_policy(RoleName="integrations", PolicyName="p")
    iam.delete_role(RoleName="integrations")


def test_services_behind_an_api(client: Callable[..., Any], fetch: Fetch, role: str) -> None:
    apis, s3, logs = client("apigateway"), client("s3"), client("logs")
    s3.create_bucket(Bucket="integrated")
    logs.create_log_group(logGroupName="/integrated")
    api = apis.create_rest_api(name="services", binaryMediaTypes=["image/png"])
    by_id = {"restApiId": api["id"]}

    def method(verb: str, part: str, parent: str, uri: str, **integration: Any) -> str:
        resource = apis.create_resource(**by_id, parentId=parent, pathPart=part)
        at = {**by_id, "resourceId": resource["id"], "httpMethod": verb}
        declared = dict.fromkeys(
            [source for source in integration.get("requestParameters", {}).values() if source.startswith("method.")],
            False,
        )
        apis.put_method(**at, authorizationType="NONE", requestParameters=declared)
        apis.put_integration(**at, type="AWS", uri=AT + uri, credentials=role, **integration)
        for status, pattern in (("200", ""), ("403", "403"), ("404", "404"), ("400", "400")):
            apis.put_method_response(**at, statusCode=status)
            apis.put_integration_response(**at, statusCode=status, selectionPattern=pattern)
        return str(resource["id"])

    root = api["rootResourceId"]
    files = method(
        "PUT",
        "{key}",
        root,
        "s3:path/integrated/{key}",
        integrationHttpMethod="PUT",
        requestParameters={
            "integration.request.path.key": "method.request.path.key",
            "integration.request.header.Content-Type": "method.request.header.Content-Type",
        },
    )
    at = {**by_id, "resourceId": files, "httpMethod": "GET"}
    apis.put_method(**at, authorizationType="NONE", requestParameters={"method.request.path.key": True})
    apis.put_integration(
        **at,
        type="AWS",
        uri=f"{AT}integrated.s3:path/{{key}}",
        integrationHttpMethod="GET",
        credentials=role,
        requestParameters={"integration.request.path.key": "method.request.path.key"},
    )
    told = "method.response.header.Content-Type"
    for status, pattern, mapped in (
        ("200", "2.*", {told: "integration.response.header.Content-Type"}),
        ("404", "404", {}),
    ):
        apis.put_method_response(**at, statusCode=status, responseParameters=dict.fromkeys(mapped, False))
        apis.put_integration_response(**at, statusCode=status, selectionPattern=pattern, responseParameters=mapped)
    method("POST", "groups", root, "logs:action/DescribeLogGroups", integrationHttpMethod="POST")
    method(
        "POST",
        "role",
        root,
        "iam:action/GetRole",
        integrationHttpMethod="POST",
        requestParameters={"integration.request.querystring.RoleName": "'integrations'"},
    )
    method("GET", "who", root, "sts:action/GetCallerIdentity", integrationHttpMethod="GET")
    method("GET", "apis", root, f"apigateway:path/restapis/{api['id']}", integrationHttpMethod="GET")
    method("POST", "table", root, "dynamodb:action/ListTables", integrationHttpMethod="POST")
    apis.create_deployment(**by_id, stageName="dev")
    url = f"/_aws/execute-api/{api['id']}/dev"

    image = {"Content-Type": "image/png", "Accept": "image/png"}
    assert fetch("PUT", f"{url}/a.png", b"\x89PNG", image)[0] == 200
    assert s3.get_object(Bucket="integrated", Key="a.png")["ContentType"] == "image/png"
    status, headers, body = fetch("GET", f"{url}/a.png", None, image)
    assert (status, headers["content-type"], body) == (200, "image/png", b"\x89PNG")
    status, _, body = fetch("GET", f"{url}/b.png", None, {"Accept": "text/xml"})
    assert (status, b"<Code>NoSuchKey</Code>" in body) == (404, True)
    status, _, body = fetch("POST", f"{url}/groups", b'{"logGroupNamePrefix": "/integrated"}')
    assert (status, json.loads(body)["logGroups"][0]["logGroupName"]) == (200, "/integrated")
    status, _, body = fetch("POST", f"{url}/role")
    assert (status, b"<RoleName>integrations</RoleName>" in body) == (200, True)
    assert b"assumed-role/integrations/BackplaneAssumeRoleSession" in fetch("GET", f"{url}/who")[2]
    assert json.loads(fetch("GET", f"{url}/apis")[2])["name"] == "services"
    status, _, body = fetch("POST", f"{url}/table", b"{}")
    assert (status, b"is not authorized to perform: dynamodb:ListTables" in body) == (400, True)
    status, _, body = fetch("POST", f"{url}/groups", b'{"limit": 1000}')
    assert (status, b"limit" in body) == (400, True)

    with pytest.raises(ClientError) as refused:
        apis.put_integration(**at, type="AWS", uri=f"{AT}s3:path/x", integrationHttpMethod="GET")
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "BadRequestException",
        "Role ARN must be specified for AWS integrations",
    )
    apis.delete_rest_api(**by_id)
    s3.delete_object(Bucket="integrated", Key="a.png")
    s3.delete_bucket(Bucket="integrated")
    logs.delete_log_group(logGroupName="/integrated")
