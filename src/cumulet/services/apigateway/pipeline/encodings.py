"""What a REST API does to bodies: base64 for what is binary, gzip and deflate on the way (pure).

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-payload-encodings-workflow.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gzip-compression-decompression.html
"""

import base64
import binascii
import zlib
from collections.abc import Iterable

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused, misconfigured
from cumulet.wire.message import Headers, Response

TO_BINARY, TO_TEXT = "CONVERT_TO_BINARY", "CONVERT_TO_TEXT"

_WINDOWS = {"gzip": 31, "deflate": 15}
"""zlib's windowBits for each coding."""


def unpacked(matched: Matched) -> Matched:
    """Return the request with its body as it was before the client compressed it.

    Raises Refused for another coding, or a body that is not what its Content-Encoding says.
    """
    request = matched.arrival.request
    coding = request.headers.get("content-encoding")
    if coding is None or not matched.arrival.is_rest:
        return matched
    coding = coding.strip().lower()
    least = matched.compiled.deployment.compress_from or 0
    if coding in ("", "identity") or len(request.body) < least:
        return matched
    if coding not in _WINDOWS:
        raise Refused("unmapped_type")
    try:
        unpacking = zlib.decompressobj(_WINDOWS[coding])
        body = unpacking.decompress(request.body, limits.PAYLOAD_BYTES_MAX + 1)
    except zlib.error:
        raise Refused("unmapped_type") from None
    if len(body) > limits.PAYLOAD_BYTES_MAX:
        raise Refused("too_long")
    if not unpacking.eof or unpacking.unused_data:
        raise Refused("unmapped_type")
    spellings = request.headers.spellings()  # functions and templates see names as they were sent
    fields = [
        (spellings.get(name, name), value)
        for name, value in request.headers
        if name not in ("content-encoding", "content-length")
    ]
    headers = Headers((*fields, ("content-length", str(len(body)))))
    plain = msgspec.structs.replace(request, headers=headers, body=body)
    return msgspec.structs.replace(matched, arrival=msgspec.structs.replace(matched.arrival, request=plain))


def packed(matched: Matched, response: Response) -> Response:
    """Return the answer, compressed if the API does that, the client asks for it, and nobody has done it before."""
    least = matched.compiled.deployment.compress_from
    if least is None or not isinstance(response.body, bytes) or not response.body or len(response.body) < least:
        return response
    coding = _asked_coding(matched.arrival.request.headers.get("accept-encoding") or "")
    if coding is None or any(name.lower() == "content-encoding" for name, _ in response.headers):
        return response
    packing = zlib.compressobj(wbits=_WINDOWS[coding])
    body = packing.compress(response.body) + packing.flush()
    return Response(response.status, (*response.headers, ("Content-Encoding", coding)), body)


def _asked_coding(accepted: str) -> str | None:
    """Return the coding that a client likes best, or None if that is none of API Gateway's."""
    best: tuple[float, str] = (0.0, "")
    for choice in accepted.lower().split(","):
        coding, _, parameters = choice.partition(";")
        quality = 1.0
        if (given := parameters.strip()).startswith("q="):
            try:
                quality = float(given[2:])
            except ValueError:
                quality = 0.0
        if quality > best[0]:
            best = quality, coding.strip()
    return best[1] if best[1] in _WINDOWS else None


def is_binary(types: Iterable[str], content_type: str | None) -> bool:
    """Tell whether an API's binaryMediaTypes cover a Content-Type, or the first choice of an Accept header."""
    return events.is_binary_for(types, events.media_type(content_type))


def request_to_text(matched: Matched, handling: str, body: bytes) -> bytes:
    """Return the body that templates see: a binary one is base64 if the integration wants text."""
    types = matched.compiled.deployment.binary_media_types
    if handling == TO_TEXT and is_binary(types, matched.arrival.request.headers.get("content-type")):
        return base64.b64encode(body)
    return body


def request_to_binary(matched: Matched, handling: str, body: bytes) -> bytes:
    """Return the body for the backend: text is base64 of it if the integration wants binary."""
    types = matched.compiled.deployment.binary_media_types
    if handling == TO_BINARY and not is_binary(types, matched.arrival.request.headers.get("content-type")):
        return _decoded(body)
    return body


def answer_to_text(matched: Matched, handling: str, body: bytes, content_type: str | None) -> bytes:
    """Return what templates see of a backend's answer: a binary one is base64 if the client is to get text."""
    types = matched.compiled.deployment.binary_media_types
    if not is_binary(types, content_type) or answer_stays_binary(matched, handling, content_type):
        return body
    return base64.b64encode(body)


def stays_binary(matched: Matched, handling: str) -> bool:
    """Tell whether the request's body is binary for its integration: of that no template can be made.

    Not even of an empty one: with */* an API's preflights fail on AWS unless their integration converts to text.
    https://github.com/aws/serverless-application-model/issues/553, https://github.com/clebert/aws-simple/issues/167
    """
    types = matched.compiled.deployment.binary_media_types
    return handling != TO_TEXT and is_binary(types, matched.arrival.request.headers.get("content-type"))


def answer_stays_binary(matched: Matched, handling: str, content_type: str | None) -> bool:
    """Tell whether a backend's answer is binary, and so is what the client gets."""
    types = matched.compiled.deployment.binary_media_types
    if not types or handling == TO_TEXT or not is_binary(types, content_type):
        return False
    return handling == TO_BINARY or is_binary(types, matched.arrival.request.headers.get("accept"))


def answer_to_binary(matched: Matched, handling: str, body: bytes, content_type: str | None) -> bytes:
    """Return the answer for the client: text is base64 of it if binary is wanted."""
    types = matched.compiled.deployment.binary_media_types
    if handling == TO_TEXT or is_binary(types, content_type):
        return body
    if handling == TO_BINARY or is_binary(types, matched.arrival.request.headers.get("accept")):
        return _decoded(body)
    return body


def _decoded(body: bytes) -> bytes:
    text = body.strip()
    if text[:1] == text[-1:] == b'"':
        text = text[1:-1]  # what a function returned as a text is JSON
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise misconfigured("Unable to base64 decode the body.") from None
