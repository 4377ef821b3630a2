"""Provisioned concurrency as the API has it. What keeps environments ready is tested with the execution plane."""

from typing import Any

import pytest

from cumulet.scope import SYSTEM
from cumulet.services.lambda_.records import ALLOTMENTS, FUNCTIONS, SHARES, Allotment, Shares
from harness import SCOPE

ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"
NOTES = {"FunctionName": "notes"}
LIVE = {**NOTES, "Qualifier": "live"}
ONE = {**NOTES, "Qualifier": "1"}


async def make(house: Any) -> None:
    """Make two versions, and an alias for the first."""
    await house.create(Publish=True)
    await house.call("lambda", "UpdateFunctionConfiguration", {**NOTES, "Timeout": 9})
    await house.call("lambda", "PublishVersion", NOTES)
    await house.call("lambda", "CreateAlias", {**NOTES, "Name": "live", "FunctionVersion": "1"})


async def put(house: Any, qualified: Any, count: int) -> Any:
    return await house.call(
        "lambda", "PutProvisionedConcurrencyConfig", {**qualified, "ProvisionedConcurrentExecutions": count}
    )


async def keep(house: Any, version: str, ready: int, **more: str) -> None:
    """Play a node that keeps so many environments ready."""
    await house.node.start()
    lease = await house.workers.take("node")
    account, region, name, slot = "000000000000", "us-east-1", "notes", lease.name
    allotment = Allotment(
        account=account,
        region=region,
        function_name=name,
        version=version,
        slot=slot,
        epoch=lease.record.epoch,
        ready=ready,
        **more,
    )
    key = (account, region, name, version, slot)
    await house.store.write(lambda tx: ALLOTMENTS.save(tx, SYSTEM, *key, record=allotment))


async def unreserved(house: Any) -> int:
    left: int = (await house.call("lambda", "GetAccountSettings", {}))["AccountLimit"]["UnreservedConcurrentExecutions"]
    return left


async def test_what_is_asked_for_comes_to_be_and_goes(house: Any) -> None:
    await make(house)
    counts = {
        "RequestedProvisionedConcurrentExecutions": 5,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "AvailableProvisionedConcurrentExecutions": 0,
    }
    answer = await put(house, LIVE, 5)
    assert answer == {**counts, "Status": "IN_PROGRESS", "LastModified": answer["LastModified"]}
    assert await house.call("lambda", "GetProvisionedConcurrencyConfig", LIVE) == answer
    assert await unreserved(house) == 995
    await keep(house, "1", 5)
    ready = await house.call("lambda", "GetProvisionedConcurrencyConfig", LIVE)
    assert (ready["Status"], ready["AllocatedProvisionedConcurrentExecutions"]) == ("READY", 5)
    listed = await house.call("lambda", "ListProvisionedConcurrencyConfigs", NOTES)
    assert listed == {"ProvisionedConcurrencyConfigs": [{"FunctionArn": f"{ARN}:live", **ready}]}
    await house.call("lambda", "DeleteProvisionedConcurrencyConfig", LIVE)
    assert await unreserved(house) == 1000
    assert await house.refusal("GetProvisionedConcurrencyConfig", LIVE) == (
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
    )


