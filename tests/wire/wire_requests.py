"""Requests for tests of the wire."""

from cumulet.wire.message import Headers, Request


def make_request(
    method: str = "POST", path: str = "/", query: str = "", body: bytes = b"", *, signed_for: str = "", **headers: str
) -> Request:
    """Return a request; keyword names become header names, `signed_for` a credential scope without a true signature."""
    items = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if signed_for:
        scope = f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{signed_for}/aws4_request, SignedHeaders=host"
        items.append(("Authorization", scope))
    return Request(method, path, query, Headers(items), body)


def dynamodb_request(operation: str, body: bytes) -> Request:
    """Return a DynamoDB request as the SDKs send it."""
    return make_request(body=body, X_Amz_Target=f"DynamoDB_20120810.{operation}")


def form_request(service: str, form: bytes) -> Request:
    """Return a Query protocol request."""
    return make_request(body=form, signed_for=service, Content_Type="application/x-www-form-urlencoded; charset=utf-8")
