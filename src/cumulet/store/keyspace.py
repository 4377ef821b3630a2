"""Every record family and its key, one line each. docs/keyspace.md is generated from this file.

A key is `(account, region, family number, parts...)`, packed by `tuples`. So the records of one scope are one range,
and the records of one family in one scope are one range inside it. Records of the installation itself lie under the
empty scope. A number once given is never used again: a retired family keeps its line, marked as retired.

`python -m cumulet.store.keyspace` prints the document.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cumulet.scope import Scope
from cumulet.store.tuples import Element, after, pack, unpack

STORE_VERSION = 1
"""The version of everything below. A store written by a newer version is refused."""


@lru_cache(maxsize=4096)
def _scope_family_prefix(scope: Scope, number: int) -> bytes:
    return pack((scope.account, scope.region, number))


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of record: its number, its name, and what its keys are made of, in order."""

    number: int
    name: str
    parts: tuple[str, ...]
    holds: str
    of_nodes: bool = False
    """Whether the records tell of running nodes only (who lives, who holds what): a backup leaves them out."""

    def key(self, scope: Scope, *parts: Element) -> bytes:
        """Return the key of one record, or the common prefix of all whose first parts are `parts`."""
        return _scope_family_prefix(scope, self.number) + pack(parts)

    def range(self, scope: Scope, *parts: Element) -> tuple[bytes, bytes]:
        """Return the half-open range of keys of all records whose first parts are `parts`."""
        start = self.key(scope, *parts)
        return start, after(start)

    def parts_of(self, key: bytes) -> tuple[Any, ...]:
        """Return the parts of a key of this family, without scope and number."""
        return unpack(key)[3:]


FAMILIES: dict[int, Family] = {}

OWNERS = {
    range(1, 10): "The store",
    range(10, 20): "IAM",
    range(20, 40): "DynamoDB",
    range(40, 60): "Lambda",
    range(60, 80): "API Gateway",
    range(80, 90): "CloudWatch Logs",
    range(90, 100): "CloudFormation",
    range(100, 110): "S3",
    range(110, 120): "API Gateway, continued",
}
"""Whose the numbers are."""


def _family(number: int, name: str, parts: str, holds: str, *, of_nodes: bool = False) -> Family:
    if number in FAMILIES:
        raise ValueError(f"family {number} is {FAMILIES[number].name}; {name} needs a number of its own")
    FAMILIES[number] = family = Family(number, name, tuple(parts.split()), holds, of_nodes)
    return family


def scope_range(scope: Scope) -> tuple[bytes, bytes]:
    """Return the range of all records of one scope."""
    start = pack((scope.account, scope.region))
    return start, after(start)


# The store (system scope)
STORE_META = _family(
    1, "store meta", "name", "store version, the installation's signing secret, and whether a restore has not ended"
)
BLOB_CHUNK = _family(2, "blob chunk", "sha256 index", "up to 1 MiB of a large immutable value")
BLOB_REFS = _family(3, "blob references", "sha256", "size and how many records refer to the blob")
LEASE = _family(
    4, "lease", "name", "which node does a piece of background work, and since which takeover", of_nodes=True
)
NODE = _family(
    5, "node", "node_id", "a running server process: where it is, and how often it has said so", of_nodes=True
)
CLOCK = _family(6, "clock", "", "how far all nodes' clocks are moved ahead of the time outside")

# IAM (global scope of an account)
IAM_ROLE = _family(10, "role", "role_name", "a role with its trust policy, inline and attached policies")
IAM_POLICY = _family(11, "managed policy", "policy_name", "a customer-managed policy with its versions")
IAM_USER = _family(12, "user", "user_name", "a user with inline and attached policies")
IAM_ACCESS_KEY = _family(13, "access key", "access_key_id", "a user's access key with its secret")

