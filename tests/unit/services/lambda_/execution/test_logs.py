"""Output to events, and events to CloudWatch Logs."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.errors import ServiceError
from cumulet.services.kit import Principal
from cumulet.services.lambda_.execution.limits import (
    LOG_EVENT_BYTES_MAX,
    LOG_TRIES_MAX,
    OUTPUT_BACKLOG_BYTES_MAX,
)
from cumulet.services.lambda_.execution.logs import LogShipper, LogStream, Splitter, Tail

SCOPE: Any = ("1", "r")


def frame(text: str) -> bytes:
    data = text.encode()
    return b"\xa5\x5a\x00\x03" + len(data).to_bytes(4, "big") + bytes(8) + data


SPLITS = [
    ("lines", b"a\nb\n", ["a\n", "b\n"]),
    ("an empty line", b"\n", ["\n"]),
    ("no end of line", b"a", ["a"]),
    ("a frame of two lines", frame("a\nb"), ["a\nb"]),
    ("a frame between lines", b"x\n" + frame("a\nb") + b"y\n", ["x\n", "a\nb", "y\n"]),
    ("a frame after half a line", b"x" + frame("a") + b"y\n", ["x", "a", "y\n"]),
    ("bytes that are no text", b"\xff\n", ["\ufffd\n"]),
]


@pytest.mark.parametrize(("data", "events"), [row[1:] for row in SPLITS], ids=[row[0] for row in SPLITS])
def test_output_to_events(data: bytes, events: list[str]) -> None:
    splitter = Splitter()
    assert splitter.feed(data) + splitter.flush() == events


pieces = st.lists(
    st.one_of(
        st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=8).map(
            lambda text: (f"{text}\n", False)
        ),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).map(lambda text: (text, True)),
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(pieces, st.integers(1, 7))
def test_however_the_pipe_cuts_it(written: list[tuple[str, bool]], size: int) -> None:
    data = b"".join(frame(text) if framed else text.encode() for text, framed in written)
    splitter = Splitter()
    events = [event for at in range(0, len(data), size) for event in splitter.feed(data[at : at + size])]
    assert events + splitter.flush() == [text for text, _ in written]


def test_no_event_is_larger_than_cloudwatch_takes() -> None:
    splitter = Splitter()
    events = splitter.feed(b"x" * (3 * LOG_EVENT_BYTES_MAX)) + splitter.flush()
    assert sum(map(len, events)) == 3 * LOG_EVENT_BYTES_MAX
    assert max(map(len, events)) <= LOG_EVENT_BYTES_MAX - 26


def test_the_tail_is_the_last_4_kb() -> None:
    tail = Tail()
    for n in range(50_000):
        tail.add(f"{n}\n")
    taken = tail.take()
    assert len(taken) == 4096
    assert taken.endswith(b"49998\n49999\n")
    assert tail.take() == b""


def a_stream() -> LogStream:
    return LogStream(SCOPE, "/aws/lambda/f", "s", Principal("role", "1", "arn:aws:sts::1:assumed-role/r/f"))


async def test_the_group_and_the_stream_are_made_when_they_are_missing(neighbours: Any, shipper: LogShipper) -> None:
    stream = a_stream()
    shipper.add(stream, 1, "one\n")
    shipper.add(stream, 2, "two\n")
    await shipper.flush()
    assert [call[2] for call in neighbours.calls] == [
        "PutLogEvents",
        "CreateLogGroup",
        "CreateLogStream",
        "PutLogEvents",
    ]
    assert neighbours.events["s"] == ["one\n", "two\n"]
    shipper.add(stream, 3, "three\n")
    await shipper.flush()
    assert [call[2] for call in neighbours.calls][4:] == ["PutLogEvents"]


async def test_a_role_without_logs_writes_none_and_costs_nothing(neighbours: Any, shipper: LogShipper) -> None:
    neighbours.refuse["PutLogEvents"] = ServiceError("AccessDeniedException", "no")
    stream = a_stream()
    shipper.add(stream, 1, "one\n")
    await shipper.flush()
    shipper.add(stream, 1, "two\n")
    await shipper.flush()
    assert [call[2] for call in neighbours.calls] == ["PutLogEvents"]
    assert stream.pending_bytes == 0


async def test_a_role_that_may_not_make_the_group(neighbours: Any, shipper: LogShipper) -> None:
    neighbours.refuse["CreateLogGroup"] = ServiceError("AccessDeniedException", "no")
    neighbours.refuse["CreateLogStream"] = ServiceError("ResourceNotFoundException", "no group")
    stream = a_stream()
    shipper.add(stream, 1, "one\n")
    await shipper.flush()
    assert neighbours.events == {}
    assert stream.pending_bytes == 0


async def test_a_large_backlog_leaves_in_batches_that_cloudwatch_takes(neighbours: Any, shipper: LogShipper) -> None:
    stream = a_stream()
    for n in range(25_000):
        shipper.add(stream, n, "x" * 100)
    assert stream.pending_bytes > OUTPUT_BACKLOG_BYTES_MAX
    await shipper.flush()
    batches = [call[3]["logEvents"] for call in neighbours.calls if call[2] == "PutLogEvents"]
    assert len(neighbours.events["s"]) == 25_000
    assert max(len(batch) for batch in batches) <= 10_000
    assert max(sum(len(event["message"]) + 26 for event in batch) for batch in batches) <= 1024 * 1024


@pytest.mark.parametrize(
    "failure", [ServiceError("ThrottlingException", "slow"), ServiceError("Any", "broken", status=500)], ids=str
)
async def test_what_cannot_be_taken_now_is_sent_again_in_order(
    neighbours: Any, shipper: LogShipper, failure: ServiceError
) -> None:
    stream = a_stream()
    shipper.add(stream, 1, "one\n")
    await shipper.flush()
    neighbours.refuse["PutLogEvents"] = failure
    shipper.add(stream, 2, "two\n", "three\n")
    await shipper._send_round()
    assert stream.pending_bytes > 0
    shipper.add(stream, 3, "four\n")
    neighbours.refuse.clear()
    await shipper.flush()
    assert neighbours.events["s"] == ["one\n", "two\n", "three\n", "four\n"]
    assert (stream.pending_bytes, stream.failures) == (0, 0)


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (ServiceError("ThrottlingException", "slow"), LOG_TRIES_MAX),
        (ServiceError("InvalidParameterException", "no"), 1),
    ],
    ids=["for good", "never"],
)
async def test_what_is_never_taken_is_told_in_the_servers_log(
    neighbours: Any, shipper: LogShipper, caplog: Any, failure: ServiceError, tries: int
) -> None:
    neighbours.refuse["PutLogEvents"] = failure
    stream = a_stream()
    shipper.add(stream, 1, "one\n")
    await shipper.flush()
    assert [call[2] for call in neighbours.calls] == ["PutLogEvents"] * tries
    assert stream.pending_bytes == 0
    assert caplog.messages == [f"log events are lost: group=/aws/lambda/f stream=s: {failure}"]


async def test_a_server_that_stops_does_not_try_for_ever(neighbours: Any, shipper: LogShipper, caplog: Any) -> None:
    neighbours.refuse["PutLogEvents"] = ServiceError("ThrottlingException", "slow")
    stream = a_stream()
    shipper.add(stream, 1, "one\n")
    await shipper.flush(within_s=0.0)
    assert [call[2] for call in neighbours.calls] == ["PutLogEvents"]
    assert stream.pending_bytes == 0
    assert caplog.messages == ["log events are lost: group=/aws/lambda/f stream=s: no time is left"]


async def test_a_flood_keeps_no_other_stream_waiting(neighbours: Any, shipper: LogShipper) -> None:
    quiet, flood = LogStream(SCOPE, "/aws/lambda/g", "quiet", a_stream().principal), a_stream()
    shipper.add(quiet, 1, "one\n")
    for n in range(25_000):
        shipper.add(flood, n, "x" * 100)
    await shipper.flush()
    sent = [call[3]["logStreamName"] for call in neighbours.calls if call[2] == "PutLogEvents"]
    assert len(neighbours.events["s"]) == 25_000
    assert sent.count("s") > 3
    # Each tries once and makes its group and stream; what the flood has left comes after.
    assert sorted(sent[:4]) == ["quiet", "quiet", "s", "s"]


async def test_lines_of_one_moment_come_in_order(neighbours: Any, shipper: LogShipper) -> None:
    stream = a_stream()
    shipper.add(stream, 1, "end\n", "report\n")
    await shipper.flush()
    assert neighbours.events["s"] == ["end\n", "report\n"]
    assert stream.pending_bytes == 0
