"""AWS JSON 1.0 and 1.1: the operation stands in a header, its input and output are the whole bodies.

DynamoDB answers with a CRC-32 of the body, which its clients check; JSON null and the empty body are not inputs.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

from cumulet.wire.content_coding import decode_body
from cumulet.wire.json_values import compile_decoder, compile_encoder
from cumulet.wire.message import Request, Response
from cumulet.wire.model import OperationModel, ServiceModel

_SERVER = ("server", "Server")
"""What DynamoDB says of itself."""


def compile_parser(operation: OperationModel) -> Callable[[Request, Mapping[str, str]], dict[str, Any]]:
    """Return a function from a request and its path labels to params."""
    shape = operation.input
    if shape is None:
        return lambda request, labels: {}
    decode = compile_decoder(operation.service, shape)
    if operation.service.raw_values:
        return lambda request, labels: decode(_plain_body(request))
    return lambda request, labels: decode(request.body)


def _plain_body(request: Request) -> bytes:
    coding = request.headers.get("content-encoding")
    return request.body if coding is None else decode_body(request.body, coding)


def compile_serialiser(operation: OperationModel) -> Callable[[Mapping[str, Any], str], Response]:
    """Return a function from an output and a request id to the answer."""
    service, shape = operation.service, operation.output
    if shape is None:
        return lambda output, request_id: respond(service, 200, b"", request_id)
    encode = compile_encoder(service, shape)
    if not service.raw_values:
        return lambda output, request_id: respond(service, 200, encode(output), request_id)
    content_type = _content_type(service)

    def serialise(output: Mapping[str, Any], request_id: str) -> Response:
        body = encode(output)
        checksum = ("x-amz-crc32", str(zlib.crc32(body)))
        return Response(200, (_SERVER, ("x-amzn-requestid", request_id), content_type, checksum), body)

    return serialise


def _content_type(service: ServiceModel) -> tuple[str, str]:
    return "content-type", f"application/x-amz-json-{service.json_version}"


def respond(service: ServiceModel, status: int, body: bytes, request_id: str) -> Response:
    """Return an answer with the headers of AWS JSON."""
    content_type = _content_type(service)
    if service.raw_values:
        checksum = ("x-amz-crc32", str(zlib.crc32(body)))
        return Response(status, (_SERVER, ("x-amzn-requestid", request_id), content_type, checksum), body)
    return Response(status, (("x-amzn-requestid", request_id), content_type), body)
