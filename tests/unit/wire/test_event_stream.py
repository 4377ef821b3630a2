"""Event streams as botocore reads them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from cumulet.wire import protocols
from cumulet.wire.event_stream import CONTENT_TYPE, encode_message
from cumulet.wire.model import load_service

OPERATION = load_service("lambda").find_operation("InvokeWithResponseStream")

MESSAGES: list[tuple[dict[str, str], bytes]] = [
    ({}, b""),
    ({":event-type": "PayloadChunk", ":message-type": "event"}, b"x" * 70_000),
    ({"name": "h\u00fc"}, b"\x00\xff"),
]


@pytest.mark.parametrize(("headers", "payload"), MESSAGES)
def test_a_message_is_read_as_it_was_written(headers: dict[str, str], payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(encode_message(headers, payload))
    (message,) = list(buffer)
    assert (message.headers, message.payload) == (headers, payload)


async def events() -> AsyncIterator[dict[str, dict[str, Any]]]:
    yield {"PayloadChunk": {"Payload": b"\x01\x02"}}
    yield {"InvokeComplete": {"ErrorCode": "TypeError"}}


async def test_events_have_their_names_and_their_payload_its_own_form() -> None:
    output = {
        "StatusCode": 200,
        "ExecutedVersion": "3",
        "ResponseStreamContentType": CONTENT_TYPE,
        "EventStream": events(),
    }
    response = protocols.serialise(OPERATION, output, "id")
    headers = dict(response.headers)
    assert headers["content-type"] == "application/vnd.amazon.eventstream"
    assert headers["x-amz-executed-version"] == "3"
    assert not isinstance(response.body, bytes)
    buffer = EventStreamBuffer()
    async for data in response.body:
        buffer.add_data(data)
    assert [
        (message.headers[":event-type"], message.headers[":content-type"], message.payload) for message in buffer
    ] == [
        ("PayloadChunk", "application/octet-stream", b"\x01\x02"),
        ("InvokeComplete", "application/json", b'{"ErrorCode":"TypeError"}'),
    ]
