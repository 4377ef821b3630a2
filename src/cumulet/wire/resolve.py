"""From a request to the operation that it asks for, without loading any model but the one that is meant.

What tells the service, in AWS's order of certainty: the X-Amz-Target header, the credential scope of the signature
(header or query), the Version beside a Query protocol's Action, Lambda's dated paths; what is left is anonymous S3.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.wire.message import Headers, Request
from cumulet.wire.model import OperationModel, ServiceModel, load_service
from cumulet.wire.paths import PathTable


class Target(NamedTuple):
    """The operation that a request asks for, and the labels of its path, decoded."""

    operation: OperationModel
    labels: Mapping[str, str]


_NO_LABELS: Mapping[str, str] = {}

_TARGETS: dict[str, Target] = {}
"""By X-Amz-Target, those that exist and were asked for."""

_TARGET_PREFIXES = {
    "DynamoDB_20120810": "dynamodb",
    "DynamoDBStreams_20120810": "dynamodbstreams",
    "Logs_20140328": "logs",
    "AmazonSQS": "sqs",
    "GraniteServiceVersion20100801": "cloudwatch",
}

_SIGNING_NAMES = {
    "dynamodb": "dynamodb",
    "lambda": "lambda",
    "apigateway": "apigateway",
    "logs": "logs",
    "iam": "iam",
    "sts": "sts",
    "cloudformation": "cloudformation",
    "s3": "s3",
}

_QUERY_VERSIONS = {"2010-05-08": "iam", "2011-06-15": "sts", "2010-05-15": "cloudformation"}

_CREDENTIAL = re.compile(r"Credential=[^,\s]*/([^/,\s]+)/aws4_request")
_LAMBDA_PATH = re.compile(r"/20\d\d-\d\d-\d\d/[a-z]")


def resolve(request: Request) -> Target:
    """Return what a request asks for. Raises the ServiceError that its protocol has for an unknown operation."""
    target = request.headers.get("x-amz-target")
    if target is not None:
        return _TARGETS.get(target) or _json_target(target, request)
    return resolve_in(load_service(_service_name(request)), request)


def resolve_in(service: ServiceModel, request: Request) -> Target:
    """Return what a request asks of a service that is known. Raises as `resolve` does."""
    if service.protocol == "json":
        name = (request.headers.get("x-amz-target") or "").removeprefix(f"{service.target_prefix}.")
        if (operation := service.find_operation(name)) is not None:
            return Target(operation, _NO_LABELS)
    if service.protocol == "query":
        return Target(_query_operation(service, request), _NO_LABELS)
    if service.protocol in ("rest-json", "rest-xml"):
        return _rest_target(service, request)
    raise ServiceError("UnknownOperationException", status=400)


def _json_target(header: str, request: Request) -> Target:
    prefix, _, name = header.partition(".")
    service_name = _TARGET_PREFIXES.get(prefix)
    if service_name is None and name:
        # AWS has an endpoint for each service; here one answers for all, so it says which service it lacks.
        signing_name = _signing_name(request)
        if signing_name not in _SIGNING_NAMES:
            raise NotImplementedHere(f"The service {signing_name}" if signing_name else f"The target {header}")
    operation = load_service(service_name).find_operation(name) if service_name else None
    if operation is None:
        raise ServiceError("UnknownOperationException", status=400)
    target = _TARGETS[header] = Target(operation, _NO_LABELS)
    return target


def find_service(request: Request) -> ServiceModel | None:
    """Return the service that a request is for, whatever it asks of it; None if that cannot be told."""
    try:
        return load_service(_service_name(request))
    except NotImplementedHere:
        return None


def _service_name(request: Request) -> str:
    headers = request.headers
    if (target := headers.get("x-amz-target")) is not None:
        prefix = target.partition(".")[0]
        if (by_target := _TARGET_PREFIXES.get(prefix)) is not None:
            return by_target
    signing_name = _signing_name(request)
    if signing_name is not None:
        name = _SIGNING_NAMES.get(signing_name)
        if name is None:
            raise NotImplementedHere(f"The service {signing_name}")
        # Both generations of API Gateway sign as "apigateway"; only the second lives below /v2.
        if name == "apigateway" and request.path.startswith("/v2/"):
            return "apigatewayv2"
        return name
    form = query_form(request)
    if "Action" in form:
        return _QUERY_VERSIONS.get(form.get("Version", ""), "sts")
    if target is not None:
        raise NotImplementedHere(f"The target {target}")
    return "lambda" if _LAMBDA_PATH.match(request.path) else "s3"


def _signing_name(request: Request) -> str | None:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        found = _CREDENTIAL.search(authorization)
        return found.group(1) if found else None
    if "X-Amz-Credential=" in request.query:
        parts = parse_query(request.query).get("X-Amz-Credential", "").split("/")
        return parts[-2] if len(parts) >= 5 else None
    return None


def parse_query(query: str) -> dict[str, str]:
    """Return a query string's parts, decoded; of a repeated name the first value, of a bare one the empty string."""
    if not query:
        return {}
    return dict(reversed(parse_qsl(query, keep_blank_values=True)))


def query_form(request: Request) -> dict[str, str]:
    """Return a Query protocol request's parameters, from its query string and its form body."""
    form = parse_query(request.query)
    if request.body and _is_form(request.headers):
        form.update(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    return form


def _is_form(headers: Headers) -> bool:
    return (headers.get("content-type") or "").lower().startswith("application/x-www-form-urlencoded")


def _query_operation(service: ServiceModel, request: Request) -> OperationModel:
    form = query_form(request)
    action = form.get("Action")
    if not action:
        raise ServiceError("MissingAction", "Request is missing the Action parameter.", status=400)
    version = form.get("Version", "NO_VERSION_SPECIFIED")
    operation = service.find_operation(action) if version == service.api_version else None
    if operation is None:
        raise ServiceError("InvalidAction", f"Could not find operation {action} for version {version}", status=400)
    return operation


@cache
def _paths(service: ServiceModel) -> PathTable:
    return PathTable(service)


def _rest_target(service: ServiceModel, request: Request) -> Target:
    if service.name == "s3" and "%" in request.path:
        try:
            unquote(request.path, errors="strict")
        except UnicodeDecodeError:
            # Decoded leniently, different keys would become one.
            raise ServiceError("InvalidURI", "Couldn't parse the specified URI.", status=400) from None
    found = _paths(service).find(request.method, request.path, parse_query(request.query), request.headers)
    if found is not None:
        return Target(found.operation, found.labels)
    if service.name == "s3":
        raise ServiceError("MethodNotAllowed", "The specified method is not allowed against this resource.", status=405)
    if service.signing_name == "apigateway":
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token", status=403)
    raise ServiceError("UnknownOperationException", status=404)
