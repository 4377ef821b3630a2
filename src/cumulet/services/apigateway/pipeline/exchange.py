"""One request on its way through the pipeline: the values that the stages hand to each other."""

import base64
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cumulet.ids import Ids
from cumulet.scope import Scope
from cumulet.services.apigateway.model import ApiOwner, Deployment, Route, Stage
from cumulet.services.apigateway.pipeline.routes import RouteTable
from cumulet.wire.message import Request


@dataclass(frozen=True, slots=True)
class Compiled:
    """A deployment and its route table."""

    deployment: Deployment
    table: RouteTable[Route]
    default_route: Route | None


@dataclass(frozen=True)
class Arrival:
    """A request that has found its API; `stage` and `compiled` are None where there is nothing to answer it."""

    request: Request
    api_id: str
    owner: ApiOwner
    path: str
    """Percent-encoded, behind the stage."""
    domain_name: str
    request_id: str
    extended_request_id: str
    now_ms: int
    trace_id: str
    port: int

    @property
    def scope(self) -> Scope:
        """Where the API's records lie."""
        return self.owner.scope

    @property
    def is_rest(self) -> bool:
        """Whether the API speaks the REST dialect."""
        return self.owner.kind == "REST"

    @cached_property
    def user_agent(self) -> str | None:
        """The client's User-Agent header."""
        return self.request.headers.get("user-agent")


@dataclass(frozen=True, slots=True)
class Authorized:
    """What is known of a caller: the members of requestContext.authorizer, in both payload formats, and $context's."""

    v1: dict[str, Any]
    v2: dict[str, Any]
    variables: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Matched:
    """A request that has found its route."""

    arrival: Arrival
    stage: Stage
    compiled: Compiled
    route: Route
    path_parameters: dict[str, str]
    authorized: Authorized | None = None
    """What the authorizer of an HTTP API's route said; None where nobody was asked."""
    overwritten_path: str | None = None
    """The path that an HTTP API's parameter mapping put in place of the client's, percent-encoded."""
    authorizer: dict[str, Any] | None = None
    """What a REST API's authorizer said, as the request context shows it."""
    usage_key: str | None = None
    """The API key that the authorizer named, for APIs whose key source it is."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the integration returned: the function's payload, and whether the function failed."""

    payload: bytes
    failed: bool


def new_extended_id(ids: Ids) -> str:
    """Return an extended request id in the form that API Gateway uses: base64 of 11 bytes."""
    return base64.b64encode(ids.secret(11)).decode("ascii")


def new_trace_id(ids: Ids, now_ms: int) -> str:
    """Return a trace header's value with a fresh root.

    https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids
    """
    return f"Root=1-{now_ms // 1000:08x}-{ids.secret(12).hex()}"
