"""CloudWatch Logs: pages put together are the whole, in order, whatever the page size and wherever events arrive."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.logs.limits import RUN_SPAN_MS_MAX
from harness import House

pytestmark = pytest.mark.slow

STREAMS = ("a", "b", "c")
OFFSETS_MS = (0, 1, 2, 3, RUN_SPAN_MS_MAX - 1, RUN_SPAN_MS_MAX, RUN_SPAN_MS_MAX + 1, RUN_SPAN_MS_MAX + 2, 1000, 1001)
"""What is stored together reaches over some of them, and not over others."""
BATCHES = st.lists(
    st.tuples(
        st.sampled_from(STREAMS), st.lists(st.sampled_from(OFFSETS_MS), min_size=1, max_size=5), st.integers(0, 2)
    ),
    max_size=8,
)


async def filled(batches: list[tuple[str, list[int], int]]) -> tuple[House, list[tuple[int, int, str, int]]]:
    """Return a house with the batches put, and what was put: (timestamp, ingestion, stream, number)."""
    house = House("logs")
    await house.call("logs", "CreateLogGroup", {"logGroupName": "g"})
    for stream in STREAMS:
        await house.call("logs", "CreateLogStream", {"logGroupName": "g", "logStreamName": stream})
    start_ms, number, put = house.clock.now_ms(), 0, []
    for stream, offsets, wait_s in batches:
        house.clock.advance(wait_s)
        events = []
        for offset in sorted(offsets):
            events.append({"timestamp": start_ms + offset, "message": f"{number}"})
            put.append((start_ms + offset, house.clock.now_ms(), stream, number))
            number += 1
        await house.call("logs", "PutLogEvents", {"logGroupName": "g", "logStreamName": stream, "logEvents": events})
    return house, sorted(put)


async def pages(house: House, operation: str, params: dict[str, Any], token: str) -> list[list[int]]:
    """Return the numbers on each page, until a page gives no token or the one it was asked with."""
    found: list[list[int]] = []
    asked: str | None = None
    while True:
        page = await house.call("logs", operation, params | ({"nextToken": asked} if asked else {}))
        found.append([int(event["message"]) for event in page["events"]])
        if page.get(token) in (None, asked):
            return found
        asked = page[token]


@given(BATCHES, st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_search_in_pages_is_every_event_in_time(batches: list[tuple[str, list[int], int]], limit: int) -> None:
    async def run() -> None:
        house, put = await filled(batches)
        found = await pages(house, "FilterLogEvents", {"logGroupName": "g", "limit": limit}, "nextToken")

        assert [number for page in found for number in page] == [number for *_, number in put]
        assert all(len(page) == limit for page in found[:-1])

    asyncio.run(run())


@given(BATCHES, st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_stream_reads_the_same_forward_and_backward(batches: list[tuple[str, list[int], int]], limit: int) -> None:
    async def run() -> None:
        house, put = await filled(batches)
        for stream in STREAMS:
            whole = [number for _, _, name, number in sorted(put, key=lambda e: (e[0], e[3])) if name == stream]
            asked = {"logGroupName": "g", "logStreamName": stream, "limit": limit}
            forward = await pages(house, "GetLogEvents", asked | {"startFromHead": True}, "nextForwardToken")
            backward = await pages(house, "GetLogEvents", asked, "nextBackwardToken")

            assert [number for page in forward for number in page] == whole
            assert [number for page in reversed(backward) for number in page] == whole

    asyncio.run(run())
