"""The roles that a request gives to API Gateway, for integrations and authorizers: who names one must be allowed to
pass it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/security-iam.html
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cumulet.services.apigateway.control.openapi.plan import ApiPlan
from cumulet.services.kit import Call, ConditionValues, Demand, Demands, Params
from cumulet.services.request_tags import tag_keys
from cumulet.store.api import ReadTx

_HOST = "apigateway.amazonaws.com"


def demanding(
    action: str,
    resource: Callable[[Call, Params], str],
    roles: Callable[[Call, Params], Iterator[Any]],
    conditions: Callable[[ReadTx, Call, Params], ConditionValues] | None = None,
) -> Demands:
    """Return what an operation needs that may name roles: its permission, and one for each role."""

    def demands(tx: ReadTx, call: Call, params: Params) -> list[Demand]:
        def keys() -> ConditionValues:
            return {**tag_keys(params), **({} if conditions is None else conditions(tx, call, params))}

        named = [role for role in dict.fromkeys(roles(call, params)) if isinstance(role, str) and ":role/" in role]
        passed = [Demand("iam:PassRole", role, lambda: {"iam:PassedToService": _HOST}) for role in named]
        return [Demand(action, resource(call, params), keys), *passed]

    return demands


def named_by(member: str) -> Callable[[Call, Params], Iterator[Any]]:
    """Return what yields the roles that a member or its patches name."""

    def roles(call: Call, params: Params) -> Iterator[Any]:
        yield params.get(member)
        for patch in params.get("patchOperations") or ():
            if patch.get("path") == f"/{member}":
                yield patch.get("value")

    return roles


def of_document(plan: ApiPlan) -> Iterator[Any]:
    """Yield the roles that a document names."""
    for method in plan.methods:
        integration: Mapping[str, Any] = method.integration or {}
        yield integration.get("credentials")
    for scheme in plan.schemes.values():
        credentials = scheme.authorizer.get("authorizerCredentials")
        yield credentials if isinstance(credentials, str) else None
