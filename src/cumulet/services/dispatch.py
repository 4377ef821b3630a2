"""From (principal, operation, params) to output: refuse what is not built, authorise, run in the right transaction.

The edge's last stages and the calls between services are the same three steps; both come through here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack
from functools import cache, partial
from typing import cast

from cumulet.clock import Clock
from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.ids import REQUEST_ID_ALPHABET, Ids
from cumulet.scope import Scope, account_of
from cumulet.services.kit import (
    Authorizer,
    Call,
    ConditionValues,
    Demand,
    Operation,
    Output,
    Params,
    Principal,
    RequestKeys,
    Ruling,
    Service,
    unsupported,
)
from cumulet.services.request_tags import tag_keys
from cumulet.store.api import ReadTx, Store
from cumulet.store.leases import Lease

CheckParams = Callable[[str, str, Params], None]
"""(service, operation, params): raises the ServiceError that the service's model demands."""


def new_request_id(service: str, ids: Ids) -> str:
    """Return a request id in the form that the service uses: DynamoDB has 52 capitals and digits, others a UUID."""
    return ids.token(52, REQUEST_ID_ALPHABET) if service.startswith("dynamodb") else ids.uuid()


def refuse_unsupported(service: Service, operation: Operation, params: Params) -> None:
    """Raise NotImplementedHere for a parameter that is not built."""
    if more := unsupported(params, operation.params):
        raise NotImplementedHere(f"The parameter {more[0]} of {service.iam_prefix}:{operation.name}")


def is_free(call: Call, operation: Operation) -> bool:
    """Return whether nobody need be asked: anybody may, or the account's root acts on what is certainly its own."""
    return operation.open_to_all or (operation.at_home and _is_own_root(call))


def _is_own_root(call: Call) -> bool:
    principal = call.principal
    return principal.kind == "root" and principal.account == call.scope.account


def _request_keys(operation: Operation, tx: ReadTx, call: Call, params: Params) -> ConditionValues:
    return {**tag_keys(params), **operation.condition_values(tx, call, params)}


