"""What Lambda's two planes share: the function as the control plane records it, and an invocation and its result.

The execution plane reads a `FunctionRecord` at each invocation and never writes one. An environment belongs to one
`revision_id`: when a function changes, its environments are stale and get no more work. The hint FUNCTION_CHANGED
makes them go at once; without it they go when they have been idle for long.
"""

from typing import Any, Literal, Protocol

import msgspec

from cumulet.scope import Scope
from cumulet.store.api import ReadTx
from cumulet.store.keyspace import (
    LAMBDA_ALIAS,
    LAMBDA_ALLOTMENT,
    LAMBDA_CODE_SIGNING,
    LAMBDA_EVENT,
    LAMBDA_EVENT_BY_TIME,
    LAMBDA_EVENT_CONFIG,
    LAMBDA_FUNCTION,
    LAMBDA_LAYER,
    LAMBDA_LAYER_NUMBER,
    LAMBDA_POLICY,
    LAMBDA_READINESS,
    LAMBDA_RESERVED,
    LAMBDA_SHARE,
    LAMBDA_URL,
    LAMBDA_URL_OWNER,
    LAMBDA_VERSION,
    LAMBDA_VERSION_NUMBER,
)
from cumulet.store.records import Records


class LayerUse(msgspec.Struct, frozen=True):
    """A layer version beneath a function."""

    arn: str
    code_size: int
    unzipped_size: int
    code_blob: str


class ImageUse(msgspec.Struct, frozen=True, kw_only=True):
    """A container image as a version has it: the one that its name stood for when it was deployed."""

    uri: str
    """As it was given."""
    resolved_uri: str
    """With the digest instead of the tag."""
    digest: str
    """Of its manifest, in hexadecimal: what names its files here."""
    image_id: str
    """By which container engines know it, whatever its name stands for meanwhile."""
    size: int
    architecture: str
    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_directory: str = "/"
    environment: dict[str, str] = {}


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a function has instead of what its image says; empty: as the image says."""

    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_directory: str = ""


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a function: its code and its configuration. Immutable."""

    function_name: str
    version: str = "$LATEST"
    arn: str
    """Unqualified: arn:aws:lambda:region:account:function:name."""
    revision_id: str
    runtime: str
    handler: str
    role: str
    code_sha256: str
    """Base64, as CodeSha256 has it."""
    code_size: int
    code_blob: str = ""
    """The blob digest of the zip archive; an image has none."""
    description: str = ""
    timeout_s: int = 3
    memory_mb: int = 128
    ephemeral_storage_mb: int = 512
    environment: dict[str, str] = {}
    architectures: tuple[str, ...] = ("x86_64",)
    tracing_mode: str = "PassThrough"
    log_group: str = ""
    """Empty: /aws/lambda/<function name>."""
    log_format: str = "Text"
    application_log_level: str = ""
    """Empty for the text format, which has no levels; likewise the next."""
    system_log_level: str = ""
    last_modified_ms: int
    layers: tuple[LayerUse, ...] = ()
    """From the lowest to the one that covers all others."""
    unzipped_size: int = 0
    """Of the function's own code."""
    image: ImageUse | None = None
    """Of the package type Image, whose functions have neither runtime nor handler nor layers."""
    image_config: ImageConfig = ImageConfig()
    snap_start: bool = False
    """Whether published versions are initialised once before they can be invoked, and restored from then on."""
    state: str = ""
    """Of a published version, or one made of an image, that is not Active: Pending or Failed. With its reason."""
    state_reason: str = ""
    state_reason_code: str = ""
    per_tenant: bool = False
    """Whether each tenant has environments of its own."""
    runtime_version_arn: str = ""
    """Of the version of its runtime on which alone it runs; empty: whichever there is."""
    latest_description: str | None = None
    """Of a published version: what described $LATEST at that time, since PublishVersion can give words of its own."""


class Provisioned(msgspec.Struct, frozen=True, kw_only=True):
    """How many environments of a version or an alias are kept ready."""

    requested: int
    changed_ms: int
    stamp: str
    """Another one for each request: what failed under an earlier one may be tried again."""


class FunctionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A function: its unpublished version, its resource policy and its tags."""

    latest: VersionRecord
    policy: str | None = None
    """The resource policy as a JSON document, None if there are no permissions."""
    policy_revision_id: str = ""
    tags: dict[str, str] = {}
    code_url_secret: bytes
    """Signs the URLs under which GetFunction offers the code."""
    reserved_concurrency: int | None = None
    """How many of its invocations run at once; None: as many as the account has left."""
    provisioned: dict[str, Provisioned] = {}
    """By version or alias."""
    recursive_loop: str = "Terminate"
    """What becomes of invocations in which it calls itself again and again: Allow or Terminate."""
    runtime_updates: dict[str, str] = {}
    """By version when its runtime is updated, where that is neither Auto nor Manual (`runtime_version_arn`)."""
    code_signing_arn: str = ""
    """Of the code signing configuration that its deployments are held against."""


STATE_FIELDS = ("state", "state_reason", "state_reason_code")
"""Of a VersionRecord: what changes of a published version."""

FUNCTIONS = Records(LAMBDA_FUNCTION, FunctionRecord, cached=1024)
"""Every invocation reads one, hence the cache."""


class AliasRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A name for a version, or for two of them between which invocations are divided."""

    function_name: str
    name: str
    version: str
    description: str = ""
    weights: dict[str, float] = {}
    """What share of the invocations goes to another version; at most one."""
    revision_id: str


class PolicyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The resource policy of a version or an alias. The function's own is in its FunctionRecord."""

    policy: str
    revision_id: str


class VersionNumber(msgspec.Struct, frozen=True, kw_only=True):
    """The last number given to a version of a function of this name."""

    number: int


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """What an account's functions in a region have reserved or provisioned together."""

    total: int


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """That something of a function is to be ready before it is invoked: what nodes look for."""

    account: str
    region: str
    function_name: str
    is_provisioned: bool = False
    """Whether environments are to be kept ready."""
    snapshots: tuple[str, ...] = ()
    """The versions that are to be initialised for the first time; $LATEST if its image is to be unpacked."""


class Allotment(msgspec.Struct, frozen=True, kw_only=True):
    """What one node keeps ready of a version."""

    account: str
    region: str
    function_name: str
    version: str
    slot: str
    """Which of the nodes it is, as `standing` has it."""
    epoch: int
    ready: int
    stamp: str = ""
    """Of the requests under which it failed; empty if it has not."""
    reason: str = ""


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """How a limit on what runs at once is divided among the processes that run functions."""

    holdings: dict[str, int] = {}
    """By process, what it may run of it without asking."""
    wanted: bool = False
    """Whether somebody has asked and got nothing: what is not in use is to be given back."""


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An asynchronous invocation that was accepted and is not done."""

    account: str
    region: str
    function_name: str
    qualifier: str | None
    request_id: str
    payload: bytes
    accepted_ms: int
    due_ms: int
    failures: int = 0
    refusals: int = 0
    trace_header: str = ""
    """Of the request that asked for it."""
    tenant_id: str = ""


class EventConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How the asynchronous invocations of one qualifier are retried. None: as AWS does by default."""

    qualifier: str
    retries_max: int | None = None
    age_s_max: int | None = None
    on_success: str = ""
    on_failure: str = ""
    changed_ms: int


class UrlConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An address of a function or an alias."""

    url_id: str
    qualifier: str
    """The alias; empty for the function itself."""
    auth_type: str
    cors: dict[str, Any] | None = None
    """As the API has it."""
    invoke_mode: str = "BUFFERED"
    created_ms: int
    changed_ms: int


class UrlOwner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose address it is."""

    account: str
    region: str
    function_name: str
    qualifier: str | None


class CodeSigning(msgspec.Struct, frozen=True, kw_only=True):
    """A code signing configuration."""

    config_id: str
    arn: str
    description: str = ""
    publishers: tuple[str, ...]
    """ARNs of the signing profile versions whose signatures are trusted."""
    tags: dict[str, str] = {}
    changed_ms: int


class LayerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a layer. Its policy alone changes."""

    name: str
    version: int
    arn: str
    description: str
    license_info: str | None
    runtimes: tuple[str, ...]
    architectures: tuple[str, ...]
    code_blob: str
    code_sha256: str
    code_size: int
    code_url_secret: bytes
    unzipped_size: int = 0
    created_ms: int
    policy: str | None = None
    policy_revision_id: str = ""


LAYERS = Records(LAMBDA_LAYER, LayerRecord, cached=256)
LAYER_NUMBERS = Records(LAMBDA_LAYER_NUMBER, VersionNumber)
URLS = Records(LAMBDA_URL, UrlConfig, cached=256)
URL_OWNERS = Records(LAMBDA_URL_OWNER, UrlOwner, cached=256)
READINESS = Records(LAMBDA_READINESS, Readiness)
ALLOTMENTS = Records(LAMBDA_ALLOTMENT, Allotment)
SHARES = Records(LAMBDA_SHARE, Shares)
EVENTS = Records(LAMBDA_EVENT, EventRecord)
EVENTS_BY_TIME = Records(LAMBDA_EVENT_BY_TIME, EventRecord)
"""As versions before queues by function had them."""
CODE_SIGNINGS = Records(LAMBDA_CODE_SIGNING, CodeSigning)
EVENT_CONFIGS = Records(LAMBDA_EVENT_CONFIG, EventConfig, cached=256)
VERSIONS = Records(LAMBDA_VERSION, VersionRecord, cached=1024)
"""The published ones, by number."""
ALIASES = Records(LAMBDA_ALIAS, AliasRecord, cached=1024)
POLICIES = Records(LAMBDA_POLICY, PolicyRecord, cached=256)
RESERVED = Records(LAMBDA_RESERVED, Reserved, cached=64)
VERSION_NUMBERS = Records(LAMBDA_VERSION_NUMBER, VersionNumber)

LATEST = "$LATEST"

_VERSION_DIGITS_MAX = 15
"""Longer than any number that was ever given."""


def reserved_total(tx: ReadTx, scope: Scope) -> int:
    """Return how much concurrency the functions of a scope have reserved."""
    reserved = RESERVED.find(tx, scope)
    return 0 if reserved is None else reserved.total


def find_version(tx: ReadTx, scope: Scope, function_name: str, version: str) -> VersionRecord | None:
    """Return a version by what it is called: $LATEST or its number."""
    if version == LATEST:
        function = FUNCTIONS.find(tx, scope, function_name)
        return None if function is None else function.latest
    if not version.isdigit() or version[0] == "0" or len(version) > _VERSION_DIGITS_MAX:
        return None
    return VERSIONS.find(tx, scope, function_name, int(version))


FUNCTION_CHANGED = "lambda:function-changed"
"""The topic of the store's hint about a function that was updated or deleted."""

SHARES_WANTED = "lambda:shares-wanted"
SHARES_FREED = "lambda:shares-freed"
"""The topics of the hints that somebody wants what others may have left of a limit, and that something is left."""

FunctionErrorKind = Literal["Handled", "Unhandled"]


class Reader(Protocol):
    """Whatever an answer is read from."""

    def pause(self) -> None:
        """Read no more for now: the runtime's writes will wait."""

    def resume(self) -> None:
        """Read on."""


class AnswerSink(Protocol):
    """Where the pieces of an answer go, for a caller who takes them as they come."""

    def begin(self, content_type: str, executed_version: str, reader: Reader) -> None:
        """The runtime begins to answer."""

    def feed(self, piece: bytes) -> bool:
        """Take a piece; return whether the answer may be so long."""

    def end(self) -> None:
        """No more pieces come."""


class Invocation(msgspec.Struct, frozen=True):
    """One event for a function."""

    request_id: str
    payload: bytes
    client_context: str | None = None
    """JSON text, decoded from the header's base64."""
    tenant_id: str = ""
    """Whose environments run it; empty where they are everybody's."""
    trace_header: str = ""
    invoked_arn: str = ""
    """The ARN as the caller named it, with its qualifier."""
    reserved_concurrency: int | None = None
    """As its function has it."""
    provisioned: int = 0
    """How many environments of its version are to be ready ahead of demand, and of its whole function."""
    provisioned_total: int = 0
    is_event: bool = False
    """Whether nobody waits for its result."""
    wants_tail: bool = True
    """Whether anybody reads the last 4 KB of its log."""
    sink: AnswerSink | None = None
    """Of an answer that comes piece by piece, the result has none; one that comes whole is in the result."""


class InvocationResult(msgspec.Struct, frozen=True):
    """What came of it: the handler's answer, or the error object if `function_error` is set."""

    payload: bytes
    function_error: FunctionErrorKind | None
    log_tail: bytes
    """The last 4 KB of what this invocation logged, if that was wanted."""
    executed_version: str = "$LATEST"
