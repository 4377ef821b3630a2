"""Custom resources whose functions answer what nobody expects; real functions have their tests with clients."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cumulet.services.cloudformation.answers import ANSWER_PATH, receive
from stacking import BAD_ROLE, Interfering, Stacks

TOKEN = "arn:aws:lambda:us-east-1:000000000000:function:f"
INVALID = "Invalid response object: it must be a JSON object whose Status is SUCCESS or FAILED."


class Answering(Interfering):
    """Operations whose functions send a body for each request, and are told of no other."""

    def __init__(self, stacks: Stacks, answer: Callable[[Mapping[str, Any]], bytes]) -> None:
        async def meet(call: str, params: Any) -> None:
            return None

        super().__init__(stacks.house, meet)
        self._answer = answer
        self.asked: list[str] = []

    async def call(self, principal: Any, scope: Any, service: str, operation: str, *args: Any, **more: Any) -> Any:
        if (service, operation) != ("lambda", "Invoke"):
            return await super().call(principal, scope, service, operation, *args, **more)
        question = json.loads(args[0]["Payload"])
        self.asked.append(question["RequestType"])
        path = question["ResponseURL"].partition(ANSWER_PATH)[2]
        assert await receive(self._house.ground, path, self._answer(question))
        return {"StatusCode": 200}


async def answered(stacks: Stacks, answer: Callable[[Mapping[str, Any]], bytes]) -> Answering:
    plane, operations = await stacks.plane(), Answering(stacks, answer)
    plane.ground = replace(plane.ground, operations=operations)
    return operations


def thing(**properties: Any) -> dict[str, Any]:
    return {"Type": "Custom::Thing", "Properties": {"ServiceToken": TOKEN, **properties}}


def said(**members: Any) -> bytes:
    return json.dumps({"Status": "SUCCESS", "PhysicalResourceId": "made", **members}).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[" * 4000, INVALID),
        (b'{"Status":"SUCCESS","PhysicalResourceId":"made","Data":{"N":' + b"9" * 400 + b"}}", INVALID),
        (b'{"Status":"SUCCESS","PhysicalResourceId":"made","Data":{"N":NaN}}', INVALID),
        (b'{"Status":"SUCCESS","PhysicalResourceId":"\\ud800"}', INVALID),
        (b"\xff", INVALID),
        (said(Data={"Long": "x" * 5000}), "Response object is too long."),
        (said(Data=["a"]), "Invalid response object: Data must be an object."),
    ],
    ids=["deep", "large", "nan", "surrogate", "binary", "long", "list"],
)
async def test_answers_that_are_none_fail_the_resource(body: bytes, words: str) -> None:
    stacks = Stacks()
    await answered(stacks, lambda question: body if question["RequestType"] == "Create" else said())
    await stacks.create(Thing=thing())
    assert (await stacks.reasons())["Thing CREATE_FAILED"] == words
    assert await stacks.status() == "ROLLBACK_COMPLETE"


@pytest.mark.parametrize(
    "changed",
    [{"ServiceToken": f"{TOKEN}2"}, {"ServiceToken": "arn:aws:sns:us-east-1:000000000000:t"}, {"ServiceTimeout": 0}],
    ids=["another function", "topic", "timeout"],
)
async def test_an_update_of_which_nobody_is_asked_is_rolled_back(changed: dict[str, Any]) -> None:
    stacks = Stacks()
    operations = await answered(stacks, lambda _: said())
    await stacks.create(Thing=thing())
    await stacks.update(Thing=thing(**changed))
    assert "Thing UPDATE_FAILED" in await stacks.reasons()
    assert (await stacks.status(), operations.asked[0]) == ("UPDATE_ROLLBACK_COMPLETE", "Create")
    await stacks.update(Thing=thing(Name="b"))
    assert (await stacks.status(), operations.asked[-1]) == ("UPDATE_COMPLETE", "Update")


async def test_what_was_made_of_an_update_that_fails_is_told_to_go() -> None:
    stacks = Stacks()
    operations = await answered(
        stacks, lambda question: said(PhysicalResourceId=question["ResourceProperties"]["Name"])
    )
    await stacks.create(Thing=thing(Name="a"))
    await stacks.update(Thing=thing(Name="b"), Role={**BAD_ROLE, "DependsOn": "Thing"})
    assert (await stacks.status(), await stacks.physical_id("Thing")) == ("UPDATE_ROLLBACK_COMPLETE", "a")
    assert operations.asked == ["Create", "Update", "Delete"]
