"""Tags of functions."""

from typing import Any

import pytest

ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"


async def test_tags_come_and_go(house: Any) -> None:
    await house.create(Tags={"team": "notes", "stage": "test"})
    await house.call("lambda", "TagResource", {"Resource": ARN, "Tags": {"stage": "live", "cost": "low"}})
    await house.call("lambda", "UntagResource", {"Resource": ARN, "TagKeys": ["team", "absent"]})
    assert await house.call("lambda", "ListTags", {"Resource": ARN}) == {"Tags": {"stage": "live", "cost": "low"}}
    assert (await house.call("lambda", "GetFunction", {"FunctionName": "notes"}))["Tags"] == {
        "stage": "live",
        "cost": "low",
    }


async def test_a_function_has_fifty_tags_at_most(house: Any) -> None:
    await house.create(Tags={f"key{number}": "" for number in range(50)})
    assert await house.refusal("TagResource", {"Resource": ARN, "Tags": {"more": ""}}) == (
        "InvalidParameterValueException",
        "Number of tags exceeds resource tag limit.",
    )


@pytest.mark.parametrize("key", ["aws:mine", "AWS:mine"])
async def test_tags_of_aws_are_not_for_others(house: Any, key: str) -> None:
    await house.create()
    assert await house.refusal("TagResource", {"Resource": ARN, "Tags": {key: "x"}}) == (
        "InvalidParameterValueException",
        "aws: prefixed tag key names are not allowed for external use.",
    )


async def test_versions_have_no_tags(house: Any) -> None:
    await house.create()
    assert await house.refusal("ListTags", {"Resource": f"{ARN}:$LATEST"}) == (
        "InvalidParameterValueException",
        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
    )


async def test_other_resources_are_refused_by_name(house: Any) -> None:
    code, words = await house.refusal(
        "ListTags", {"Resource": "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:x"}
    )
    assert code == "NotImplementedException"
    assert words.startswith("Tags of event-source-mappings")


async def test_a_function_that_is_not_there(house: Any) -> None:
    assert await house.refusal("ListTags", {"Resource": ARN}) == (
        "ResourceNotFoundException",
        f"Function not found: {ARN}",
    )
