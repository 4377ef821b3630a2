"""Stack operations over real services: events in order, rollback, replacement, cleanup, and what a kill leaves."""

import asyncio
import io
import zipfile
from dataclasses import replace
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.kit import Principal
from cumulet.store.memory import MemoryStore
from patience import until
from stacking import BAD_ROLE, TABLE, Interfering, Stacks, log_group, role


@pytest.fixture
def stacks() -> Stacks:
    return Stacks()


async def test_a_stack_is_made_in_the_order_of_its_references(stacks: Stacks) -> None:
    output = {"Group": {"Value": {"Ref": "Logs"}}, "Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}}
    await stacks.create(outputs=output, Logs=log_group({"Fn::Sub": "/x/${Role}"}), Role=role())
    name = await stacks.physical_id("Role")
    assert name.startswith("s-Role-")
    assert await stacks.events() == [
        "s CREATE_IN_PROGRESS",
        "Role CREATE_IN_PROGRESS",
        "Role CREATE_IN_PROGRESS",
        "Role CREATE_COMPLETE",
        "Logs CREATE_IN_PROGRESS",
        "Logs CREATE_IN_PROGRESS",
        "Logs CREATE_COMPLETE",
        "s CREATE_COMPLETE",
    ]
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in (await stacks.stack())["Outputs"]}
    assert outputs == {"Group": f"/x/{name}", "Arn": f"arn:aws:iam::000000000000:role/{name}"}
    assert await stacks.log_groups() == {f"/x/{name}": 7}


async def test_a_deleted_stack_leaves_nothing_and_is_found_by_its_id(stacks: Stacks) -> None:
    stack_id = (await stacks.create(Logs=log_group({"Ref": "Role"}), Role=role(), Table=TABLE))["StackId"]
    await stacks.call("DeleteStack", StackName="s")
    assert (await stacks.log_groups(), await stacks.roles(), await stacks.tables()) == ({}, [], [])
    assert await stacks.status(stack_id) == "DELETE_COMPLETE"
    deleted = [event.split()[0] for event in await stacks.events(stack_id) if event.endswith("DELETE_COMPLETE")]
    assert deleted.index("Logs") < deleted.index("Role")
    assert deleted[-1] == "s"
    with pytest.raises(ServiceError, match="Stack with id s does not exist"):
        await stacks.status()
    await stacks.create(Logs=log_group())
    assert await stacks.status() == "CREATE_COMPLETE"


