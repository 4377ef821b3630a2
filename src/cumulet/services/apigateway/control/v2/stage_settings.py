"""The settings of a stage that are taken away one by one: of its routes, and of its access log."""

import re
from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.apigateway.control.arns import DELETE, at
from cumulet.services.apigateway.control.v2.records import get_api, get_stage, render
from cumulet.services.apigateway.model import STAGES, AccessLog, RouteSettings
from cumulet.services.apigateway.pipeline.access_logs import find_group
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import WriteTx

_names_request = re.compile(r"\$context\.(requestId|extendedRequestId)\b").search


def merged_settings(before: RouteSettings | None, given: Params) -> RouteSettings:
    """Return a route's settings with the given members changed."""
    if given.get("DataTraceEnabled") or given.get("LoggingLevel") not in (None, "OFF"):
        raise ServiceError("BadRequestException", "Execution logs are not supported on protocolType HTTP")
    rate, burst = given.get("ThrottlingRateLimit"), given.get("ThrottlingBurstLimit")
    if (rate is not None and rate < 0) or (burst is not None and burst < 0):
        raise ServiceError("BadRequestException", "Throttling limits must not be negative")
    known = {
        name: value
        for name, value in given.items()
        if value is not None and name not in ("DataTraceEnabled", "LoggingLevel")
    }
    return msgspec.convert({**(render(before) if before is not None else {}), **known}, RouteSettings)


def make_access_log(before: AccessLog | None, given: Params) -> AccessLog:
    """Return the access log of a stage, with the given members changed."""
    merged: dict[str, Any] = {**(render(before) if before is not None else {}), **given}
    arn, line = merged.get("DestinationArn"), merged.get("Format")
    if not arn or not line:
        raise ServiceError("BadRequestException", "Access log settings need a destination ARN and a format")
    if ":firehose:" in arn:
        raise NotImplementedHere("Access logs to Firehose")
    if find_group(arn) is None:
        raise ServiceError("BadRequestException", "Invalid ARN specified in the request")
    if len(line.splitlines()) > 1:
        raise ServiceError(
            "BadRequestException",
            "Access Log format must be single line, new line character is allowed only at end of the format",
        )
    if not _names_request(line):
        # AWS wants one of the two, of HTTP APIs as those of its CDK know (aws/aws-cdk#22591); the words are ours.
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
        raise ServiceError(
            "BadRequestException", "Access log format must include $context.requestId or $context.extendedRequestId"
        )
    return AccessLog(arn, line)


@operation(
    "DeleteRouteSettings",
    action=DELETE,
    resource=at("/apis/{ApiId}/stages/{StageName}/routesettings/{RouteKey}"),
    params="ApiId StageName RouteKey",
)
def delete_route_settings(call: Call, tx: WriteTx, params: Params) -> Output:
    """The stage's default settings are in force for the route."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.api_id, params["StageName"])
    if stage.route_settings.pop(params["RouteKey"], None) is None:
        raise ServiceError("NotFoundException", f"Unable to find RouteSettings for key {params['RouteKey']}")
    STAGES.save(tx, call.scope, api.api_id, stage.name, record=stage)
    return {}


@operation(
    "DeleteAccessLogSettings",
    action=DELETE,
    resource=at("/apis/{ApiId}/stages/{StageName}/accesslogsettings"),
    params="ApiId StageName",
)
def delete_access_log_settings(call: Call, tx: WriteTx, params: Params) -> Output:
    """The stage has no access log."""
    api = get_api(tx, call, params)
    stage = get_stage(tx, call, api.api_id, params["StageName"])
    stage.access_log = None
    STAGES.save(tx, call.scope, api.api_id, stage.name, record=stage)
    return {}
