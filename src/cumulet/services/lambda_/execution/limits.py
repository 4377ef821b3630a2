"""The limits inside an environment, with AWS's numbers, and those of this machine. `lambda_/limits.py` has the API's.

Source where nothing else is said: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

RESPONSE_BYTES_MAX = 6 * 1024 * 1024 + 100
"""A synchronous response. AWS allows 100 bytes more than 6 MB, and says so in the error's words."""

STREAMED_RESPONSE_BYTES_MAX = 200 * 1024 * 1024
"""Of a streamed answer to a caller who takes it so."""

FILE_DESCRIPTORS_MAX = 1_024
PROCESSES_MAX = 1_024

INIT_TIMEOUT_S = 10.0
"""An environment that has not asked for its first event by then is ended, and another tries inside the invocation.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
"""

AHEAD_INIT_TIMEOUT_S = 130.0
"""The same for one that is made ready ahead of demand; or the function's timeout, if that is more."""

RESTORE_TIMEOUT_S = 10.0
"""How long a restore may take, with the hooks that run then.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks.html
"""

EXTENSIONS_MAX = 10
"""Of one environment, internal ones among them.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html, as the next three
"""

RUNTIME_SHUTDOWN_S = 0.3
"""How long a runtime may take to end on SIGTERM beside external extensions."""
INTERNAL_SHUTDOWN_S = 0.5
"""The same, if there are internal ones."""
SHUTDOWN_S = 2.0
"""How long the end of an environment may take that has external extensions, its runtime's included."""

LOG_EVENT_BYTES_MAX = 256 * 1024
LOG_EVENT_OVERHEAD_BYTES = 26
LOG_BATCH_BYTES_MAX = 1024 * 1024
LOG_BATCH_EVENTS_MAX = 10_000
LOG_TRIES_MAX = 100
"""How often events are sent that the store or CloudWatch Logs could not take; then they are lost, and the server's log
says so."""
LOG_FLUSH_S = 10.0
"""How long a server that stops goes on sending log events."""

ROLE_SESSION_S = 12 * 3600
"""AWS gives an environment the longest session that STS knows."""

# What follows is ours: AWS has fleets where one machine must do.

ENVIRONMENTS_MAX = 500
"""Environments alive on this machine, shared out among the server's processes.

Beyond it idle ones of other functions give way, then invocations wait.
"""

STARTS_AT_A_TIME = 8
"""Environments of one function that start at once; a burst takes them in turn, or whatever becomes free first."""

IDLE_EXPIRY_S = 600.0
"""AWS keeps an idle environment for minutes and does not say how many."""

FREEZE_AFTER_S = 0.1
"""AWS freezes at once. Under load that would be two signals for each invocation, so we wait this long."""

SWEEP_S = 5.0
"""How often idle environments are looked at once all are frozen."""

ROOM_POLL_S = 0.05
"""How often is looked whether there is room for an environment that shows whether a version can be initialised."""

SPARE_SLOTS = 100
"""Users for environments beyond ENVIRONMENTS_MAX: those that are being ended still have theirs."""

CODE_CACHE_BYTES_MAX = 2 * 1024 * 1024 * 1024
"""Unpacked code on disk, with its bytecode; what environments use stays beyond it."""

AHEAD_DISK_BYTES_MIN = 256 * 1024 * 1024
"""Of free disk, below which nothing is unpacked or compiled ahead of its need: the store often lies there too."""

BYTECODE_SOURCE_BYTES_MIN = 4 * 1024
"""Of less Python, what is spared at a start is not more than what it takes to show an environment its bytecode."""

READINESS_LOOK_S = 30.0
"""How often what is to be ready before it is invoked is looked at, for what no hint has told."""

SNAPSHOT_AGAIN_S, SNAPSHOT_AGAIN_S_MAX = 60.0, 3600.0
"""How long a version whose snapshot could not be copied is left alone: at first, and at most."""

PROVISION_AGAIN_S = 60.0
"""How long a version whose environments fail to initialise is left alone; a new request is tried at once."""

LEND_WAIT_S = 0.25
"""How long an invocation waits for what another process may have left of a limit."""

LEND_PAUSE_S = 0.1
"""How long a process that got nothing of a limit does not ask for it again."""

RATE_BURST_S = 1.0
"""What of a rate may be used at once. AWS does not tell."""

RATES_KEPT_MAX = 10_000
"""Functions and accounts whose rates a process knows before it forgets those that were not invoked for a while."""

SHARE_IDLE_S = 30.0
"""What a process has of a limit goes back when it was not used for this long."""

SHARE_PARTS = 8
"""A process takes an eighth of a limit at a time, so that it seldom has to ask."""

KILL_GRACE_S = 5.0

CREDENTIALS_MARGIN_S = 15 * 60
"""An environment is replaced this long before its role session ends: no invocation lasts longer."""

MEMORY_SAMPLE_S = 0.05
"""How often the memory of busy environments is looked at.

The limit is on what is resident, and a runtime has about 40 MB in common with its fork server. A function
can pass it by what it touches between two looks; a control group would be exact, and is not available everywhere.
"""

TELEMETRY_BACKLOG_BATCHES = 2
"""What a subscriber may have before it, in batches of the size that it asked for; what comes then is lost.

AWS has its readers expect payloads of twice `maxBytes`.
"""
TELEMETRY_RETRY_S, TELEMETRY_RETRY_S_MAX = 0.1, 1.0
"""How long to wait before telemetry is sent again that nobody took: at first, and at most."""
TELEMETRY_ANSWER_BYTES_MAX = 64 * 1024
"""Of an answer to telemetry; more is not read."""
TELEMETRY_FLUSH_S = 0.2
"""How long the end of an environment waits for telemetry to be taken, before extensions are told of it."""

EARLY_EVENTS_MAX, EARLY_BYTES_MAX = 1_000, 1024 * 1024
"""Events of an initialisation that are kept for extensions which subscribe before it ends: how many, how much text."""

STOP_GRACE_S = 10.0
"""How long running invocations may take to end when the server stops."""

OUTPUT_BACKLOG_BYTES_MAX = 1024 * 1024
"""Log output of one environment not yet handed to CloudWatch Logs. Beyond it its pipe is not read: it waits, alone."""

IMAGE_BYTES_MAX = 10 * 1024 * 1024 * 1024
"""Of a container image, unpacked. AWS's."""

# What follows of images is ours again.

IMAGE_FILES_MAX = 1_000_000
IMAGE_URI_CHARS_MAX = 512
IMAGE_CONFIG_BYTES_MAX = 32 * 1024
"""Of an image's variables, its entry point and its command: they are recorded with the function."""
IMAGE_WAIT_S = 10.0
"""How long CreateFunction waits for an image to be unpacked before it answers that the function is Pending."""

ENGINE_TIMEOUT_S = 120.0
"""How long a container engine may take to tell of an image, or to make a container of it."""
EXPORT_TIMEOUT_S = 600.0
"""How long it may take to hand out an image's files."""
ENGINE_WORDS_CHARS_MAX = 500
"""Of what an engine complains of, the end that is passed on."""

STREAM_BACKLOG_BYTES_MAX = 1024 * 1024
"""Of a streamed answer that its caller has not yet read. Beyond it the runtime waits."""