async def test_a_failed_creation_is_rolled_back(stacks: Stacks) -> None:
    await stacks.create(Table=TABLE, Role={**BAD_ROLE, "DependsOn": "Table"})
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    assert (await stacks.roles(), await stacks.tables()) == ([], [])
    reasons = await stacks.reasons()
    assert "NoSuchPolicy" in reasons["Role CREATE_FAILED"]
    assert reasons["s ROLLBACK_IN_PROGRESS"] == (
        "The following resource(s) failed to create: [Role]. Rollback requested by user."
    )
    assert (await stacks.events())[-5:] == [
        "Role DELETE_IN_PROGRESS",
        "Role DELETE_COMPLETE",
        "Table DELETE_IN_PROGRESS",
        "Table DELETE_COMPLETE",
        "s ROLLBACK_COMPLETE",
    ]
    with pytest.raises(ServiceError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        await stacks.update(Table=TABLE)


@pytest.mark.parametrize(
    ("params", "status", "tables"),
    [
        ({"DisableRollback": True}, "CREATE_FAILED", 1),
        ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED", 1),
        ({"OnFailure": "DELETE"}, "DELETE_COMPLETE", 0),
    ],
)
async def test_what_happens_on_failure_can_be_chosen(
    stacks: Stacks, params: dict[str, Any], status: str, tables: int
) -> None:
    resources = {"Table": TABLE, "Role": {**BAD_ROLE, "DependsOn": "Table"}}
    stack_id = (await stacks.call("CreateStack", **stacks.request("s", None, resources, **params)))["StackId"]
    assert await stacks.status(stack_id) == status
    assert len(await stacks.tables()) == tables


async def test_rolling_back_spares_what_was_there_before(stacks: Stacks) -> None:
    await stacks.house.call("logs", "CreateLogGroup", {"logGroupName": "/mine"})
    await stacks.create(Logs=log_group("/mine"))
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    assert "AlreadyExists" in (await stacks.reasons())["Logs CREATE_FAILED"]
    assert await stacks.log_groups() == {"/mine": None}


async def test_an_update_in_place(stacks: Stacks) -> None:
    await stacks.create(Logs=log_group(days=7), Role=role())
    name = await stacks.physical_id("Logs")
    await stacks.update(Logs=log_group(days=30), Role=role())
    assert await stacks.status() == "UPDATE_COMPLETE"
    assert await stacks.log_groups() == {name: 30}
    assert (await stacks.events())[-5:] == [
        "s UPDATE_IN_PROGRESS",
        "Logs UPDATE_IN_PROGRESS",
        "Logs UPDATE_COMPLETE",
        "s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "s UPDATE_COMPLETE",
    ]
    with pytest.raises(ServiceError, match="No updates are to be performed"):
        await stacks.update(Logs=log_group(days=30), Role=role())


async def test_a_replacement_is_made_before_the_old_one_goes(stacks: Stacks) -> None:
    await stacks.create(Logs=log_group("/old"), Role=role(Description={"Ref": "Logs"}))
    await stacks.update(Logs=log_group("/new"), Role=role(Description={"Ref": "Logs"}))
    assert await stacks.status() == "UPDATE_COMPLETE"
    assert await stacks.log_groups() == {"/new": 7}
    assert await stacks.physical_id("Logs") == "/new"
    events = await stacks.events()
    assert events.index("Role UPDATE_COMPLETE") < events.index("Logs DELETE_IN_PROGRESS")
    found = await stacks.house.call("iam", "GetRole", {"RoleName": await stacks.physical_id("Role")})
    assert found["Role"]["Description"] == "/new"


async def test_resources_come_and_go_with_the_template(stacks: Stacks) -> None:
    await stacks.create(One=log_group("/one"), Two=log_group("/two"))
    await stacks.update(Two=log_group("/two"), Three=log_group("/three"))
    assert set(await stacks.log_groups()) == {"/two", "/three"}
    listed = (await stacks.call("ListStackResources", StackName="s"))["StackResourceSummaries"]
    assert {entry["LogicalResourceId"] for entry in listed} == {"Two", "Three"}


async def test_a_failed_update_is_undone(stacks: Stacks) -> None:
    await stacks.create(Changed=log_group("/changed", 7), Replaced=log_group("/before"), Gone=log_group("/gone"))
    await stacks.update(
        Changed=log_group("/changed", 30),
        Replaced=log_group("/after"),
        New=log_group("/new"),
        Bad={**BAD_ROLE, "DependsOn": ["Changed", "Replaced", "New"]},
    )
    assert await stacks.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert await stacks.log_groups() == {"/changed": 7, "/before": 7, "/gone": 7}
    assert await stacks.roles() == []
    assert await stacks.physical_id("Replaced") == "/before"
    events = await stacks.events()
    for expected in (
        "Bad CREATE_FAILED",
        "s UPDATE_ROLLBACK_IN_PROGRESS",
        "Changed UPDATE_COMPLETE",
        "New DELETE_COMPLETE",
    ):
        assert expected in events
    await stacks.update(Changed=log_group("/changed", 14))
    assert (await stacks.status(), await stacks.log_groups()) == ("UPDATE_COMPLETE", {"/changed": 14})


async def test_a_resource_with_a_given_name_is_not_replaced(stacks: Stacks) -> None:
    await stacks.create(Role=role(RoleName="mine"))
    await stacks.update(Role=role(RoleName="mine", Path="/other/"))
    assert await stacks.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert (await stacks.reasons())["Role UPDATE_FAILED"] == (
        "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename mine and update"
        " the stack again."
    )
    assert await stacks.roles() == ["mine"]


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (
            {"Type": "AWS::Logs::LogGroup", "Properties": {"Nope": 1}},
            "Properties validation failed for resource R with message:\n#: extraneous key [Nope] is not permitted",
        ),
        (
            {"Type": "AWS::DynamoDB::Table", "Properties": {"Nope": 1}},
            "Properties validation failed for resource R with message:\n#: extraneous key [Nope] is not permitted\n"
            "#: required key [KeySchema] not found",
        ),
        (
            {"Type": "AWS::S3::Bucket", "Properties": {"CorsConfiguration": {"CorsRules": []}}},
            "The property CorsConfiguration of AWS::S3::Bucket is not implemented by Cumulet.",
        ),
        (
            {**TABLE, "Properties": {**TABLE["Properties"], "KeySchema": [{"AttributeName": "pk", "Kind": "HASH"}]}},
            "Properties validation failed with message:\n#/KeySchema/0: extraneous key [Kind] is not permitted",
        ),
        (
            role(Policies=[{"PolicyName": "p"}], ManagedPolicyArns="x", Tags=[1]),
            "Properties validation failed for resource R with message:\n"
            "#/Policies/0: required key [PolicyDocument] not found\n"
            "#/ManagedPolicyArns: expected type: JSONArray, found: String\n"
            "#/Tags/0: expected type: JSONObject, found: Integer",
        ),
        (
            {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": "many"}},
            "Properties validation failed with message:\n#/retentionInDays: expected type: Number, found: String",
        ),
    ],
)
async def test_a_property_that_cannot_be_fails_the_stack_by_its_name(
    stacks: Stacks, resource: dict[str, Any], reason: str
) -> None:
    await stacks.create(R=resource)
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    assert (await stacks.reasons())["R CREATE_FAILED"] == reason


