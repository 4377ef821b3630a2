"""CloudWatch Logs through its operations."""

import asyncio
from typing import Any

import msgspec
import pytest

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import SYSTEM
from cumulet.services.logs.limits import RUN_CHARACTERS_MAX, RUN_EVENTS_MAX, RUN_SPAN_MS_MAX
from cumulet.services.logs.records import EXPIRING, ExpiringGroup, cut_runs, get_group, get_stream
from cumulet.services.logs.retention import run_step, sweep
from cumulet.store.api import WriteTx
from cumulet.store.keyspace import LOG_EVENT
from harness import SCOPE, House

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
GROUP = "/aws/lambda/notes"


class Logs:
    """A house with one log group and a short way to call it."""

    def __init__(self) -> None:
        self.house = House("logs")

    @property
    def now_ms(self) -> int:
        return self.house.clock.now_ms()

    async def __call__(self, operation: str, **params: Any) -> Any:
        return await self.house.call("logs", operation, params)

    async def put(self, stream: str, *events: tuple[int, str], group: str = GROUP) -> Any:
        """Put (milliseconds from now, message) pairs."""
        return await self(
            "PutLogEvents",
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": self.now_ms + offset_ms, "message": message} for offset_ms, message in events],
        )

    async def get(self, stream: str, **params: Any) -> Any:
        return await self("GetLogEvents", logGroupName=GROUP, logStreamName=stream, **params)

    async def filter(self, **params: Any) -> Any:
        return await self("FilterLogEvents", logGroupName=GROUP, **params)


@pytest.fixture
async def logs() -> Logs:
    logs = Logs()
    await logs("CreateLogGroup", logGroupName=GROUP)
    for stream in ("a", "b"):
        await logs("CreateLogStream", logGroupName=GROUP, logStreamName=stream)
    return logs


def messages(output: Any) -> list[str]:
    return [event["message"] for event in output["events"]]


NO_GROUP = ("ResourceNotFoundException", "The specified log group does not exist.")
NO_STREAM = ("ResourceNotFoundException", "The specified log stream does not exist.")
INVALID_TOKEN = ("InvalidParameterException", "The specified nextToken is invalid.")
BAD_RETENTION = (
    "Invalid retention value. Valid values are: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, "
    "1827, 2192, 2557, 2922, 3288, 3653]"
)
NOWHERE = {"logGroupName": "none", "logStreamName": "none"}
ARN = "arn:aws:logs:us-east-1:000000000000:log-group:"


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        (
            "CreateLogGroup",
            {"logGroupName": GROUP},
            ("ResourceAlreadyExistsException", "The specified log group already exists"),
        ),
        (
            "CreateLogGroup",
            {"logGroupName": "AWS/x"},
            ("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS."),
        ),
        ("DeleteLogGroup", {"logGroupName": "none"}, NO_GROUP),
        ("CreateLogStream", NOWHERE, NO_GROUP),
        (
            "CreateLogStream",
            {"logGroupName": GROUP, "logStreamName": "a"},
            ("ResourceAlreadyExistsException", "The specified log stream already exists"),
        ),
        ("DeleteLogStream", {"logGroupName": GROUP, "logStreamName": "none"}, NO_STREAM),
        ("DescribeLogStreams", {"logGroupName": "none"}, NO_GROUP),
        (
            "DescribeLogStreams",
            {"logGroupName": GROUP, "orderBy": "LastEventTime", "logStreamNamePrefix": "a"},
            ("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix."),
        ),
        ("PutLogEvents", {**NOWHERE, "logEvents": []}, NO_GROUP),
        ("PutLogEvents", {"logGroupName": GROUP, "logStreamName": "none", "logEvents": []}, NO_STREAM),
        ("GetLogEvents", NOWHERE, NO_GROUP),
        ("GetLogEvents", {"logGroupName": GROUP, "logStreamName": "none"}, NO_STREAM),
        ("GetLogEvents", {"logGroupName": GROUP, "logStreamName": "a", "nextToken": "f/1/s"}, INVALID_TOKEN),
        (
            "GetLogEvents",
            {"logGroupName": GROUP, "logGroupIdentifier": GROUP, "logStreamName": "a"},
            ("InvalidParameterException", "LogGroup name and LogGroup ARN are mutually exclusive parameters."),
        ),
        ("FilterLogEvents", {"logGroupName": "none"}, NO_GROUP),
        ("FilterLogEvents", {"logGroupName": GROUP, "logStreamNames": ["none"]}, NO_STREAM),
        ("FilterLogEvents", {"logGroupName": GROUP, "nextToken": "junk"}, INVALID_TOKEN),
        (
            "FilterLogEvents",
            {"logGroupName": GROUP, "filterPattern": "a:b"},
            ("InvalidParameterException", "Invalid character(s) in term 'a:b'"),
        ),
        (
            "PutRetentionPolicy",
            {"logGroupName": GROUP, "retentionInDays": 2},
            ("InvalidParameterException", BAD_RETENTION),
        ),
        ("PutRetentionPolicy", {"logGroupName": "none", "retentionInDays": 1}, NO_GROUP),
        ("DeleteRetentionPolicy", {"logGroupName": "none"}, NO_GROUP),
        (
            "ListTagsForResource",
            {"resourceArn": ARN + "none"},
            ("ResourceNotFoundException", "The specified resource does not exist."),
        ),
        (
            "TagResource",
            {"resourceArn": "arn:aws:s3:::x", "tags": {"a": "b"}},
            ("InvalidParameterException", "Invalid resource ARN: arn:aws:s3:::x"),
        ),
    ],
)
async def test_errors(logs: Logs, operation: str, params: dict[str, Any], expected: tuple[str, str]) -> None:
    with pytest.raises(ServiceError) as raised:
        await logs(operation, **params)

    assert (raised.value.code, raised.value.message) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(0, "later"), (-1, "sooner")], "Log events in a single PutLogEvents request must be in chronological order."),
        (
            [(-DAY_MS - 1, "first"), (0, "last")],
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ),
        ([(0, "x" * 1_048_551)], "Log event too large: 1048577 bytes exceeds limit of 1048576"),
        ([(0, "ü" * 262_144), (0, "x" * 524_288)], "Upload too large: 1048628 bytes exceeds limit of 1048576"),
    ],
)
async def test_a_bad_batch_is_refused_as_a_whole(logs: Logs, events: list[tuple[int, str]], expected: str) -> None:
    with pytest.raises(ServiceError) as raised:
        await logs.put("a", *events)

    assert (raised.value.code, raised.value.message) == ("InvalidParameterException", expected)
    assert messages(await logs.get("a")) == []


