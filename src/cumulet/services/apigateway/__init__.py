"""API Gateway: REST APIs (v1) and HTTP APIs (v2).

`control/` holds the two control planes; they write the records of `model`. `gateway` serves deployed APIs of both
dialects through one `pipeline/`, and reads only `model`.
"""

import logging
from typing import TYPE_CHECKING, Literal

from cumulet.services.kit import Ground, Service
from cumulet.store.api import StoreError
from cumulet.wire.message import Request, Response

if TYPE_CHECKING:
    from cumulet.services.apigateway.gateway import Gateway
    from cumulet.services.apigateway.pipeline.authorizers.signatures import FindSigner

log = logging.getLogger("cumulet.apigateway")

__all__ = ["BODY_TOO_LONG", "ApiDoors", "build_v1", "build_v2"]

BODY_TOO_LONG = Response(
    413, (("content-type", "text; charset=utf-8"),), b"HTTP content length exceeded 10485760 bytes."
)
"""What stands in front of REST APIs says of a body over 10 MB: it has no request id yet, and asks no gateway response.

Captured in https://github.com/koki-develop/lgtm-generator/issues/10.
"""


class ApiDoors:
    """Where requests for deployed APIs come in. The gateway behind it is imported and built at the first of them."""

    def __init__(self, ground: Ground, find_signer: "FindSigner") -> None:
        self._ground = ground
        self._find_signer = find_signer
        self._gateway: Gateway | None = None

    async def serve(self, api_id: str, request: Request, path_after_api: str, via: Literal["path", "host"]) -> Response:
        """Return the answer of an API; see `Gateway.serve`."""
        return await self._open().serve(api_id, request, path_after_api, via)

    async def serve_domain(self, host: str, request: Request) -> Response | None:
        """Return the answer of what a custom domain name is mapped to; None if the host is no such name."""
        from cumulet.services.apigateway import domains
        from cumulet.services.apigateway.pipeline import faults

        try:
            mapped = await self._ground.store.read(lambda tx: domains.find_mapped(tx, host, request))
        except StoreError as error:
            log.error("the store refused a request", extra={"host": host, "said": error})
            return faults.unavailable()
        if mapped is None:
            return None
        if mapped == "unmapped":
            return faults.unknown_api()
        return await self._open().serve(mapped.api_id, request, mapped.path, "host", mapped)

    def refuse_body(self, api_id: str) -> Response:
        """Return the answer to a body that is longer than anybody reads."""
        return BODY_TOO_LONG if self._gateway is None else self._gateway.refuse_body(api_id)

    async def stop(self) -> None:
        """Leave nothing unwritten behind."""
        if self._gateway is not None:
            await self._gateway.stop()

    def _open(self) -> "Gateway":
        if self._gateway is None:
            # A tenth of a second, which a server without APIs never spends, nor any server before its first answer.
            from cumulet.services.apigateway.gateway import Gateway

            self._gateway = Gateway(self._ground, self._find_signer)
        return self._gateway


def build_v1(ground: Ground) -> Service:
    """Return the control plane of REST APIs."""
    from cumulet.services.apigateway.control.v1 import service

    return service.build(ground)


def build_v2(ground: Ground) -> Service:
    """Return the control plane of HTTP APIs."""
    from cumulet.services.apigateway.control.v2 import service

    return service.build(ground)
