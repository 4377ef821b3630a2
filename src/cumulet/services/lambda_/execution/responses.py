"""HTTP responses of the APIs inside an environment, as bytes."""

import json
from typing import Any

from cumulet.services.lambda_.execution import limits


def render(status: str, body: str, headers: str = "") -> bytes:
    """Return a response. `headers` are whole lines."""
    data = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def render_response(status: str, body: Any, headers: str = "") -> bytes:
    """Return a response with a JSON body."""
    return render(status, json.dumps(body, separators=(",", ":")), headers)


def render_failure(error_type: str, message: str, status: str = "403 Forbidden") -> bytes:
    """Return an error as AWS's supervisor words it."""
    body = json.dumps({"errorMessage": message, "errorType": error_type}, separators=(",", ":"))
    return render(status, body + "\n")


ACCEPTED = render("202 Accepted", '{"status":"OK"}\n')
RESTORED = render("200 OK", "{}")
INVALID_REQUEST_ID = render("400 Bad Request", '{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}\n')
TOO_LARGE = render(
    "413 Request Entity Too Large",
    f'{{"errorMessage":"Exceeded maximum allowed payload size ({limits.RESPONSE_BYTES_MAX} bytes).",'
    '"errorType":"RequestEntityTooLarge"}\n',
)
NOT_FOUND = render("404 Not Found", "404 page not found\n")
METHOD_NOT_ALLOWED = render("405 Method Not Allowed", "")
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