async def test_an_update_to_properties_that_cannot_be_changes_nothing(stacks: Stacks) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    policy = {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    await stacks.create(Role=role(Policies=[policy]), Logs=log_group("/a", 7))
    await stacks.update(Role=role(Policies=[{"PolicyName": "p"}]), Logs=log_group("/a", 30))
    assert await stacks.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert "required key [PolicyDocument] not found" in (await stacks.reasons())["Role UPDATE_FAILED"]
    assert await stacks.log_groups() == {"/a": 7}
    listed = await stacks.call("DescribeStackResources", StackName="s")
    assert {entry["ResourceStatus"] for entry in listed["StackResources"]} <= {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


async def test_retained_resources_stay(stacks: Stacks) -> None:
    await stacks.create(
        Kept=log_group("/kept", DeletionPolicy="Retain"),
        Moved=log_group("/moved", UpdateReplacePolicy="Retain"),
        Gone=log_group("/gone"),
    )
    await stacks.update(
        Kept=log_group("/kept", DeletionPolicy="Retain"), Moved=log_group("/here", UpdateReplacePolicy="Retain")
    )
    assert set(await stacks.log_groups()) == {"/kept", "/moved", "/here"}
    stack_id = (await stacks.stack())["StackId"]
    await stacks.call("DeleteStack", StackName="s")
    assert set(await stacks.log_groups()) == {"/kept", "/moved"}
    assert "Kept DELETE_SKIPPED" in await stacks.events(stack_id)


async def test_a_failed_deletion_can_be_finished(stacks: Stacks) -> None:
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "full"}}
    stack_id = (await stacks.create(Bucket=bucket, Logs=log_group()))["StackId"]
    await stacks.house.call("s3", "PutObject", {"Bucket": "full", "Key": "k", "Body": b"x"})
    await stacks.call("DeleteStack", StackName="s")
    assert await stacks.status() == "DELETE_FAILED"
    assert (await stacks.reasons())["s DELETE_FAILED"] == "The following resource(s) failed to delete: [Bucket]. "
    assert await stacks.log_groups() == {}
    await stacks.call("DeleteStack", StackName="s", RetainResources=["Bucket"])
    assert await stacks.status(stack_id) == "DELETE_COMPLETE"
    assert len((await stacks.house.call("s3", "ListBuckets", {}))["Buckets"]) == 1


async def test_stack_tags_reach_the_resources(stacks: Stacks) -> None:
    tags = [{"Key": "team", "Value": "a"}, {"Key": "old", "Value": "x"}]
    await stacks.call("CreateStack", **stacks.request("s", None, {"Role": role()}, Tags=tags))
    name = await stacks.physical_id("Role")

    async def role_tags() -> dict[str, str]:
        found = await stacks.house.call("iam", "ListRoleTags", {"RoleName": name})
        return {tag["Key"]: tag["Value"] for tag in found["Tags"]}

    assert await role_tags() == {"team": "a", "old": "x"}
    await stacks.call(
        "UpdateStack", **stacks.request("s", None, {"Role": role()}, Tags=[{"Key": "team", "Value": "b"}])
    )
    assert await role_tags() == {"team": "b"}


