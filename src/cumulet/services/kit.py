"""What every service is made of: operations, the call they get, and the seams between services.

An operation is one function. How it takes its transaction says what it is:

    @operation("DescribeTable", resource=table_arn, params="TableName")
    def describe_table(call: Call, tx: ReadTx, params: Params) -> Output: ...      # runs in store.read

    @operation("PutItem", resource=table_arn, params="TableName Item ...")
    def put_item(call: Call, tx: WriteTx, params: Params) -> Output: ...           # runs in store.write

    @operation("Invoke", action="lambda:InvokeFunction", resource=function_arn, params="...")
    async def invoke(call: Call, plane: LambdaPlane, params: Params) -> Output: ...  # no transaction open

`params` names the members of the modelled input that are honoured; a request with any other is refused by its name, and
docs/operations.md lists it as missing. Params and outputs have the shapes of botocore's model, with Python values
(bytes for blobs; timestamps are epoch seconds as int or float in params, and the same or a datetime in outputs), except
for services whose wire JSON is their value form (DynamoDB), where they are the JSON itself.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec

from cumulet.clock import Clock
from cumulet.errors import NotImplementedHere
from cumulet.ids import Ids
from cumulet.scope import Scope
from cumulet.settings import Settings
from cumulet.store.api import ReadTx, Store, WriteTx
from cumulet.store.leases import Lease, LeaseRecord

T = TypeVar("T")
Params: TypeAlias = Mapping[str, Any]
Output: TypeAlias = Mapping[str, Any]
ConditionValues: TypeAlias = Mapping[str, str | Sequence[str]]

PrincipalKind = Literal["root", "user", "role", "service", "anonymous"]


class Principal(msgspec.Struct, frozen=True):
    """Who calls, as far as it has been proved."""

    kind: PrincipalKind
    account: str
    """Empty for service principals and anonymous callers."""
    arn: str
    """For a role session the session's ARN (arn:aws:sts::...:assumed-role/...); for a service its host name."""
    unique_id: str = ""
    """As aws:userid has it: the account for root, AROA...:session for a role session."""
    name: str = ""
    """The role's or user's name; empty otherwise."""
    session_policies: tuple[str, ...] = ()
    """Policy documents (JSON) that narrow a session."""
    source_arn: str = ""
    """For a service principal: on behalf of which resource it calls (aws:SourceArn)."""
    source_account: str = ""
    access_key_id: str = ""
    issued_ms: int = 0
    """When a session's credentials were issued (aws:TokenIssueTime); 0 for what is no session."""
    function_arn: str = ""
    """Of a session of a function's role: the function (lambda:SourceFunctionArn)."""
    through_services: tuple[str, ...] = ()
    """The services that call on the caller's behalf and with its permissions, the first one first (aws:CalledVia)."""

    def through(self, host_name: str) -> "Principal":
        """Return this caller for what a service calls on its behalf, e.g. "cloudformation.amazonaws.com"."""
        return msgspec.structs.replace(self, through_services=(*self.through_services, host_name))

    @staticmethod
    def root(account: str, access_key_id: str = "") -> "Principal":
        """Return the account's root."""
        return Principal("root", account, f"arn:aws:iam::{account}:root", account, access_key_id=access_key_id)

    @staticmethod
    def service(host_name: str, *, source_arn: str = "", source_account: str = "") -> "Principal":
        """Return an AWS service that calls on behalf of a resource, e.g. "apigateway.amazonaws.com"."""
        return Principal("service", "", host_name, source_arn=source_arn, source_account=source_account)

    @staticmethod
    def anonymous() -> "Principal":
        """Return the caller who signed nothing."""
        return Principal("anonymous", "", "anonymous")


class Call(msgspec.Struct, frozen=True):
    """The circumstances of one operation: the only source of identity, time and chance for its body."""

    scope: Scope
    principal: Principal
    request_id: str
    now_ms: int
    ids: Ids
    source_ip: str = "127.0.0.1"
    user_agent: str = ""
    secure: bool = False
    trace_header: str = ""
    """X-Amzn-Trace-Id, as it came."""
    plane: Any = None
    """The live part of the operation's service, for what bodies ask beside the store: whether capacity is left, which
    items a transaction holds. Bodies may run twice, and nothing that is told the plane may matter twice."""


Resource: TypeAlias = (
    Callable[[Call, Params], str | Sequence[str]] | Callable[[ReadTx, Call, Params], str | Sequence[str]] | Literal["*"]
)
"""What an operation acts on. A function with a transaction is for ARNs that only records tell (the path of a role)."""
Conditions: TypeAlias = Callable[[Call, Params], ConditionValues] | Callable[[ReadTx, Call, Params], ConditionValues]
"""Condition keys of a request. A function with a transaction is for those that only records tell (which attribute is
the key)."""


class Ruling(NamedTuple):
    """What IAM says of a call."""

    allowed: bool
    denial: str = ""
    """Why it is not allowed, in AWS's words; services may have words of their own."""
    explicit: bool = False
    """Denied by a statement, rather than for want of one that allows."""


