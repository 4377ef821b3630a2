"""Every resource type that is built, by its name."""

from collections.abc import Mapping

from cumulet.services.cloudformation.core.diff import Kind
from cumulet.services.cloudformation.resources import (
    apigateway,
    apigateway_access,
    apigateway_definition,
    apigateway_domains,
    apigateway_plans,
    apigateway_stages,
    apigatewayv2,
    dynamodb,
    iam,
    iam_policies,
    iam_users,
    lambda_,
    lambda_versions,
    logs,
    nested,
    s3,
)
from cumulet.services.cloudformation.resources.kit import ResourceType

_MODULES = (
    *(
        apigateway,
        apigateway_access,
        apigateway_definition,
        apigateway_domains,
        apigateway_plans,
        apigateway_stages,
        apigatewayv2,
    ),
    *(dynamodb, iam, iam_policies, iam_users, lambda_, lambda_versions, logs, nested, s3),
)

TYPES: Mapping[str, ResourceType] = {
    value.name: value for module in _MODULES for value in vars(module).values() if isinstance(value, ResourceType)
}

KINDS: Mapping[str, Kind] = {name: Kind(kind.immutable, kind.taggable, kind.revisited) for name, kind in TYPES.items()}
