"""REST-XML, spoken by S3: input spread over path, query, headers and an XML or raw body; XML or raw output.

S3's own ways are here too: two request ids, root elements that no model names, GetBucketLocation's bare element, a
206 for a range, and aws-chunked uploads.
"""

from collections.abc import Callable, Mapping
from typing import Any

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.wire import chunked
from cumulet.wire.bindings import body_members, compile_header_writer, compile_reader, find_status_member
from cumulet.wire.content_md5 import check_content_md5
from cumulet.wire.faults import malformed_xml, s3_headers
from cumulet.wire.message import Request, Response
from cumulet.wire.model import Member, OperationModel, Shape
from cumulet.wire.xml_values import (
    MalformedXml,
    compile_children_writer,
    compile_element_writer,
    compile_structure_reader,
    parse_document,
)

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

# Root elements as the API reference shows them (https://docs.aws.amazon.com/AmazonS3/latest/API/); the model has none.
# Where this table is silent the root is the operation's name without its verb ("Tagging"), or with Result for lists.
_ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CreateSession": "CreateSessionResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}

ReadBody = Callable[[Request], dict[str, Any]]
WriteBody = Callable[[Mapping[str, Any]], Any]


def compile_parser(operation: OperationModel) -> Callable[[Request, Mapping[str, str]], dict[str, Any]]:
    """Return a function from a request and its path labels to params."""
    shape = operation.input
    if shape is None:
        return lambda request, labels: {}
    read = compile_reader(operation, shape, _refuse)
    read_body = _compile_body_reader(shape)

    def parse(request: Request, labels: Mapping[str, str]) -> dict[str, Any]:
        values = read(request, labels)
        if read_body is not None:
            values.update(read_body(request))
        return values

    return parse


def _refuse(member: Member, text: str) -> ServiceError:
    if member.shape.type in ("integer", "long"):
        return ServiceError(
            "InvalidArgument",
            f"Provided {member.wire_name} not an integer or within integer range",
            status=400,
            ArgumentName=member.wire_name,
            ArgumentValue=text,
        )
    return ServiceError(
        "InvalidArgument", "Invalid Argument", status=400, ArgumentName=member.wire_name, ArgumentValue=text
    )


def _compile_body_reader(shape: Shape) -> ReadBody | None:
    if shape.payload is None:
        return _document_reader(shape, None) if body_members(shape) else None
    name, member = shape.payload, shape.members[shape.payload]
    if member.shape.type == "structure":
        return _document_reader(member.shape, name)
    if member.shape.type == "blob":
        return _blob_reader(shape, name)
    return lambda request: {name: request.body.decode("utf-8", "replace")} if request.body else {}


def _document_reader(shape: Shape, name: str | None) -> ReadBody:
    read = compile_structure_reader(shape)

    def read_document(request: Request) -> dict[str, Any]:
        body = chunked.unwrap(request).body if chunked.is_chunked(request.headers) else request.body
        if (digest := request.headers.get("content-md5")) is not None:
            check_content_md5(digest, body)  # here, since nobody sees the bytes after this
        if not body:
            return {}
        try:
            values = read(parse_document(body))
        except MalformedXml:
            raise malformed_xml() from None
        return values if name is None else {name: values}

    return read_document


def _blob_reader(shape: Shape, name: str) -> ReadBody:
    by_header = {
        member.wire_name.lower(): member.name for member in shape.members.values() if member.location == "header"
    }

    def read_blob(request: Request) -> dict[str, Any]:
        if not chunked.is_chunked(request.headers):
            return {name: request.body}
        body, trailers = chunked.unwrap(request)
        values: dict[str, Any] = {name: body}
        values.update({by_header[header]: value for header, value in trailers if header in by_header})
        encoding = request.headers.get("content-encoding")
        if encoding is not None:
            # aws-chunked is the framing's name; S3 does not store it.
            kept = [part for part in (item.strip() for item in encoding.split(",")) if part and part != "aws-chunked"]
            values["ContentEncoding"] = ",".join(kept) or None
        return values

    return read_blob


def compile_serialiser(operation: OperationModel) -> Callable[[Mapping[str, Any], str], Response]:
    """Return a function from an output and a request id to the answer."""
    shape, status = operation.output, operation.success_status
    if shape is None:
        return lambda output, request_id: Response(status, s3_headers(request_id))
    write_headers = compile_header_writer(shape)
    write_body = _compile_body_writer(operation, shape)
    status_member = find_status_member(shape)
    without_body = operation.http_method == "HEAD"
    names_its_type = any(member.wire_name.lower() == "content-type" for member in shape.members.values())
    # What is stored as text is JSON: the bucket policy.
    is_text = shape.payload is not None and shape.members[shape.payload].shape.type == "string"
    content_type = "application/json" if is_text else "application/xml"

    def serialise(output: Mapping[str, Any], request_id: str) -> Response:
        headers = [*s3_headers(request_id), *write_headers(output)]
        body = b"" if without_body else write_body(output)
        if body and not names_its_type:
            headers.append(("content-type", content_type))
        answered = output.get(status_member) if status_member else None
        if output.get("ContentRange") is not None:
            answered = answered or 206
        return Response(answered or status, tuple(headers), body)

    return serialise


def _compile_body_writer(operation: OperationModel, shape: Shape) -> WriteBody:
    if operation.name == "GetBucketLocation":
        return _bucket_location
    if shape.payload is None:
        members = body_members(shape)
        if not members:
            return lambda output: b""
        root = _ROOTS.get(operation.name) or operation.name.removeprefix("List") + "Result"
        write = compile_children_writer(shape, members, millis=True)
        outside = frozenset(shape.members) - frozenset(members)

        def write_document(output: Mapping[str, Any]) -> bytes:
            out = [f'{DECLARATION}<{root} xmlns="{NAMESPACE}">']
            write(out, {name: value for name, value in output.items() if name not in outside})
            out.append(f"</{root}>")
            return "".join(out).encode()

        return write_document
    name, member = shape.payload, shape.members[shape.payload]
    if member.shape.is_eventstream:
        raise NotImplementedHere(f"The event stream of {operation.service.name}:{operation.name}")
    if member.shape.type == "structure":
        write_payload = compile_element_writer(member, member.wire_name, NAMESPACE, millis=True)

        def write_element(output: Mapping[str, Any]) -> bytes:
            if output.get(name) is None:
                return b""
            out = [DECLARATION]
            write_payload(out, output[name])
            return "".join(out).encode()

        return write_element
    return lambda output: _as_body(output.get(name))


def _bucket_location(output: Mapping[str, Any]) -> bytes:
    # The member's element is the whole document, and empty for us-east-1.
    where = output.get("LocationConstraint") or ""
    return f'{DECLARATION}<LocationConstraint xmlns="{NAMESPACE}">{where}</LocationConstraint>'.encode()


def _as_body(value: Any) -> Any:
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else value
