"""What every event has in common: parsed queries, forwarded headers, bodies, times (pure).

Case of header names: a REST API sends the same few in capitals whatever the client wrote, and the others as they came,
which over HTTP/2 is in lower case; an HTTP API writes all the others in lower case.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from time import gmtime
from typing import Any
from urllib.parse import parse_qsl

from cumulet.services.apigateway.pipeline.exchange import Arrival, Authorized, Matched
from cumulet.wire.message import Headers

Fields = Mapping[str, list[str]]

_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_NOT_FORWARDED = frozenset(
    [
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html: dropped on the way in."""

_ALWAYS_CAPITAL = {
    "authorization": "Authorization",
    "content-length": "Content-Length",
    "host": "Host",
    "user-agent": "User-Agent",
    "x-amzn-trace-id": "X-Amzn-Trace-Id",
    "x-forwarded-for": "X-Forwarded-For",
    "x-forwarded-port": "X-Forwarded-Port",
    "x-forwarded-proto": "X-Forwarded-Proto",
}

CONNECTION_HEADERS = frozenset(
    ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)
"""What belongs to a connection, and no mapping may say."""

BODILESS = (204, 304)
"""Statuses whose answers have no body."""

_TEXT_TYPES = frozenset(("application/json", "application/xml", "application/javascript"))


def query_fields(query: str) -> dict[str, list[str]]:
    """Return the decoded values of a query string by name, in order."""
    fields: dict[str, list[str]] = {}
    if query:
        for name, value in parse_qsl(query, keep_blank_values=True):
            fields.setdefault(name, []).append(value)
    return fields


def rest_query_fields(query: str) -> dict[str, list[str]]:
    """Return the same as a REST API reads them, for which a semicolon parts them too.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
    """
    return query_fields(query.replace(";", "&"))


def header_fields(arrival: Arrival) -> dict[str, list[str]]:
    """Return the headers as they go to a function: lower-case names, with what API Gateway adds."""
    request = arrival.request
    fields: dict[str, list[str]] = {}
    for name, value in request.headers.items:
        if name not in _NOT_FORWARDED:
            fields.setdefault(name, []).append(value)
    if not arrival.port:
        return fields  # as TestInvokeMethod's log on AWS shows them
    forwarded = fields.get("x-forwarded-for")
    fields["x-forwarded-for"] = [", ".join([*forwarded, request.client_ip]) if forwarded else request.client_ip]
    fields["x-forwarded-port"] = [str(arrival.port)]
    fields["x-forwarded-proto"] = [request.scheme]
    fields["x-amzn-trace-id"] = [arrival.trace_id]
    return fields


def integration_fields(matched: Matched) -> dict[str, list[str]]:
    """Return the headers as they go to a REST API's integration: a signature is for API Gateway alone (see above)."""
    fields = header_fields(matched.arrival)
    if (asked := matched.route.authorization) is not None and asked.kind == "AWS_IAM":
        fields.pop("authorization", None)
    return fields


def sent_names(fields: Fields, headers: Headers) -> dict[str, list[str]]:
    """Return header fields under the names that a REST API shows: as the client wrote them, but for the few.

    So events have them, and so mapping templates do: https://github.com/localstack/localstack/issues/6462.
    """
    names = {**headers.spellings(), **_ALWAYS_CAPITAL}
    return {names.get(name, name): values for name, values in fields.items()}


def http_v1_names(fields: Fields) -> dict[str, list[str]]:
    """Return header fields under the names that format 1.0 of an HTTP API has: few are capitals, the others not."""
    return {_ALWAYS_CAPITAL.get(name, name): values for name, values in fields.items()}


def last_values(fields: Fields) -> dict[str, str]:
    """Return the single-value form of fields: the last value of each wins."""
    return {name: values[-1] for name, values in fields.items()}


def joined_values(fields: Fields) -> dict[str, str]:
    """Return the values of each field with commas between them, as format 2.0 has them."""
    return {name: values[0] if len(values) == 1 else ",".join(values) for name, values in fields.items()}


def request_time(now_ms: int) -> str:
    """Return a time as the request context has it: 04/Mar/2020:19:15:17 +0000."""
    return _request_time(now_ms // 1000)


@lru_cache(maxsize=16)
def _request_time(now_s: int) -> str:
    at = gmtime(now_s)
    return (
        f"{at.tm_mday:02d}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year}:{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} +0000"
    )


def media_type(content_type: str | None) -> str:
    """Return the type/subtype of a Content-Type or of the first choice of an Accept header."""
    return (content_type or "").partition(",")[0].partition(";")[0].strip().lower()


def is_binary_for(types: Iterable[str], kind: str) -> bool:
    """Tell whether an API's binaryMediaTypes cover a media type: by name, as type/*, or as */*."""
    for binary in types:
        binary = binary.lower()
        if binary in (kind, "*/*") or (binary.endswith("/*") and kind.startswith(binary[:-1])):
            return True
    return False


def is_text(content_type: str | None) -> bool:
    """Tell whether an HTTP API passes a body of this type as text.

    AWS does not document it; measured on AWS: https://github.com/ministackorg/ministack/pull/766. Forms and bodies
    without a type are base64.
    """
    kind = media_type(content_type)
    return kind.startswith("text/") or kind in _TEXT_TYPES


def encode_body(body: bytes, *, binary: bool) -> tuple[str | None, bool]:
    """Return a body for an event, and whether it is base64; no body at all is None, and never base64."""
    if not body:
        return None, False
    if binary:
        return base64.b64encode(body).decode("ascii"), True
    return body.decode("utf-8", "replace"), False


def identity(arrival: Arrival, authorized: Authorized | None, nobody: dict[str, Any]) -> dict[str, Any]:
    """Return the identity of a caller: what an API learned of it. `nobody` has the same members, all of them null."""
    known = {**nobody, "sourceIp": arrival.request.client_ip, "userAgent": arrival.user_agent}
    if authorized is not None:
        known |= {name: value for name, value in authorized.identity.items() if name in nobody}
    return known


def one_line(value: str) -> str:
    """Return a text as a header's value may have it: what a client sent must not become a second header.

    Blanks at its ends are none of the value, and HTTP's own writers refuse them.
    """
    return "".join([char if " " <= char != "\x7f" or char == "\t" else " " for char in value]).strip(" \t")


@lru_cache(maxsize=1024)
def is_token(name: str) -> bool:
    """Tell whether a text can be a header's name; another would let its author write a second answer."""
    return _token(name) is not None