# DynamoDB
DDB_TABLE = _family(20, "table", "table_name", "a table's description; its table_id names its data")
DDB_ITEM = _family(21, "item", "table_id hash pk sk", "an item as canonical DynamoDB JSON")
DDB_INDEX_ENTRY = _family(
    22, "index entry", "table_id index_number hash keys item_key", "what a secondary index projects of an item"
)
DDB_ITEM_COLLECTION = _family(
    23, "item collection", "table_id hash pk", "bytes of a partition and its local index entries, where there are any"
)
DDB_EXPORT = _family(24, "export", "table_name export_id", "an export to S3, and how far it has come")
DDB_IMPORT = _family(25, "import", "table_name import_id", "an import from S3, and how far it has come")
DDB_VECTOR = _family(
    26, "vector entry", "table_id index_number partition item_key", "a vector as 32-bit floats, and values to filter by"
)
DDB_TRANSACTION_TOKEN = _family(27, "transaction token", "token", "a transaction that has happened, for ten minutes")
DDB_EXPIRING_TOKEN = _family(
    28, "expiring token", "expires_ms account region token", "(system scope) nothing: the key tells what to forget when"
)
DDB_SIZE = _family(
    29, "table size", "table_id index_number", "how much lies in a large table, or index, and when counted"
)
DDB_STREAM = _family(30, "stream", "table_name stream_label", "a stream of a table's changes, enabled or disabled")
DDB_STREAM_ARRIVAL = _family(
    31, "stream arrival", "stream_id shard hash number", "a change that has no sequence number yet"
)
DDB_STREAM_RECORD = _family(32, "stream record", "stream_id shard sequence", "a change, in its place in the shard")
DDB_STREAM_SHARD = _family(33, "stream shard", "stream_id shard", "the last sequence number given, and its time")
DDB_EXPIRING = _family(
    34, "expiring item", "expiry_id expires_s hash pk sk", "nothing: the key tells what expires when"
)
DDB_CHORE = _family(
    35, "DynamoDB chore", "kind account region subject", "(system scope) what background work has to look after"
)
DDB_CHANGE = _family(
    36, "item before a change", "log_id day hash pk sk changed_ms", "an item as it was before it changed"
)
DDB_BACKUP = _family(37, "backup", "table_name backup_id", "a backup with the table's definition")
DDB_BACKUP_ITEM = _family(38, "backed-up item", "backup_id hash pk sk", "an item as it was at the backup's time")
DDB_RESOURCE_POLICY = _family(39, "DynamoDB resource policy", "resource_id", "the policy of a table or a stream")

# Lambda
LAMBDA_FUNCTION = _family(40, "function", "function_name", "a function's configuration and resource policy")
LAMBDA_VERSION = _family(41, "function version", "function_name version", "a published version: code and configuration")
LAMBDA_ALIAS = _family(42, "function alias", "function_name alias_name", "which versions a name stands for")
LAMBDA_POLICY = _family(
    43, "function version policy", "function_name qualifier", "the resource policy of a version or an alias"
)
LAMBDA_VERSION_NUMBER = _family(
    44, "function version number", "function_name", "the last number given to a version; outlives the function"
)
LAMBDA_RESERVED = _family(45, "reserved concurrency", "", "how much concurrency functions have reserved or provisioned")
LAMBDA_EVENT_BY_TIME = _family(
    46, "asynchronous event by time", "due_ms request_id", "(system scope) retired: an event of before family 56"
)
LAMBDA_EVENT_CONFIG = _family(
    47, "event configuration", "function_name qualifier", "how events are retried, and where their results go"
)
LAMBDA_URL = _family(48, "function URL", "function_name qualifier", "an address of a function or an alias")
LAMBDA_URL_OWNER = _family(49, "function URL owner", "url_id", "(system scope) whose address it is, for host names")
LAMBDA_LAYER = _family(50, "layer version", "layer_name version", "a layer version with its resource policy")
LAMBDA_LAYER_NUMBER = _family(
    51, "layer version number", "layer_name", "the last number given to a version; outlives the layer"
)
LAMBDA_CODE_SIGNING = _family(52, "code signing configuration", "config_id", "whose signatures a function's code needs")
LAMBDA_READINESS = _family(
    53, "function readiness", "account region function_name", "(system scope) what is to be ready before it is invoked"
)
LAMBDA_ALLOTMENT = _family(
    54,
    "provisioned allotment",
    "account region function_name version slot",
    "(system scope) what one node keeps ready of a version",
    of_nodes=True,
)
LAMBDA_SHARE = _family(
    55, "concurrency shares", "pool", "how a limit on what runs at once is divided among nodes", of_nodes=True
)
LAMBDA_EVENT = _family(
    56,
    "asynchronous event",
    "account region function_name due_ms request_id",
    "(system scope) an event that is not done yet, in its function's queue",
)

