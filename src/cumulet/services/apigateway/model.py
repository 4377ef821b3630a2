"""What both dialects share: the owner of an API, its stages, and its deployments.

A deployment is an immutable snapshot that a stage points to. The control planes write these
records from their own REST or HTTP records; the pipeline reads nothing else.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from cumulet.errors import InvariantViolated
from cumulet.ids import Ids
from cumulet.scope import SYSTEM, Scope
from cumulet.store.api import ReadTx, WriteTx
from cumulet.store.keyspace import API_DEPLOYMENT, API_OWNER, API_STAGE
from cumulet.store.records import Records

Kind = Literal["REST", "HTTP"]
PayloadFormat = Literal["rest", "1.0", "2.0"]
AuthorizerKind = Literal["JWT", "TOKEN", "REQUEST", "COGNITO_USER_POOLS"]
AuthorizationKind = Literal["JWT", "CUSTOM", "AWS_IAM", "COGNITO_USER_POOLS"]
IntegrationKind = Literal["AWS_PROXY", "AWS", "HTTP", "HTTP_PROXY", "MOCK"]

CALLER = "arn:aws:iam::*:user/*"
"""As credentials of an integration: those of whoever signed the request."""

ANY = "ANY"
DEFAULT_ROUTE = "$default"
DEFAULT_STAGE = "$default"

METHODS = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", ANY))


class ApiOwner(msgspec.Struct, frozen=True):
    """Whose an API is: found by its id alone, as host names are."""

    account: str
    region: str
    kind: Kind

    @property
    def scope(self) -> Scope:
        """The scope that holds the API's records."""
        return Scope(self.account, self.region)


