"""The edge's limits. Times are real seconds, since they guard real sockets."""

from typing import Final

HEAD_BYTES_MAX: Final = 64 * 1024
"""Request line and headers together. AWS's front doors allow 10 to 60 KB; presigned URLs need the room."""

DYNAMODB_HEAD_BYTES_MAX: Final = 16 * 1024
"""What DynamoDB's front takes of that, recorded by ScyllaDB Alternator's tests."""

HEAD_CHARACTERS_REMEMBERED_MAX: Final = 1024
"""Of what stands in a head, caches keep what is no longer: thousands of heads could fill the memory otherwise."""

HEADERS_MAX: Final = 200

HEAD_SECONDS_MAX: Final = 10.0
"""From the first byte of a request to the end of its headers; a connection that sends nothing has as long."""

BODY_SILENCE_SECONDS_MAX: Final = 20.0
"""Between two pieces of a body."""

BODY_SECONDS_MAX: Final = 300.0
"""For a whole body, however steadily it drips."""

UNREAD_SECONDS_MAX: Final = 60.0
"""How long a client may leave an answer unread before its connection is cut."""

REFUSAL_SECONDS_MAX: Final = 2.0
"""For a client whose request was refused to read why and close its end."""

IDLE_SECONDS_MAX: Final = 65.0
"""Between two requests on one connection. Longer than the 60 s that AWS's SDKs keep an idle connection."""

CONNECTIONS_MAX: Final = 4096

SHUTDOWN_SECONDS_MAX: Final = 30
"""What is in flight may take this long to finish after a signal."""

DRAIN_IDLE_SECONDS: Final = 10.0
"""How long a process that is replaced waits for the next request of a connection, to close it with the answer."""

DRAIN_SECONDS_MAX: Final = 930.0
"""How long a process that is replaced may take: an invocation lasts up to 15 minutes."""

BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""DynamoDB's request limit, and more than any other service but the ones below takes. API Gateway takes 10 MB: what is
over that is read so far, since REST and HTTP APIs have words of their own for it."""

BODY_BYTES_MAX_OF: Final = {
    # 50 MB of zip archive, base64-encoded in JSON: the number in Lambda's own error.
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    "lambda": 69_905_067,
    # AWS allows 5 GB in one PUT; here a body is held in memory, so larger objects go up in parts.
    "s3": 512 * 1024 * 1024,
    # What a synchronous invocation takes.
    "lambda-url": 6 * 1024 * 1024,
}
