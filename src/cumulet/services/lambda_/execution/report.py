"""The lines that the platform writes into a function's log, and the error objects that it answers in its place. Pure.

Formats: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html and
https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
"""

import json
import os
import signal
from collections.abc import Sequence

from cumulet.services.lambda_.execution import limits
from cumulet.services.lambda_.execution.platform_events import billed_ms, render_time, used_mb
from cumulet.services.lambda_.execution.runtime_names import runtime_version


def init_start_line(runtime: str, region: str, patch: str, event: str = "INIT_START") -> str:
    """Return the first line of an environment's log. `patch` is the interpreter's own version, e.g. 3.11.7."""
    version, arn = runtime_version(runtime, region, patch)
    return f"{event} Runtime Version: {version}\tRuntime Version ARN: {arn}\n"


def init_report_line(init_ms: float, phase: str, status: str, error_type: str) -> str:
    """Return the line about an initialisation that failed, in the phase "init" or, tried again, "invoke"."""
    error = f"\tError Type: {error_type}" if error_type else ""
    return f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: {phase}\tStatus: {status}{error}\n"


def restore_report_line(restore_ms: float, status: str = "", error_type: str = "") -> str:
    """Return the line about a restore; `status` is empty for one that is well."""
    line = f"RESTORE_REPORT Restore Duration: {restore_ms:.2f} ms"
    if status:
        line += f"\tStatus: {status}"
    if error_type:
        line += f"\tError Type: {error_type}"
    return line + "\n"


def start_line(request_id: str, version: str) -> str:
    """Return the line before an invocation's own."""
    return f"START RequestId: {request_id} Version: {version}\n"


def end_lines(
    request_id: str,
    *,
    duration_ms: float,
    memory_mb: int,
    peak_kb: int,
    init_ms: float | None,
    is_restore: bool = False,
    segment: tuple[str, str] | None = None,
    status: str = "",
    error_type: str = "",
) -> tuple[str, str]:
    """Return the END and the REPORT line. `status` is empty for an invocation that was answered.

    `init_ms` is how long the restore took, if the environment was restored. `segment` is what is traced of it.
    """
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\t"
        f"Billed Duration: {billed_ms(duration_ms, None if is_restore else init_ms)} ms\t"
        f"Memory Size: {memory_mb} MB\tMax Memory Used: {used_mb(memory_mb, peak_kb)} MB\t"
    )
    if init_ms is not None and is_restore:
        report += f"Restore Duration: {init_ms:.2f} ms\tBilled Restore Duration: {billed_ms(init_ms, None)} ms\t"
    elif init_ms is not None:
        report += f"Init Duration: {init_ms:.2f} ms\t"
    if status:
        report += f"Status: {status}\t"
    if error_type:
        report += f"Error Type: {error_type}\t"
    if segment is not None:
        report += f"\nXRAY TraceId: {segment[0]}\tSegmentId: {segment[1]}\tSampled: true\t"
    return f"END RequestId: {request_id}\n", report + "\n"


def extension_line(name: str, state: str, events: Sequence[str], error_type: str) -> str:
    """Return the line about one extension, at the end of an initialisation."""
    error = f"\tError Type: {error_type}" if error_type else ""
    return f"EXTENSION\tName: {name}\tState: {state}\tEvents: [{','.join(events)}]{error}\n"


def subscription_line(kind: str, name: str, types: Sequence[str]) -> str:
    """Return the line about an extension that subscribed; `kind` is TELEMETRY or LOGS."""
    return f"{kind}\tName: {name}\tState: Subscribed\tTypes: [{', '.join(map(str.capitalize, types))}]\n"


def timeout_line(now_ms: int, request_id: str, timeout_s: int) -> str:
    """Return the line about an invocation that took too long."""
    return f"{render_time(now_ms)} {request_id} Task timed out after {timeout_s:.2f} seconds\n\n"


def exit_words(status: int | None) -> str:
    """Return how a runtime's wait status is told; None is a runtime that somebody else ended."""
    if status is None:
        return "Runtime exited with error: signal: killed"
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return "Runtime exited without providing a reason"
    if code > 0:
        return f"Runtime exited with error: exit status {code}"
    return f"Runtime exited with error: signal: {SIGNAL_WORDS.get(-code) or signal.strsignal(-code) or -code}"


def extension_exit_words(status: int) -> str:
    """Return how an extension's wait status is told."""
    return "exit code 0" if status == 0 else exit_words(status).removeprefix("Runtime exited with error: ")


# As the Go language names signals, in which AWS's supervisor is written.
SIGNAL_WORDS: dict[int, str] = {
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGHUP: "hangup",
    signal.SIGILL: "illegal instruction",
    signal.SIGINT: "interrupt",
    signal.SIGKILL: "killed",
    signal.SIGPIPE: "broken pipe",
    signal.SIGQUIT: "quit",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGTERM: "terminated",
}


def exit_error(request_id: str, words: str, error_type: str = "Runtime.ExitError") -> bytes:
    """Return the answer for an invocation whose runtime ended."""
    return _error(error_type, f"RequestId: {request_id} Error: {words}")


def timeout_error(request_id: str, timeout_s: int) -> bytes:
    """Return the answer for an invocation that took too long."""
    return _error("Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds")


def response_too_large_error(bytes_max: int = limits.RESPONSE_BYTES_MAX) -> bytes:
    """Return the answer for an invocation whose own is too large."""
    return _error(
        "Function.ResponseSizeTooLarge",
        f"Response payload size exceeded maximum allowed payload size ({bytes_max} bytes).",
    )


def _error(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}, separators=(",", ":")).encode()