async def test_events_out_of_time_are_counted_and_the_others_kept(logs: Logs) -> None:
    too_new = await logs.put("a", (0, "kept"), (2 * HOUR_MS + 1, "too new"))
    too_old = await logs.put("a", (-14 * DAY_MS - 1, "too old"), (-14 * DAY_MS, "just kept"))
    await logs("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
    expired = await logs.put("a", (-DAY_MS - 1, "expired"), (-DAY_MS, "just in time"), (-1, "kept too"))

    assert too_new["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    assert too_old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert expired["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    assert messages(await logs.get("a")) == ["just in time", "kept too", "kept"]


async def test_pages_of_a_stream_lead_forward_and_back(logs: Logs) -> None:
    await logs.put("a", *[(index // 2, str(index)) for index in range(7)])

    first = await logs.get("a", startFromHead=True, limit=3)
    second = await logs.get("a", startFromHead=True, limit=3, nextToken=first["nextForwardToken"])
    third = await logs.get("a", startFromHead=True, limit=3, nextToken=second["nextForwardToken"])
    end = await logs.get("a", startFromHead=True, limit=3, nextToken=third["nextForwardToken"])
    back = await logs.get("a", limit=3, nextToken=third["nextBackwardToken"])
    from_the_end = await logs.get("a", limit=3, nextToken=end["nextBackwardToken"])

    assert [messages(page) for page in (first, second, third, end)] == [
        ["0", "1", "2"],
        ["3", "4", "5"],
        ["6"],
        [],
    ]
    assert end["nextForwardToken"] == third["nextForwardToken"]
    assert messages(back) == ["3", "4", "5"]
    assert messages(from_the_end) == ["4", "5", "6"]

    await logs.put("a", (9, "new"))
    assert messages(await logs.get("a", nextToken=end["nextForwardToken"])) == ["new"]


async def test_without_a_direction_the_newest_page_comes_first(logs: Logs) -> None:
    await logs.put("a", *[(index, str(index)) for index in range(5)])

    newest = await logs.get("a", limit=2)
    older = await logs.get("a", limit=2, nextToken=newest["nextBackwardToken"])

    assert messages(newest) == ["3", "4"]
    assert messages(older) == ["1", "2"]


async def test_an_empty_stream_gives_a_token_that_finds_what_comes(logs: Logs) -> None:
    empty = await logs.get("a", startFromHead=True)
    await logs.put("a", (-5, "came"))

    assert empty["events"] == []
    assert messages(await logs.get("a", nextToken=empty["nextForwardToken"])) == ["came"]


async def test_the_end_of_the_time_is_exclusive_for_a_stream_and_inclusive_for_a_search(logs: Logs) -> None:
    await logs.put("a", (0, "0"), (1, "1"), (2, "2"))
    window = {"startTime": logs.now_ms + 1, "endTime": logs.now_ms + 2}

    assert messages(await logs.get("a", **window)) == ["1"]
    assert messages(await logs.filter(**window)) == ["1", "2"]


async def test_a_page_holds_a_megabyte(logs: Logs) -> None:
    for index in range(3):
        await logs.put("a", (index, f"{index}" + "x" * 500_000))

    assert len((await logs.get("a", startFromHead=True))["events"]) == 2
    assert len((await logs.filter())["events"]) == 3  # the page that passes a megabyte is the last
    assert len((await logs.get("a", startFromHead=True, limit=1))["events"]) == 1


async def test_a_search_merges_streams_in_time_and_pages_through_them(logs: Logs) -> None:
    await logs.put("a", (1, "a1"), (3, "a3"), (3, "a3 again"), (7, "a7"))
    await logs.put("b", (2, "b2"), (3, "b3"), (9, "b9"))
    await logs("CreateLogStream", logGroupName=GROUP, logStreamName="empty")

    whole = await logs.filter()
    paged: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = await logs.filter(limit=2, **more)
        paged += messages(page)
        if "nextToken" not in page:
            break
        more = {"nextToken": page["nextToken"]}

    assert [(event["logStreamName"], event["message"]) for event in whole["events"]] == [
        ("a", "a1"),
        ("b", "b2"),
        ("a", "a3"),
        ("a", "a3 again"),
        ("b", "b3"),
        ("a", "a7"),
        ("b", "b9"),
    ]
    assert "nextToken" not in whole
    assert whole["searchedLogStreams"] == []
    assert paged == messages(whole)
    assert len({event["eventId"] for event in whole["events"]}) == 7
    assert {len(event["eventId"]) for event in whole["events"]} == {56}


async def test_a_search_may_be_narrowed_to_streams(logs: Logs) -> None:
    await logs("CreateLogStream", logGroupName=GROUP, logStreamName="ab")
    for stream in ("a", "ab", "b"):
        await logs.put(stream, (0, stream))

    assert messages(await logs.filter(logStreamNames=["b", "a", "a"])) == ["a", "b"]
    assert messages(await logs.filter(logStreamNamePrefix="a")) == ["a", "ab"]


async def test_expired_events_are_gone_and_swept(logs: Logs) -> None:
    await logs.put("a", (0, "old"), (1, "old too"), (HOUR_MS, "young"))
    await logs("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
    logs.house.clock.advance(24 * 3600 + 60)

    assert messages(await logs.get("a", startFromHead=True)) == ["young"]
    assert messages(await logs.filter()) == ["young"]

    removed = [await sweep(logs.house.store, logs.house.store.write, logs.now_ms) for _ in range(2)]
    await logs("DeleteRetentionPolicy", logGroupName=GROUP)

    assert removed == [2, 0]
    assert messages(await logs.get("a", startFromHead=True)) == ["young"]
    [group] = (await logs("DescribeLogGroups"))["logGroups"]
    assert group["storedBytes"] == len("young") + 26


@pytest.mark.parametrize(
    ("events_max", "streams_max", "steps"), [(1, 9, [2, 1, 2, 1, 0]), (9, 1, [3, 3, 0]), (3, 1, [3, 0, 3, 0, 0])]
)
async def test_a_sweep_goes_in_bounded_steps(logs: Logs, events_max: int, streams_max: int, steps: list[int]) -> None:
    for stream in ("a", "b"):
        # Two that are one record, one by itself, and one that has time.
        await logs.put(stream, (0, "old"), (1, "old too"), (1000, "old as well"), (HOUR_MS, "young"))
    await logs("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
    logs.house.clock.advance(24 * 3600 + 60)
    group, behind, removed = ExpiringGroup(*SCOPE, GROUP), "", []
    while behind is not None:
        step = await logs.house.store.write(
            lambda tx, behind=behind: run_step(
                tx, group=group, behind=behind, now_ms=logs.now_ms, events_max=events_max, streams_max=streams_max
            )
        )
        removed.append(step.removed)
        behind = step.behind
    assert removed == steps
    assert messages(await logs.filter()) == ["young", "young"]


async def test_the_running_service_sweeps_by_the_clock(logs: Logs) -> None:
    await logs.put("a", (0, "old"), (HOUR_MS, "young"))
    await logs("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)

    async def stored() -> int:
        for _ in range(10):
            await asyncio.sleep(0)  # the sweep's turns
        [group] = (await logs("DescribeLogGroups"))["logGroups"]
        return int(group["storedBytes"])

    before = await stored()
    logs.house.clock.advance(24 * 3600 + 60)
    after = await stored()
    await logs.house.workers.stop()
    logs.house.clock.advance(48 * 3600)

    assert (before, after) == (len("oldyoung") + 52, len("young") + 26)
    assert await stored() == after


async def test_what_is_deleted_or_kept_for_ever_is_not_swept(logs: Logs) -> None:
    await logs("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
    await logs("DeleteRetentionPolicy", logGroupName=GROUP)
    await logs("CreateLogGroup", logGroupName="gone")
    await logs("PutRetentionPolicy", logGroupName="gone", retentionInDays=1)
    await logs("DeleteLogGroup", logGroupName="gone")
    assert await logs.house.store.read(lambda tx: list(EXPIRING.scan(tx, SYSTEM))) == []


async def test_groups_are_described_with_aws_members_and_paged(logs: Logs) -> None:
    await logs("CreateLogGroup", logGroupName="app", tags={"team": "x"})
    await logs("PutRetentionPolicy", logGroupName="app", retentionInDays=7)
    await logs.put("a", (0, "12345"))

    first = await logs("DescribeLogGroups", limit=1)
    second = await logs("DescribeLogGroups", limit=1, nextToken=first["nextToken"])

    assert first["logGroups"] == [
        {
            "logGroupName": GROUP,
            "creationTime": logs.now_ms,
            "metricFilterCount": 0,
            "arn": f"{ARN}{GROUP}:*",
            "storedBytes": 31,
            "logGroupClass": "STANDARD",
            "logGroupArn": f"{ARN}{GROUP}",
        }
    ]
    assert [group["retentionInDays"] for group in second["logGroups"]] == [7]
    assert "nextToken" not in second
    by_prefix = await logs("DescribeLogGroups", logGroupNamePrefix="/aws/")
    by_pattern = await logs("DescribeLogGroups", logGroupNamePattern="pp")
    assert [group["logGroupName"] for group in by_prefix["logGroups"]] == [GROUP]
    assert [group["logGroupName"] for group in by_pattern["logGroups"]] == ["app"]


async def test_streams_are_described_by_name_or_by_their_last_event(logs: Logs) -> None:
    await logs("CreateLogStream", logGroupName=GROUP, logStreamName="ab")
    await logs.put("b", (5, "x"))
    await logs.put("a", (-1, "x"), (7, "x"))

    async def names(**params: Any) -> list[str]:
        found: list[str] = []
        more: dict[str, Any] = {}
        while True:
            page = await logs("DescribeLogStreams", logGroupName=GROUP, limit=1, **params, **more)
            found += [stream["logStreamName"] for stream in page["logStreams"]]
            if "nextToken" not in page:
                return found
            more = {"nextToken": page["nextToken"]}

    assert await names() == ["a", "ab", "b"]
    assert await names(descending=True) == ["b", "ab", "a"]
    assert await names(logStreamNamePrefix="a") == ["a", "ab"]
    assert await names(orderBy="LastEventTime") == ["ab", "b", "a"]
    assert await names(orderBy="LastEventTime", descending=True) == ["a", "b", "ab"]
    [stream] = (await logs("DescribeLogStreams", logGroupName=GROUP, limit=1))["logStreams"]
    assert stream == {
        "logStreamName": "a",
        "creationTime": logs.now_ms,
        "arn": f"{ARN}{GROUP}:log-stream:a",
        "storedBytes": 0,
        "firstEventTimestamp": logs.now_ms - 1,
        "lastEventTimestamp": logs.now_ms + 7,
        "lastIngestionTime": logs.now_ms,
        "uploadSequenceToken": f"{2:056d}",
    }


async def test_what_is_deleted_and_created_again_is_empty(logs: Logs) -> None:
    await logs.put("a", (0, "gone"))
    await logs("DeleteLogStream", logGroupName=GROUP, logStreamName="a")
    await logs("CreateLogStream", logGroupName=GROUP, logStreamName="a")
    assert messages(await logs.get("a")) == []

    await logs.put("a", (0, "gone"))
    await logs("DeleteLogGroup", logGroupName=GROUP)
    await logs("CreateLogGroup", logGroupName=GROUP)
    assert (await logs("DescribeLogStreams", logGroupName=GROUP))["logStreams"] == []
    assert messages(await logs.filter()) == []


async def test_tags(logs: Logs) -> None:
    arn = ARN + GROUP
    await logs("TagResource", resourceArn=arn, tags={"a": "1", "b": "2"})
    await logs("TagResource", resourceArn=arn, tags={"b": "3"})
    await logs("UntagResource", resourceArn=arn, tagKeys=["a", "never there"])

    assert await logs("ListTagsForResource", resourceArn=arn) == {"tags": {"b": "3"}}
    with pytest.raises(ServiceError) as raised:
        await logs("TagResource", resourceArn=arn, tags={f"k{index}": "" for index in range(50)})
    assert raised.value.code == "TooManyTagsException"


async def test_a_group_may_be_named_by_its_arn(logs: Logs) -> None:
    await logs.put("a", (0, "x"))

    by_arn = await logs("GetLogEvents", logGroupIdentifier=ARN + GROUP, logStreamName="a")

    assert messages(by_arn) == ["x"]
    with pytest.raises(ServiceError, match="does not exist"):
        await logs(
            "GetLogEvents", logGroupIdentifier=(ARN + GROUP).replace("us-east-1", "eu-west-1"), logStreamName="a"
        )


async def test_followers_are_woken(logs: Logs) -> None:
    woken = asyncio.Event()
    logs.house.store.listen("logs", woken.set)

    await logs.put("a", (0, "x"))

    await asyncio.wait_for(woken.wait(), 1)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("CreateLogGroup", {"logGroupName": "x", "kmsKeyId": "key"}),
        ("CreateLogGroup", {"logGroupName": "x", "logGroupClass": "INFREQUENT_ACCESS"}),
        ("FilterLogEvents", {"logGroupName": GROUP, "filterPattern": "{ $.a = 1 }"}),
        ("FilterLogEvents", {"logGroupName": GROUP, "startFromHead": False}),
        ("GetLogEvents", {"logGroupName": GROUP, "logStreamName": "a", "unmask": True}),
        ("StartQuery", {}),
    ],
)
async def test_what_is_not_built_is_refused(logs: Logs, operation: str, params: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedHere):
        await logs(operation, **params)


RUNS_CUT: list[tuple[str, list[tuple[int, int]], list[int]]] = [
    ("of one time", [(0, 5), (0, 5), (RUN_SPAN_MS_MAX, 5)], [3]),
    ("of two times", [(0, 5), (RUN_SPAN_MS_MAX + 1, 5), (RUN_SPAN_MS_MAX + 2, 5)], [1, 2]),
    ("many", [(0, 5)] * (RUN_EVENTS_MAX + 2), [RUN_EVENTS_MAX, 2]),
    ("large", [(0, RUN_CHARACTERS_MAX - 5), (0, 5), (0, 5)], [2, 1]),
    ("larger than a run", [(0, 2 * RUN_CHARACTERS_MAX), (0, 5)], [1, 1]),
]


@pytest.mark.parametrize(("events", "sizes"), [row[1:] for row in RUNS_CUT], ids=[row[0] for row in RUNS_CUT])
def test_events_are_stored_in_runs(events: list[tuple[int, int]], sizes: list[int]) -> None:
    given = [(timestamp_ms, "x" * size) for timestamp_ms, size in events]
    runs = list(cut_runs(given, 7, 1_000))

    assert [len(run.events()) for run in runs] == sizes
    cut = [event for run in runs for event in run.events()]
    assert [(event.timestamp_ms, event.message) for event in cut] == given
    assert [event.sequence for event in cut] == list(range(7, 7 + len(given)))


async def test_an_event_that_was_stored_by_itself_is_still_read(logs: Logs) -> None:
    """As all were, once."""
    await logs.put("a", (0, "first"), (9, "last"))

    def add(tx: WriteTx) -> None:
        group = get_group(tx, SCOPE, GROUP)
        stream = get_stream(tx, SCOPE, group, "a")
        key = LOG_EVENT.key(SCOPE, group.id, stream.id, logs.now_ms + 5, 7)
        tx.put(key, b"\x01" + msgspec.msgpack.encode([logs.now_ms + 5, 7, logs.now_ms, "between"]))

    await logs.house.store.write(add)

    assert messages(await logs.get("a", startFromHead=True)) == ["first", "between", "last"]
    assert messages(await logs.get("a", limit=2)) == ["between", "last"]
