"""Function URLs: an HTTP address of a function's own. What comes over it is `url_payload`'s and the edge's."""

from typing import Any

import msgspec

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import SYSTEM
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_.control.condition_keys import member_keys
from cumulet.services.lambda_.control.lookup import check_qualifier, function_policy
from cumulet.services.lambda_.control.paging import marker, page_size, with_marker
from cumulet.services.lambda_.control.rendering import render_last_modified
from cumulet.services.lambda_.control.tenants import check_shared
from cumulet.services.lambda_.names import FunctionRef, function_of, resource, unqualified_resource
from cumulet.services.lambda_.plane import LambdaPlane
from cumulet.services.lambda_.records import URL_OWNERS, URLS, FunctionRecord, UrlConfig, UrlOwner
from cumulet.services.tokens import encode_token
from cumulet.store.api import ReadTx, WriteTx

_URL_ID_CHARS = 32


@operation(
    "CreateFunctionUrlConfig",
    resource=resource,
    resource_policy=function_policy,
    conditions=member_keys,
    params="FunctionName Qualifier AuthType Cors InvokeMode",
)
async def create_function_url_config(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Give a function, or an alias of it, an address."""
    ref = function_of(call, params)
    url_id = call.ids.token(_URL_ID_CHARS)

    def create(tx: WriteTx) -> UrlConfig:
        check_shared(_check_there(tx, ref).latest, "Function URL")
        if URLS.find(tx, ref.scope, ref.name, ref.qualifier or "") is not None:
            raise ServiceError(
                "ResourceConflictException",
                f"Failed to create function url config for [functionArn = {ref.arn}]. Error message:  "
                "FunctionUrlConfig exists for this Lambda function",
                Type="User",
            )
        config = UrlConfig(
            url_id=url_id,
            qualifier=ref.qualifier or "",
            auth_type=params["AuthType"],
            cors=dict(params["Cors"]) if params.get("Cors") else None,
            invoke_mode=params.get("InvokeMode") or "BUFFERED",
            created_ms=call.now_ms,
            changed_ms=call.now_ms,
        )
        URLS.save(tx, ref.scope, ref.name, config.qualifier, record=config)
        owner = UrlOwner(
            account=ref.scope.account, region=ref.scope.region, function_name=ref.name, qualifier=ref.qualifier
        )
        URL_OWNERS.save(tx, SYSTEM, url_id, record=owner)
        return config

    config = await plane.ground.store.write(create)
    output = dict(_render(plane, ref, config))
    del output["LastModifiedTime"]
    return output


@operation("GetFunctionUrlConfig", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier")
async def get_function_url_config(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Return a function's address, and who may use it."""
    ref = function_of(call, params)
    return _render(plane, ref, await plane.ground.store.read(lambda tx: _load(tx, ref)))


@operation(
    "UpdateFunctionUrlConfig",
    resource=resource,
    resource_policy=function_policy,
    conditions=member_keys,
    params="FunctionName Qualifier AuthType Cors InvokeMode",
)
async def update_function_url_config(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Change who may use an address; what is not given stays."""
    ref = function_of(call, params)

    def update(tx: WriteTx) -> UrlConfig:
        config = _load(tx, ref)
        fields: dict[str, Any] = {"changed_ms": call.now_ms}
        if params.get("AuthType") is not None:
            fields["auth_type"] = params["AuthType"]
        if params.get("Cors") is not None:
            fields["cors"] = dict(params["Cors"]) or None
        if params.get("InvokeMode") is not None:
            fields["invoke_mode"] = params["InvokeMode"]
        config = msgspec.structs.replace(config, **fields)
        URLS.save(tx, ref.scope, ref.name, config.qualifier, record=config)
        return config

    return _render(plane, ref, await plane.ground.store.write(update))


@operation(
    "DeleteFunctionUrlConfig", resource=resource, resource_policy=function_policy, params="FunctionName Qualifier"
)
def delete_function_url_config(call: Call, tx: WriteTx, params: Params) -> Output:
    """Take an address away; it is not given again."""
    ref = function_of(call, params)
    config = _load(tx, ref)
    URL_OWNERS.delete(tx, SYSTEM, config.url_id)
    URLS.delete(tx, ref.scope, ref.name, config.qualifier)
    return {}


@operation(
    "ListFunctionUrlConfigs",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName Marker MaxItems",
)
async def list_function_url_configs(call: Call, plane: LambdaPlane, params: Params) -> Output:
    """Return a page of the addresses of a function and its aliases."""
    ref = function_of(call, params)
    limit, behind = page_size(params), marker(params, str)

    def find(tx: ReadTx) -> list[UrlConfig]:
        _check_there(tx, ref)
        first = None if behind is None else (ref.name, behind)
        return list(URLS.scan(tx, ref.scope, ref.name, behind=first, limit=limit + 1))

    found = await plane.ground.store.read(find)
    page = [
        _render(plane, FunctionRef(ref.scope, ref.name, config.qualifier or None), config) for config in found[:limit]
    ]
    next_marker = encode_token(found[limit - 1].qualifier) if len(found) > limit else None
    return with_marker({"FunctionUrlConfigs": page}, next_marker)


def drop_urls(tx: WriteTx, ref: FunctionRef, qualifier: str | None = None) -> None:
    """Take away the addresses of a function that goes, or of one alias."""
    for config in list(URLS.scan(tx, ref.scope, ref.name)):
        if qualifier in (None, config.qualifier):
            URL_OWNERS.delete(tx, SYSTEM, config.url_id)
            URLS.delete(tx, ref.scope, ref.name, config.qualifier)


def _check_there(tx: ReadTx, ref: FunctionRef) -> FunctionRecord:
    try:
        return check_qualifier(tx, ref)
    except NotImplementedHere:
        raise
    except ServiceError:
        raise ServiceError("ResourceNotFoundException", "Function does not exist", Type="User") from None


def _load(tx: ReadTx, ref: FunctionRef) -> UrlConfig:
    config = URLS.find(tx, ref.scope, ref.name, ref.qualifier or "")
    if config is None:
        raise ServiceError("ResourceNotFoundException", "The resource you requested does not exist.", Type="User")
    return config


def _render(plane: LambdaPlane, ref: FunctionRef, config: UrlConfig) -> Output:
    port = plane.ground.settings.port
    output: dict[str, Any] = {
        # AWS's own addresses end in on.aws; "localhost" and what stands before it is this machine everywhere.
        "FunctionUrl": f"http://{config.url_id}.lambda-url.{ref.scope.region}.localhost:{port}/",
        "FunctionArn": ref.arn,
        "AuthType": config.auth_type,
        "CreationTime": render_last_modified(config.created_ms),
        "LastModifiedTime": render_last_modified(config.changed_ms),
        "InvokeMode": config.invoke_mode,
    }
    if config.cors is not None:
        output["Cors"] = dict(config.cors)
    return output
