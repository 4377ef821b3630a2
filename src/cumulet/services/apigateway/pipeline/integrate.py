"""Ask the route's backend: the one stage with effects outside the pipeline.

No transaction is open here. The call is made as API Gateway's service principal on behalf of the route, so that the
function's resource policy decides; with integration credentials it is made as the role that they name.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from cumulet.clock import Clock
from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.scope import Scope
from cumulet.services.apigateway import limits
from cumulet.services.apigateway.control.lambda_uri import function_arn
from cumulet.services.apigateway.model import CALLER, DEFAULT_ROUTE, Authorizer, Target
from cumulet.services.apigateway.pipeline import streaming
from cumulet.services.apigateway.pipeline.exchange import Arrival, Matched, Outbound, Result, Said, Sent, Streamed
from cumulet.services.apigateway.pipeline.faults import NOT_PERMITTED, Fault, Refused, misconfigured
from cumulet.services.apigateway.pipeline.invocations import invoke_params
from cumulet.services.apigateway.pipeline.relay import relay
from cumulet.services.apigateway.pipeline.rest_backends import RestBackends
from cumulet.services.apigateway.pipeline.rest_mapping import mapped_headers
from cumulet.services.kit import Ground, Output, Principal

R = TypeVar("R")

SERVICE_PRINCIPAL = "apigateway.amazonaws.com"
SESSION_NAME = "BackplaneAssumeRoleSession"
"""As CloudTrail shows API Gateway's sessions."""

_encode = msgspec.json.Encoder().encode


_FAULTS: dict[str, Fault] = {
    "TooManyRequestsException": "throttled",
    "RequestEntityTooLargeException": "too_long",
    "InvalidParameterValueException": "bad_invocation",
    "InvalidRequestContentException": "bad_invocation",
}
"""What of Lambda's errors is the client's to know."""


class Integrator:
    """Invokes functions, and keeps the roles that it assumed for a while."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._roles: dict[tuple[Scope, str], tuple[float, Principal]] = {}
        self._left_running: set[asyncio.Task[Any]] = set()
        self._mapped = RestBackends(ground, self)

    async def integrate(self, matched: Matched, sent: Sent) -> Said:
        """Return what the backend answers. Raises Refused if it cannot be asked, or not in time."""
        target = matched.route.target
        if isinstance(sent, Outbound):
            return await self._mapped.ask(matched, sent)
        if sent is None:
            return await self.within(target, relay(self._ground, matched), gives_up=True)
        found = function_arn(target.uri, matched.stage.variables)
        # Lambda's Invoke is a POST; any other method fails at AWS's side of the integration.
        if found is None or target.http_method != "POST":
            raise misconfigured(NOT_PERMITTED)
        region, account, arn = found
        scope, event = Scope(account, region), _encode(sent)
        params = invoke_params(mapped_headers(matched, target.invoke_parameters)) if target.invoke_parameters else {}
        if target.streams:
            return await self.within(target, self._begin(matched, scope, arn, event, params))
        return await self.within(target, self._ask(matched, self.principal(matched), scope, arn, event, params))

    async def within(self, target: Target, work: Coroutine[Any, Any, R], *, gives_up: bool = False) -> R:
        """Return the work's result. Raises Refused after the integration's time-out; see `_within`."""
        return await _within(self._ground.clock, target.timeout_ms / 1000, work, self._left_running, gives_up=gives_up)

    async def invoke(
        self, matched: Matched, scope: Scope, arn: str, payload: bytes, params: dict[str, str], request_id: str
    ) -> Output:
        """Return what Lambda's Invoke answers. Raises Refused if the function cannot be asked."""
        asked = {"FunctionName": arn, "Payload": payload, **params}
        return await self._call_lambda(matched, self.principal(matched), scope, "Invoke", asked, request_id)

    async def _begin(
        self, matched: Matched, scope: Scope, arn: str, payload: bytes, params: dict[str, str]
    ) -> Streamed:
        """Return what a function answers, once it begins to. Raises Refused if it cannot be asked."""
        if params.get("InvocationType", "RequestResponse") != "RequestResponse":
            raise Refused("misconfigured")
        asked = {"FunctionName": arn, "Payload": payload, **params}
        output = await self._call_lambda(matched, self.principal(matched), scope, "InvokeWithResponseStream", asked)
        return await streaming.begin(output["EventStream"])

    async def ask_authorizer(self, matched: Matched, authorizer: Authorizer, event: dict[str, Any]) -> Result:
        """Return what an authorizer's function answers, asked as API Gateway or as the authorizer's role."""
        found = function_arn(authorizer.uri, matched.stage.variables)
        if found is None:
            raise misconfigured(NOT_PERMITTED)
        region, account, arn = found
        principal = self._authorizer_principal(matched, authorizer)
        work = self._ask(matched, principal, Scope(account, region), arn, _encode(event), {})
        return await _within(self._ground.clock, limits.AUTHORIZER_TIMEOUT_S, work, self._left_running)

    async def _authorizer_principal(self, matched: Matched, authorizer: Authorizer) -> Principal:
        arrival = matched.arrival
        if authorizer.credentials is not None:
            return await self._demand_role(arrival.scope, authorizer.credentials)
        return Principal.service(
            SERVICE_PRINCIPAL,
            source_arn=f"{api_arn(arrival)}/authorizers/{authorizer.authorizer_id}",
            source_account=arrival.owner.account,
        )

    async def _ask(
        self,
        matched: Matched,
        principal: Coroutine[Any, Any, Principal],
        scope: Scope,
        arn: str,
        payload: bytes,
        params: dict[str, str],
    ) -> Result:
        asked = {"FunctionName": arn, "Payload": payload, **params}
        request_id = self._ground.ids.uuid()
        output = await self._call_lambda(matched, principal, scope, "Invoke", asked, request_id)
        return Result(output.get("Payload") or b"", bool(output.get("FunctionError")), request_id)

    async def _call_lambda(
        self,
        matched: Matched,
        principal: Coroutine[Any, Any, Principal],
        scope: Scope,
        operation: str,
        params: dict[str, Any],
        request_id: str = "",
    ) -> Output:
        trace = matched.arrival.segment or matched.arrival.trace_id
        try:
            return await self._ground.operations.call(
                await principal, scope, "lambda", operation, params, request_id=request_id, trace_header=trace
            )
        except NotImplementedHere:
            raise
        except ServiceError as error:
            # Denied, no such function: AWS tells the client nothing more.
            fault = _FAULTS.get(error.code, "misconfigured")
            if fault == "bad_invocation":
                raise Refused(fault, message=error.message, error_type=error.code) from error
            if fault == "misconfigured":
                raise misconfigured(NOT_PERMITTED) from error
            raise Refused(fault) from error

    async def principal(self, matched: Matched) -> Principal:
        """Return as whom an integration's backend is called."""
        arrival, route = matched.arrival, matched.route
        if route.target.credentials == CALLER:
            if matched.authorized is None or matched.authorized.signer is None:
                raise Refused("misconfigured")
            return matched.authorized.signer
        if route.target.credentials is not None:
            return await self._demand_role(arrival.scope, route.target.credentials)
        return Principal.service(
            SERVICE_PRINCIPAL, source_arn=source_arn(matched), source_account=arrival.owner.account
        )

    async def _demand_role(self, scope: Scope, role_arn: str) -> Principal:
        """Return a session of a role. Raises Refused if it cannot be assumed."""
        try:
            return await self.assumed(scope, role_arn)
        except ServiceError as error:
            why = f"API Gateway does not have permission to assume the provided role {role_arn}"
            raise misconfigured(why) from error

    async def assumed(self, scope: Scope, role_arn: str) -> Principal:
        """Return a session of a role, assumed as API Gateway. Raises the ServiceError of a role that cannot be."""
        now = self._ground.clock.monotonic_s()
        kept = self._roles.get((scope, role_arn))
        if kept is not None and kept[0] > now:
            return kept[1]
        account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
        output = await self._ground.operations.call(
            Principal.service(SERVICE_PRINCIPAL),
            Scope(account, scope.region),
            "sts",
            "AssumeRole",
            {"RoleArn": role_arn, "RoleSessionName": SESSION_NAME},
        )
        user = output["AssumedRoleUser"]
        principal = Principal(
            "role",
            account,
            user["Arn"],
            unique_id=user["AssumedRoleId"],
            name=name,
            access_key_id=output["Credentials"]["AccessKeyId"],
        )
        if len(self._roles) >= limits.ASSUMED_ROLES_MAX:
            self._roles.clear()
        self._roles[scope, role_arn] = (now + limits.ASSUMED_ROLE_SECONDS, principal)
        return principal


