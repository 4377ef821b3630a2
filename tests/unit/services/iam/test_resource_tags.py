"""Conditions on a resource's tags: told where the resource has them, and against the caller where nobody knows."""

import json
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.services.iam import IamAuthorizer
from cumulet.services.kit import Call, Demand, Principal
from harness import SCOPE, House

KEY = {"AttributeName": "pk", "KeyType": "HASH"}
TABLE = {
    "TableName": "notes",
    "KeySchema": [KEY],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def when(effect: str, operator: str = "StringEquals", value: Any = "red", key: str = "aws:ResourceTag/Team") -> Any:
    return {"Effect": effect, "Action": "*", "Resource": "*", "Condition": {operator: {key: value}}}


async def ada(house: House, *statements: Any) -> Principal:
    """Return a user with these statements."""
    user = (await house.call("iam", "CreateUser", {"UserName": "ada"}))["User"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    await house.call("iam", "PutUserPolicy", {"UserName": "ada", "PolicyName": "p", "PolicyDocument": policy})
    return Principal("user", SCOPE.account, user["Arn"], unique_id=user["UserId"], name="ada")


async def may(house: House, who: Principal, service: str, operation: str, **params: Any) -> bool:
    try:
        await house.call(service, operation, params, principal=who)
    except ServiceError as error:
        if error.code not in ("AccessDeniedException", "AccessDenied"):
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("statements", "red", "bare"),
    [
        ([EVERYTHING, when("Deny")], False, True),
        ([EVERYTHING, when("Deny", "StringNotEquals")], True, False),
        ([EVERYTHING, when("Deny", "Null", "true")], True, False),
        ([when("Allow")], True, False),
        ([when("Allow", "StringNotEquals")], False, True),
        ([when("Allow", "StringEqualsIfExists", "blue")], False, True),
        ([{**EVERYTHING, "Resource": "arn:aws:dynamodb:*:*:table/notes-${aws:ResourceTag/team}"}], True, False),
    ],
)
async def test_tables_tell_their_tags(statements: list[Any], red: bool, bare: bool) -> None:
    house = House("dynamodb", "iam", authorizer=IamAuthorizer())
    await house.call(
        "dynamodb", "CreateTable", {**TABLE, "TableName": "notes-red", "Tags": [{"Key": "team", "Value": "red"}]}
    )
    await house.call("dynamodb", "CreateTable", {**TABLE, "TableName": "bare"})
    who = await ada(house, *statements)
    assert await may(house, who, "dynamodb", "DescribeTable", TableName="notes-red") is red
    assert await may(house, who, "dynamodb", "DescribeTable", TableName="bare") is bare


async def test_statements_in_a_batch_are_asked_about_with_their_tables_tags() -> None:
    house = House("dynamodb", "iam", authorizer=IamAuthorizer())
    tags = [{"Key": "team", "Value": "red"}]
    await house.call("dynamodb", "CreateTable", {**TABLE, "TableName": "red", "Tags": tags})
    await house.call("dynamodb", "CreateTable", {**TABLE, "TableName": "bare"})
    who = await ada(house, EVERYTHING, when("Deny"))
    statements = [{"Statement": f"SELECT * FROM \"{name}\" WHERE pk='a'"} for name in ("red", "bare")]
    output = await house.call("dynamodb", "BatchExecuteStatement", {"Statements": statements}, principal=who)
    assert [one.get("Error", {}).get("Code") for one in output["Responses"]] == ["AccessDenied", None]


async def test_what_is_tagged_in_other_services() -> None:
    house = House("logs", "iam", "apigateway", "apigatewayv2", "cloudformation", "s3", authorizer=IamAuthorizer())
    who = await ada(house, EVERYTHING, when("Deny"))
    red = {"team": "red"}
    await house.call("logs", "CreateLogGroup", {"logGroupName": "/red", "tags": red})
    await house.call("logs", "CreateLogGroup", {"logGroupName": "/bare"})
    assert not await may(house, who, "logs", "CreateLogStream", logGroupName="/red", logStreamName="s")
    assert await may(house, who, "logs", "CreateLogStream", logGroupName="/bare", logStreamName="s")

    rest = await house.call("apigateway", "CreateRestApi", {"name": "n", "tags": red})
    bare = await house.call("apigateway", "CreateRestApi", {"name": "n"})
    assert not await may(house, who, "apigateway", "GetRestApi", restApiId=rest["id"])
    assert not await may(house, who, "apigateway", "GetResources", restApiId=rest["id"])
    assert await may(house, who, "apigateway", "GetRestApi", restApiId=bare["id"])
    arn = f"arn:aws:apigateway:us-east-1::/restapis/{rest['id']}"
    assert not await may(house, who, "apigateway", "UntagResource", resourceArn=arn, tagKeys=["team"])
    http = await house.call("apigatewayv2", "CreateApi", {"Name": "n", "ProtocolType": "HTTP", "Tags": red})
    assert not await may(house, who, "apigatewayv2", "GetRoutes", ApiId=http["ApiId"])

    tags = [{"Key": "team", "Value": "red"}]
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = {"RoleName": "red", "AssumeRolePolicyDocument": document, "Tags": tags}
    await house.call("iam", "CreateRole", role)
    await house.call("iam", "CreateRole", {**role, "RoleName": "bare", "Tags": []})
    assert not await may(house, who, "iam", "GetRole", RoleName="red")
    assert await may(house, who, "iam", "GetRole", RoleName="bare")
    assert await may(house, who, "s3", "CreateBucket", Bucket="some-bucket")


async def test_a_role_that_is_passed_tells_its_tags() -> None:
    house = House("iam", authorizer=IamAuthorizer())
    who = await ada(house, EVERYTHING, when("Deny", key="iam:ResourceTag/team"))
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = {"RoleName": "red", "AssumeRolePolicyDocument": document, "Tags": [{"Key": "team", "Value": "red"}]}
    made = await house.call("iam", "CreateRole", role)
    call = Call(SCOPE, who, "id", house.clock.now_ms(), house.ids)
    with pytest.raises(ServiceError, match="with an explicit deny"):
        await house.dispatcher.authorize(call, "iam:PassRole", made["Role"]["Arn"])


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([EVERYTHING], True),
        ([EVERYTHING, when("Deny")], False),
        ([EVERYTHING, when("Deny", "Null", "true")], False),
        ([EVERYTHING, {**when("Deny"), "Action": "x:Other"}], True),
        ([EVERYTHING, {**when("Deny"), "Resource": "arn:aws:x:::other"}], True),
        (
            [
                EVERYTHING,
                {**when("Deny"), "Condition": {"StringEquals": {"aws:ResourceTag/a": "b", "aws:username": "x"}}},
            ],
            True,
        ),
        ([when("Allow", "StringNotEquals")], False),
        ([when("Allow", "Null", "true")], False),
        ([EVERYTHING, {**EVERYTHING, "Effect": "Deny", "Resource": "arn:aws:x:::${aws:ResourceTag/a}"}], False),
    ],
)
async def test_tags_that_nobody_tells_count_against_the_caller(statements: list[Any], allowed: bool) -> None:
    house = House("iam", authorizer=IamAuthorizer())
    who = await ada(house, *statements)
    call = Call(SCOPE, who, "id", house.clock.now_ms(), house.ids)
    demand = Demand("x:Do", "arn:aws:x:::thing", dict)
    ruling = await house.store.read(lambda tx: IamAuthorizer().decide(tx, call, demand, None, None))
    assert ruling.allowed is allowed


