"""The front of the house: each request goes to the door that `hosts` names."""

import logging
import re
from urllib.parse import unquote

from cumulet.edge import limits
from cumulet.edge.control import Control
from cumulet.edge.function_urls import serve_function_url
from cumulet.edge.hosts import ApiDoor, ControlDoor, Door, FunctionDoor, ServiceDoor, find_door, possible_domain
from cumulet.edge.pipeline import Tools, answer_service_request, internal_failure
from cumulet.errors import ServiceError
from cumulet.services.apigateway import BODY_TOO_LONG, ApiDoors
from cumulet.store.api import StoreError
from cumulet.wire import faults
from cumulet.wire.message import Request, Response
from cumulet.wire.resolve import resolve

log = logging.getLogger("cumulet.edge")

_SIGNED_SERVICE = re.compile(r"Credential=[^/]*/[^/]*/[^/]*/([a-z0-9-]+)/aws4_request")


class Front:
    """Answers every request that the sockets bring."""

    def __init__(self, tools: Tools, apis: ApiDoors, control: Control) -> None:
        self._tools = tools
        self._apis = apis
        self._control = control

    async def answer(self, request: Request) -> Response:
        """Return the answer; never raises."""
        door = find_door(request.host, request.path)
        try:
            if isinstance(door, ServiceDoor):
                domain = _domain_behind(door, request)
                if domain is not None and (response := await self._apis.serve_domain(domain, request)) is not None:
                    return response
                return await answer_service_request(self._tools, request, door.path)
            if isinstance(door, ApiDoor):
                return await self._apis.serve(door.api_id, request, door.path, door.via)
            if isinstance(door, FunctionDoor):
                return await self._answer_function(request, door)
            return await self._answer_control(request, door.path)
        except Exception:
            request_id = self._tools.ground.ids.uuid()
            log.exception("a request failed inside Cumulet", extra={"request_id": request_id, "path": request.path})
            return faults.render(None, internal_failure(request_id), request_id)

    async def _answer_control(self, request: Request, path: str) -> Response:
        try:
            return await self._control.answer(request, path)
        except StoreError as error:
            log.error("the store refused a request", extra={"path": request.path, "said": error})
            body = b'{"message":"the store is not available"}\n'
            return Response(503, (("content-type", "application/json"),), body)

    async def _answer_function(self, request: Request, door: FunctionDoor) -> Response:
        try:
            return await serve_function_url(self._tools, door.url_id, request, door.path)
        except StoreError as error:
            log.error("the store refused a request", extra={"path": request.path, "said": error})
            return Response(503, (("content-type", "application/json"),), b'{"Message":"Service Unavailable"}')

    def body_limit(self, head: Request) -> int:
        """Return how many bytes the body of a request with this head may have."""
        door = find_door(head.host, head.path)
        if isinstance(door, ApiDoor | ControlDoor) or _domain_behind(door, head) is not None:
            return limits.BODY_BYTES_MAX
        if isinstance(door, FunctionDoor):
            return limits.BODY_BYTES_MAX_OF["lambda-url"]
        return limits.BODY_BYTES_MAX_OF.get(_signed_service(head), limits.BODY_BYTES_MAX)

    def too_large(self, head: Request) -> Response:
        """Return the answer to a request whose body is over its limit."""
        door = find_door(head.host, head.path)
        if isinstance(door, ApiDoor):
            return self._apis.refuse_body(door.api_id)
        if _domain_behind(door, head) is not None:
            return BODY_TOO_LONG
        if isinstance(door, FunctionDoor):
            return Response(413, (("content-type", "application/json"),), b'{"Message":"Request Too Long"}')
        limit = self.body_limit(head)
        if _signed_service(head) == "s3":
            error = ServiceError(
                "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.", status=400
            )
        else:
            error = ServiceError(
                "RequestEntityTooLargeException",
                f"Request must be smaller than {limit} bytes{_for_operation(head)}",
                status=413,
            )
        return faults.render(None, error, self._tools.ground.ids.uuid(), head)


def _domain_behind(door: Door, head: Request) -> str | None:
    """Return the host if it can be a custom domain name of API Gateway: a request that is signed for another service
    is none of theirs."""
    if not isinstance(door, ServiceDoor) or (domain := possible_domain(head.host)) is None:
        return None
    return domain if _signed_service(head) in ("", "execute-api") else None


def _for_operation(head: Request) -> str:
    try:
        return f" for the {resolve(head).operation.name} operation"
    except ServiceError:
        return ""  # the Query protocol names it in the body, which was not read


def _signed_service(head: Request) -> str:
    found = _SIGNED_SERVICE.search(head.headers.get("authorization") or unquote(head.query))
    return found[1] if found else ""
