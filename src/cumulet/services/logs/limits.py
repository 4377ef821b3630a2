"""AWS's numbers for CloudWatch Logs, from its API reference and its quotas page."""

EVENT_OVERHEAD_BYTES = 26
"""What each event counts beside its message (PutLogEvents)."""

BATCH_BYTES_MAX = 1_048_576
EVENT_BYTES_MAX = 1_048_576
BATCH_SPAN_MS_MAX = 24 * 60 * 60 * 1000
TOO_NEW_MS = 2 * 60 * 60 * 1000
TOO_OLD_MS = 14 * 24 * 60 * 60 * 1000

RUN_EVENTS_MAX = 256
RUN_CHARACTERS_MAX = 64 * 1024
RUN_SPAN_MS_MAX = 200
"""How much of a batch is one record. Ours: a page of any size reads little that is not on it. The span may not shrink:
readers look so far back for what may reach into their time."""

DESCRIBE_DEFAULT = 50
PAGE_EVENTS_MAX = 10_000
PAGE_BYTES_MAX = 1_048_576

SEARCHED_EVENTS_MAX = 20_000
"""How many events one FilterLogEvents looks at before it answers with what it has and a token. Ours: AWS answers with
partly filled and empty pages as well, but does not say after how much work."""

TAGS_MAX = 50

RETENTION_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
DAY_MS = 24 * 60 * 60 * 1000

SWEEP_EVERY_SECONDS = 3600
"""AWS says that expired events are deleted within 72 hours."""

SWEPT_EVENTS_MAX = 1000
SWEPT_STREAMS_MAX = 1000
"""How much one transaction of the sweep removes, and looks at. Ours: some milliseconds of the event loop."""
