"""Aliases: names for versions, which can divide invocations between two.

https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from cumulet.errors import ServiceError
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.services.lambda_ import limits
from cumulet.services.lambda_.control.configuration import invalid
from cumulet.services.lambda_.control.lookup import function_policy, load_alias, load_function, not_found
from cumulet.services.lambda_.control.paging import marker, page_size, with_marker
from cumulet.services.lambda_.control.provisioned import check_alias_change, drop_provisioned
from cumulet.services.lambda_.control.urls import drop_urls
from cumulet.services.lambda_.names import FunctionRef, function_arn, function_of, unqualified_resource
from cumulet.services.lambda_.records import ALIASES, EVENT_CONFIGS, LATEST, POLICIES, AliasRecord, find_version
from cumulet.services.tokens import encode_token
from cumulet.store.api import ReadTx, WriteTx


def _alias_resource(call: Call, params: Params) -> str:
    return _arn(function_of(call, params), params["Name"])


@operation(
    "CreateAlias",
    resource=_alias_resource,
    resource_policy=function_policy,
    params="FunctionName Name FunctionVersion Description RoutingConfig",
)
def create_alias(call: Call, tx: WriteTx, params: Params) -> Output:
    """Give a version, or two of them, a name."""
    ref = function_of(call, params)
    load_function(tx, ref)
    name, version = params["Name"], params["FunctionVersion"]
    _check_version(tx, ref, version)
    weights = _parse_routing(tx, ref, version, params.get("RoutingConfig"))
    if ALIASES.find(tx, ref.scope, ref.name, name) is not None:
        raise ServiceError("ResourceConflictException", f"Alias already exists: {_arn(ref, name)}", Type="User")
    alias = AliasRecord(
        function_name=ref.name,
        name=name,
        version=version,
        description=params.get("Description") or "",
        weights=weights,
        revision_id=call.ids.uuid(),
    )
    ALIASES.save(tx, ref.scope, ref.name, name, record=alias)
    return render_alias(ref, alias)


@operation("GetAlias", resource=_alias_resource, resource_policy=function_policy, params="FunctionName Name")
def get_alias(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return what a name stands for."""
    ref = function_of(call, params)
    load_function(tx, ref)
    return render_alias(ref, load_alias(tx, ref, params["Name"]))


@operation(
    "ListAliases",
    resource=unqualified_resource,
    resource_policy=function_policy,
    params="FunctionName FunctionVersion Marker MaxItems",
)
def list_aliases(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return a page of a function's aliases by name; with FunctionVersion those that send anything to that version."""
    ref = function_of(call, params)
    load_function(tx, ref)
    wanted, limit, behind = params.get("FunctionVersion"), page_size(params), marker(params, str)
    page: list[AliasRecord] = []
    for alias in ALIASES.scan(tx, ref.scope, ref.name, behind=None if behind is None else (ref.name, behind)):
        if wanted is None or wanted == alias.version or wanted in alias.weights:
            page.append(alias)
            if len(page) > limit:
                break
    output = {"Aliases": [render_alias(ref, alias) for alias in page[:limit]]}
    return with_marker(output, encode_token(page[limit - 1].name) if len(page) > limit else None)


@operation(
    "UpdateAlias",
    resource=_alias_resource,
    resource_policy=function_policy,
    params="FunctionName Name FunctionVersion Description RoutingConfig RevisionId",
)
def update_alias(call: Call, tx: WriteTx, params: Params) -> Output:
    """Change what a name stands for; what is not given stays, and an empty RoutingConfig ends the division."""
    ref = function_of(call, params)
    function = load_function(tx, ref)
    alias = ALIASES.find(tx, ref.scope, ref.name, params["Name"])
    if alias is None:
        arn = _arn(ref, params["Name"])
        raise ServiceError("ResourceNotFoundException", f"Alias not found: {arn}", Type="User")
    if params.get("RevisionId") not in (None, alias.revision_id):
        raise ServiceError(
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
            Type="User",
        )
    changed: dict[str, Any] = {"revision_id": call.ids.uuid()}
    version = params.get("FunctionVersion") or alias.version
    if version != alias.version:
        _check_version(tx, ref, version)
        changed["version"] = version
    if params.get("Description") is not None:
        changed["description"] = params["Description"]
    routing = params.get("RoutingConfig")
    if routing is None:
        routing = {"AdditionalVersionWeights": alias.weights}
    changed["weights"] = _parse_routing(tx, ref, version, routing)
    alias = msgspec.structs.replace(alias, **changed)
    check_alias_change(tx, ref, function, alias)
    ALIASES.save(tx, ref.scope, ref.name, alias.name, record=alias)
    return render_alias(ref, alias)


@operation("DeleteAlias", resource=_alias_resource, resource_policy=function_policy, params="FunctionName Name")
def delete_alias(call: Call, tx: WriteTx, params: Params) -> Output:
    """Forget a name and its policy; nothing happens if there is none."""
    ref = function_of(call, params)
    drop_provisioned(tx, ref, load_function(tx, ref), params["Name"])
    ALIASES.delete(tx, ref.scope, ref.name, params["Name"])
    POLICIES.delete(tx, ref.scope, ref.name, params["Name"])
    EVENT_CONFIGS.delete(tx, ref.scope, ref.name, params["Name"])
    drop_urls(tx, ref, params["Name"])
    return {}


def render_alias(ref: FunctionRef, alias: AliasRecord) -> Output:
    """Return an AliasConfiguration."""
    output: dict[str, Any] = {
        "AliasArn": _arn(ref, alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    }
    if alias.weights:
        output["RoutingConfig"] = {"AdditionalVersionWeights": dict(alias.weights)}
    return output


def _arn(ref: FunctionRef, name: str) -> str:
    return f"{function_arn(ref.scope, ref.name)}:{name}"


def _check_version(tx: ReadTx, ref: FunctionRef, version: str) -> None:
    if find_version(tx, ref.scope, ref.name, version) is None:
        raise not_found(_arn(ref, version))


def _parse_routing(tx: ReadTx, ref: FunctionRef, version: str, routing: Mapping[str, Any] | None) -> dict[str, float]:
    weights: dict[str, float] = dict((routing or {}).get("AdditionalVersionWeights") or {})
    if len(weights) > limits.ADDITIONAL_VERSIONS_MAX:
        raise invalid(
            f"Number of items in AdditionalVersionWeights cannot be greater than {limits.ADDITIONAL_VERSIONS_MAX}"
        )
    for other in weights:
        if other == version:
            raise invalid(
                f"Invalid function version {version}. Function version {version} is already included in routing "
                "configuration."
            )
        if version == LATEST:
            raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
        _check_version(tx, ref, other)
        # "Both versions must have the same execution role", the page says; AWS documents no words.
        main, more = (find_version(tx, ref.scope, ref.name, name) for name in (version, other))
        if main is not None and more is not None and main.role != more.role:
            raise invalid("Both versions of an alias must have the same execution role.")
    return weights