async def test_what_fails_says_why_until_it_is_asked_for_again(house: Any) -> None:
    await make(house)
    await put(house, ONE, 2)
    function = await house.call("lambda", "GetProvisionedConcurrencyConfig", ONE)
    assert function["Status"] == "IN_PROGRESS"
    record = await house.store.read(lambda tx: FUNCTIONS.find(tx, SCOPE, "notes"))
    await keep(house, "1", 0, stamp=record.provisioned["1"].stamp, reason="FUNCTION_ERROR_INIT_FAILURE")
    failed = await house.call("lambda", "GetProvisionedConcurrencyConfig", ONE)
    assert (failed["Status"], failed["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")
    await put(house, ONE, 2)
    assert (await house.call("lambda", "GetProvisionedConcurrencyConfig", ONE))["Status"] == "IN_PROGRESS"


async def test_a_weighted_alias_has_its_share_of_each_version(house: Any) -> None:
    await make(house)
    await put(house, LIVE, 10)
    await house.call(
        "lambda",
        "UpdateAlias",
        {
            **NOTES,
            "Name": "live",
            "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.3}},
        },
    )
    await keep(house, "1", 10)
    half = await house.call("lambda", "GetProvisionedConcurrencyConfig", LIVE)
    assert (half["Status"], half["AvailableProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 7)
    assert await house.refusal("PutProvisionedConcurrencyConfig", {**LIVE, "ProvisionedConcurrentExecutions": 1}) == (
        "InvalidParameterValueException",
        "Alias with weights can not be used with Provisioned Concurrency",
    )


async def test_it_goes_with_its_version_alias_and_function(house: Any) -> None:
    await make(house)
    await put(house, LIVE, 10)
    await put(house, {**NOTES, "Qualifier": "2"}, 10)
    await house.call("lambda", "DeleteAlias", {**NOTES, "Name": "live"})
    await house.call("lambda", "DeleteFunction", {**NOTES, "Qualifier": "2"})
    assert await house.call("lambda", "ListProvisionedConcurrencyConfigs", NOTES) == {
        "ProvisionedConcurrencyConfigs": []
    }
    await put(house, ONE, 3)
    await house.call("lambda", "DeleteFunction", NOTES)
    assert await unreserved(house) == 1000


async def test_lists_come_in_pages(house: Any) -> None:
    await make(house)
    await put(house, LIVE, 1)
    await put(house, {**NOTES, "Qualifier": "2"}, 1)
    first = await house.call("lambda", "ListProvisionedConcurrencyConfigs", {**NOTES, "MaxItems": 1})
    rest = await house.call(
        "lambda", "ListProvisionedConcurrencyConfigs", {**NOTES, "MaxItems": 1, "Marker": first["NextMarker"]}
    )
    pages = [page["ProvisionedConcurrencyConfigs"][0]["FunctionArn"] for page in (first, rest)]
    assert pages == [f"{ARN}:2", f"{ARN}:live"]
    assert "NextMarker" not in rest


UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"Qualifier": "$LATEST"}, "InvalidParameterValueException", UNPUBLISHED),
        ({"Qualifier": "newest"}, "InvalidParameterValueException", UNPUBLISHED),
        ({"Qualifier": "7"}, "ResourceNotFoundException", f"Function not found: {ARN}:7"),
        ({"Qualifier": "gone"}, "ResourceNotFoundException", f"Cannot find alias arn: {ARN}:gone"),
        (
            {"Qualifier": "live"},
            "ResourceConflictException",
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
        ),
        (
            {"Qualifier": "2"},
            "ResourceConflictException",
            "Version is pointed by a Provisioned Concurrency alias",
        ),
        (
            {"ProvisionedConcurrentExecutions": 996},
            "InvalidParameterValueException",
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].",
        ),
        (
            {"ProvisionedConcurrentExecutions": 896},
            "InvalidParameterValueException",
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
            "minimum value of [100].",
        ),
    ],
)
async def test_what_is_refused(house: Any, more: Any, code: str, words: str) -> None:
    await make(house)
    await house.call("lambda", "CreateAlias", {**NOTES, "Name": "newest", "FunctionVersion": "$LATEST"})
    await house.call("lambda", "CreateAlias", {**NOTES, "Name": "second", "FunctionVersion": "2"})
    await put(house, ONE, 1)
    await put(house, {**NOTES, "Qualifier": "second"}, 5)
    params = {**ONE, "ProvisionedConcurrentExecutions": 1, **more}
    assert await house.refusal("PutProvisionedConcurrencyConfig", params) == (code, words)
    assert await unreserved(house) == 994


async def test_a_reservation_bounds_it(house: Any) -> None:
    await make(house)
    await house.call("lambda", "PutFunctionConcurrency", {**NOTES, "ReservedConcurrentExecutions": 5})
    assert await house.refusal("PutProvisionedConcurrencyConfig", {**ONE, "ProvisionedConcurrentExecutions": 6}) == (
        "InvalidParameterValueException",
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
    )
    await put(house, ONE, 5)
    assert await unreserved(house) == 995
    assert await house.refusal("PutFunctionConcurrency", {**NOTES, "ReservedConcurrentExecutions": 4}) == (
        "InvalidParameterValueException",
        "ReservedConcurrentExecutions  4 should not be lower than function's total provisioned concurrency [5].",
    )
    await house.call("lambda", "DeleteFunctionConcurrency", NOTES)
    assert await unreserved(house) == 995


async def test_an_alias_takes_it_along_to_another_version(house: Any) -> None:
    await make(house)
    await put(house, LIVE, 3)
    await house.call("lambda", "UpdateAlias", {**NOTES, "Name": "live", "FunctionVersion": "2"})
    await keep(house, "2", 3)
    assert (await house.call("lambda", "GetProvisionedConcurrencyConfig", LIVE))["Status"] == "READY"
    await put(house, ONE, 1)
    for version, code in (("$LATEST", "InvalidParameterValueException"), ("1", "ResourceConflictException")):
        refused = await house.refusal("UpdateAlias", {**NOTES, "Name": "live", "FunctionVersion": version})
        assert refused[0] == code


async def test_latest_has_none(house: Any) -> None:
    await make(house)
    for operation in ("GetProvisionedConcurrencyConfig", "DeleteProvisionedConcurrencyConfig"):
        assert await house.refusal(operation, {**NOTES, "Qualifier": "$LATEST"}) == (
            "InvalidParameterValueException",
            "The function resource provided must be an alias or a published version.",
        )


@pytest.mark.parametrize("count", [2, 0])
async def test_who_has_shares_of_what_is_provisioned_hears_that_it_is_less(house: Any, count: int) -> None:
    await make(house)
    await put(house, LIVE, 10)
    key = (SCOPE, "notes:1")
    await house.store.write(lambda tx: SHARES.save(tx, *key, record=Shares(holdings={"node": 5})))
    if count:
        await put(house, LIVE, count)
    else:
        await house.call("lambda", "DeleteProvisionedConcurrencyConfig", LIVE)
    assert await house.store.read(lambda tx: SHARES.find(tx, *key)) == Shares(holdings={"node": 5}, wanted=True)
