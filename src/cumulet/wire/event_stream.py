"""Answers that are a stream of events: application/vnd.amazon.eventstream.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html describes the message: lengths, a checksum
over them, headers, the payload, a checksum over all. https://smithy.io/2.0/aws/amazon-eventstream.html has the headers.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from struct import pack
from typing import Any
from zlib import crc32

from cumulet.errors import NotImplementedHere
from cumulet.wire.json_values import compile_encoder
from cumulet.wire.model import Member, OperationModel, ServiceModel

CONTENT_TYPE = "application/vnd.amazon.eventstream"
STRING = 7

EncodeEvent = Callable[[Mapping[str, Any]], bytes]


def encode_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one message; all its headers are strings."""
    head = b"".join(_encode_header(name.encode(), value.encode()) for name, value in headers.items())
    lengths = pack(">II", 12 + len(head) + len(payload) + 4, len(head))
    message = lengths + pack(">I", crc32(lengths)) + head + payload
    return message + pack(">I", crc32(message))


def _encode_header(name: bytes, value: bytes) -> bytes:
    return pack(">B", len(name)) + name + pack(">BH", STRING, len(value)) + value


def compile_event_stream(
    operation: OperationModel, member: Member
) -> Callable[[AsyncIterator[Mapping[str, Any]]], AsyncIterator[bytes]]:
    """Return a function from events, each {name of the event: its members}, to the bytes of the answer."""
    encoders = {name: _compile_event(operation.service, event) for name, event in member.shape.members.items()}

    async def encode(events: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
        try:
            async for event in events:
                ((name, members),) = event.items()
                yield encoders[name](members)
        finally:
            if (aclose := getattr(events, "aclose", None)) is not None:
                await aclose()

    return encode


def _compile_event(service: ServiceModel, event: Member) -> EncodeEvent:
    payload = next((member for member in event.shape.members.values() if member.event_payload), None)
    if payload is not None and payload.shape.type != "blob":
        raise NotImplementedHere(f"The event {event.name} of {service.name}")
    kind = "application/json" if payload is None else "application/octet-stream"
    headers = {":event-type": event.name, ":content-type": kind, ":message-type": "event"}
    if payload is not None:
        name = payload.name
        return lambda members: encode_message(headers, members.get(name) or b"")
    encode = compile_encoder(service, event.shape)
    return lambda members: encode_message(headers, encode(members))
