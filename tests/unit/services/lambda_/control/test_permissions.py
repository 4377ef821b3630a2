"""A function's resource policy."""

import json
from typing import Any

import pytest

ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"
GATEWAY = {
    "FunctionName": "notes",
    "StatementId": "api",
    "Action": "lambda:InvokeFunction",
    "Principal": "apigateway.amazonaws.com",
    "SourceArn": "arn:aws:execute-api:us-east-1:000000000000:abc/*/GET/notes",
}
STATEMENT = {
    "Sid": "api",
    "Effect": "Allow",
    "Principal": {"Service": "apigateway.amazonaws.com"},
    "Action": "lambda:InvokeFunction",
    "Resource": ARN,
    "Condition": {"ArnLike": {"AWS:SourceArn": GATEWAY["SourceArn"]}},
}


async def test_a_permission_becomes_a_statement(house: Any) -> None:
    await house.create()
    added = await house.call("lambda", "AddPermission", GATEWAY)
    assert json.loads(added["Statement"]) == STATEMENT
    found = await house.call("lambda", "GetPolicy", {"FunctionName": "notes"})
    assert json.loads(found["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [STATEMENT]}
    assert found["RevisionId"]


async def test_a_permission_does_not_disturb_running_environments(house: Any) -> None:
    created = await house.create()
    await house.call("lambda", "AddPermission", GATEWAY)
    found = await house.call("lambda", "GetFunctionConfiguration", {"FunctionName": "notes"})
    assert found["RevisionId"] == created["RevisionId"]


@pytest.mark.parametrize(
    ("given", "rendered"),
    [
        ("*", "*"),
        ("111111111111", {"AWS": "arn:aws:iam::111111111111:root"}),
        ("arn:aws:iam::111111111111:root", {"AWS": "arn:aws:iam::111111111111:root"}),
        ("arn:aws:iam::111111111111:role/trusted/caller", {"AWS": "arn:aws:iam::111111111111:role/trusted/caller"}),
        (
            "arn:aws:sts::111111111111:assumed-role/caller/now",
            {"AWS": "arn:aws:sts::111111111111:assumed-role/caller/now"},
        ),
        ("events.amazonaws.com", {"Service": "events.amazonaws.com"}),
        ("alexa-appkit.amazon.com", {"Service": "alexa-appkit.amazon.com"}),
    ],
)
async def test_principals(house: Any, given: str, rendered: object) -> None:
    await house.create()
    added = await house.call("lambda", "AddPermission", {**GATEWAY, "Principal": given})
    assert json.loads(added["Statement"])["Principal"] == rendered


@pytest.mark.parametrize(
    ("given", "words"),
    [
        *(
            (absent, "The provided principal was invalid. Please check the principal and try again.")
            for absent in (
                "nobody",
                "amazonaws.com",
                "arn:aws:iam::111111111111:role/nobody",
                "arn:aws:iam::111111111111:role/elsewhere/caller",
                "arn:aws:sts::111111111111:assumed-role/nobody/now",
            )
        ),
        (
            "arn:aws:iam:111111111111:role/caller",
            "The provided input'arn:aws:iam:111111111111:role/caller'was invalid. Member must satisfy expression: "
            "[\\w+=,.@-]* Please check your input and try again.",
        ),
    ],
)
async def test_principals_that_are_not_there(house: Any, given: str, words: str) -> None:
    await house.create()
    refused = await house.refusal("AddPermission", {**GATEWAY, "Principal": given})
    assert refused == ("InvalidParameterValueException", words)


async def test_conditions(house: Any) -> None:
    await house.create()
    params = {**GATEWAY, "SourceAccount": "111111111111", "PrincipalOrgID": "o-1234567890", "EventSourceToken": "t"}
    added = await house.call("lambda", "AddPermission", params)
    assert json.loads(added["Statement"])["Condition"] == {
        "StringEquals": {
            "AWS:SourceAccount": "111111111111",
            "aws:PrincipalOrgID": "o-1234567890",
            "lambda:EventSourceToken": "t",
        },
        "ArnLike": {"AWS:SourceArn": GATEWAY["SourceArn"]},
    }


@pytest.mark.parametrize(
    ("operation", "params", "code", "words"),
    [
        (
            "AddPermission",
            GATEWAY,
            "ResourceConflictException",
            "The statement id (api) provided already exists. Please provide a new statement id, or remove the existing "
            "statement.",
        ),
        (
            "AddPermission",
            {**GATEWAY, "StatementId": "b", "Qualifier": "$LATEST"},
            "InvalidParameterValueException",
            "We currently do not support adding policies for $LATEST.",
        ),
        (
            "AddPermission",
            {**GATEWAY, "StatementId": "b", "RevisionId": "old"},
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId. Call the GetPolicy API to retrieve the "
            "latest Revision Id",
        ),
        (
            "RemovePermission",
            {"FunctionName": "notes", "StatementId": "b"},
            "ResourceNotFoundException",
            "Statement b is not found in resource policy.",
        ),
        (
            "GetPolicy",
            {"FunctionName": "other"},
            "ResourceNotFoundException",
            f"Function not found: {ARN[:-5]}other",
        ),
    ],
)
async def test_refusals(house: Any, operation: str, params: dict[str, str], code: str, words: str) -> None:
    await house.create()
    await house.call("lambda", "AddPermission", GATEWAY)
    assert await house.refusal(operation, params) == (code, words)


async def test_a_policy_has_its_limit(house: Any) -> None:
    await house.create()
    long = {**GATEWAY, "SourceArn": "arn:aws:sns:us-east-1:000000000000:" + "x" * 9000}
    await house.call("lambda", "AddPermission", {**long, "StatementId": "s1"})
    await house.call("lambda", "AddPermission", {**long, "StatementId": "s2"})
    code, words = await house.refusal("AddPermission", {**long, "StatementId": "s3"})
    assert code == "PolicyLengthExceededException"
    assert words.endswith("is bigger than the limit (20480).")


async def test_with_its_last_statement_the_policy_is_gone(house: Any) -> None:
    await house.create()
    await house.call("lambda", "AddPermission", GATEWAY)
    await house.call("lambda", "AddPermission", {**GATEWAY, "StatementId": "second"})
    await house.call("lambda", "RemovePermission", {"FunctionName": "notes", "StatementId": "api"})
    policy = json.loads((await house.call("lambda", "GetPolicy", {"FunctionName": "notes"}))["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == ["second"]
    await house.call("lambda", "RemovePermission", {"FunctionName": "notes", "StatementId": "second"})
    assert await house.refusal("GetPolicy", {"FunctionName": "notes"}) == (
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    )
    assert await house.refusal("RemovePermission", {"FunctionName": "notes", "StatementId": "second"}) == (
        "ResourceNotFoundException",
        "No policy is associated with the given resource.",
    )