async def test_exports_bind_stacks(stacks: Stacks) -> None:
    exported = {"O": {"Value": {"Ref": "Logs"}, "Export": {"Name": "shared"}}}
    await stacks.create("producer", exported, Logs=log_group("/shared"))
    await stacks.create("consumer", Logs=log_group({"Fn::Sub": ["${x}/more", {"x": {"Fn::ImportValue": "shared"}}]}))
    assert set(await stacks.log_groups()) == {"/shared", "/shared/more"}
    assert (await stacks.call("ListImports", ExportName="shared"))["Imports"] == ["consumer"]
    await stacks.call("DeleteStack", StackName="producer")
    assert await stacks.status("producer") == "DELETE_FAILED"
    assert (await stacks.reasons("producer"))["producer DELETE_FAILED"] == (
        "Export shared cannot be deleted as it is in use by consumer"
    )
    await stacks.create("rival", exported, Logs=log_group("/rival"))
    assert await stacks.status("rival") == "ROLLBACK_COMPLETE"
    with pytest.raises(ServiceError, match="No export named gone found"):
        await stacks.create("late", Logs=log_group({"Fn::ImportValue": "gone"}))
    await stacks.call("DeleteStack", StackName="consumer")
    await stacks.call("DeleteStack", StackName="producer")
    assert (await stacks.call("ListExports"))["Exports"] == []


async def interrupt(stacks: Stacks, at: str, step: Any, *, behind: bool = False) -> None:
    """Run a step until the call `at` is under way, or done and `behind` the server, then end the server."""
    reached, never = asyncio.Event(), asyncio.Event()

    async def meet(call: str, params: Any) -> None:
        if call == at:
            reached.set()
            await never.wait()

    class Unheard(Interfering):
        async def call(self, principal: Principal, scope: Scope, service: str, operation: str, *more: Any) -> Any:
            output = await stacks.house.dispatcher.call(principal, scope, service, operation, *more)
            await meet(f"{service}:{operation}", None)
            return output

    plane = await stacks.plane()
    plane.ground = replace(plane.ground, operations=(Unheard if behind else Interfering)(stacks.house, meet))
    running = asyncio.ensure_future(step)
    await until(reached.is_set, "the call is under way", every_s=0)
    plane.stop_seconds_max = 0  # as if it had been killed
    await plane.stop()
    await asyncio.gather(running, return_exceptions=True)
    await stacks.next_server()


async def test_an_interrupted_creation_is_rolled_back_at_the_next_start(stacks: Stacks) -> None:
    await interrupt(stacks, "iam:AttachRolePolicy", stacks.create(Table=TABLE, Role={**BAD_ROLE, "DependsOn": "Table"}))
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    assert (await stacks.roles(), await stacks.tables()) == ([], [])
    reason = (await stacks.reasons())["s ROLLBACK_IN_PROGRESS"]
    assert reason.startswith("The operation was interrupted by a restart of the server.")


async def test_an_interrupted_update_is_undone_at_the_next_start(stacks: Stacks) -> None:
    await stacks.create(Logs=log_group("/a", 7), Two=log_group("/b", 7, DependsOn="Logs"))
    step = stacks.update(Logs=log_group("/a", 30), Two=log_group("/c", 30, DependsOn="Logs"))
    await interrupt(stacks, "logs:CreateLogGroup", step)
    assert await stacks.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert await stacks.log_groups() == {"/a": 7, "/b": 7}


POLICY = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
CODE = {"S3Bucket": "code", "S3Key": "layer.zip"}


HTTP_API = {
    "Name": "mine",
    "Description": "d",
    "BasePath": "prepend",
    "DisableExecuteApiEndpoint": True,
    "CorsConfiguration": {"AllowOrigins": ["*"]},
}


def http_document(path: str) -> dict[str, Any]:
    integration = {"type": "http_proxy", "httpMethod": "GET", "uri": "http://e.com", "payloadFormatVersion": "1.0"}
    return {
        "openapi": "3.0.1",
        "info": {"title": "its"},
        "servers": [{"url": "/base"}],
        "paths": {path: {"get": {"x-amazon-apigateway-integration": integration}}},
    }


