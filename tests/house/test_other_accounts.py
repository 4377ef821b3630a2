"""Nobody reads or changes what is another account's, or lies in another region, by naming it.

An account is furnished with something of everything. Then each operation is asked, in a form that the model allows, to
do its work on that: by the root of another account, and by the account's own root in another region.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import pytest

from cumulet.app import SERVICES, check_params
from cumulet.errors import ServiceError
from cumulet.scope import Scope
from furnished import SECRET, THEIRS, AllServices, Names, asked, furnish

STRANGERS = {
    "another account": Scope("222222222222", "us-east-1"),
    "another region": Scope("111111111111", "eu-west-1"),
}
ANSWERED = {
    "dynamodb:BatchExecuteStatement",  # a statement is refused in the answer
    "lambda:CreateCodeSigningConfig",  # it names what others sign with
    "cloudformation:DeleteStack",  # a stack that is not there is deleted
}
SHARED = ("iam", "sts", "s3")
"""Services whose resources have no region."""


class Outcome(NamedTuple):
    """What came of one operation."""

    operation: str
    output: Any
    refused: str
    """The code of the error."""
    names_theirs: bool
    """Whether what it was asked about carries the account, in an ARN."""


async def ask_everything(
    house: AllServices, names: Names, scope: Scope, kinds: Sequence[str]
) -> AsyncIterator[Outcome]:
    """Ask every operation of these kinds, as the root of the scope's account."""
    for name in SERVICES:
        if scope.account == THEIRS.account and name in SHARED:
            continue
        for operation in (await house.dispatcher.service(name)).operations.values():
            if operation.kind not in kinds:
                continue
            params = asked(name, operation, names)
            check_params(name, operation.name, params)  # a refusal by the model would prove nothing
            output, refused = None, ""
            try:
                output = await house.call(name, operation.name, params, scope=scope)
            except ServiceError as error:
                refused = error.code
            named = f":{THEIRS.account}:" in repr(params)
            yield Outcome(f"{name}:{operation.name}", output, refused, named)


@pytest.mark.slow
@pytest.mark.parametrize("stranger", STRANGERS)
async def test_nothing_is_read_or_changed_by_strangers(stranger: str) -> None:
    house = AllServices()
    names = await furnish(house)
    before = dict(house.store._values)
    answered = set()
    async for outcome in ask_everything(house, names, STRANGERS[stranger], ("read", "write", "plane")):
        now = house.store._values
        assert {key: now.get(key) for key in before} == before, f"{outcome.operation} changed something"
        copied = [key for key, value in now.items() if SECRET.encode() in value and key not in before]
        assert copied == [], f"{outcome.operation} copied something"
        assert SECRET not in repr(outcome.output), f"{outcome.operation} told something"
        if outcome.names_theirs and not outcome.refused:
            answered.add(outcome.operation)
    assert answered <= ANSWERED
    await house.dispatcher.stop()


async def test_the_account_itself_finds_what_strangers_do_not() -> None:
    house = AllServices()
    names = await furnish(house)
    outcomes = [outcome async for outcome in ask_everything(house, names, THEIRS, ("read",))]
    assert sum(not outcome.refused for outcome in outcomes) >= 80
    assert sum(SECRET in repr(outcome.output) for outcome in outcomes) >= 20
    await house.dispatcher.stop()


@pytest.mark.parametrize(
    ("service", "operation", "params", "code"),
    [
        ("s3", "CopyObject", {"Bucket": "mine", "Key": "k", "CopySource": "theirs/theirs"}, "AccessDenied"),
        (
            "cloudformation",
            "ValidateTemplate",
            {"TemplateURL": "https://theirs.s3.amazonaws.com/theirs"},
            "ValidationError",
        ),
        ("apigateway", "CreateUsagePlan", {"name": "p", "apiStages": [{"stage": "prod"}]}, "NotFoundException"),
        ("iam", "AttachUserPolicy", {"UserName": "mine"}, "NoSuchEntity"),
        ("iam", "PutUserPermissionsBoundary", {"UserName": "mine"}, "NoSuchEntity"),
    ],
)
async def test_nothing_of_ones_own_is_made_of_what_is_theirs(
    service: str, operation: str, params: dict[str, Any], code: str
) -> None:
    house = AllServices()
    names = await furnish(house)
    mine = STRANGERS["another account"]
    await house.call("s3", "CreateBucket", {"Bucket": "mine"}, scope=mine)
    await house.call("iam", "CreateUser", {"UserName": "mine"}, scope=mine)
    if "apiStages" in params:
        params = params | {"apiStages": [{"stage": "prod", "apiId": names["restApiId"]}]}
    if service == "iam":
        named = "PolicyArn" if operation == "AttachUserPolicy" else "PermissionsBoundary"
        params = params | {named: names["PolicyArn"]}
    with pytest.raises(ServiceError) as refused:
        await house.call(service, operation, params, scope=mine)
    assert refused.value.code == code
    await house.dispatcher.stop()
