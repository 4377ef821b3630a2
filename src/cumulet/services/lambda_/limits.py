"""Lambda's numbers.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, unless a line names another.
"""

FUNCTION_NAME_CHARS_MAX = 64
"""API reference of CreateFunction: the name alone; as part of an ARN it may be written longer."""


SNAP_START_STORAGE_MB_MAX = 512
"""Of /tmp, in functions with SnapStart. https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html"""

ENVIRONMENT_BYTES_MAX = 4 * 1024
"""All names and values of a function together, as JSON."""

IMAGE_SETTINGS_BYTES_MAX = 16 * 1024
"""What a function says instead of its image."""

ZIPPED_CODE_BYTES_MAX = 50 * 1024 * 1024
"""An archive inside a request. One that comes from S3 is bounded by its unzipped size alone."""
ZIPPED_CODE_REQUEST_BYTES_MAX = 69_905_067
"""The same in base64, as the error message has it."""
UNZIPPED_CODE_BYTES_MAX = 250 * 1024 * 1024
LAYERS_MAX = 5
"""Of one function."""
CODE_STORAGE_BYTES_MAX = 75 * 1024 * 1024 * 1024
"""Every archive of one account in one region."""

CONCURRENT_EXECUTIONS_MAX = 1000
"""One account in one region, before AWS raises it on request."""

UNRESERVED_CONCURRENCY_MIN = 100
"""What reservations leave of it. https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""

REQUESTS_PER_S_OF_CONCURRENCY = 10
"""Synchronous invocations that may begin in a second, for each that may run at once."""

PAYLOAD_BYTES_MAX = 6 * 1024 * 1024
"""Of a synchronous invocation, each way."""
PRELUDE_BYTES_MAX = 16 * 1024
"""Of the metadata before a streamed HTTP answer. API Gateway's number; of function URLs AWS does not tell:
https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
"""
EVENT_PAYLOAD_BYTES_MAX = 1024 * 1024
"""Of an asynchronous invocation."""
EVENT_RETRIES_MAX = 2
EVENT_AGE_S_MAX = 6 * 3600
"""Both unless less is asked for. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html"""
CLIENT_CONTEXT_CHARS_MAX = 3583
"""In base64; API reference of Invoke."""
LOG_TAIL_BYTES_MAX = 4 * 1024

POLICY_BYTES_MAX = 20 * 1024
"""A function's resource policy."""
TAGS_MAX = 50
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html"""

ADDITIONAL_VERSIONS_MAX = 1
"""Of an alias. https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html"""

TRACE_HEADER_CHARS_MAX = 1024
"""Of what is kept of an X-Ray header with an event. Ours."""
RECURSIONS_MAX = 16
"""How often a function may be run in one chain of calls.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
"""

EVENTS_AT_A_TIME = 100
"""Asynchronous invocations under way at once. Ours, as what follows: AWS has as many as concurrency allows."""
EVENTS_FUNCTIONS_LOOKED_AT = 100
EVENTS_LOOKED_BYTES = 4 * 1024 * 1024
"""Of how many functions, and how much, one look reads: some milliseconds of the event loop."""
EVENT_PAYLOAD_LARGE_BYTES = 64 * 1024
"""Of an event under way, beyond which what is behind it is looked for by itself, so that it is not read each time."""
EVENTS_SORTED_AT_ONCE = 50
"""How many events of versions with one queue for all get into their function's queue by one commit."""
EVENTS_SEARCH_S = 0.05
"""How soon the next are read, when there were more."""
EVENTS_LOOK_S = 5.0
"""How often the queue is looked at for what no hint has told."""

PAGE_ITEMS_MAX = 50
"""API reference of ListFunctions and ListVersionsByFunction: a larger MaxItems changes nothing."""