async def test_a_new_document_of_an_http_api_leaves_the_properties_beside_it(stacks: Stacks) -> None:
    async def made() -> tuple[Any, list[str]]:
        [api] = (await stacks.house.call("apigatewayv2", "GetApis", {}))["Items"]
        routes = await stacks.house.call("apigatewayv2", "GetRoutes", {"ApiId": api["ApiId"]})
        shown = {name: api.get(name) for name in HTTP_API if name != "BasePath"}
        return shown, [route["RouteKey"] for route in routes["Items"]]

    def api(path: str, **more: Any) -> dict[str, Any]:
        return {"Type": "AWS::ApiGatewayV2::Api", "Properties": {**HTTP_API, **more, "Body": http_document(path)}}

    beside = {name: value for name, value in HTTP_API.items() if name != "BasePath"}
    await stacks.create(Api=api("/a"))
    assert await made() == (beside, ["GET /base/a"])
    await stacks.update(Api=api("/b"))
    assert await made() == (beside, ["GET /base/b"])
    await stacks.update(Api=api("/b", BasePath="ignore"))
    assert await made() == (beside, ["GET /b"])


async def test_what_a_template_no_longer_says_of_an_http_api_is_taken_away(stacks: Stacks) -> None:
    def kind(name: str, **properties: Any) -> dict[str, Any]:
        properties.setdefault("ApiId", {"Ref": "Api"})
        return {"Type": f"AWS::ApiGatewayV2::{name}", "Properties": properties}

    def resources(integration: dict[str, Any], route: dict[str, Any], stage: dict[str, Any]) -> dict[str, Any]:
        uri = {"IntegrationType": "HTTP_PROXY", "IntegrationMethod": "ANY", "IntegrationUri": "http://a.example"}
        return {
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "n", "ProtocolType": "HTTP"}},
            "Backend": kind("Integration", PayloadFormatVersion="1.0", **uri, **integration),
            "Route": kind("Route", RouteKey="GET /a", Target={"Fn::Sub": "integrations/${Backend}"}, **route),
            "Stage": {**kind("Stage", StageName="s", **stage), "DependsOn": "Route"},
        }

    async def made() -> list[dict[str, Any]]:
        call = stacks.house.call
        [api] = (await call("apigatewayv2", "GetApis", {}))["Items"]
        found = [
            (await call("apigatewayv2", f"Get{name}s", {"ApiId": api["ApiId"]}))["Items"][0]
            for name in ("Integration", "Route", "Stage")
        ]
        seen = (
            "RequestParameters ResponseParameters Description TimeoutInMillis AuthorizationType OperationName"
            " StageVariables RouteSettings AccessLogSettings"
        )
        return [{name: one[name] for name in seen.split() if name in one} for one in found]

    log = {"DestinationArn": "arn:aws:logs:us-east-1:000000000000:log-group:a", "Format": "$context.requestId"}
    mapped = {"500": {"ResponseParameters": [{"Destination": "overwrite:statuscode", "Source": "403"}]}}
    await stacks.create(
        **resources(
            {
                "Description": "d",
                "TimeoutInMillis": 100,
                "RequestParameters": {"append:header.a": "1", "append:header.b": "2"},
                "ResponseParameters": mapped,
            },
            {"AuthorizationType": "AWS_IAM", "OperationName": "o"},
            {
                "Description": "d",
                "StageVariables": {"a": "1", "b": "2"},
                "RouteSettings": {"GET /a": {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 1}},
                "AccessLogSettings": log,
            },
        )
    )
    assert await stacks.status() == "CREATE_COMPLETE"
    await stacks.update(
        **resources(
            {"RequestParameters": {"append:header.b": "2"}},
            {},
            {"StageVariables": {"b": "2"}, "RouteSettings": {"GET /a": {"ThrottlingRateLimit": 1}}},
        )
    )
    assert await stacks.status() == "UPDATE_COMPLETE"
    throttled = {"DetailedMetricsEnabled": False, "ThrottlingRateLimit": 1.0}
    assert await made() == [
        {"RequestParameters": {"append:header.b": "2"}, "TimeoutInMillis": 30_000},
        {"AuthorizationType": "NONE"},
        {"StageVariables": {"b": "2"}, "RouteSettings": {"GET /a": throttled}},
    ]
    await stacks.update(**resources({}, {}, {}))
    assert await made() == [
        {"TimeoutInMillis": 30_000},
        {"AuthorizationType": "NONE"},
        {"StageVariables": {}, "RouteSettings": {}},
    ]