class Dispatcher:
    """Runs operations. Services are built on first use, so that what nobody calls costs nothing."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ids: Ids,
        authorizer: Authorizer,
        services: Mapping[str, Callable[[], Service]],
        check_params: CheckParams,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._authorizer = authorizer
        self._builders = services
        self._check_params = check_params
        self._built: dict[str, Service] = {}
        self._starting: dict[str, asyncio.Lock] = {}

    def running(self, name: str) -> Service | None:
        """Return a service if it runs already, as nearly always: whoever asks first waits for `service`."""
        return self._built.get(name)

    async def service(self, name: str) -> Service:
        """Return a running service. Raises NotImplementedHere for one that Cumulet does not have."""
        return self._built.get(name) or await self._start(name)

    async def stop(self, first: Collection[str] = ()) -> None:
        """Stop the services that were started, `first` and then the last started first.

        One that cannot be stopped does not keep the others.
        """
        async with AsyncExitStack() as stopping:
            for name in sorted(self._built, key=lambda name: name in first):
                if (plane := self._built[name].plane) is not None:
                    stopping.push_async_callback(plane.stop)

    async def call(
        self,
        principal: Principal,
        scope: Scope,
        service: str,
        operation: str,
        params: Params,
        lease: Lease | None = None,
        *,
        request_id: str = "",
        trace_header: str = "",
    ) -> Output:
        """Return the output of an operation that another service asks for, checked and authorised as a client's.

        With a lease, nothing of it happens once the lease is lost: raises LeaseLost. `trace_header` is that of what led
        to it.
        """
        found = await self.service(service)
        declared = found.operation(operation)
        self._check_params(service, operation, params)
        call = self.new_call(found, principal, scope, request_id, trace_header=trace_header)
        refuse_unsupported(found, declared, params)
        if not is_free(call, declared):
            await self.authorize_operation(call, found, declared, params)
        return await self.perform(call, found, declared, params, lease)

    def new_call(
        self,
        service: Service,
        principal: Principal,
        scope: Scope,
        request_id: str = "",
        source_ip: str = "127.0.0.1",
        user_agent: str = "",
        secure: bool = False,
        trace_header: str = "",
    ) -> Call:
        """Return the circumstances of a call that begins now."""
        return Call(
            scope.everywhere() if service.is_global else scope,
            principal,
            request_id or new_request_id(service.name, self._ids),
            self._clock.now_ms(),
            self._ids,
            source_ip,
            user_agent,
            secure,
            trace_header,
            service.plane,
        )

    async def authorize_operation(self, call: Call, service: Service, operation: Operation, params: Params) -> None:
        """Raise the service's AccessDenied unless the caller may. What `is_free` needs no asking."""
        action = service.action_of(operation)
        # Nothing but a resource's policy can narrow the account's root, as long as it names nothing of another's.
        account = call.scope.account if _is_own_root(call) and operation.resource_policy is None else None

        def decide(tx: ReadTx) -> Ruling:
            policy = operation.resource_policy(tx, call, params) if operation.resource_policy else None
            if operation.demands is not None:
                demands = operation.demands(tx, call, params)
            else:
                resources = operation.resources(tx, call, params)
                keys: RequestKeys = partial(_request_keys, operation, tx, call, params)
                if len(resources) > 1:
                    keys = cache(keys)  # those of a batch are the same for each of its tables
                demands = [Demand(action, arn, keys) for arn in resources]
            for demand in demands:
                if account is not None and account_of(demand.resource) in ("", account):
                    continue
                if not (ruling := self._decide(tx, call, service, demand, policy)).allowed:
                    return ruling
            return Ruling(True)

        if not (ruling := await self._store.read(decide)).allowed:
            raise ServiceError(service.denied_code, ruling.denial, status=service.denied_status)

    async def authorize(
        self, call: Call, action: str, resource: str, conditions: ConditionValues | None = None, service: str = "iam"
    ) -> None:
        """Raise the service's AccessDenied error unless the caller may do `action` on `resource`."""
        # Who asks about a service of its own runs it; of one that nobody has called yet no resource has a policy here.
        owner = self._built.get(service)
        demand = Demand(action, resource, lambda: conditions or {})
        if not (ruling := await self._store.read(lambda tx: self._decide(tx, call, owner, demand))).allowed:
            refusing = await self.service(service)
            raise ServiceError(refusing.denied_code, ruling.denial, status=refusing.denied_status)

    async def decide(
        self, call: Call, action: str, resource: str, conditions: ConditionValues, resource_policy: str | None
    ) -> Ruling:
        """Return whether the caller may do `action` on `resource`."""
        demand = Demand(action, resource, lambda: conditions)
        # Of what is asked about so, nothing has tags of its own.
        return await self._store.read(lambda tx: self._authorizer.decide(tx, call, demand, resource_policy, dict))

    def perform(
        self, call: Call, service: Service, operation: Operation, params: Params, lease: Lease | None = None
    ) -> Awaitable[Output]:
        """Run the operation's body: in a read or write transaction, or beside the store with the service's plane."""
        body = operation.body
        if operation.kind == "read":
            return self._store.read(lambda tx: body(call, tx, params))
        if operation.kind == "write":
            write = self._store.write if lease is None else lease.write
            return write(lambda tx: body(call, tx, params))
        if lease is None:
            return cast(Awaitable[Output], body(call, service.plane, params))
        return self._perform_fenced(call, service, operation, params, lease)

    async def _perform_fenced(
        self, call: Call, service: Service, operation: Operation, params: Params, lease: Lease
    ) -> Output:
        await self._store.read(lease.fence)  # it makes transactions of its own, so this is as near as it gets
        return cast(Output, await operation.body(call, service.plane, params))

    def _decide(
        self, tx: ReadTx, call: Call, owner: Service | None, demand: Demand, policy: str | None = None
    ) -> Ruling:
        """Return whether the caller may do what is demanded, with what the resource's service tells of the resource."""
        tags = None
        if owner is not None:
            if owner.policy_of is not None:
                policy = owner.policy_of(tx, call, demand.resource)
            if owner.tags_of is not None:
                tags = partial(owner.tags_of, tx, call, demand.resource)
        return self._authorizer.decide(tx, call, demand, policy, tags)

    async def _start(self, name: str) -> Service:
        builder = self._builders.get(name)
        if builder is None:
            raise NotImplementedHere(f"The service {name}")
        # A lock, so that who waits for it can go away, and who comes next tries again where the first one failed.
        async with self._starting.setdefault(name, asyncio.Lock()):
            service = self._built.get(name)
            if service is None:
                service = builder()
                if service.plane is not None:
                    await service.plane.start()
                self._built[name] = service
        return service