@pytest.mark.parametrize(
    ("written", "asked"),
    [("aws:ResourceTag/Team", 1), ("aws\\u003aRESOURCETAG/team", 1), ("aws:PrincipalTag/Team", 0)],
)
async def test_tags_are_looked_up_for_policies_that_ask_for_them_however_they_write_the_key(
    written: str, asked: int
) -> None:
    house = House("iam", authorizer=IamAuthorizer())
    who = await ada(house, EVERYTHING, when("Deny"))
    [policy] = (await house.call("iam", "ListUserPolicies", {"UserName": "ada"}))["PolicyNames"]
    text = json.dumps({"Version": "2012-10-17", "Statement": [EVERYTHING, when("Deny")]})
    params = {"UserName": "ada", "PolicyName": policy, "PolicyDocument": text.replace("aws:ResourceTag/Team", written)}
    await house.call("iam", "PutUserPolicy", params)
    call = Call(SCOPE, who, "id", house.clock.now_ms(), house.ids)
    lookups: list[str] = []

    def tags() -> dict[str, str]:
        lookups.append("tags")
        return {"team": "red"}

    demand = Demand("x:Do", "arn:aws:x:::thing", dict)
    ruling = await house.store.read(lambda tx: IamAuthorizer().decide(tx, call, demand, None, tags))
    assert (len(lookups), ruling.allowed) == (asked, not asked)