# API Gateway
API_OWNER = _family(60, "API owner", "api_id", "(system scope) account, region and kind of an API, for host names")
REST_API = _family(61, "REST API", "api_id", "a REST API")
REST_RESOURCE = _family(62, "REST resource", "api_id resource_id", "a resource with its methods and integrations")
API_DEPLOYMENT = _family(63, "API deployment", "api_id deployment_id", "an immutable snapshot of either kind of API")
HTTP_API = _family(64, "HTTP API", "api_id", "an HTTP API")
HTTP_ROUTE = _family(65, "HTTP route", "api_id route_id", "a route of an HTTP API")
HTTP_INTEGRATION = _family(66, "HTTP integration", "api_id integration_id", "an integration of an HTTP API")
HTTP_AUTHORIZER = _family(67, "HTTP authorizer", "api_id authorizer_id", "an authorizer of an HTTP API")
REST_AUTHORIZER = _family(69, "REST authorizer", "api_id authorizer_id", "an authorizer of a REST API")
REST_MODEL = _family(70, "REST model", "api_id model_name", "a model of a REST API")
REST_VALIDATOR = _family(71, "REST validator", "api_id validator_id", "a request validator of a REST API")
REST_GATEWAY_RESPONSE = _family(
    72, "gateway response", "api_id response_type", "how a REST API's owner wants a type of refusal said"
)
REST_DOCUMENTATION = _family(
    77,
    "REST documentation",
    "api_id kind name",
    "what is written about an entity of a REST API, or a snapshot of it all",
)
REST_DEFINITION = _family(78, "REST definition", "api_id deployment_id", "a REST API as it was when it was deployed")
API_STAGE = _family(68, "API stage", "api_id stage_name", "a stage of either kind of API")
API_DOMAIN = _family(
    79, "custom domain name", "domain_name region", "(system scope) whose a domain name is, with its API mappings"
)
API_KEY = _family(74, "API key", "key_id", "an API key; its id is derived from its value")
USAGE_PLAN = _family(75, "usage plan", "plan_id", "a usage plan with its stages, throttling and quota")
API_USAGE = _family(76, "API usage", "plan_id key_id day", "what a key used of a plan on a day")

# CloudWatch Logs
LOG_GROUP = _family(80, "log group", "group_name", "a log group with its retention")
LOG_STREAM = _family(81, "log stream", "group_id stream_name", "a log stream")
LOG_EVENT = _family(82, "log event", "group_id stream_id timestamp_ms sequence", "log events that came together")
LOG_EXPIRING = _family(
    83, "expiring log group", "account region group_name", "(system scope) a log group with a retention, to sweep"
)

# CloudFormation
CFN_STACK = _family(90, "stack", "stack_id", "a stack with its template, parameters, resources and outputs")
CFN_STACK_NAME = _family(91, "stack name", "stack_name", "the id of the live stack of that name")
CFN_EVENT = _family(92, "stack event", "stack_id sequence", "one event of a stack")
CFN_CHANGE_SET = _family(93, "change set", "stack_id change_set_name", "a change set with its plan")
CFN_EXPORT = _family(94, "export", "export_name", "an exported output value and its stack")
CFN_BUSY = _family(95, "busy stack", "stack_id", "(system scope) a stack with an operation under way, to resume")
CFN_ANSWER = _family(96, "answer", "stack_id token", "what a custom resource's function has answered, or is to answer")

