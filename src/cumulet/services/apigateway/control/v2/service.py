"""The HTTP control plane as a service."""

from cumulet.services.apigateway.control.v2 import (
    apis,
    authorizers,
    domain_names,
    exports,
    imports,
    integrations,
    routes,
    routing_rules,
    stage_settings,
    stages,
    tags,
    websocket_only,
)
from cumulet.services.kit import Ground, Service, Unavailable, collect


def build(ground: Ground) -> Service:
    """Return the service `apigatewayv2`; it has no background work."""
    operations = collect(
        apis,
        authorizers,
        domain_names,
        integrations,
        routes,
        routing_rules,
        stage_settings,
        stages,
        tags,
        websocket_only,
    )
    show = apis.make_show(ground.settings.port)
    for declared in [*apis.operations(show), *imports.operations(show), *exports.operations(ground.settings.port)]:
        operations[declared.name] = declared
    unavailable = Unavailable("ServiceUnavailableException", 503, "The requested service is not available.")
    return Service(
        "apigatewayv2", operations, iam_prefix="apigateway", unavailable=unavailable, tags_of=tags.resource_tags
    )