ResourceTags: TypeAlias = Callable[[], Mapping[str, str]]
"""Looks up the tags of the resource that a call acts on, if a policy asks for them."""


RequestKeys: TypeAlias = Callable[[], ConditionValues]
"""Looks up the condition keys that a request itself tells, if a policy asks for any."""


class Demand(NamedTuple):
    """One permission that an operation needs."""

    action: str
    resource: str
    conditions: RequestKeys


Demands: TypeAlias = Callable[[ReadTx, Call, Params], Sequence[Demand]]
"""The permissions of an operation that needs several: TransactWriteItems needs PutItem on one table and DeleteItem on
another, and has no action of its own."""
Body: TypeAlias = Callable[..., Any]
OperationKind = Literal["read", "write", "plane"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as its service declares it."""

    name: str
    body: Body
    kind: OperationKind
    resource: Resource
    params: frozenset[str]
    action: str | None = None
    """The IAM action where it is not `prefix:Name`."""
    resource_policy: Callable[[ReadTx, Call, Params], str | None] | None = None
    """Returns the resource's own policy (JSON), which can allow callers that identity policies do not."""
    conditions: Conditions | None = None
    """Returns the service's own condition keys, e.g. dynamodb:LeadingKeys."""
    demands: Demands | None = None
    """Returns the permissions that are needed, in place of one action on the resources."""
    open_to_all: bool = False
    """Needs no permission at all, as AWS has it for sts:GetCallerIdentity."""
    missing: str = ""
    """What is not built, in words, for docs/operations.md; empty when only `params` tells."""

    resource_reads: bool = False
    """Whether `resource` takes a transaction."""
    conditions_read: bool = False
    """Whether `conditions` takes a transaction."""
    at_home: bool = False
    """Whether all that it acts on is the caller's account's own, with no policy of its own, whatever a request says."""

    def __call__(self, *args: Any) -> Any:
        return self.body(*args)

    def resources(self, tx: ReadTx, call: Call, params: Params) -> Sequence[str]:
        """Return the ARNs that the operation acts on; "*" where AWS has no resource-level permissions."""
        if self.resource == "*":
            return ("*",)
        resource: Callable[..., str | Sequence[str]] = self.resource
        return as_list(resource(tx, call, params) if self.resource_reads else resource(call, params))

    def condition_values(self, tx: ReadTx, call: Call, params: Params) -> ConditionValues:
        """Return the service's own condition keys for a request."""
        if self.conditions is None:
            return {}
        conditions: Callable[..., ConditionValues] = self.conditions
        return conditions(tx, call, params) if self.conditions_read else conditions(call, params)


def operation(
    name: str,
    *,
    resource: Resource,
    params: str = "",
    action: str | None = None,
    resource_policy: Callable[[ReadTx, Call, Params], str | None] | None = None,
    conditions: Conditions | None = None,
    demands: Demands | None = None,
    open_to_all: bool = False,
    missing: str = "",
) -> Callable[[Body], Operation]:
    """Declare the function below as the operation `name`. See the module's docstring."""

    def declare(body: Body) -> Operation:
        return Operation(
            name=name,
            body=body,
            kind=_kind_of(body),
            resource=resource,
            params=frozenset(params.split()),
            action=action,
            resource_policy=resource_policy,
            conditions=conditions,
            demands=demands,
            open_to_all=open_to_all,
            missing=missing,
            resource_reads=callable(resource) and len(inspect.signature(resource).parameters) == 3,
            conditions_read=callable(conditions) and len(inspect.signature(conditions).parameters) == 3,
            at_home=resource_policy is None and not any(map(_takes_arn, params.split())),
        )

    return declare


def _takes_arn(member: str) -> bool:
    # Table names, log groups and functions may be ARNs as well: these the services themselves refuse or have policies.
    return member.lower().endswith("arn") or member == "StackName"


def _kind_of(body: Body) -> OperationKind:
    if inspect.iscoroutinefunction(body):
        return "plane"
    annotation = body.__annotations__.get("tx")
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if kind == "ReadTx":
        return "read"
    if kind == "WriteTx":
        return "write"
    raise TypeError(f"{body.__qualname__} is async, or takes a `tx` annotated as ReadTx or WriteTx")


class Plane(Protocol):
    """The live part of a service, beside its records: what its async operations work with."""

    async def start(self) -> None:
        """Begin background work. Called once, before the first request."""
        ...

    async def stop(self) -> None:
        """Finish what is under way and leave nothing behind."""
        ...


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The error with which a service asks its clients to try again, for when the store cannot be reached.

    The default is what AWS has for services without one of their own.
    https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
    """

    code: str = "ServiceUnavailable"
    status: int = 503
    message: str = "The request has failed due to a temporary failure of the server."


@dataclass(frozen=True, slots=True)
class Service:
    """One AWS service: its name as botocore's model folder has it, and its operations."""

    name: str
    operations: Mapping[str, Operation]
    iam_prefix: str
    denied_code: str = "AccessDeniedException"
    """The error that a denied caller gets; the Query and S3 protocols say AccessDenied."""
    denied_status: int = 403
    unavailable: Unavailable = Unavailable()
    is_global: bool = False
    """Its records lie in the account's global scope, whatever region the request names (IAM)."""
    plane: Any = None
    policy_of: Callable[[ReadTx, Call, str], str | None] | None = None
    """Returns the policy (JSON) of the resource with this ARN, where any of the service's resources can have one. It is
    not asked for the account's own root, so that a request of the root costs nothing more."""
    tags_of: Callable[[ReadTx, Call, str], Mapping[str, str]] | None = None
    """Returns the tags of the resource with this ARN, for policies that ask for them (aws:ResourceTag)."""

    def operation(self, name: str) -> Operation:
        """Return an operation. Raises NotImplementedHere for one that is modelled but not built."""
        found = self.operations.get(name)
        if found is None:
            raise NotImplementedHere(f"{self.iam_prefix}:{name}")
        return found

    def action_of(self, operation: Operation) -> str:
        """Return the IAM action of an operation."""
        return operation.action or f"{self.iam_prefix}:{operation.name}"


def collect(*modules: ModuleType) -> dict[str, Operation]:
    """Return every operation declared in these modules, by name. Raises ValueError if two have one name."""
    found: dict[str, Operation] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Operation) and found.setdefault(value.name, value) is not value:
                raise ValueError(f"two functions declare the operation {value.name}")
    return found


