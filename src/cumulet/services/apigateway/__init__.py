"""API Gateway: REST APIs (v1) and HTTP APIs (v2).

`control/` holds the two control planes; they write the records of `model`. `gateway` serves deployed APIs of both
dialects through one `pipeline/`, and reads only `model`.
"""

from cumulet.services.apigateway.gateway import Gateway
from cumulet.services.kit import Ground, Service

__all__ = ["Gateway", "build_v1", "build_v2"]


def build_v1(ground: Ground) -> Service:
    """Return the control plane of REST APIs."""
    from cumulet.services.apigateway.control.v1 import service

    return service.build(ground)


def build_v2(ground: Ground) -> Service:
    """Return the control plane of HTTP APIs."""
    from cumulet.services.apigateway.control.v2 import service

    return service.build(ground)
