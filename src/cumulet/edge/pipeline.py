"""How an AWS request is answered: STAGES, folded over the request.

    Request -> Resolved -> Authenticated -> Parsed -> (checked) -> (authorised) -> Performed -> Response

Each stage returns the value that the next one needs. Whatever raises a ServiceError ends the walk; `wire.faults`
renders it in the protocol of the service, if that is known by then.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from cumulet.edge.credentials import find_principal, region_of
from cumulet.edge.limits import DYNAMODB_HEAD_BYTES_MAX
from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dispatch import Dispatcher, new_request_id
from cumulet.services.iam import Identify
from cumulet.services.kit import Call, Ground, Operation, Output, Params, Service, Unavailable
from cumulet.store.api import StoreError
from cumulet.wire import constraints, faults, protocols, sigv4
from cumulet.wire.content_coding import compress_answer
from cumulet.wire.message import Request, Response
from cumulet.wire.resolve import Target, resolve

log = logging.getLogger("cumulet.edge")


@dataclass(frozen=True, slots=True)
class Tools:
    """What the stages work with."""

    ground: Ground
    dispatcher: Dispatcher
    identify: Identify


class Arrived(msgspec.Struct, frozen=True):
    """A request, and the path that names its resource: in virtual-host style another than the one it was signed for."""

    request: Request
    path: str


class Resolved(msgspec.Struct, frozen=True):
    """The request's operation is known, and that Cumulet has it."""

    arrived: Arrived
    request: Request
    """As addressed: in path style."""
    target: Target
    service: Service
    operation: Operation
    request_id: str


class Authenticated(msgspec.Struct, frozen=True):
    """The caller is known."""

    resolved: Resolved
    call: Call


class Parsed(msgspec.Struct, frozen=True):
    """The parameters are known."""

    resolved: Resolved
    call: Call
    params: Params


class Performed(msgspec.Struct, frozen=True):
    """The operation is done."""

    resolved: Resolved
    output: Output


async def resolve_operation(tools: Tools, arrived: Arrived) -> Resolved:
    """Find the operation that the request names. Raises UnknownOperation..., NotImplementedHere."""
    request = arrived.request
    addressed = request if arrived.path == request.path else msgspec.structs.replace(request, path=arrived.path)
    target = resolve(addressed)
    if request.head_bytes > DYNAMODB_HEAD_BYTES_MAX and target.operation.service.raw_values:
        # The status is AWS's; its words nobody has written down.
        raise ServiceError("ValidationException", "The request line and headers are too large.", status=400)
    service_name = target.operation.service.name
    service, operation = await tools.dispatcher.find_operation(service_name, target.operation.name)
    return Resolved(arrived, addressed, target, service, operation, new_request_id(service_name, tools.ground.ids))


async def authenticate(tools: Tools, resolved: Resolved) -> Authenticated:
    """Find who calls, and verify the signature of keys that IAM or STS issued."""
    signed = resolved.arrived.request
    claim = sigv4.find_claim(signed)
    principal = await find_principal(tools.ground, tools.identify, signed, claim, resolved.target.operation.service)
    account = principal.account or tools.ground.settings.account
    call = tools.dispatcher.new_call(
        resolved.service,
        principal,
        Scope(account, region_of(claim, tools.ground.settings.region)),
        resolved.request_id,
        source_ip=signed.client_ip,
        user_agent=signed.headers.get("user-agent") or "",
        secure=signed.scheme == "https",
        trace_header=signed.headers.get("x-amzn-trace-id") or "",
    )
    return Authenticated(resolved, call)


async def parse(tools: Tools, authenticated: Authenticated) -> Parsed:
    """Read the parameters from wherever the protocol puts them."""
    resolved = authenticated.resolved
    return Parsed(resolved, authenticated.call, protocols.parse(resolved.target, resolved.request))


async def check(tools: Tools, parsed: Parsed) -> Parsed:
    """Refuse what the service's model forbids."""
    constraints.check(parsed.resolved.target.operation, parsed.params)
    return parsed


async def authorize(tools: Tools, parsed: Parsed) -> Parsed:
    """Refuse what is not built, and what the caller may not do."""
    resolved = parsed.resolved
    await tools.dispatcher.authorize_operation(parsed.call, resolved.service, resolved.operation, parsed.params)
    return parsed


async def dispatch(tools: Tools, parsed: Parsed) -> Performed:
    """Run the operation."""
    resolved = parsed.resolved
    output = await tools.dispatcher.perform(parsed.call, resolved.service, resolved.operation, parsed.params)
    return Performed(resolved, output)


async def serialise(tools: Tools, performed: Performed) -> Response:
    """Write the output as the protocol has it."""
    resolved = performed.resolved
    operation = resolved.target.operation
    response = protocols.serialise(operation, performed.output, resolved.request_id)
    if operation.service.raw_values and (accepted := resolved.request.headers.get("accept-encoding")) is not None:
        return compress_answer(response, accepted)
    return response


Stage: TypeAlias = Callable[[Tools, Any], Awaitable[Any]]

STAGES: tuple[Stage, ...] = (resolve_operation, authenticate, parse, check, authorize, dispatch, serialise)


async def answer_service_request(tools: Tools, arrived: Arrived) -> Response:
    """Return the answer to a request at an AWS endpoint; never raises."""
    value: Any = arrived
    try:
        for stage in STAGES:
            value = await stage(tools, value)
        response: Response = value
        return response
    except ServiceError as error:
        return _render(tools, arrived, value, error)
    except StoreError as error:
        log.error("the store refused a request", extra={"path": arrived.request.path, "said": error})
        return _render(tools, arrived, value, _unavailable(value))
    except Exception:
        request_id = _request_id(tools, value)
        log.exception("a request failed inside Cumulet", extra={"request_id": request_id, "path": arrived.request.path})
        return _render(tools, arrived, value, internal_failure(request_id))


def internal_failure(request_id: str) -> ServiceError:
    """Return what a client is told of a bug of ours."""
    return ServiceError(
        "InternalFailure",
        "The request processing has failed because of an unknown error, exception or failure. "
        f"The server's log has the details under request id {request_id}.",
        status=500,
    )


def _unavailable(value: Any) -> ServiceError:
    # Not what the store said: it names the database.
    resolved = _resolved(value)
    words = resolved.service.unavailable if resolved else Unavailable()
    return ServiceError(words.code, words.message, status=words.status)


def _render(tools: Tools, arrived: Arrived, value: Any, error: ServiceError) -> Response:
    resolved = _resolved(value)
    model = resolved.target.operation.service if resolved else None
    return faults.render(model, error, _request_id(tools, value), arrived.request)


def _resolved(value: Any) -> Resolved | None:
    return value if isinstance(value, Resolved) else getattr(value, "resolved", None)


def _request_id(tools: Tools, value: Any) -> str:
    resolved = _resolved(value)
    return resolved.request_id if resolved else tools.ground.ids.uuid()
