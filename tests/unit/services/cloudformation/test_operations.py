"""CloudFormation's operations: bad requests in AWS's words, change sets, and what can be asked."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.preparation import parse_template_url
from stacking import TRUST, Stacks, log_group, role


@pytest.fixture
def stacks() -> Stacks:
    return Stacks()


async def refused(stacks: Stacks, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as refusal:
        await stacks.call(operation, **params)
    return refusal.value.code, refusal.value.message


def body(**resources: Any) -> str:
    return json.dumps({"Resources": resources})


BUCKET = body(B={"Type": "AWS::S3::Bucket"})
ROLE = body(R=role())
SAM = body(F={"Type": "AWS::Serverless::SimpleTable"}).replace(
    '{"Res', '{"Transform": "AWS::Serverless-2016-10-31", "Res'
)


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({}, "ValidationError", "Either Template URL or Template Body must be specified."),
        ({"TemplateBody": ""}, "ValidationError", "Template format error: unsupported structure."),
        ({"TemplateBody": ROLE}, "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]"),
        (
            {"TemplateBody": body(R=role(RoleName="x")), "Capabilities": ["CAPABILITY_IAM"]},
            "InsufficientCapabilitiesException",
            "Requires capabilities : [CAPABILITY_NAMED_IAM]",
        ),
        (
            {"TemplateBody": SAM},
            "InsufficientCapabilitiesException",
            "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
        ),
        (
            {"TemplateBody": BUCKET, "Parameters": [{"ParameterKey": "X", "ParameterValue": "1"}]},
            "ValidationError",
            "Parameters: [X] do not exist in the template",
        ),
        (
            {"TemplateBody": BUCKET, "StackName": "1x"},
            "ValidationError",
            "1 validation error detected: Value '1x' at 'stackName' failed to satisfy constraint: Member must satisfy"
            " regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*",
        ),
        (
            {"TemplateBody": BUCKET, "DisableRollback": True, "OnFailure": "DELETE"},
            "ValidationError",
            "Only one of parameters [DisableRollback, OnFailure] can be specified",
        ),
        (
            {"TemplateBody": body(T={"Type": "AWS::Lambda::Thing"})},
            "ValidationError",
            "Template format error: Unrecognized resource types: [AWS::Lambda::Thing]",
        ),
        (
            {"TemplateBody": body(L=log_group({"Fn::GetAtt": ["B", "Nope"]}), B={"Type": "AWS::S3::Bucket"})},
            "ValidationError",
            "Template error: resource B does not support attribute type Nope in Fn::GetAtt",
        ),
        (
            {"TemplateURL": "https://no-bucket.s3.amazonaws.com/key"},
            "ValidationError",
            "S3 error: The specified bucket does not exist\nFor more information check"
            " http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
        ),
        ({"TemplateBody": BUCKET, "RoleARN": "arn:aws:iam::1:role/x"}, "NotImplementedException", None),
        ({"TemplateBody": BUCKET, "NotificationARNs": ["arn:aws:sns:x"]}, "NotImplementedException", None),
    ],
)
async def test_a_stack_that_cannot_be_is_not_begun(
    stacks: Stacks, params: dict[str, Any], code: str, message: str | None
) -> None:
    seen = await refused(stacks, "CreateStack", **{"StackName": "s", **params})
    assert seen[0] == code
    assert message is None or seen[1] == message
    assert (await stacks.call("ListStacks"))["StackSummaries"] == []


async def test_names_are_taken_once(stacks: Stacks) -> None:
    request = {"StackName": "s", "TemplateBody": BUCKET, "ClientRequestToken": "one"}
    stack_id = (await stacks.call("CreateStack", **request))["StackId"]
    assert (await stacks.call("CreateStack", **request))["StackId"] == stack_id
    request["ClientRequestToken"] = "two"
    assert await refused(stacks, "CreateStack", **request) == ("AlreadyExistsException", "Stack [s] already exists")


async def test_stacks_that_are_not_there(stacks: Stacks) -> None:
    assert await refused(stacks, "UpdateStack", StackName="x", TemplateBody=BUCKET) == (
        "ValidationError",
        "Stack [x] does not exist",
    )
    assert (await refused(stacks, "DescribeStacks", StackName="x"))[1] == "Stack with id x does not exist"
    assert (await refused(stacks, "DescribeStackEvents", StackName="x"))[1] == "Stack [x] does not exist"
    assert (await refused(stacks, "GetTemplate", StackName="x"))[1] == "Stack with id x does not exist"
    assert (await refused(stacks, "DescribeStackResource", StackName="x", LogicalResourceId="R"))[1] == (
        "Stack 'x' does not exist"
    )
    assert await stacks.call("DeleteStack", StackName="x") == {}


async def test_protection_keeps_a_stack(stacks: Stacks) -> None:
    await stacks.call("CreateStack", StackName="s", TemplateBody=BUCKET, EnableTerminationProtection=True)
    assert (await refused(stacks, "DeleteStack", StackName="s"))[1] == (
        "Stack [s] cannot be deleted while TerminationProtection is enabled"
    )
    await stacks.call("UpdateTerminationProtection", StackName="s", EnableTerminationProtection=False)
    await stacks.call("DeleteStack", StackName="s")
    assert (await stacks.call("ListStacks", StackStatusFilter=["DELETE_COMPLETE"]))["StackSummaries"][0][
        "StackName"
    ] == "s"


async def test_a_template_comes_from_s3(stacks: Stacks) -> None:
    await stacks.house.call("s3", "CreateBucket", {"Bucket": "templates"})
    await stacks.house.call("s3", "PutObject", {"Bucket": "templates", "Key": "a/t.json", "Body": BUCKET.encode()})
    await stacks.call("CreateStack", StackName="s", TemplateURL="http://localhost:4566/templates/a/t.json")
    assert await stacks.status() == "CREATE_COMPLETE"
    assert (await stacks.call("GetTemplate", StackName="s"))["TemplateBody"] == BUCKET


INCLUDING: Any = {
    "Parameters": {"Place": {"Type": "String"}},
    "Resources": {
        "Group": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "RetentionInDays": 7,
                "Fn::Transform": {
                    "Name": "AWS::Include",
                    "Parameters": {"Location": {"Fn::Sub": "s3://templates/${Place}"}},
                },
            },
        }
    },
}


async def test_parts_of_a_template_come_from_s3(stacks: Stacks) -> None:
    await stacks.house.call("s3", "CreateBucket", {"Bucket": "templates"})
    part = b"LogGroupName: {'Fn::Sub': '/of/${AWS::StackName}'}"
    await stacks.house.call("s3", "PutObject", {"Bucket": "templates", "Key": "part.yaml", "Body": part})

    def request(place: str, **more: Any) -> dict[str, Any]:
        given = [{"ParameterKey": "Place", "ParameterValue": place}]
        return {"StackName": "s", "TemplateBody": json.dumps(INCLUDING), "Parameters": given, **more}

    assert await refused(stacks, "CreateStack", **request("part.yaml")) == (
        "InsufficientCapabilitiesException",
        "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
    )
    expand = {"Capabilities": ["CAPABILITY_AUTO_EXPAND"]}
    assert await refused(stacks, "CreateStack", **request("gone", **expand)) == (
        "ValidationError",
        "Transform AWS::Include failed with: The specified key does not exist.",
    )
    await stacks.call("CreateStack", **request("part.yaml", **expand))
    [group] = (await stacks.call("DescribeStackResources", StackName="s"))["StackResources"]
    assert group["PhysicalResourceId"] == "/of/s"
    summary = await stacks.call("GetTemplateSummary", StackName="s")
    assert summary["DeclaredTransforms"] == ["AWS::Include"]
    beside = {"Resources": INCLUDING["Resources"], **INCLUDING["Resources"]["Group"]["Properties"]}
    del beside["RetentionInDays"]
    summary = await stacks.call("ValidateTemplate", TemplateBody=json.dumps(beside))
    assert summary["DeclaredTransforms"] == ["AWS::Include"]
    whole = {**INCLUDING, "Transform": INCLUDING["Resources"]["Group"]["Properties"]["Fn::Transform"]}
    other = request("part.yaml", **expand, StackName="t", TemplateBody=json.dumps(whole))
    code, words = await refused(stacks, "CreateStack", **other)
    assert (code, words.split(" is not")[0]) == (
        "NotImplementedException",
        "The transform AWS::Include of a whole template",
    )


async def test_included_texts_are_not_larger_than_templates(stacks: Stacks) -> None:
    await stacks.house.call("s3", "CreateBucket", {"Bucket": "templates"})
    part = b'{"a": "' + b"a" * 400_000 + b'"}'
    await stacks.house.call("s3", "PutObject", {"Bucket": "templates", "Key": "part.json", "Body": part})
    one = {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "s3://templates/part.json"}}}
    assert await refused(stacks, "CreateStack", StackName="s", TemplateBody=json.dumps({"Resources": [one] * 3})) == (
        "ValidationError",
        "Transform AWS::Include failed with: The included texts may not exceed 1000000 bytes in size.",
    )
    # Twice is not too much: then it is the template that is none.
    twice = await refused(stacks, "CreateStack", StackName="s", TemplateBody=json.dumps({"Resources": [one] * 2}))
    assert twice == ("ValidationError", "Template format error: At least one Resources member must be defined.")


@pytest.mark.parametrize("mappings", ["a", ["a"], {"a": 1}, {"a": {"b": 1}}])
async def test_where_a_text_lies_is_not_told_by_mappings_that_are_none(stacks: Stacks, mappings: Any) -> None:
    location = {"Fn::FindInMap": ["a", "b", "c"]}
    one = {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": location}}}
    template = json.dumps({"Resources": one, "Mappings": mappings})
    code, words = await refused(stacks, "CreateStack", StackName="s", TemplateBody=template)
    assert (code, words.partition(":")[0]) == ("ValidationError", "Template error")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://s3.us-east-1.amazonaws.com/bucket/a/b%20c", ("bucket", "a/b c")),
        ("https://bucket.s3.us-east-1.amazonaws.com/a/b", ("bucket", "a/b")),
        ("https://bucket.s3-eu-west-1.amazonaws.com/a", ("bucket", "a")),
        ("http://localhost:4566/bucket/a", ("bucket", "a")),
        ("http://bucket.s3.localhost:4566/a", ("bucket", "a")),
    ],
)
def test_template_urls(url: str, place: tuple[str, str]) -> None:
    assert parse_template_url(url) == place


@pytest.mark.parametrize(
    "url", ["ftp://x/y/z", "https://s3.amazonaws.com/", "https://s3.amazonaws.com/bucket", "nothing"]
)
def test_urls_that_name_no_object(url: str) -> None:
    with pytest.raises(ServiceError, match="TemplateURL must be a supported URL"):
        parse_template_url(url)


# Change sets


async def change_set(stacks: Stacks, name: str, template: str, **params: Any) -> Any:
    request = {"StackName": "s", "ChangeSetName": name, "TemplateBody": template, "Capabilities": ["CAPABILITY_IAM"]}
    await stacks.call("CreateChangeSet", **request, **params)
    return await stacks.call("DescribeChangeSet", StackName="s", ChangeSetName=name)


async def test_a_stack_by_change_set(stacks: Stacks) -> None:
    made = await change_set(stacks, "first", BUCKET, ChangeSetType="CREATE")
    assert (made["Status"], made["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert [change["ResourceChange"]["Action"] for change in made["Changes"]] == ["Add"]
    assert await stacks.status() == "REVIEW_IN_PROGRESS"
    await stacks.call("ExecuteChangeSet", StackName="s", ChangeSetName="first")
    assert await stacks.status() == "CREATE_COMPLETE"
    again = await stacks.call("DescribeChangeSet", ChangeSetName=made["ChangeSetId"])
    assert again["ExecutionStatus"] == "EXECUTE_COMPLETE"
    code, message = await refused(stacks, "ExecuteChangeSet", ChangeSetName=made["ChangeSetId"])
    assert code == "InvalidChangeSetStatus"
    assert message.endswith("cannot be executed in its current execution status of [EXECUTE_COMPLETE]")
    assert (await stacks.stack())["ChangeSetId"] == made["ChangeSetId"]


async def test_a_change_set_without_changes_fails(stacks: Stacks) -> None:
    await stacks.call("CreateStack", StackName="s", TemplateBody=BUCKET)
    made = await change_set(stacks, "empty", BUCKET)
    assert (made["Status"], made["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert made["StatusReason"] == (
        "The submitted information didn't contain changes. Submit different information to create a change set."
    )


async def test_a_change_set_tells_what_changes_how(stacks: Stacks) -> None:
    await stacks.create(Logs=log_group("/a", 7), Role=role(Description={"Ref": "Logs"}), Gone=log_group("/g"))
    made = await change_set(stacks, "c", body(Logs=log_group("/b", 7), Role=role(Description={"Ref": "Logs"})))
    changes = [change["ResourceChange"] for change in made["Changes"]]
    seen = [(change["Action"], change["LogicalResourceId"], change.get("Replacement")) for change in changes]
    assert seen == [("Modify", "Logs", "True"), ("Modify", "Role", "False"), ("Remove", "Gone", None)]
    assert changes[0]["Details"][0]["Target"] == {
        "Attribute": "Properties",
        "Name": "LogGroupName",
        "RequiresRecreation": "Always",
    }
    assert (changes[1]["Details"][0]["ChangeSource"], changes[1]["Details"][0]["CausingEntity"]) == (
        "ResourceReference",
        "Logs",
    )


async def test_a_change_set_is_overtaken_by_an_update(stacks: Stacks) -> None:
    await stacks.create(Logs=log_group("/a", 7))
    await change_set(stacks, "slow", body(Logs=log_group("/a", 14)))
    await stacks.update(Logs=log_group("/a", 30))
    described = await stacks.call("DescribeChangeSet", StackName="s", ChangeSetName="slow")
    assert described["ExecutionStatus"] == "OBSOLETE"
    assert (await refused(stacks, "ExecuteChangeSet", StackName="s", ChangeSetName="slow"))[
        0
    ] == "InvalidChangeSetStatus"


async def test_change_sets_that_cannot_be(stacks: Stacks) -> None:
    request = {"StackName": "s", "ChangeSetName": "c", "TemplateBody": BUCKET}
    assert (await refused(stacks, "CreateChangeSet", **request))[1] == "Stack [s] does not exist"
    await change_set(stacks, "c", BUCKET, ChangeSetType="CREATE")
    assert (await refused(stacks, "CreateChangeSet", **request, ChangeSetType="CREATE"))[0] == "AlreadyExistsException"
    assert await refused(stacks, "DescribeChangeSet", StackName="s", ChangeSetName="x") == (
        "ChangeSetNotFound",
        "ChangeSet [x] does not exist",
    )
    assert len((await stacks.call("ListChangeSets", StackName="s"))["Summaries"]) == 1
    await stacks.call("DeleteChangeSet", StackName="s", ChangeSetName="c")
    await stacks.call("DeleteChangeSet", StackName="s", ChangeSetName="c")
    assert (await stacks.call("ListChangeSets", StackName="s"))["Summaries"] == []
    await stacks.call("DeleteStack", StackName="s")
    await stacks.call("CreateStack", StackName="s", TemplateBody=BUCKET)
    assert (await refused(stacks, "CreateChangeSet", **request, ChangeSetType="CREATE"))[1] == (
        "Stack [s] already exists and cannot be created again with the changeSet [c]."
    )


async def test_previous_values_are_kept_where_asked_for(stacks: Stacks) -> None:
    template = json.dumps(
        {
            "Parameters": {"Days": {"Type": "Number", "Default": 7}, "Secret": {"Type": "String", "NoEcho": True}},
            "Resources": {
                "Logs": {
                    "Type": "AWS::Logs::LogGroup",
                    "Properties": {"LogGroupName": "/a", "RetentionInDays": {"Ref": "Days"}},
                }
            },
        }
    )
    secret = {"ParameterKey": "Secret", "ParameterValue": "x"}
    await stacks.call("CreateStack", StackName="s", TemplateBody=template, Parameters=[secret])
    assert {"ParameterKey": "Secret", "ParameterValue": "****"} in (await stacks.stack())["Parameters"]
    kept = {"ParameterKey": "Secret", "UsePreviousValue": True}
    days = {"ParameterKey": "Days", "ParameterValue": "30"}
    await stacks.call("UpdateStack", StackName="s", UsePreviousTemplate=True, Parameters=[kept, days])
    assert await stacks.log_groups() == {"/a": 30}


# Questions


async def test_events_come_in_pages_newest_first(stacks: Stacks) -> None:
    await stacks.create(**{f"L{index}": log_group(f"/{index}") for index in range(40)})
    first = await stacks.call("DescribeStackEvents", StackName="s")
    assert len(first["StackEvents"]) == 100
    rest = await stacks.call("DescribeStackEvents", StackName="s", NextToken=first["NextToken"])
    assert first["StackEvents"][0]["ResourceStatus"] == "CREATE_COMPLETE"
    assert rest["StackEvents"][-1]["ResourceStatusReason"] == "User Initiated"
    assert len(rest["StackEvents"]) == 22


async def test_resources_are_found_by_their_physical_id(stacks: Stacks) -> None:
    await stacks.create(Logs=log_group("/here"))
    found = await stacks.call("DescribeStackResources", PhysicalResourceId="/here")
    assert [(entry["StackName"], entry["LogicalResourceId"]) for entry in found["StackResources"]] == [("s", "Logs")]
    assert (await refused(stacks, "DescribeStackResource", StackName="s", LogicalResourceId="X"))[1] == (
        "Resource X does not exist for stack s"
    )


async def test_a_template_is_validated_and_summarised(stacks: Stacks) -> None:
    template = json.dumps(
        {
            "Description": "what it is",
            "Parameters": {"P": {"Type": "String", "Default": "d", "AllowedValues": ["d", "e"]}},
            "Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}},
        }
    )
    valid = await stacks.call("ValidateTemplate", TemplateBody=template)
    assert valid == {
        "Parameters": [{"ParameterKey": "P", "NoEcho": False, "DefaultValue": "d"}],
        "Capabilities": ["CAPABILITY_IAM"],
        "CapabilitiesReason": "The following resource(s) require capabilities: [AWS::IAM::Role]",
        "Description": "what it is",
    }
    summary = await stacks.call("GetTemplateSummary", TemplateBody=template)
    assert summary["ResourceTypes"] == ["AWS::IAM::Role"]
    assert summary["Parameters"][0]["ParameterConstraints"] == {"AllowedValues": ["d", "e"]}
    assert (await refused(stacks, "ValidateTemplate", TemplateBody="{"))[0] == "ValidationError"


@pytest.mark.slow
async def test_an_http_api_is_described_by_a_file_in_s3(stacks: Stacks) -> None:
    await stacks.house.call("s3", "CreateBucket", {"Bucket": "documents"})
    for title in ("first", "second"):
        text = f"openapi: 3.0.1\ninfo: {{title: {title}, version: 1}}\npaths: {{}}".encode()
        await stacks.house.call("s3", "PutObject", {"Bucket": "documents", "Key": title, "Body": text})

    def api(**location: str) -> dict[str, Any]:
        return {
            "Type": "AWS::ApiGatewayV2::Api",
            "Properties": {"BodyS3Location": {"Bucket": "documents", **location}},
        }

    async def name() -> str:
        [found] = (await stacks.house.call("apigatewayv2", "GetApis", {}))["Items"]
        return str(found["Name"])

    await stacks.create(A=api(Key="first"))
    assert (await stacks.status(), await name()) == ("CREATE_COMPLETE", "first")
    await stacks.update(A=api(Key="second"))
    assert (await stacks.status(), await name()) == ("UPDATE_COMPLETE", "second")
    await stacks.update(A=api(Key="second", Version="3"))
    assert (await stacks.status(), await name()) == ("UPDATE_ROLLBACK_COMPLETE", "second")


@pytest.mark.slow  # the translator takes a second to import
async def test_parameters_that_are_lists_are_lists_for_sam(stacks: Stacks) -> None:
    denied = {"ResourcePolicy": {"IpRangeBlacklist": {"Ref": "Ranges"}}}
    document = {"swagger": "2.0", "paths": {"/a": {"get": {}}}}
    api = {"StageName": "v1", "DefinitionBody": document, "Auth": denied}
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"Ranges": {"Type": "CommaDelimitedList", "Default": "10.0.0.0/8, 1.1.1.1"}},
        "Resources": {"Api": {"Type": "AWS::Serverless::Api", "Properties": api}},
    }
    made = await change_set(stacks, "c", json.dumps(template), ChangeSetType="CREATE")
    assert made["Status"] == "CREATE_COMPLETE"
    asked = {"StackName": "s", "ChangeSetName": "c", "TemplateStage": "Processed"}
    processed = json.loads((await stacks.call("GetTemplate", **asked))["TemplateBody"])
    policy = processed["Resources"]["Api"]["Properties"]["Body"]["x-amazon-apigateway-policy"]
    assert {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "1.1.1.1"]}} in [
        statement.get("Condition") for statement in policy["Statement"]
    ]