class Cors(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """The CorsConfiguration of an HTTP API, in AWS's own member names."""

    allow_credentials: bool | UnsetType = UNSET
    allow_headers: list[str] | UnsetType = UNSET
    allow_methods: list[str] | UnsetType = UNSET
    allow_origins: list[str] | UnsetType = UNSET
    expose_headers: list[str] | UnsetType = UNSET
    max_age: int | UnsetType = UNSET


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an answer of a backend becomes the method's: AWS's integration response."""

    status: int
    pattern: str = ""
    """Matches an error's message or the backend's status; the one without a pattern takes the rest."""
    parameters: dict[str, str] = {}
    templates: dict[str, str] = {}
    content_handling: str = ""
    media_types: tuple[str, ...] = ()
    """Of the models of the method's response."""


class Mapping(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a REST API maps on the way to a backend that is no proxy, and on the way back."""

    request_parameters: dict[str, str] = {}
    request_templates: dict[str, str] = {}
    passthrough: str = "WHEN_NO_MATCH"
    content_handling: str = ""
    replies: list[Reply] = []


class Parameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """The parameter mapping of an HTTP API's integration: of requests, and of answers by status code."""

    request: dict[str, str] = {}
    response: dict[str, dict[str, str]] = {}


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """The backend of a route, as its integration names it: `uri` may still hold stage variables."""

    uri: str
    payload_format: PayloadFormat
    timeout_ms: int
    http_method: str = "POST"
    credentials: str | None = None
    kind: IntegrationKind = "AWS_PROXY"
    mapping: Mapping | None = None
    """None for Lambda proxies."""
    parameters: Parameters | None = None
    streams: bool = False
    """Whether a REST API's answers go to the client as they come."""
    insecure: bool = False
    """Whether a REST API's server may have any certificate."""
    invoke_parameters: dict[str, str] = {}
    """What a REST API's Lambda proxy maps to headers of Lambda's Invoke; other integrations have it in `mapping`."""


class ClaimRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a REST API's JWT authorizer wants of one claim, which is a single text."""

    name: str
    required: bool = False
    values: tuple[str, ...] = ()


class Issuer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An issuer whose tokens an authorizer takes."""

    url: str
    audiences: tuple[str, ...] = ()
    """None means any."""
    claims: tuple[ClaimRule, ...] = ()
    keys_url: str = ""
    """Where its keys are, if that is known without asking its discovery endpoint."""


class Authorizer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is asked about the callers of an API's routes: an issuer's keys, or a function."""

    authorizer_id: str
    kind: AuthorizerKind
    name: str = ""
    """Of an HTTP API's, for exports of what was deployed."""
    identity_sources: tuple[str, ...] = ()
    """As the API's dialect writes them: $request.header.x or method.request.header.x."""
    issuer: str = ""
    audience: tuple[str, ...] = ()
    uri: str = ""
    credentials: str | None = None
    payload_format: Literal["1.0", "2.0"] = "2.0"
    """Of an HTTP API's function; those of REST APIs have events of their own."""
    simple: bool = False
    validation: str = ""
    """A regular expression that a REST API's token must match before anybody is asked."""
    issuers: tuple[Issuer, ...] = ()
    """Of a REST API's JWT authorizer; an HTTP API's has `issuer` and `audience`."""
    algorithms: tuple[str, ...] = ()
    user_pools: tuple[str, ...] = ()
    """The ARNs of the user pools whose tokens a REST API takes."""
    ttl_s: int = 0


class RouteAuthorization(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a route asks of a request; without an authorizer that it needs, it lets nobody in."""

    kind: AuthorizationKind
    authorizer: Authorizer | None = None
    scopes: tuple[str, ...] = ()


ANY_TYPE = "$default"
"""The media type of a REST API's model for bodies of whatever type no other model of the method is for.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-method-request-validation.html
"""


class RestValidation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a REST API's method checks before its integration sees a request."""

    parameters: list[str] = []
    """The required ones, as the method names them: method.request.querystring.x."""
    schemas: dict[str, str] = {}
    """JSON Schema texts by media type; empty if bodies are not checked."""


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """One method of one path. `path` is empty for the $default route of an HTTP API."""

    method: str
    path: str
    key: str
    """The route key of an HTTP API; of a REST API the method as it is declared (GET, ANY)."""
    target: Target
    resource_id: str = ""
    authorization: RouteAuthorization | None = msgspec.field(default=None, name="http_authorization")
    rest_authorizer: Authorizer | None = None
    """Where deployments of REST APIs had it before `authorization` was for both."""
    rest_validation: RestValidation | None = None
    api_key_required: bool = False
    cache_namespace: str = ""
    cache_key_parameters: tuple[str, ...] = ()
    """Whose values tell the cached answers of a REST API's method apart: method.request.querystring.x."""
    operation_name: str = ""
    """Of an HTTP API's route, for exports of what was deployed."""


class GatewayResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a REST API's owner wants a refusal of one type said."""

    status: int | None = None
    parameters: dict[str, str] = {}
    templates: dict[str, str] = {}


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an API was when it was deployed. Never changed, but for its description."""

    deployment_id: str
    created_s: int
    routes: list[Route]
    description: str | None = None
    auto_deployed: bool = False
    binary_media_types: list[str] = []
    compress_from: int | None = None
    """How large an answer of a REST API must be to be compressed; None if none is."""
    cors: Cors | None = None
    policy: str | None = None
    """A REST API's own resource policy (JSON)."""
    gateway_responses: dict[str, GatewayResponse] = {}
    """By response type, of a REST API."""
    default_endpoint_disabled: bool = False
    """Only custom domain names lead to the API."""
    key_from_authorizer: bool = False
    """Whether a REST API's authorizer says which API key a request has, rather than the request itself."""


class RouteSettings(msgspec.Struct, frozen=True, rename="pascal"):
    """The settings of a stage of an HTTP API, for one route or for all."""

    detailed_metrics_enabled: bool = False
    throttling_burst_limit: int | UnsetType = UNSET
    throttling_rate_limit: float | UnsetType = UNSET


class MethodSettings(msgspec.Struct, frozen=True, rename="camel"):
    """The settings of a stage of a REST API, for one method or for all."""

    metrics_enabled: bool = False
    data_trace_enabled: bool = False
    throttling_burst_limit: int = 5_000
    throttling_rate_limit: float = 10_000.0
    caching_enabled: bool = False
    cache_ttl_in_seconds: int = 300
    cache_data_encrypted: bool = False
    require_authorization_for_cache_control: bool = True
    unauthorized_cache_control_header_strategy: str = "SUCCEED_WITH_RESPONSE_HEADER"
    logging_level: str | UnsetType = UNSET


class Canary(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a stage's requests that go to another deployment."""

    percent_traffic: float
    deployment_id: str
    stage_variable_overrides: dict[str, str] = {}
    use_stage_cache: bool = False


class AccessLog(msgspec.Struct, frozen=True, rename="pascal"):
    """Where the access log of a stage goes, and how its lines look."""

    destination_arn: str
    format: str


class Stage(msgspec.Struct, omit_defaults=True):
    """A name under which a deployment answers."""

    name: str
    created_s: int
    updated_s: int
    deployment_id: str | None = None
    description: str | None = None
    variables: dict[str, str] = {}
    tags: dict[str, str] = {}
    auto_deploy: bool = False
    default_route_settings: RouteSettings | None = None
    route_settings: dict[str, RouteSettings] = {}
    access_log: AccessLog | None = None
    authorizers_reset_s: int = 0
    """When what the authorizers had said was last to be forgotten."""
    method_settings: dict[str, MethodSettings] = {}
    """Of a REST API, by the paths of patches: `~1pets/GET`, or `*/*` for the methods that have none of their own."""
    canary: Canary | None = None
    cache_size: str | None = None
    """Of a cache cluster, in GB; a size without a cluster is kept as well."""
    cache_enabled: bool = False
    cache_flushed_ms: int = 0
    """When what was cached was last to be forgotten."""
    client_certificate_id: str | None = None
    documentation_version: str | None = None
    """Of a REST API: which version of its documentation describes the stage."""
    managed: bool = False
    """Made by quick create: AWS's ApiGatewayManaged."""
    tracing: bool = False
    """Whether a REST API's requests belong to traces of X-Ray."""


ALL_METHODS = "*/*"
DEFAULT_METHOD_SETTINGS = MethodSettings()


def own_settings(stage: Stage, route: Route) -> MethodSettings | None:
    """Return what a stage of a REST API has set for this very method, or None."""
    path, settings = route.path.replace("/", "~1"), stage.method_settings
    # AWS takes a resource's path with its first slash or without it, and with its other slashes as they are:
    # Terraform's aws_api_gateway_method_settings writes it so.
    return (
        settings.get(f"{path}/{route.key}")
        or settings.get(f"{path[2:]}/{route.key}")
        or settings.get(f"{route.path[1:]}/{route.key}")
    )


def method_settings(stage: Stage, route: Route) -> MethodSettings:
    """Return the settings that hold for a method of a REST API."""
    if not stage.method_settings:
        return DEFAULT_METHOD_SETTINGS
    return own_settings(stage, route) or stage.method_settings.get(ALL_METHODS, DEFAULT_METHOD_SETTINGS)


OWNERS = Records(API_OWNER, ApiOwner, cached=1024)
DEPLOYMENTS = Records(API_DEPLOYMENT, Deployment)
STAGES = Records(API_STAGE, Stage)
SERVED_STAGES = Records(API_STAGE, Stage, cached=1024)
"""The same records for requests, which change none of them."""


def claim_api_id(tx: WriteTx, ids: Ids, scope: Scope, kind: Kind) -> str:
    """Return a new API id (10 characters, as on AWS) that now belongs to `scope`."""
    for _ in range(10):
        api_id = ids.token(10)
        if OWNERS.find(tx, SYSTEM, api_id) is None:
            OWNERS.save(tx, SYSTEM, api_id, record=ApiOwner(scope.account, scope.region, kind))
            return api_id
    raise InvariantViolated("ten fresh API ids were all taken")


def delete_shared(tx: WriteTx, scope: Scope, api_id: str) -> None:
    """Remove an API's owner record, stages and deployments."""
    OWNERS.delete(tx, SYSTEM, api_id)
    STAGES.delete_all(tx, scope, api_id)
    DEPLOYMENTS.delete_all(tx, scope, api_id)


def stages_on(tx: ReadTx, scope: Scope, api_id: str, deployment_id: str) -> list[Stage]:
    """Return the stages that point to a deployment, or whose canary does."""
    return [
        stage
        for stage in STAGES.scan(tx, scope, api_id)
        if stage.deployment_id == deployment_id
        or (stage.canary is not None and stage.canary.deployment_id == deployment_id)
    ]
