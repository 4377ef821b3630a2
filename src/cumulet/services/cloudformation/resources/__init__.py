"""Every resource type that is built, by its name."""

from collections.abc import Mapping

from cumulet.services.cloudformation.core.diff import Kind
from cumulet.services.cloudformation.core.elsewhere import is_custom
from cumulet.services.cloudformation.resources import (
    apigateway,
    apigateway_access,
    apigateway_definition,
    apigateway_domains,
    apigateway_plans,
    apigateway_stages,
    apigatewayv2,
    custom,
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
    *(custom, dynamodb, iam, iam_policies, iam_users, lambda_, lambda_versions, logs, nested, s3),
)


class _Types(dict[str, ResourceType]):
    def __missing__(self, name: str) -> ResourceType:
        if is_custom(name):
            return custom.CUSTOM
        raise KeyError(name)


TYPES: Mapping[str, ResourceType] = _Types(
    (value.name, value) for module in _MODULES for value in vars(module).values() if isinstance(value, ResourceType)
)
"""By name; those that templates invent (`Custom::Anything`) are not listed, and found."""

KINDS: Mapping[str, Kind] = {name: Kind(kind.immutable, kind.taggable, kind.revisited) for name, kind in TYPES.items()}
