"""The REST control plane as a service."""

from cumulet.services.apigateway.control.v1 import (
    account,
    api_keys,
    apis,
    authorizers,
    client_certificates,
    deployments,
    documentation,
    domain_names,
    exports,
    gateway_responses,
    imports,
    integrations,
    methods,
    models,
    resources,
    stages,
    tags,
    testing,
    usage,
    usage_plans,
)
from cumulet.services.apigateway.control.v1.plane import RestPlane
from cumulet.services.kit import Ground, Service, Unavailable, collect


def build(ground: Ground) -> Service:
    """Return the service `apigateway`; it has no background work."""
    operations = collect(
        account,
        api_keys,
        usage,
        usage_plans,
        apis,
        authorizers,
        client_certificates,
        deployments,
        documentation,
        domain_names,
        gateway_responses,
        imports,
        integrations,
        methods,
        models,
        resources,
        stages,
        tags,
        testing,
    )
    for declared in exports.operations(ground.settings.port):
        operations[declared.name] = declared
    unavailable = Unavailable("ServiceUnavailableException", 503, "The requested service is not available.")
    return Service(
        "apigateway",
        operations,
        iam_prefix="apigateway",
        unavailable=unavailable,
        plane=RestPlane(ground),
        tags_of=tags.resource_tags,
    )
