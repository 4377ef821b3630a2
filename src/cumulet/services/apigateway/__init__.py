"""API Gateway: REST APIs (v1) and HTTP APIs (v2).

`control/` holds the two control planes; they write the records of `model`. `gateway` serves deployed APIs of both
dialects through one `pipeline/`, and reads only `model`.
"""

from typing import TYPE_CHECKING, Literal

from cumulet.services.kit import Ground, Service
from cumulet.wire.message import Request, Response

if TYPE_CHECKING:
    from cumulet.services.apigateway.gateway import Gateway

__all__ = ["ApiDoors", "build_v1", "build_v2"]


class ApiDoors:
    """Where requests for deployed APIs come in. The gateway behind it is imported and built at the first of them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._gateway: Gateway | None = None

    async def serve(self, api_id: str, request: Request, path_after_api: str, via: Literal["path", "host"]) -> Response:
        """Return the answer of an API; see `Gateway.serve`."""
        if self._gateway is None:
            # A tenth of a second, which a server without APIs never spends, nor any server before its first answer.
            from cumulet.services.apigateway.gateway import Gateway

            self._gateway = Gateway(self._ground)
        return await self._gateway.serve(api_id, request, path_after_api, via)


def build_v1(ground: Ground) -> Service:
    """Return the control plane of REST APIs."""
    from cumulet.services.apigateway.control.v1 import service

    return service.build(ground)


def build_v2(ground: Ground) -> Service:
    """Return the control plane of HTTP APIs."""
    from cumulet.services.apigateway.control.v2 import service

    return service.build(ground)
