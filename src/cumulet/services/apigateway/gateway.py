"""The serving side: a request for a deployed API finds its stage, walks through the pipeline, and is logged.

Both dialects have one pipeline; `pipeline/walk.py` lists its stages. Who may pass, and how often, is asked in between:

    authorize -> meter -> throttle -> count
"""

import logging
from collections import OrderedDict
from typing import Literal, NamedTuple

from cumulet.scope import SYSTEM
from cumulet.services.apigateway import BODY_TOO_LONG, limits
from cumulet.services.apigateway.accounts import ACCOUNTS
from cumulet.services.apigateway.domains import Mapped
from cumulet.services.apigateway.model import (
    DEFAULT_STAGE,
    DEPLOYMENTS,
    OWNERS,
    SERVED_STAGES,
    ApiOwner,
    Deployment,
    Stage,
)
from cumulet.services.apigateway.pipeline import canary, cors, faults
from cumulet.services.apigateway.pipeline.authorize import Doorkeeper
from cumulet.services.apigateway.pipeline.authorizers.signatures import FindSigner
from cumulet.services.apigateway.pipeline.buckets import Buckets
from cumulet.services.apigateway.pipeline.exchange import (
    Arrival,
    Compiled,
    Matched,
    new_extended_id,
    new_segment,
    new_trace_id,
)
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.services.apigateway.pipeline.integrate import Integrator
from cumulet.services.apigateway.pipeline.journey import Journey
from cumulet.services.apigateway.pipeline.log_delivery import LogDelivery
from cumulet.services.apigateway.pipeline.logbook import Logbook
from cumulet.services.apigateway.pipeline.match import compile_deployment
from cumulet.services.apigateway.pipeline.meter import Meter
from cumulet.services.apigateway.pipeline.throttle import Throttle
from cumulet.services.apigateway.pipeline.walk import Walk
from cumulet.services.kit import Ground
from cumulet.store.api import ReadTx, StoreError
from cumulet.wire.message import Request, Response

log = logging.getLogger("cumulet.apigateway")


class Found(NamedTuple):
    """What a request's API, stage and path lead to."""

    owner: ApiOwner
    path: str
    """Behind the stage."""
    stage: Stage | None = None
    deployed: Compiled | Deployment | None = None
    is_canary: bool | None = None
    log_role: str | None = None


