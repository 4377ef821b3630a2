"""The REST control plane as a service."""

from cumulet.services.apigateway.control.v1 import (
    apis,
    authorizers,
    deployments,
    imports,
    integrations,
    methods,
    models,
    resources,
    stages,
    tags,
)
from cumulet.services.kit import Ground, Service, Unavailable, collect


def build(ground: Ground) -> Service:
    """Return the service `apigateway`; it has no background work."""
    operations = collect(
        apis, authorizers, deployments, imports, integrations, methods, models, resources, stages, tags
    )
    unavailable = Unavailable("ServiceUnavailableException", 503, "The requested service is not available.")
    return Service("apigateway", operations, iam_prefix="apigateway", unavailable=unavailable)
