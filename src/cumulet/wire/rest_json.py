"""REST-JSON (Lambda, API Gateway): input spread over path, query, headers and a JSON or raw body."""

from collections.abc import Callable, Mapping
from typing import Any

from cumulet.errors import ServiceError
from cumulet.wire.bindings import body_members, compile_header_writer, compile_reader, find_status_member
from cumulet.wire.event_stream import compile_event_stream
from cumulet.wire.json_values import compile_decoder, compile_document_encoder, compile_encoder
from cumulet.wire.message import Request, Response
from cumulet.wire.model import Member, OperationModel

ReadBody = Callable[[bytes], dict[str, Any]]
WriteBody = Callable[[Mapping[str, Any]], Any]


def compile_parser(operation: OperationModel) -> Callable[[Request, Mapping[str, str]], dict[str, Any]]:
    """Return a function from a request and its path labels to params."""
    shape = operation.input
    if shape is None:
        return lambda request, labels: {}
    read = compile_reader(operation, shape, _refuse)
    read_body = _compile_body_reader(operation)

    def parse(request: Request, labels: Mapping[str, str]) -> dict[str, Any]:
        values = read(request, labels)
        if read_body is not None:
            values.update(read_body(request.body))
        return values

    return parse


def _compile_body_reader(operation: OperationModel) -> ReadBody | None:
    shape = operation.input
    if shape is None:
        return None
    if shape.payload is None:
        members = body_members(shape)
        if not members:
            return None
        decode = compile_decoder(operation.service, shape, members)
        return lambda body: decode(body) if body else {}
    name, member = shape.payload, shape.members[shape.payload]
    if member.shape.type == "structure":
        decode = compile_decoder(operation.service, member.shape)
        return lambda body: {name: decode(body)} if body else {}
    if member.shape.type == "blob":
        return lambda body: {name: body} if body else {}
    return lambda body: {name: body.decode("utf-8", "replace")} if body else {}


def _refuse(member: Member, text: str) -> ServiceError:
    java_type = {"integer": "Integer", "long": "Long", "boolean": "Boolean", "timestamp": "Date"}
    kind = java_type.get(member.shape.type, "Double")
    article = "an" if kind == "Integer" else "a"
    return ServiceError("SerializationException", f"STRING_VALUE can not be converted to {article} {kind}", status=400)


def compile_serialiser(operation: OperationModel) -> Callable[[Mapping[str, Any], str], Response]:
    """Return a function from an output and a request id to the answer."""
    shape, status = operation.output, operation.success_status
    if shape is None:
        return lambda output, request_id: Response(status, (("x-amzn-requestid", request_id),))
    write_headers = compile_header_writer(shape)
    write_body = _compile_body_writer(operation)
    status_member = find_status_member(shape)
    names_its_type = any(member.wire_name.lower() == "content-type" for member in shape.members.values())

    def serialise(output: Mapping[str, Any], request_id: str) -> Response:
        headers = [("x-amzn-requestid", request_id), *write_headers(output)]
        body = write_body(output)
        if body and not names_its_type:
            headers.append(("content-type", "application/json"))
        answered = output.get(status_member) if status_member else None
        return Response(answered or status, tuple(headers), body)

    return serialise


def _compile_body_writer(operation: OperationModel) -> WriteBody:
    shape = operation.output
    if shape is None:
        return lambda output: b""
    if shape.payload is None:
        members = body_members(shape)
        if not members:
            return lambda output: b""
        outside = [name for name in shape.members if name not in members]
        encode = compile_encoder(operation.service, shape, members)
        if not outside:
            return encode
        return lambda output: encode({name: value for name, value in output.items() if name not in outside})
    name, member = shape.payload, shape.members[shape.payload]
    if member.shape.is_eventstream:
        stream = compile_event_stream(operation, member)
        return lambda output: stream(output[name]) if output.get(name) is not None else b""
    if member.shape.type == "structure":
        encode_payload = compile_document_encoder(operation.service, member)
        return lambda output: encode_payload(output[name]) if output.get(name) is not None else b""
    return lambda output: _as_body(output.get(name))


def _as_body(value: Any) -> Any:
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else value
