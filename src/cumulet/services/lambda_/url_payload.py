"""What a function URL makes of a request, and an HTTP answer of what the function returns: payload format 2.0. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import base64
import binascii
import json
from collections.abc import Mapping
from time import gmtime
from typing import Any
from urllib.parse import parse_qsl, unquote

from cumulet.services.kit import Principal
from cumulet.wire.message import Request, Response

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TEXT_TYPES = frozenset(("application/json", "application/xml", "application/javascript"))
_NOT_FORWARDED = frozenset(("connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"))
_JSON = (("content-type", "application/json"),)


class MalformedAnswer(Exception):
    """The function returned what is no answer."""


def make_event(
    request: Request,
    url_id: str,
    path: str,
    domain: str,
    principal: Principal | None,
    request_id: str,
    now_ms: int,
    trace_header: str,
) -> bytes:
    """Return the event; `principal` is who signed the request, None where nobody has to.

    Unlike an HTTP API's, it has the path as it came, but decoded in its context, and cookies among the headers as well.
    Captured on AWS: https://github.com/hotsock/voker/blob/main/vokerhttp/testdata/functionurl-request.json
    """
    headers: dict[str, str] = {}
    for name, value in request.headers.items:
        if name not in _NOT_FORWARDED:
            comma = "; " if name == "cookie" else ","
            headers[name] = f"{headers[name]}{comma}{value}" if name in headers else value
    cookies = [cookie for part in headers.get("cookie", "").split(";") if (cookie := part.strip())]
    headers["x-forwarded-for"] = request.client_ip
    headers["x-forwarded-port"] = request.host.rpartition(":")[2] if ":" in request.host else "80"
    headers["x-forwarded-proto"] = request.scheme
    headers["x-amzn-trace-id"] = trace_header
    query: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    at = gmtime(now_ms // 1000)
    context: dict[str, Any] = {
        "accountId": "anonymous" if principal is None else principal.account,
        "apiId": url_id,
        "domainName": domain,
        "domainPrefix": url_id,
        "http": {
            "method": request.method,
            "path": unquote(path),
            "protocol": f"HTTP/{request.http_version}",
            "sourceIp": request.client_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{at.tm_mday:02d}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year}:"
        f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} +0000",
        "timeEpoch": now_ms,
    }
    if principal is not None:
        context["authorizer"] = {"iam": _describe(principal)}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = query
    if request.body:
        if _is_text(headers.get("content-type")):
            event["body"] = request.body.decode("utf-8", "replace")
        else:
            event |= {"body": base64.b64encode(request.body).decode(), "isBase64Encoded": True}
    return json.dumps(event, separators=(",", ":")).encode()


def make_response(payload: bytes) -> Response:
    """Return the answer that a function's result stands for. Raises MalformedAnswer."""
    try:
        result = json.loads(payload)
    except (ValueError, RecursionError):
        raise MalformedAnswer from None
    if not isinstance(result, dict) or "statusCode" not in result:
        # "If your function returns valid JSON and doesn't return a statusCode", it is the body of a 200.
        body = _encode(result) if isinstance(result, str) else b"" if result is None else payload
        return Response(200, _JSON, body)
    status, fields = make_head(result, "application/json")
    return Response(status, fields, _body(result))


def make_head(result: Mapping[str, Any], content_type: str) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Return status and headers that a function has chosen; `content_type` is for one that says nothing of it.

    Raises MalformedAnswer.
    """
    status, headers, cookies = result.get("statusCode", 200), result.get("headers") or {}, result.get("cookies") or []
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    if type(status) is not int or not 100 <= status <= 599:
        raise MalformedAnswer
    if not isinstance(headers, dict) or not isinstance(cookies, list):
        raise MalformedAnswer
    # How an answer is framed is not the function's business.
    fields = [(name.lower(), _text(value)) for name, value in headers.items() if name.lower() not in _NOT_FORWARDED]
    if "content-type" not in [name for name, _ in fields]:
        fields.append(("content-type", content_type))
    fields += [("set-cookie", str(cookie)) for cookie in cookies]
    if any("\n" in value or "\r" in value or not name for name, value in fields):
        raise MalformedAnswer
    return status, tuple(fields)


def _body(result: Mapping[str, Any]) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        return _encode(json.dumps(body, separators=(",", ":"), ensure_ascii=False))
    if not result.get("isBase64Encoded"):
        return _encode(body)
    try:
        return base64.b64decode(body)
    except (binascii.Error, ValueError):
        raise MalformedAnswer from None


def _encode(text: str) -> bytes:
    return text.encode(errors="replace")  # JSON can escape half a character, which no answer could hold


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _describe(principal: Principal) -> dict[str, Any]:
    return {
        "accessKey": principal.access_key_id,
        "accountId": principal.account,
        "callerId": principal.unique_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": principal.arn,
        "userId": principal.unique_id,
    }


def _is_text(content_type: str | None) -> bool:
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))


# CORS: https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html#urls-cors


def is_preflight(request: Request) -> bool:
    """Tell whether a request is a browser's question before the real one."""
    return (
        request.method == "OPTIONS"
        and "origin" in request.headers
        and "access-control-request-method" in request.headers
    )


def answer_preflight(request: Request, cors: Mapping[str, Any]) -> Response:
    """Return the answer to a preflight, which no function sees; a foreign origin gets no permission."""
    headers = _shared(request, cors)
    if headers:
        for member in ("AllowMethods", "AllowHeaders"):
            if cors.get(member):
                headers.append((f"access-control-allow-{member[5:].lower()}", ",".join(cors[member])))
        if cors.get("MaxAge") is not None:
            headers.append(("access-control-max-age", str(cors["MaxAge"])))
    return Response(200, tuple(headers))


def with_cors(response: Response, request: Request, cors: Mapping[str, Any]) -> Response:
    """Return an answer with the URL's CORS headers in place of any that the function gave."""
    kept = tuple(pair for pair in response.headers if not pair[0].startswith("access-control-"))
    shared = _shared(request, cors)
    if shared and cors.get("ExposeHeaders"):
        shared.append(("access-control-expose-headers", ",".join(cors["ExposeHeaders"])))
    return Response(response.status, (*kept, *shared), response.body)


def _shared(request: Request, cors: Mapping[str, Any]) -> list[tuple[str, str]]:
    origin, allowed = request.headers.get("origin"), cors.get("AllowOrigins") or ()
    if origin is None or ("*" not in allowed and origin not in allowed):
        return []
    headers = [("access-control-allow-origin", "*" if "*" in allowed else origin), ("vary", "Origin")]
    if cors.get("AllowCredentials"):
        headers.append(("access-control-allow-credentials", "true"))
    return headers