def api_arn(arrival: Arrival) -> str:
    """Return the ARN of what an API serves."""
    return f"arn:aws:execute-api:{arrival.owner.region}:{arrival.owner.account}:{arrival.api_id}"


def source_arn(matched: Matched) -> str:
    """Return the route's ARN, which a function's resource policy may name (AWS:SourceArn)."""
    route, api = matched.route, f"{api_arn(matched.arrival)}/{matched.stage.name}"
    if route.key == DEFAULT_ROUTE:
        return f"{api}/{DEFAULT_ROUTE}"
    # AWS names a route by its template, and an ANY method as *, which is also what SAM's permissions grant.
    return f"{api}/{'*' if route.method == 'ANY' else route.method}{route.path}"


async def _within(
    clock: Clock,
    seconds: float,
    work: Coroutine[Any, Any, R],
    left_running: set[asyncio.Task[Any]],
    *,
    gives_up: bool = False,
) -> R:
    """Return the work's result. Raises Refused after `seconds`.

    The work goes on then, as a function on AWS does, unless it `gives_up`: a server might never answer. Whether its
    client is still there matters to neither.
    """
    loop = asyncio.get_running_loop()
    waited: asyncio.Future[None] = loop.create_future()

    def go_on() -> None:
        if not waited.done():
            waited.set_result(None)

    async def ending() -> R:
        try:
            return await work
        finally:
            go_on()

    def settle(done: asyncio.Task[R]) -> None:
        left_running.discard(done)
        if not done.cancelled():
            done.exception()  # seen here, since nobody waits any more

    def leave_running() -> None:
        left_running.add(task)
        task.add_done_callback(settle)

    def give_up() -> None:
        task.cancel()

    task = loop.create_task(ending())
    deadline = clock.alarm(seconds, go_on)
    try:
        await waited
    except asyncio.CancelledError:  # the client has gone, maybe in the moment in which the work ended
        leave_running()
        if gives_up:
            end = clock.alarm(seconds, give_up)
            task.add_done_callback(lambda _: end.cancel())
        raise
    finally:
        deadline.cancel()
    if not task.done():
        leave_running()
        if gives_up:
            give_up()
        raise Refused("timeout")
    return task.result()
