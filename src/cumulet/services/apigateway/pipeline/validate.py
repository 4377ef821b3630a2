"""Refuse what is too large, and what a REST API's request validator does not let through."""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from cumulet.services.apigateway import limits
from cumulet.services.apigateway.mapping import schemas
from cumulet.services.apigateway.model import ANY_TYPE, RestValidation
from cumulet.services.apigateway.pipeline import events
from cumulet.services.apigateway.pipeline.exchange import Matched
from cumulet.services.apigateway.pipeline.faults import Refused

_NO_BODY = b"{}"
"""What no body counts as: https://github.com/localstack/localstack/pull/7916."""

_aside = ThreadPoolExecutor(1, "models")
"""One thread, since several would share one interpreter; and not the loop's own, which looks up names of hosts."""


def validate(matched: Matched) -> Awaitable[None] | None:
    """Raise Refused unless the request's body is within API Gateway's limit, and its validator is content.

    A long body takes seconds to be looked at: what is returned for it has to be awaited, while others are served.
    """
    if len(matched.arrival.request.body) > limits.PAYLOAD_BYTES_MAX:
        raise Refused("too_long")
    validation = matched.route.rest_validation
    if validation is None:
        return None
    _check_parameters(matched, validation)
    request = matched.arrival.request
    kind = events.media_type(request.headers.get("content-type")) or "application/json"
    schema = validation.schemas.get(kind) or validation.schemas.get(ANY_TYPE)
    if schema is None:
        return None
    if len(request.body) > limits.SCHEMA_BYTES_AT_ONCE_MAX:
        return asyncio.get_running_loop().run_in_executor(_aside, _check_body, request.body, schema, kind)
    _check_body(request.body, schema, kind)
    return None


def _check_parameters(matched: Matched, validation: RestValidation) -> None:
    request = matched.arrival.request
    query = events.rest_query_fields(request.query) if validation.parameters else {}
    missing = []
    for parameter in validation.parameters:
        where, _, name = parameter.removeprefix("method.request.").partition(".")
        if where == "path":
            given = name in matched.path_parameters
        elif where == "header":
            given = bool(request.headers.get(name.lower()))
        else:
            given = any(query.get(name, ()))
        if not given:
            missing.append(name)
    if missing:
        words = f"Missing required request parameters: [{', '.join(missing)}]"
        raise Refused("bad_parameters", message=words)


def _check_body(text: bytes, schema: str, kind: str) -> None:
    try:
        body = msgspec.json.decode(text or _NO_BODY)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # These words stand in the tests of several APIs that run on AWS.
        raise _mismatch(kind, "[Unknown error parsing request body]") from None
    if not schemas.allows(schema, body, len(text)):
        raise _mismatch(kind, schemas.errors(schema, body, len(text)))


def _mismatch(kind: str, errors: str) -> Refused:
    # The log's words: https://github.com/RafPe/serverless-reqvalidator-plugin/issues/1
    line = f"Request body does not match model schema for content type {kind}: {errors}"
    return Refused("bad_body", detail=errors, log_line=line)
