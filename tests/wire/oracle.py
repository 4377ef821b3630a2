"""botocore as the other side of the wire: what it sends, what it reads, and values to send made from a shape."""

import base64
import string
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any
from urllib.parse import urlsplit

import botocore.parsers
import botocore.serialize
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

from cumulet.wire.message import Headers, Request, Response

SERVICES = ("dynamodb", "lambda", "apigateway", "apigatewayv2", "logs", "iam", "sts", "cloudformation", "s3")
RAW_SERVICES = ("dynamodb",)

_TEXT = string.ascii_letters + string.digits + "-_./ &<>\"'é€"
_PLAIN = string.ascii_letters + string.digits + "-_"


@cache
def service(name: str) -> ServiceModel:
    """Return botocore's own model of a service."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def operations(name: str) -> list[OperationModel]:
    """Return the operations that exchange no event streams and have no successor."""
    found = [service(name).operation_model(operation) for operation in service(name).operation_names]
    return [one for one in found if not (one.has_event_stream_output or one.has_event_stream_input or one.deprecated)]


def send(operation: OperationModel, params: dict[str, Any]) -> Request:
    """Return the request that botocore makes of params, with a credential scope but no true signature."""
    model = operation.service_model
    serializer = botocore.serialize.create_serializer(model.resolved_protocol, include_validation=False)
    prepared = serializer.serialize_to_request(params, operation)
    prepare_request_dict(prepared, endpoint_url="http://localhost:4566", user_agent="test")
    sent = create_request_object(prepared).prepare()
    url = urlsplit(sent.url)
    headers = [(key, value.decode() if isinstance(value, bytes) else str(value)) for key, value in sent.headers.items()]
    scope = f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{model.signing_name}/aws4_request, SignedHeaders=host"
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
    return Request(sent.method, url.path, url.query, Headers([*headers, ("Authorization", scope)]), bytes(body))


def receive(operation: OperationModel, response: Response) -> dict[str, Any]:
    """Return what botocore reads from a response, without its metadata."""
    parser = botocore.parsers.create_parser(operation.service_model.resolved_protocol)
    answer = {"status_code": response.status, "headers": _received_headers(response), "body": response.body}
    parsed = parser.parse(answer, operation.output_shape)
    parsed.pop("ResponseMetadata", None)
    shape = operation.output_shape
    for name, member in shape.members.items() if shape else ():
        if member.serialization.get("location") == "statusCode":
            parsed.pop(name, None)
    payload = shape.serialization.get("payload") if shape else None
    if payload and isinstance(parsed.get(payload), str) and shape.members[payload].type_name == "blob":
        # botocore takes a blob that is not streamed for text.
        parsed[payload] = parsed[payload].encode() or None
    return parsed


def _received_headers(response: Response) -> Any:
    from botocore.compat import HTTPHeaders

    headers = HTTPHeaders()
    for name, value in response.headers:
        headers[name] = value
    return headers


def make_values(shape: Shape, chance: Random, depth: int = 0, *, all_members: bool = False) -> dict[str, Any]:
    """Return values for a structure: required members always, others by chance (all of them if asked)."""
    values = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wanted = name in shape.required_members or location == "uri" or all_members or chance.random() < 0.5
        # botocore reads and writes S3's Expires as a moment; S3 itself has it as text.
        if wanted and location != "statusCode" and name != "Expires":
            value = make_value(member, chance, depth + 1, location)
            if value is not None:
                values[name] = value
    if shape.is_tagged_union and values:
        name = chance.choice(sorted(values))
        values = {name: values[name]}
    return values


def make_value(shape: Shape, chance: Random, depth: int = 0, location: str | None = None) -> Any:
    """Return a value of a shape that survives the place where it is sent."""
    if getattr(shape, "is_document_type", False):
        return {"any": [1, "thing"]}
    match shape.type_name:
        case "structure":
            return None if depth > 5 else make_values(shape, chance, depth) or None
        case "list":
            elements = [make_value(shape.member, chance, depth + 1, location) for _ in range(chance.randint(1, 2))]
            return [one for one in elements if one is not None] or None
        case "map":
            return _make_map(shape, chance, depth, location)
        case "blob":
            return _make_plain(chance).encode()
        case "boolean":
            return chance.random() < 0.5
        case "integer" | "long":
            return chance.randint(0, 2**31 - 1)
        case "float" | "double":
            return chance.randint(-1000, 1000) / 8
        case "timestamp":
            return datetime.fromtimestamp(chance.randint(0, 2**31), UTC)
    return _make_text(shape, chance, location)


def _make_map(shape: Shape, chance: Random, depth: int, location: str | None) -> Any:
    keys = {_make_plain(chance).lower() if location else _make_text(shape.key, chance, None) for _ in range(2)}
    made = {key: make_value(shape.value, chance, depth + 1, location) for key in sorted(keys)}
    return {key: value for key, value in made.items() if value is not None} or None


def _make_text(shape: Shape, chance: Random, location: str | None) -> str:
    if getattr(shape, "enum", None):
        return str(chance.choice(shape.enum))
    if location in ("header", "headers"):
        return _make_plain(chance)
    text = "".join(chance.choice(_TEXT) for _ in range(chance.randint(1, 8)))
    return text.strip("/ ") or "x" if location == "uri" else text


def _make_plain(chance: Random) -> str:
    return "".join(chance.choice(_PLAIN) for _ in range(chance.randint(1, 8)))


def as_params(value: Any, *, raw: bool) -> Any:
    """Return botocore's values as operations get them: epoch seconds, and base64 text where values are raw."""
    if isinstance(value, dict):
        return {key: as_params(inner, raw=raw) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_params(inner, raw=raw) for inner in value]
    if isinstance(value, datetime):
        return int(value.timestamp())
    if raw and isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def without_empty(value: Any) -> Any:
    """Return a value without what is empty, which XML and bare bodies cannot always tell from what is absent."""
    if isinstance(value, dict):
        made = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in made.items() if inner not in ({}, [], None, "", b"")}
    if isinstance(value, list | tuple):
        return [without_empty(inner) for inner in value]
    return int(value.timestamp()) if isinstance(value, datetime) else value
