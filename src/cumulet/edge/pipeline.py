"""How an AWS request is answered, stage by stage: `answer_service_request`.

    resolve -> authenticate -> parse -> check -> authorize -> perform -> serialise

Each stage returns what the next ones need. Whatever raises a ServiceError ends the walk; `wire.faults` renders it in
the protocol of the service, if that is known by then.
"""

import logging
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from cumulet.edge.credentials import find_issued, find_unissued
from cumulet.edge.limits import DYNAMODB_HEAD_BYTES_MAX
from cumulet.errors import ServiceError
from cumulet.scope import Scope
from cumulet.services.dispatch import Dispatcher, is_free, new_request_id, refuse_unsupported
from cumulet.services.iam import Identify
from cumulet.services.kit import Call, Ground, Operation, Output, Principal, Service, Unavailable
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


class Resolved(msgspec.Struct, frozen=True):
    """A request whose operation is known, and that Cumulet has it."""

    signed: Request
    """As it was sent, and signed."""
    request: Request
    """As addressed: in path style."""
    target: Target
    service: Service
    operation: Operation
    request_id: str


async def answer_service_request(tools: Tools, request: Request, path: str) -> Response:
    """Return the answer to a request at an AWS endpoint; never raises.

    `path` names the resource: in virtual-host style it is another than the one the request was signed for.
    """
    resolved: Resolved | None = None
    dispatcher = tools.dispatcher
    try:
        # What is known already is not waited for: nearly always the service runs, and a key says itself whose it is.
        addressed = request if path == request.path else msgspec.structs.replace(request, path=path)
        target = resolve(addressed)
        service_name = target.operation.service.name
        service = dispatcher.running(service_name) or await dispatcher.service(service_name)
        resolved = resolve_operation(tools, request, addressed, target, service)
        claim = sigv4.find_claim(request)
        principal = find_unissued(tools.ground, request, claim, target.operation.service) or await find_issued(
            tools.ground, tools.identify, request, claim, target.operation.service
        )
        call = new_call(tools, resolved, claim, principal)
        params = protocols.parse(target, addressed)
        constraints.check(target.operation, params)
        refuse_unsupported(service, resolved.operation, params)
        if not is_free(call, resolved.operation):
            await dispatcher.authorize_operation(call, service, resolved.operation, params)
        output = await dispatcher.perform(call, service, resolved.operation, params)
        return serialise(resolved, output)
    except ServiceError as error:
        return _render(tools, request, resolved, error)
    except StoreError as error:
        log.error("the store refused a request", extra={"path": request.path, "said": error})
        # Not what the store said: it names the database.
        words = resolved.service.unavailable if resolved else Unavailable()
        return _render(tools, request, resolved, ServiceError(words.code, words.message, status=words.status))
    except Exception:
        request_id = resolved.request_id if resolved else tools.ground.ids.uuid()
        log.exception("a request failed inside Cumulet", extra={"request_id": request_id, "path": request.path})
        return _render(tools, request, resolved, internal_failure(request_id))


def resolve_operation(tools: Tools, signed: Request, addressed: Request, target: Target, service: Service) -> Resolved:
    """Find the operation that the request names. Raises NotImplementedHere for what is modelled but not built."""
    if signed.head_bytes > DYNAMODB_HEAD_BYTES_MAX and target.operation.service.raw_values:
        # The status is AWS's; its words nobody has written down.
        raise ServiceError("ValidationException", "The request line and headers are too large.", status=400)
    operation = service.operation(target.operation.name)
    return Resolved(signed, addressed, target, service, operation, new_request_id(service.name, tools.ground.ids))


def new_call(tools: Tools, resolved: Resolved, claim: sigv4.Claim | None, principal: Principal) -> Call:
    """Return the circumstances of the call."""
    signed = resolved.signed
    settings = tools.ground.settings
    return tools.dispatcher.new_call(
        resolved.service,
        principal,
        _scope(principal.account or settings.account, claim.region if claim is not None else settings.region),
        resolved.request_id,
        signed.client_ip,
        signed.headers.get("user-agent") or "",
        signed.scheme == "https",
        signed.headers.get("x-amzn-trace-id") or "",
    )


_scope = lru_cache(maxsize=256)(Scope)


def serialise(resolved: Resolved, output: Output) -> Response:
    """Write the output as the protocol has it."""
    operation = resolved.target.operation
    response = protocols.serialise(operation, output, resolved.request_id)
    if operation.service.raw_values and (accepted := resolved.request.headers.get("accept-encoding")) is not None:
        return compress_answer(response, accepted)
    return response


def internal_failure(request_id: str) -> ServiceError:
    """Return what a client is told of a bug of ours."""
    return ServiceError(
        "InternalFailure",
        "The request processing has failed because of an unknown error, exception or failure. "
        f"The server's log has the details under request id {request_id}.",
        status=500,
    )


def _render(tools: Tools, request: Request, resolved: Resolved | None, error: ServiceError) -> Response:
    model = resolved.target.operation.service if resolved else None
    return faults.render(model, error, resolved.request_id if resolved else tools.ground.ids.uuid(), request)
