"""What Lambda's two planes share: the function as the control plane records it, and an invocation and its result.

The execution plane reads a `FunctionRecord` at each invocation and never writes one. An environment belongs to one
`revision_id`: when a function changes, its environments are stale and get no more work. The hint FUNCTION_CHANGED
makes them go at once; without it they go when they have been idle for long.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from cumulet.store.keyspace import LAMBDA_FUNCTION
from cumulet.store.records import Records


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
    code_blob: str
    """The blob digest of the zip archive."""
    description: str = ""
    timeout_s: int = 3
    memory_mb: int = 128
    ephemeral_storage_mb: int = 512
    environment: dict[str, str] = {}
    architectures: tuple[str, ...] = ("x86_64",)
    tracing_mode: str = "PassThrough"
    log_group: str = ""
    """Empty: /aws/lambda/<function name>."""
    last_modified_ms: int


class FunctionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A function: its unpublished version, its resource policy and its tags."""

    latest: VersionRecord
    policy: str | None = None
    """The resource policy as a JSON document, None if there are no permissions."""
    policy_revision_id: str = ""
    tags: dict[str, str] = {}
    code_url_secret: bytes
    """Signs the URLs under which GetFunction offers the code."""


FUNCTIONS = Records(LAMBDA_FUNCTION, FunctionRecord, cached=1024)
"""Every invocation reads one, hence the cache."""

FUNCTION_CHANGED = "lambda:function-changed"
"""The topic of the store's hint about a function that was updated or deleted."""

FunctionErrorKind = Literal["Handled", "Unhandled"]


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event for a function."""

    request_id: str
    payload: bytes
    client_context: str | None = None
    """JSON text, decoded from the header's base64."""
    trace_header: str | None = None
    invoked_arn: str = ""
    """The ARN as the caller named it, with its qualifier."""


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """What came of it: the handler's answer, or the error object if `function_error` is set."""

    payload: bytes
    function_error: FunctionErrorKind | None
    log_tail: bytes
    """The last 4 KB of what this invocation logged."""
    executed_version: str = "$LATEST"
