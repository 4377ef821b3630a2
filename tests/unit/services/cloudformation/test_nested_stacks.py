"""Stacks within stacks: their outputs, updates in step with the outer stack, and how failures are told."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.cloudformation.limits import STACK_DEPTH_MAX
from patience import until
from stacking import BAD_ROLE, Interfering, Stacks, log_group, role

URL = "http://localhost:4566/templates"


@pytest.fixture
async def stacks() -> Stacks:
    stacks = Stacks()
    await stacks.house.call("s3", "CreateBucket", {"Bucket": "templates"})
    return stacks


async def put(stacks: Stacks, key: str, **template: Any) -> str:
    body = json.dumps(template).encode()
    await stacks.house.call("s3", "PutObject", {"Bucket": "templates", "Key": key, "Body": body})
    return f"{URL}/{key}"


def within(url: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url, **properties}}


def groups(**resources: Any) -> dict[str, Any]:
    return {
        "Parameters": {
            "Days": {"Type": "Number", "Default": 3},
            "Names": {"Type": "CommaDelimitedList", "Default": ""},
        },
        "Resources": {
            "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": {"Ref": "Days"}}},
            **resources,
        },
        "Outputs": {
            "Name": {"Value": {"Ref": "Group"}},
            "Joined": {"Value": {"Fn::Join": ["+", {"Ref": "Names"}]}},
        },
    }


async def test_a_stack_within_a_stack_gives_its_outputs_and_goes_with_it(stacks: Stacks) -> None:
    url = await put(stacks, "inner", **groups())
    outputs = {"Joined": {"Value": {"Fn::Sub": "${Inner.Outputs.Joined}"}}}
    inner = within(url, Parameters={"Days": 7, "Names": ["a", "b"]}, Tags=[{"Key": "team", "Value": "notes"}])
    user = log_group({"Fn::Sub": "of/${Inner.Outputs.Name}"})
    stack_id = (await stacks.create(outputs=outputs, Inner=inner, User=user))["StackId"]
    assert await stacks.status() == "CREATE_COMPLETE"
    inner_id = await stacks.physical_id("Inner")
    described = await stacks.stack(inner_id)
    assert described["StackName"].startswith("s-Inner-")
    assert described["Tags"] == [{"Key": "team", "Value": "notes"}]
    name = await stacks.physical_id("Group", inner_id)
    assert await stacks.log_groups() == {name: 7, f"of/{name}": 7}
    assert [entry["OutputValue"] for entry in (await stacks.stack())["Outputs"]] == ["a+b"]
    await stacks.call("DeleteStack", StackName="s")
    assert (await stacks.status(stack_id), await stacks.status(inner_id)) == ("DELETE_COMPLETE", "DELETE_COMPLETE")
    assert await stacks.log_groups() == {}


async def test_an_update_visits_what_lies_at_the_same_url(stacks: Stacks) -> None:
    url = await put(stacks, "inner", **groups())
    await stacks.create(Inner=within(url))
    inner_id = await stacks.physical_id("Inner")
    await stacks.update(Inner=within(url))  # nothing at all has changed
    assert (await stacks.status(), await stacks.status(inner_id)) == ("UPDATE_COMPLETE", "CREATE_COMPLETE")
    await put(stacks, "inner", **groups(More=log_group("more")))
    request = stacks.request("s", None, {"Inner": within(url)})
    await stacks.call("CreateChangeSet", ChangeSetName="c", **request)
    (change,) = (await stacks.call("DescribeChangeSet", StackName="s", ChangeSetName="c"))["Changes"]
    assert change["ResourceChange"]["Details"] == [
        {"Target": {"Attribute": "Properties"}, "Evaluation": "Dynamic", "ChangeSource": "Automatic"}
    ]
    await stacks.call("ExecuteChangeSet", StackName="s", ChangeSetName="c")
    assert (await stacks.status(), await stacks.status(inner_id)) == ("UPDATE_COMPLETE", "UPDATE_COMPLETE")
    assert "more" in await stacks.log_groups()


async def test_a_failed_update_takes_the_inner_stack_back(stacks: Stacks) -> None:
    first, second = await put(stacks, "a", **groups()), await put(stacks, "b", **groups(More=log_group("more")))
    await stacks.create(Inner=within(first, Parameters={"Days": 3}))
    await stacks.update(Inner=within(second, Parameters={"Days": 5}), Role={**BAD_ROLE, "DependsOn": "Inner"})
    inner_id = await stacks.physical_id("Inner")
    assert (await stacks.status(), await stacks.status(inner_id)) == ("UPDATE_ROLLBACK_COMPLETE", "UPDATE_COMPLETE")
    assert await stacks.log_groups() == {await stacks.physical_id("Group", inner_id): 3}


async def test_an_inner_stack_that_fails_fails_the_outer_one_with_its_reason(stacks: Stacks) -> None:
    url = await put(stacks, "inner", **groups(Bad=BAD_ROLE))
    await stacks.create(Role=role(), Inner={**within(url), "DependsOn": "Role"})
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    reason = (await stacks.reasons())["Inner CREATE_FAILED"]
    assert reason.startswith("Embedded stack arn:aws:cloudformation:us-east-1:000000000000:stack/s-Inner-")
    assert reason.endswith(
        " was not successfully created: The following resource(s) failed to create: [Bad]. Rollback requested by user."
    )
    assert (await stacks.log_groups(), await stacks.roles()) == ({}, [])
    inner_id = next(
        event["PhysicalResourceId"]
        for event in (await stacks.call("DescribeStackEvents", StackName="s"))["StackEvents"]
        if event["ResourceStatus"] == "CREATE_FAILED"
    )
    assert "NoSuchPolicy" in (await stacks.reasons(inner_id))["Bad CREATE_FAILED"]
    assert [item["StackName"] for item in (await stacks.call("DescribeStacks"))["Stacks"]] == ["s"]

    good = await put(stacks, "good", **groups())
    await stacks.create("t", Inner=within(good))
    await stacks.update("t", Inner=within(url))
    assert await stacks.status("t") == "UPDATE_ROLLBACK_COMPLETE"
    assert " was not successfully updated: " in (await stacks.reasons("t"))["Inner UPDATE_FAILED"]


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (within("./inner.yaml"), "TemplateURL must be a supported URL."),
        (within(f"{URL}/none"), "S3 error: The specified key does not exist."),
        (
            within(f"{URL}/none", TimeoutInMinutes=5),
            "The property TimeoutInMinutes of AWS::CloudFormation::Stack is not implemented by Cumulet.",
        ),
    ],
)
async def test_what_cannot_be_is_told(stacks: Stacks, inner: dict[str, Any], words: str) -> None:
    await stacks.create(Inner=inner)
    assert (await stacks.reasons())["Inner CREATE_FAILED"].startswith(words)
    assert [item["StackName"] for item in (await stacks.call("DescribeStacks"))["Stacks"]] == ["s"]


async def test_outputs_that_are_not_there_are_told(stacks: Stacks) -> None:
    url = await put(stacks, "inner", **groups())
    await stacks.create(Inner=within(url), User=log_group({"Fn::GetAtt": ["Inner", "Outputs.Nothing"]}))
    assert (await stacks.reasons())["User CREATE_FAILED"] == "Attribute 'Outputs.Nothing' does not exist"
    with pytest.raises(ServiceError, match="does not support attribute type Nothing in Fn::GetAtt"):
        await stacks.create("t", Inner=within(url), User=log_group({"Fn::GetAtt": ["Inner", "Nothing"]}))


async def test_the_inner_stack_may_do_no_more_than_was_acknowledged(stacks: Stacks) -> None:
    url = await put(stacks, "inner", **groups(Role=role()))
    body = json.dumps({"Resources": {"Inner": within(url)}})
    await stacks.call("CreateStack", StackName="s", TemplateBody=body)
    assert "Requires capabilities : [CAPABILITY_IAM]" in (await stacks.reasons())["Inner CREATE_FAILED"]


async def test_a_stack_that_has_itself_within_it_comes_to_an_end(stacks: Stacks) -> None:
    url = await put(stacks, "self", Resources={"Inner": within(f"{URL}/self")})
    await stacks.create(Inner=within(url))
    assert await stacks.status() == "ROLLBACK_COMPLETE"
    assert [item["StackName"] for item in (await stacks.call("DescribeStacks"))["Stacks"]] == ["s"]
    made = (await stacks.call("ListStacks"))["StackSummaries"]
    assert len(made) == STACK_DEPTH_MAX
    reasons = [(await stacks.reasons(item["StackId"]))["Inner CREATE_FAILED"] for item in made]
    assert reasons.count(f"There may be no more than {STACK_DEPTH_MAX} stacks within one another.") == 1


async def test_the_reason_is_told_however_much_was_rolled_back(stacks: Stacks) -> None:
    many = {f"L{number}": log_group() for number in range(51)}
    url = await put(stacks, "many", Resources={**many, "Bad": {**BAD_ROLE, "DependsOn": list(many)}})
    await stacks.create(Inner=within(url))
    reason = (await stacks.reasons())["Inner CREATE_FAILED"]
    assert "The following resource(s) failed to create: [Bad]." in reason


async def test_an_update_awaits_what_the_inner_stack_is_busy_with(stacks: Stacks) -> None:
    """After a restart both roll back at once, and the outer one must not give up on the inner one."""
    await stacks.create(Inner=within(await put(stacks, "a", **groups())))
    inner_id = await stacks.physical_id("Inner")
    reached, leave = asyncio.Event(), asyncio.Event()

    async def meet(call: str, params: Any) -> None:
        if call == "logs:CreateLogGroup":
            reached.set()
            await leave.wait()

    plane = await stacks.plane()
    operations = Interfering(stacks.house, meet)
    plane.ground = replace(plane.ground, operations=operations)
    url = await put(stacks, "b", **groups(More=log_group("more")))
    busy = asyncio.ensure_future(stacks.call("UpdateStack", StackName=inner_id, TemplateURL=url))
    await until(reached.is_set, "the inner stack makes its group", every_s=0)
    step = asyncio.ensure_future(stacks.update(Inner=within(url, Parameters={"Days": 5})))
    await until(
        lambda: any(call.startswith("cloudformation:") for call in operations.calls), "it is visited", every_s=0
    )
    leave.set()

    def are_done() -> bool:
        stacks.house.clock.advance(1)
        return busy.done() and step.done()

    await until(are_done, "both updates are done")
    assert (await stacks.status(), await stacks.status(inner_id)) == ("UPDATE_COMPLETE", "UPDATE_COMPLETE")
    assert await stacks.log_groups() == {await stacks.physical_id("Group", inner_id): 5, "more": 7}
