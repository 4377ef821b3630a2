"""aws:RequestTag and aws:TagKeys, however a service writes tags."""

from typing import Any

import pytest

from cumulet.services.iam import IamAuthorizer
from cumulet.services.request_tags import tag_keys
from harness import House
from unit.services.iam.test_resource_tags import EVERYTHING, TABLE, ada, may

BLUE = {"aws:RequestTag/Team": "blue", "aws:TagKeys": ["Team"]}

REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"Tags": None}, {}),
    ({"Tags": [{"Key": "Team", "Value": "blue"}]}, BLUE),
    ({"Tags": {"Team": "blue"}}, BLUE),
    ({"tags": {"Team": "blue"}}, BLUE),
    ({"TagKeys": ["Team", "a"]}, {"aws:TagKeys": ["Team", "a"]}),
    ({"tagKeys": ["Team"]}, {"aws:TagKeys": ["Team"]}),
]


@pytest.mark.parametrize(("params", "keys"), REQUESTS)
def test_what_a_policy_sees_of_tags(params: dict[str, Any], keys: dict[str, Any]) -> None:
    assert tag_keys(params) == keys


async def test_policies_say_which_tags_may_be_given_and_taken_in_every_service() -> None:
    house = House("dynamodb", "logs", "iam", authorizer=IamAuthorizer())
    untagged = {**EVERYTHING, "Effect": "Deny", "Action": "dynamodb:CreateTable"}
    untagged["Condition"] = {"StringNotEquals": {"aws:RequestTag/team": ["red", "blue"]}}
    others = {**EVERYTHING, "Effect": "Deny", "Action": ["*:*TagResource", "*:UntagResource"]}
    others["Condition"] = {"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["team", "stage"]}}
    who = await ada(house, EVERYTHING, untagged, others)

    blue, key = {"Key": "team", "Value": "blue"}, {"Key": "owner", "Value": "me"}
    assert await may(house, who, "dynamodb", "CreateTable", **TABLE, Tags=[blue])
    assert not await may(house, who, "dynamodb", "CreateTable", **{**TABLE, "TableName": "bare"})
    table = "arn:aws:dynamodb:us-east-1:000000000000:table/notes"
    assert await may(house, who, "dynamodb", "TagResource", ResourceArn=table, Tags=[blue])
    assert not await may(house, who, "dynamodb", "TagResource", ResourceArn=table, Tags=[blue, key])
    assert not await may(house, who, "dynamodb", "UntagResource", ResourceArn=table, TagKeys=["owner"])
    await house.call("logs", "CreateLogGroup", {"logGroupName": "/a"})
    group = "arn:aws:logs:us-east-1:000000000000:log-group:/a"
    assert await may(house, who, "logs", "TagResource", resourceArn=group, tags={"stage": "dev"})
    assert not await may(house, who, "logs", "TagResource", resourceArn=group, tags={"owner": "me"})
    assert not await may(house, who, "logs", "UntagResource", resourceArn=group, tagKeys=["owner"])