class Gateway:
    """Answers requests for APIs. What it keeps is derived from immutable deployments, and can be lost at any time."""

    def __init__(self, ground: Ground, find_signer: FindSigner) -> None:
        self._ground = ground
        self._integrator = Integrator(ground)
        self._doorkeeper = Doorkeeper(ground, self._integrator, find_signer)
        buckets = Buckets()
        self._meter = Meter(ground, buckets)
        self._throttle = Throttle(ground.clock, buckets)
        self._walk = Walk(ground, self._admit, self._integrator)
        self._logbook = Logbook(LogDelivery(ground, self._integrator.assumed))
        self._compiled: OrderedDict[tuple[str, str], Compiled] = OrderedDict()

    async def serve(
        self,
        api_id: str,
        request: Request,
        path_after_api: str,
        via: Literal["path", "host"],
        mapped: Mapped | None = None,
    ) -> Response:
        """Return the answer of an API. `path_after_api` is percent-encoded, and begins with the stage if it has one.

        `mapped` is there for a request that came through a custom domain name.
        """

        draw = self._ground.ids.secret(canary.DRAW_BYTES)

        def look_up(tx: ReadTx) -> Found | None:
            owner = OWNERS.find(tx, SYSTEM, api_id)
            if owner is None:
                return None
            if mapped is not None and mapped.stage is not None:
                stage, path = SERVED_STAGES.find(tx, owner.scope, api_id, mapped.stage), path_after_api
            else:
                stage, path = find_stage(tx, owner, api_id, path_after_api, via)
            if stage is None:
                return Found(owner, path)
            stage, is_canary = canary.release(stage, draw)
            deployed: Compiled | Deployment | None = None
            if (deployment_id := stage.deployment_id) is not None:
                # Which deployment it is, is read for each request; what a deployment is, never changes.
                deployed = self._compiled.get((api_id, deployment_id))
                if deployed is None:
                    deployed = DEPLOYMENTS.find(tx, owner.scope, api_id, deployment_id)
            logs = owner.kind == "REST" and (stage.access_log is not None or stage.method_settings)
            account = ACCOUNTS.find(tx, owner.scope) if logs else None
            return Found(owner, path, stage, deployed, is_canary, None if account is None else account.log_role)

        try:
            found = await self._ground.store.read(look_up)
        except StoreError as error:
            log.error("the store refused a request", extra={"api_id": api_id, "said": error})
            return faults.unavailable()
        if found is None:
            return faults.unknown_api()
        too_long = len(request.body) > limits.PAYLOAD_BYTES_MAX
        if too_long and found.owner.kind == "REST":
            return BODY_TOO_LONG
        stage = found.stage
        compiled = None if found.deployed is None else self._keep_compiled(found.owner, api_id, found.deployed)
        arrival = self._arrival(api_id, found, request, via, mapped)
        if stage is None or compiled is None or (compiled.deployment.default_endpoint_disabled and mapped is None):
            return faults.render(arrival, Refused("no_stage"))
        journey = Journey()
        if too_long:
            journey.refused = Refused("too_long")
            response = faults.render(arrival, journey.refused)
        else:
            response = await self._walk.answer(arrival, stage, compiled, journey)
        if (rules := compiled.deployment.cors) is not None:
            response = cors.with_cors(response, rules, request)
        if stage.access_log is not None or stage.method_settings:
            now_ms = self._ground.clock.now_ms()
            self._logbook.note(journey, arrival, stage, compiled, response, now_ms, found.log_role)
        return response

    def refuse_body(self, api_id: str) -> Response:
        """Return the answer to a body that nobody reads. Of an API that was never asked before it is a REST API's."""
        if all(compiled.is_rest for (asked, _), compiled in self._compiled.items() if asked == api_id):
            return BODY_TOO_LONG
        return faults.body_too_long(self._ground.ids)

    async def stop(self) -> None:
        """Leave nothing unwritten behind."""
        await self._meter.finish()
        await self._logbook.finish()

    async def _admit(self, matched: Matched, journey: Journey) -> Matched:
        matched = journey.matched = await self._doorkeeper.authorize(matched, journey)
        matched = journey.matched = await self._meter.admit(matched)
        self._throttle.admit(matched)
        # Last of all: what is refused uses up no quota.
        await self._meter.count(matched)
        return matched

    def _arrival(
        self,
        api_id: str,
        found: Found,
        request: Request,
        via: Literal["path", "host"],
        mapped: Mapped | None,
    ) -> Arrival:
        ids, now_ms = self._ground.ids, self._ground.clock.now_ms()
        trace_id = request.headers.get("x-amzn-trace-id") or new_trace_id(ids, now_ms)
        host = request.host.partition(":")[0].lower() if via == "host" else f"{api_id}.execute-api.localhost"
        return Arrival(
            request=request,
            api_id=api_id,
            owner=found.owner,
            path=found.path,
            domain_name=host,
            request_id=ids.uuid(),
            extended_request_id=new_extended_id(ids),
            now_ms=now_ms,
            trace_id=trace_id,
            port=self._ground.settings.port,
            mapped_path=None if mapped is None else request.path,
            custom_domain={} if mapped is None else mapped.variables,
            is_canary=found.is_canary,
            segment=new_segment(ids, now_ms, trace_id) if found.stage is not None and found.stage.tracing else "",
        )

    def _keep_compiled(self, owner: ApiOwner, api_id: str, deployed: Compiled | Deployment) -> Compiled:
        if isinstance(deployed, Deployment):
            deployed = compile_deployment(deployed, is_rest=owner.kind == "REST")
        key = (api_id, deployed.deployment.deployment_id)
        self._compiled[key] = deployed
        self._compiled.move_to_end(key)
        if len(self._compiled) > limits.COMPILED_MAX:
            self._compiled.popitem(last=False)
        return deployed


def find_stage(
    tx: ReadTx, owner: ApiOwner, api_id: str, path: str, via: Literal["path", "host"]
) -> tuple[Stage | None, str]:
    """Return the stage that a path names, and the path behind it.

    The first segment is the stage; an HTTP API falls back to its $default stage with the whole path. By path (never by
    host, as on AWS) $default can be named like any other stage.
    """
    name, slash, rest = path[1:].partition("/")
    if owner.kind == "HTTP" and via == "path" and name.lower() == "%24default":
        name = DEFAULT_STAGE
    nameable = bool(name) and (name != DEFAULT_STAGE or via == "path")
    if nameable and (stage := SERVED_STAGES.find(tx, owner.scope, api_id, name)) is not None:
        return stage, slash + rest or "/"
    if owner.kind == "HTTP":
        return SERVED_STAGES.find(tx, owner.scope, api_id, DEFAULT_STAGE), path or "/"
    return None, path