class Operations(Protocol):
    """How one service calls another: as an operation under a principal, so that IAM sees it."""

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
        """Return the operation's output. Raises the ServiceError that a client would get, AccessDenied included.

        Who tells the request's id to others gives one; else it has one of its own.
        Background work gives the lease that it holds: once that is lost it raises LeaseLost, and nothing happens.
        """
        ...

    async def authorize(
        self, call: Call, action: str, resource: str, conditions: ConditionValues | None = None, service: str = "iam"
    ) -> None:
        """Raise the service's AccessDenied error unless the caller may do `action` on `resource` (iam:PassRole)."""
        ...

    async def decide(
        self, call: Call, action: str, resource: str, conditions: ConditionValues, resource_policy: str | None
    ) -> Ruling:
        """Return whether the caller may do `action` on `resource`: `authorize` for a service with words of its own."""
        ...


class Authorizer(Protocol):
    """What the IAM service does for all others. Reads its records in the transaction that it is given."""

    def decide(
        self, tx: ReadTx, call: Call, demand: Demand, resource_policy: str | None, resource_tags: ResourceTags | None
    ) -> Ruling:
        """Return whether the caller may do what is demanded.

        Without `resource_tags` whatever depends on a tag of the resource counts against the caller.
        """
        ...


@dataclass(frozen=True, slots=True)
class Loop:
    """Background work that one node at a time does, round after round. `workers.py` says how."""

    name: str
    """Of its lease, the same on every node; `cumulet status` shows it."""
    round: Callable[[Lease], Awaitable[float | None]]
    """Does what there is to do and returns in how many seconds to come again, or None for `every_s`."""
    every_s: float
    """By the clock that can be moved."""
    topic: str | None = None
    """What hints at work. A hint may be lost, so rounds come anyway."""


class Workers(Protocol):
    """How services run what no request waits for. `workers.py` says how; it is also the one implementation."""

    def run(self, loop: Loop) -> None:
        """Do a loop's work whenever this node holds its lease, until the server stops."""
        ...

    async def take(self, name: str) -> Lease | None:
        """Return a lease that was free, or None."""
        ...

    def take_within(self, tx: WriteTx, name: str) -> LeaseRecord | None:
        """Take a free lease as a part of a transaction; None if it is not free. `adopt` what comes of it."""
        ...

    def adopt(self, record: LeaseRecord) -> Lease:
        """Return the lease that a committed transaction has taken."""
        ...

    async def perform(self, lease: Lease, body: Callable[[Lease], Awaitable[T]]) -> T:
        """Return what `body(lease)` returns, and give the lease back. Raises LeaseLost if it is lost meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What a service stands on. Each service package has `build(ground) -> Service`; `app.py` calls it."""

    store: Store
    clock: Clock
    ids: Ids
    settings: Settings
    operations: Operations
    workers: Workers


Build: TypeAlias = Callable[[Ground], Service]


def as_list(resources: str | Sequence[str]) -> Sequence[str]:
    """Return the resources of an operation as a sequence, whichever form its declaration gave."""
    return (resources,) if isinstance(resources, str) else resources


def unsupported(params: Params, supported: frozenset[str]) -> list[str]:
    """Return the names of given members that are not supported, sorted. None and absent are the same."""
    if params.keys() <= supported:
        return []
    return sorted(name for name, value in params.items() if value is not None and name not in supported)