async def test_what_quick_create_made_of_an_http_api_follows_its_template(stacks: Stacks) -> None:
    def api(**more: Any) -> dict[str, Any]:
        return {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "n", "ProtocolType": "HTTP", **more}}

    async def made() -> tuple[str, str]:
        [found] = (await stacks.house.call("apigatewayv2", "GetApis", {}))["Items"]
        [route], [integration] = [
            (await stacks.house.call("apigatewayv2", f"Get{what}s", {"ApiId": found["ApiId"]}))["Items"]
            for what in ("Route", "Integration")
        ]
        return route["RouteKey"], integration["IntegrationUri"]

    await stacks.create(Api=api(Target="https://a.example", RouteKey="GET /a"))
    assert await made() == ("GET /a", "https://a.example")
    await stacks.update(Api=api(Target="https://b.example"))
    assert (await stacks.status(), await made()) == ("UPDATE_COMPLETE", ("$default", "https://b.example"))
    await stacks.update(Api=api())
    assert (await stacks.status(), await made()) == ("UPDATE_ROLLBACK_COMPLETE", ("$default", "https://b.example"))
    await stacks.create("other", Api=api())
    await stacks.update("other", Api=api(Target="https://a.example"))
    assert await stacks.status("other") == "UPDATE_ROLLBACK_COMPLETE"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"Target": "http://a.example"}, "The property Target beside a Body is not implemented by Cumulet."),
        ({"BodyS3Location": {"Bucket": "b", "Key": "k"}}, "Body and BodyS3Location cannot both be specified"),
    ],
)
async def test_what_cannot_stand_beside_a_document(stacks: Stacks, more: dict[str, Any], reason: str) -> None:
    properties = {**HTTP_API, "Body": http_document("/a"), **more}
    await stacks.create(Api={"Type": "AWS::ApiGatewayV2::Api", "Properties": properties})
    assert (await stacks.reasons())["Api CREATE_FAILED"] == reason


@pytest.mark.parametrize("kind", ["AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"])
async def test_a_document_in_s3_has_api_gateways_limit(stacks: Stacks, kind: str) -> None:
    await stacks.house.call("s3", "CreateBucket", {"Bucket": "documents"})
    await stacks.house.call("s3", "PutObject", {"Bucket": "documents", "Key": "a", "Body": b" " * (6 * 1024**2 + 1)})
    location = {"Bucket": "documents", "Key": "a"}
    await stacks.create(Api={"Type": kind, "Properties": {"BodyS3Location": location}})
    reasons = [
        event.get("ResourceStatusReason")
        for event in (await stacks.call("DescribeStackEvents", StackName="s"))["StackEvents"]
    ]
    assert "The API definition is larger than 6 MB" in reasons


@pytest.mark.parametrize(
    ("at", "kind", "properties", "listed"),
    [
        ("iam:CreateRole", "AWS::IAM::Role", {"RoleName": "mine", **role()["Properties"]}, "ListRoles"),
        ("iam:CreatePolicy", "AWS::IAM::ManagedPolicy", {"PolicyDocument": POLICY}, "ListPolicies"),
        ("logs:CreateLogGroup", "AWS::Logs::LogGroup", {"LogGroupName": "/mine"}, "DescribeLogGroups"),
        ("s3:CreateBucket", "AWS::S3::Bucket", {"BucketName": "mine"}, "ListBuckets"),
        ("apigateway:CreateRestApi", "AWS::ApiGateway::RestApi", {"Name": "mine"}, "GetRestApis"),
        ("apigateway:CreateApiKey", "AWS::ApiGateway::ApiKey", {}, "GetApiKeys"),
        ("apigateway:CreateUsagePlan", "AWS::ApiGateway::UsagePlan", {}, "GetUsagePlans"),
        ("apigatewayv2:CreateApi", "AWS::ApiGatewayV2::Api", {"Name": "mine", "ProtocolType": "HTTP"}, "GetApis"),
        ("dynamodb:CreateTable", "AWS::DynamoDB::Table", TABLE["Properties"], "ListTables"),
        ("lambda:PublishLayerVersion", "AWS::Lambda::LayerVersion", {"Content": CODE}, "ListLayers"),
    ],
)
async def test_a_resource_that_is_made_when_the_server_is_killed_is_known_to_the_next(
    stacks: Stacks, at: str, kind: str, properties: Any, listed: str
) -> None:
    if kind == "AWS::Lambda::LayerVersion":
        with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
            archive.writestr("layer.py", "")
        body = packed.getvalue()
        await stacks.house.call("s3", "CreateBucket", {"Bucket": CODE["S3Bucket"]})
        await stacks.house.call("s3", "PutObject", {"Bucket": CODE["S3Bucket"], "Key": CODE["S3Key"], "Body": body})

    async def count() -> int:
        params = {"Scope": "Local"} if listed == "ListPolicies" else {}
        output = await stacks.house.call(at.partition(":")[0], listed, params)
        return max(len(found) for found in output.values() if isinstance(found, list))

    await interrupt(stacks, at, stacks.create(Made={"Type": kind, "Properties": properties}), behind=True)
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    assert await count() == 0

    stacks = Stacks(store=stacks.house.store, node_id="node-3")
    await stacks.create("again", Made={"Type": kind, "Properties": properties})
    assert (await stacks.status("again"), await count()) == ("CREATE_COMPLETE", 1)


