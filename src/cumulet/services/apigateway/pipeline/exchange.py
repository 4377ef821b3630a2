"""One request on its way through the pipeline: the values that the stages hand to each other."""

import base64
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import msgspec

from cumulet.ids import Ids
from cumulet.scope import Scope
from cumulet.services.apigateway.model import ApiOwner, Deployment, Route, Stage
from cumulet.services.apigateway.pipeline.routes import RouteTable
from cumulet.services.apigateway.plans import ApiKey, UsagePlan
from cumulet.services.kit import Principal
from cumulet.wire.message import Request


class Compiled(msgspec.Struct, frozen=True):
    """A deployment and its route table."""

    deployment: Deployment
    table: RouteTable[Route]
    default_route: Route | None
    is_rest: bool = True


class Arrival(msgspec.Struct, frozen=True):
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
    """The trace header that clients and functions see."""
    port: int
    """Where the request came in; 0 for one that is only tried."""
    mapped_path: str | None = None
    """The whole path, percent-encoded, of a request that came through a custom domain name."""
    custom_domain: dict[str, str] = {}
    """The variables of logs that tell by which mapping or rule of a custom domain name a request came."""
    is_canary: bool | None = None
    """Whether the stage's canary serves the request; None for a stage without one."""
    segment: str = ""
    """The trace header for backends, where the stage is a segment of the trace."""
    told: dict[str, str] = {}
    """What whoever tries an authorizer says of the request context, by dotted names: it stands over what is so."""

    @property
    def scope(self) -> Scope:
        """Where the API's records lie."""
        return self.owner.scope

    @property
    def domain_prefix(self) -> str:
        """The first label of the domain name: the API's id, unless the name is a custom one."""
        return self.domain_name.partition(".")[0]

    @property
    def is_rest(self) -> bool:
        """Whether the API speaks the REST dialect."""
        return self.owner.kind == "REST"

    @property
    def user_agent(self) -> str | None:
        """The client's User-Agent header."""
        return self.request.headers.get("user-agent")


class Hearing(msgspec.Struct, frozen=True):
    """What an authorizer's function was asked about a request, and what it said."""

    uri: str
    event: dict[str, Any]
    asked_ms: int
    payload: bytes
    said_ms: int
    request_id: str
    """Lambda's own."""


class Authorized(msgspec.Struct, frozen=True):
    """What an API learned of a caller."""

    context: dict[str, Any] = {}
    """requestContext.authorizer, as REST APIs and payload format 1.0 show it."""
    v2: dict[str, Any] = {}
    """The same in format 2.0."""
    variables: dict[str, Any] = {}
    """Variables of $context that an HTTP API has through it, by their dotted names."""
    identity: dict[str, Any] = {}
    """What is known of requestContext.identity besides the address and the user agent."""
    signer: Principal | None = None
    """Who signed the request, if that was asked for: integrations may run with the caller's own permissions."""
    usage_key: str | None = None
    """The API key that the authorizer named, for APIs whose key source it is."""


class Matched(msgspec.Struct, frozen=True):
    """A request that has found its route."""

    arrival: Arrival
    stage: Stage
    compiled: Compiled
    route: Route
    path_parameters: dict[str, str]
    authorized: Authorized | None = None
    """What is known of the caller; None where the route asks nothing."""
    overwritten_path: str | None = None
    """The path that an HTTP API's parameter mapping put in place of the client's, percent-encoded."""
    api_key: ApiKey | None = None
    """The key with which a method that requires one was called."""
    plan: UsagePlan | None = None
    """The usage plan under which the key opens the stage."""


class Result(msgspec.Struct, frozen=True):
    """What the integration returned: the function's payload, and whether the function failed."""

    payload: bytes
    failed: bool
    request_id: str = ""
    """Lambda's own: the one in the function's log."""


class Relayed(msgspec.Struct, frozen=True):
    """An HTTP answer of somebody else's: header names as they came, in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Outbound(msgspec.Struct, frozen=True):
    """A REST API's request as its mapping made it for the backend."""

    body: bytes
    content_type: str
    path: dict[str, str]
    query: dict[str, list[str]]
    headers: dict[str, list[str]]
    """Lower-case names."""
    context: dict[str, Any]
    parameters: dict[str, dict[str, str]]
    """The method's own, for the templates of the answer."""


class Answer(msgspec.Struct, frozen=True):
    """What a backend said, for the mapping of a REST API."""

    subject: str
    """What the selection patterns look at: an error's message, or the status; empty for a function that succeeded."""
    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Streamed(msgspec.Struct, frozen=True):
    """An answer whose body is still coming."""

    head: dict[str, Any] | None
    """What a function said of its answer; None for a server, whose status and headers say it."""
    body: AsyncIterator[bytes]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


Sent: TypeAlias = dict[str, Any] | Outbound | None
"""What goes to a backend: a function's event, a mapped request, or (None) the client's request as it is."""

Said: TypeAlias = Result | Answer | Relayed | Streamed
"""What comes back."""


def new_extended_id(ids: Ids) -> str:
    """Return an extended request id in the form that API Gateway uses: base64 of 11 bytes, in the alphabet of URLs.

    As in terraform-aws-modules/terraform-aws-apigateway-v2#87: fQke_hDCDoEEMpw=.
    """
    return base64.urlsafe_b64encode(ids.secret(11)).decode("ascii")


def new_segment(ids: Ids, now_ms: int, trace_id: str) -> str:
    """Return the trace header of a segment of its own in the trace that a request belongs to.

    Who decided earlier whether the trace is sampled is right; otherwise each is, where AWS takes one in twenty.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-enabling-xray.html
    """
    fields = dict(part.strip().partition("=")[::2] for part in trace_id.split(";"))
    root = fields.get("Root") or new_trace_id(ids, now_ms).removeprefix("Root=")
    return f"Root={root};Parent={ids.secret(8).hex()};Sampled={'0' if fields.get('Sampled') == '0' else '1'}"


def new_trace_id(ids: Ids, now_ms: int) -> str:
    """Return a trace header's value with a fresh root.

    https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids
    """
    return f"Root=1-{now_ms // 1000:08x}-{ids.secret(12).hex()}"
