"""Asynchronous invocations: accepted at once, run later, tried again, given up, told to destinations."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cumulet.errors import ServiceError
from cumulet.scope import SYSTEM
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.records import EVENTS, EVENTS_BY_TIME, EventRecord, InvocationResult
from cumulet.store.api import ReadTx, WriteTx
from harness import House

ARN = "arn:aws:lambda:us-east-1:000000000000:function:notes"
EVENT = {"FunctionName": "notes", "InvocationType": "Event", "Payload": b'{"id": 1}'}
FAILED = InvocationResult(payload=b'{"errorMessage": "no"}', function_error="Unhandled", log_tail=b"")
THROTTLED = ServiceError("TooManyRequestsException", "Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded")


async def settle() -> None:
    """Let everything run that needs no time to pass."""
    for _ in range(100):
        await asyncio.sleep(0)


async def waiting(house: House) -> int:
    """Return how many events are not done."""

    def count(tx: ReadTx) -> int:
        return len(list(EVENTS.scan(tx, SYSTEM)))

    return await house.store.read(count)


@pytest.fixture
async def queue(house: Any) -> AsyncIterator[Any]:
    """A house with one function, which works on its events."""
    await house.create()
    yield house
    await house.workers.stop()


async def send(house: Any, **more: Any) -> Any:
    output = await house.call("lambda", "Invoke", {**EVENT, **more})
    await settle()
    return output


async def after(house: Any, seconds: float) -> int:
    """Return how many invocations there have been, so many seconds later."""
    house.clock.advance(seconds)
    await settle()
    return len(house.execution.invocations)


async def test_an_event_is_accepted_and_runs(queue: Any) -> None:
    assert await send(queue) == {"StatusCode": 202, "Payload": b""}
    ((_, version, invocation),) = queue.execution.invocations
    assert (version.version, invocation.payload, invocation.invoked_arn) == ("$LATEST", b'{"id": 1}', ARN)
    assert await waiting(queue) == 0


async def test_a_failing_function_gets_it_three_times_in_three_minutes(queue: Any) -> None:
    queue.execution.result = FAILED
    await send(queue)
    runs = [len(queue.execution.invocations)]
    runs += [await after(queue, seconds) for seconds in (59, 1, 119, 1, 4 * 3600)]
    assert runs == [1, 1, 2, 2, 3, 3]
    assert len({invocation.request_id for _, _, invocation in queue.execution.invocations}) == 1
    assert await waiting(queue) == 0


async def test_what_cannot_begin_is_tried_again_for_six_hours(queue: Any) -> None:
    tries = 0

    async def refuse() -> None:
        nonlocal tries
        tries += 1
        raise THROTTLED

    queue.execution.before_each = refuse
    await send(queue)
    seen = [tries]
    for seconds in (1, 1, 1, 4):
        await after(queue, seconds)
        seen.append(tries)
    assert seen == [1, 2, 2, 3, 4]
    assert await waiting(queue) == 1
    for _ in range(6 * 12):
        await after(queue, 300)
    assert await waiting(queue) == 0
    assert 70 < tries < 90


async def test_a_throttled_event_runs_when_there_is_room(queue: Any) -> None:
    async def refuse() -> None:
        raise THROTTLED

    queue.execution.before_each = refuse
    await send(queue)
    queue.execution.before_each = None
    assert await after(queue, 1) == 1
    assert await waiting(queue) == 0


class Slow:
    """Invocations of some functions that last until they are released; says which have begun."""

    def __init__(self, house: Any, *names: str) -> None:
        self.begun: list[str] = []
        self.released = asyncio.Event()
        invoke = house.execution.invoke

        async def slow(scope: Any, version: Any, invocation: Any) -> InvocationResult:
            self.begun.append(version.function_name)
            if version.function_name in names:
                await self.released.wait()
            result: InvocationResult = await invoke(scope, version, invocation)
            return result

        house.execution.invoke = slow


async def test_functions_with_slow_events_leave_room_for_others(queue: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "EVENTS_AT_A_TIME", 9)
    for name in ("more", "other"):
        await queue.create(name)
    slow = Slow(queue, "notes", "more")
    for name in ("notes", "more"):
        for _ in range(10):
            await send(queue, FunctionName=name)
    assert slow.begun == ["notes"] * 5 + ["more"] * 2
    for _ in range(3):
        await send(queue, FunctionName="other")
    assert slow.begun[7:] == ["other"] * 3
    assert await waiting(queue) == 20
    slow.released.set()
    await settle()
    assert await waiting(queue) == 0
    assert len({invocation.request_id for _, _, invocation in queue.execution.invocations}) == 23


@pytest.mark.parametrize(
    "bound", [("EVENTS_FUNCTIONS_LOOKED_AT", 1), ("EVENTS_LOOKED_BYTES", 20)], ids=["functions", "bytes"]
)
async def test_what_one_look_does_not_see_the_next_does(queue: Any, monkeypatch: Any, bound: tuple[str, int]) -> None:
    monkeypatch.setattr(limits, *bound)
    names = ["notes", "more", "other"]
    for name in names[1:]:
        await queue.create(name)
    slow = Slow(queue, "notes", "more")
    for _ in range(4):
        for name in names:
            await send(queue, FunctionName=name)
    for _ in range(30):
        await after(queue, limits.EVENTS_SEARCH_S)
    assert sorted(slow.begun) == sorted(names * 4)
    slow.released.set()
    await settle()
    assert await waiting(queue) == 0


async def test_what_lies_behind_large_events_under_way_is_found(queue: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "EVENT_PAYLOAD_LARGE_BYTES", 5)
    slow = Slow(queue, "notes")
    for payload in (b'{"large": 1}', b"{}", b'{"large": 2}', b"[]", b'{"large": 3}'):
        await send(queue, Payload=payload)
    assert len(slow.begun) == 5
    slow.released.set()
    await settle()
    assert await waiting(queue) == 0
    assert len({invocation.request_id for _, _, invocation in queue.execution.invocations}) == 5


async def test_events_of_versions_with_one_queue_for_all_run_too(lambda_house: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "EVENTS_SORTED_AT_ONCE", 2)
    first = lambda_house()
    await first.create()

    def accept(tx: WriteTx) -> None:
        for number in range(5):
            event = EventRecord(
                account="000000000000",
                region="us-east-1",
                function_name="notes",
                qualifier=None,
                request_id=f"old-{number}",
                payload=b"{}",
                accepted_ms=first.clock.now_ms(),
                due_ms=first.clock.now_ms() + 2000 * number,
            )
            EVENTS_BY_TIME.save(tx, SYSTEM, event.due_ms, event.request_id, record=event)

    await first.store.write(accept)
    house = await _second(lambda_house, first)
    await settle()
    ran = [len(house.execution.invocations)] + [await after(house, 2) for _ in range(4)]
    assert ran == [1, 2, 3, 4, 5]
    assert await waiting(house) == 0
    assert await house.store.read(lambda tx: list(EVENTS_BY_TIME.scan(tx, SYSTEM))) == []
    await house.workers.stop()


async def test_an_event_outlives_the_node_that_accepted_it(
    queue: Any, lambda_house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("cumulet.workers.STOP_SECONDS_MAX", 0.0)
    queue.execution.before_each = never
    await send(queue)
    await queue.workers.stop()
    other = await _second(lambda_house, queue)
    await settle()
    assert [invocation.payload for _, _, invocation in other.execution.invocations] == [b'{"id": 1}']
    assert await waiting(other) == 0
    await other.workers.stop()


async def _second(lambda_house: Any, first: Any) -> Any:
    """Return another node over the same store, which has begun its background work."""
    house = lambda_house(store=first.store, clock=first.clock, node_id="node-2")
    await house.dispatcher.service("lambda")
    return house


@pytest.mark.parametrize("was_for_tenants", [True, False])
async def test_events_of_another_function_of_that_name_go(queue: Any, was_for_tenants: bool) -> None:
    """One keeps tenants apart, and the other does not: neither can run what the other has accepted."""
    tenancy = [{"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}, {}]
    before, now = tenancy if was_for_tenants else reversed(tenancy)
    await queue.create(FunctionName="other", **before)
    queue.execution.result = FAILED
    await send(queue, FunctionName="other", **({"TenantId": "blue"} if was_for_tenants else {}))
    await queue.call("lambda", "DeleteFunction", {"FunctionName": "other"})
    await queue.create(FunctionName="other", **now)
    assert await after(queue, 60) == 1
    assert await waiting(queue) == 0


async def test_events_of_a_deleted_function_go(queue: Any) -> None:
    queue.execution.result = FAILED
    await send(queue)
    await queue.call("lambda", "DeleteFunction", {"FunctionName": "notes"})
    assert await after(queue, 60) == 1
    assert await waiting(queue) == 0


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"FunctionName": "notes:7"}, "ResourceNotFoundException", f"Function not found: {ARN}:7"),
        (
            {"Payload": b'"' + b"x" * 1024 * 1024 + b'"'},
            "RequestEntityTooLargeException",
            "Request must be smaller than 1048576 bytes for the InvokeFunction operation",
        ),
        (
            {"Payload": b"{"},
            "InvalidRequestContentException",
            "Could not parse request body into json: Could not parse payload into json: Unexpected end-of-input",
        ),
    ],
)
async def test_what_is_not_accepted(queue: Any, more: Any, code: str, words: str) -> None:
    refused = await queue.refusal("Invoke", {**EVENT, **more})
    assert (refused[0], refused[1][: len(words)]) == (code, words)
    assert await waiting(queue) == 0


async def configure(house: Any, **config: Any) -> Any:
    return await house.call("lambda", "PutFunctionEventInvokeConfig", {"FunctionName": "notes", **config})


async def test_a_result_goes_to_its_destination(queue: Any) -> None:
    await queue.create("audit")
    audit = ARN.replace("notes", "audit")
    destinations = {"OnSuccess": {"Destination": audit}, "OnFailure": {"Destination": audit}}
    await configure(queue, MaximumRetryAttempts=0, DestinationConfig=destinations)
    await send(queue)
    queue.execution.result = FAILED
    await send(queue)
    told = [
        json.loads(invocation.payload)
        for _, version, invocation in queue.execution.invocations
        if version.function_name == "audit"
    ]
    sent = [
        invocation.request_id
        for _, version, invocation in queue.execution.invocations
        if version.function_name == "notes"
    ]
    assert told == [
        {
            "version": "1.0",
            "timestamp": "2025-10-09T08:53:20.000Z",
            "requestContext": {
                "requestId": sent[0],
                "functionArn": f"{ARN}:$LATEST",
                "condition": "Success",
                "approximateInvokeCount": 1,
            },
            "requestPayload": {"id": 1},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
            "responsePayload": {"ok": True},
        },
        {
            "version": "1.0",
            "timestamp": "2025-10-09T08:53:20.000Z",
            "requestContext": {
                "requestId": sent[1],
                "functionArn": f"{ARN}:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 1,
            },
            "requestPayload": {"id": 1},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorMessage": "no"},
        },
    ]


async def test_an_event_that_grows_too_old_is_told_of(queue: Any) -> None:
    await queue.create("audit")
    destination = {"OnFailure": {"Destination": ARN.replace("notes", "audit")}}
    await configure(queue, MaximumEventAgeInSeconds=60, DestinationConfig=destination)

    async def refuse() -> None:
        raise THROTTLED

    queue.execution.before_each = refuse
    await send(queue)
    for _ in range(59):
        await after(queue, 1)
    assert await waiting(queue) == 1
    queue.execution.before_each = None
    assert await after(queue, 1) == 1
    (told,) = [json.loads(invocation.payload) for _, _, invocation in queue.execution.invocations]
    assert told["requestContext"]["condition"] == "EventAgeExceeded"
    assert "responseContext" not in told


async def test_a_configuration_is_kept_changed_and_dropped(queue: Any) -> None:
    put = await configure(queue, MaximumRetryAttempts=1)
    nowhere = {"OnSuccess": {}, "OnFailure": {}}
    assert put == {
        "LastModified": queue.clock.now_ms() / 1000,
        "FunctionArn": f"{ARN}:$LATEST",
        "MaximumRetryAttempts": 1,
        "DestinationConfig": nowhere,
    }
    update = {"FunctionName": "notes", "MaximumEventAgeInSeconds": 90}
    updated = await queue.call("lambda", "UpdateFunctionEventInvokeConfig", update)
    assert updated == {**put, "MaximumEventAgeInSeconds": 90}
    assert await queue.call("lambda", "GetFunctionEventInvokeConfig", {"FunctionName": "notes"}) == updated
    assert "MaximumRetryAttempts" not in await configure(queue, MaximumEventAgeInSeconds=70)
    await queue.call("lambda", "PublishVersion", {"FunctionName": "notes"})
    await configure(queue, Qualifier="1", MaximumRetryAttempts=0)
    listed = await queue.call("lambda", "ListFunctionEventInvokeConfigs", {"FunctionName": "notes"})
    arns = [config["FunctionArn"] for config in listed["FunctionEventInvokeConfigs"]]
    assert arns == [f"{ARN}:$LATEST", f"{ARN}:1"]
    assert await queue.call("lambda", "DeleteFunctionEventInvokeConfig", {"FunctionName": "notes"}) == {}
    for operation in ("Get", "Delete", "Update"):
        params = {"FunctionName": "notes", **({"MaximumRetryAttempts": 1} if operation == "Update" else {})}
        assert await queue.refusal(f"{operation}FunctionEventInvokeConfig", params) == (
            "ResourceNotFoundException",
            f"The function {ARN}:$LATEST doesn't have an EventInvokeConfig",
        )


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        (
            {},
            "InvalidParameterValueException",
            "You must specify at least one of error handling or destination setting.",
        ),
        ({"FunctionName": "absent", "MaximumRetryAttempts": 1}, "ResourceNotFoundException", None),
        ({"Qualifier": "7", "MaximumRetryAttempts": 1}, "ResourceNotFoundException", None),
        (
            {"DestinationConfig": {"OnSuccess": {"Destination": ARN}}},
            "InvalidParameterValueException",
            "You can't specify the function as a destination for itself.",
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": f"{ARN}-absent"}}},
            "InvalidParameterValueException",
            f"The destination ARN {ARN}-absent is invalid.",
        ),
        *(
            (
                {"DestinationConfig": {"OnFailure": {"Destination": arn}}},
                "InvalidParameterValueException",
                f"The destination ARN {arn} is invalid.",
            )
            for arn in (
                "arn:aws:dynamodb:us-east-1:000000000000:table/notes",
                "arn:aws:lambda:us-east-1:000000000000:layer:shared:1",
                "arn:aws:lambda:eu-west-1:000000000000:function:other",
                "arn:aws:lambda:us-east-1:000000000000:function:other:7",
                "arn:aws:lambda:us-east-1:000000000000:function:other:live",
                "arn:aws:lambda:us-east-1::function:other",
                "arn:aws:lambda:us-east-1:000000000000:function:other:live:1",
                "kafka://topic",
            )
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:failed"}}},
            "NotImplementedException",
            "A destination of the service sqs is not implemented by Cumulet. docs/operations.md lists what is.",
        ),
    ],
)
async def test_configurations_that_are_refused(queue: Any, config: Any, code: str, words: str | None) -> None:
    await queue.create("other")
    refused = await queue.refusal("PutFunctionEventInvokeConfig", {"FunctionName": "notes", **config})
    assert refused == (code, words or "The function doesn't exist.")