async def test_a_replacement_that_is_made_when_the_server_is_killed_goes(stacks: Stacks) -> None:
    await stacks.create(Logs=log_group("/a"))
    await interrupt(stacks, "logs:CreateLogGroup", stacks.update(Logs=log_group("/b")), behind=True)
    assert await stacks.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert set(await stacks.log_groups()) == {"/a"}


async def test_an_interrupted_deletion_is_finished_at_the_next_start(stacks: Stacks) -> None:
    stack_id = (await stacks.create(Logs=log_group("/a"), Role=role(Description={"Ref": "Logs"})))["StackId"]
    await interrupt(stacks, "logs:DeleteLogGroup", stacks.call("DeleteStack", StackName="s"))
    assert await stacks.status(stack_id) == "DELETE_COMPLETE"
    assert (await stacks.log_groups(), await stacks.roles()) == ({}, [])


async def test_resources_are_made_as_the_caller(stacks: Stacks) -> None:
    seen: list[Principal] = []

    class Watching(Interfering):
        async def call(self, principal: Principal, *args: Any) -> Any:
            seen.append(principal)
            return await super().call(principal, *args)

    async def meet(call: str, params: Any) -> None:
        return None

    plane = await stacks.plane()
    plane.ground = replace(plane.ground, operations=Watching(stacks.house, meet))
    user = Principal("user", "000000000000", "arn:aws:iam::000000000000:user/dev", "AIDA1", "dev")
    request = stacks.request("s", None, {"Logs": log_group()})
    await stacks.house.call("cloudformation", "CreateStack", request, principal=user)
    await plane.idle()
    assert seen
    assert all(principal == user.through("cloudformation.amazonaws.com") for principal in seen)


async def test_a_stack_whose_node_dies_is_taken_up_by_another_within_seconds_and_by_no_third_hand() -> None:
    """The first node is paused, not dead: it goes on after the other has finished, and changes nothing."""
    store = MemoryStore(is_shared=True)
    first, second = Stacks(store=store, node_id="node-1"), Stacks(store=store, node_id="node-2")
    for stacks in (first, second):
        await stacks.house.node.start()
        await stacks.house.workers.start()
        await stacks.plane()
    reached, woken = asyncio.Event(), asyncio.Event()

    async def meet(call: str, params: Any) -> None:
        if call == "iam:CreateRole":
            reached.set()
            await woken.wait()

    plane = await first.plane()
    plane.ground = replace(plane.ground, operations=Interfering(first.house, meet))
    running = asyncio.ensure_future(first.create(Logs=log_group("/a"), Role=role(Description={"Ref": "Logs"})))
    await until(reached.is_set, "the call is under way", every_s=0)
    await first.house.workers.stop()  # nothing tells it any more what has happened to its leases
    assert await second.status() == "CREATE_IN_PROGRESS"
    for _ in range(8):  # seconds, which pass for the second node only
        second.house.clock.advance(1)
        for _ in range(300):
            await asyncio.sleep(0)
    assert await second.status() == "ROLLBACK_COMPLETE"
    before = await second.events()
    woken.set()
    await plane.idle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await second.status(), await second.events()) == ("ROLLBACK_COMPLETE", before)
    assert (await second.log_groups(), await second.roles()) == ({}, [])
    await second.house.workers.stop()
    for stacks in (first, second):
        await stacks.house.node.leave()