# S3
S3_BUCKET_OWNER = _family(100, "bucket owner", "bucket", "(system scope) account and region of a bucket")
S3_BUCKET = _family(101, "bucket", "bucket", "a bucket")
S3_OBJECT = _family(102, "object", "bucket object_key", "an object's metadata and the blobs of its body")
S3_UPLOAD = _family(103, "multipart upload", "bucket object_key upload_id", "a multipart upload under way")
S3_PART = _family(104, "multipart part", "upload_id part_number", "one part of an upload and the blob of its body")
S3_VERSION = _family(
    105, "object version", "bucket object_key order", "an older version of an object or a delete marker"
)

# API Gateway, continued
API_ACCOUNT = _family(110, "API Gateway account", "", "the role with which API Gateway writes an account's logs")
CLIENT_CERTIFICATE = _family(111, "client certificate", "certificate_id", "a certificate that backends know APIs by")

_SETTLED = frozenset(
    family.number
    for family in (
        *(STORE_META, CLOCK),
        *(IAM_ROLE, IAM_POLICY, IAM_USER, IAM_ACCESS_KEY),
        *(DDB_TABLE, DDB_STREAM, DDB_RESOURCE_POLICY),
        *(LAMBDA_FUNCTION, LAMBDA_VERSION, LAMBDA_ALIAS, LAMBDA_POLICY, LAMBDA_RESERVED, LAMBDA_EVENT_CONFIG),
        *(LAMBDA_URL, LAMBDA_URL_OWNER),
        *(
            API_OWNER,
            REST_API,
            REST_RESOURCE,
            API_DEPLOYMENT,
            HTTP_API,
            HTTP_ROUTE,
            HTTP_INTEGRATION,
            API_STAGE,
            HTTP_AUTHORIZER,
            API_DOMAIN,
            API_KEY,
            USAGE_PLAN,
            API_ACCOUNT,
            CLIENT_CERTIFICATE,
        ),
        LOG_GROUP,
        *(S3_BUCKET_OWNER, S3_BUCKET),
    )
)
"""Families that requests read all the time and only control planes write. An engine to which reading is a journey keeps
their values in memory; each write to any of them costs every node what it has kept, so nothing else belongs here."""


def is_settled(key: bytes) -> bool:
    """Return whether a key, or the beginning of one, belongs to a family that is read all the time and rarely written.

    What is no key of ours does not.
    """
    # Two texts, which hold no zero bytes here, and a positive number: a byte that tells its length comes first.
    at = key.find(b"\x00", key.find(b"\x00") + 1) + 1
    return key[at : at + 1] == b"\x15" and key[at + 1] in _SETTLED if 0 < at < len(key) - 1 else False


def render_document() -> str:
    """Return docs/keyspace.md."""
    lines = [
        "# The keyspace",
        "",
        "Generated from `src/cumulet/store/keyspace.py` by `python -m cumulet.store.keyspace`; change it there.",
        "",
        f"Store version {STORE_VERSION}. A key is `(account, region, family number, parts...)`, packed so that",
        "byte order is the order of the parts; records of the installation itself have an empty account and region. A",
        "number once given is never used again.",
    ]
    for numbers, owner in OWNERS.items():
        lines += ["", f"## {owner} ({numbers[0]}-{numbers[-1]})", "", "| No. | Record | Key parts | Value |"]
        lines.append("|---|---|---|---|")
        for family in sorted(FAMILIES.values(), key=lambda family: family.number):
            if family.number in numbers:
                parts = ", ".join(f"`{part}`" for part in family.parts)
                lines.append(f"| {family.number} | {family.name} | {parts} | {family.holds} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(render_document(), end="")
