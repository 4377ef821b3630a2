"""The platform's own words, to the letter."""

import json
import signal

import pytest

from cumulet.services.lambda_.execution import report


def test_lines_around_an_invocation() -> None:
    assert report.start_line("id", "$LATEST") == "START RequestId: id Version: $LATEST\n"
    assert report.end_lines("id", duration_ms=1.234, memory_mb=128, peak_kb=40_001, init_ms=None) == (
        "END RequestId: id\n",
        "REPORT RequestId: id\tDuration: 1.23 ms\tBilled Duration: 2 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 40 MB\t\n",
    )


def test_the_first_invocation_is_billed_for_the_initialisation() -> None:
    _, line = report.end_lines("id", duration_ms=1.5, memory_mb=128, peak_kb=1, init_ms=100.25)
    assert line.endswith(
        "Billed Duration: 102 ms\tMemory Size: 128 MB\tMax Memory Used: 1 MB\tInit Duration: 100.25 ms\t\n"
    )


def test_a_report_about_a_failure() -> None:
    _, line = report.end_lines(
        "id", duration_ms=10, memory_mb=128, peak_kb=999_999, init_ms=None, status="error", error_type="Runtime.X"
    )
    assert line.endswith("Max Memory Used: 128 MB\tStatus: error\tError Type: Runtime.X\t\n")


def test_lines_about_the_initialisation() -> None:
    line = report.init_start_line("python3.11", "eu-west-1", "3.11.7")
    version, arn = line.split("\t")
    assert version == "INIT_START Runtime Version: python:3.11.v7"
    assert arn.startswith("Runtime Version ARN: arn:aws:lambda:eu-west-1::runtime:")
    assert (
        report.init_report_line(1.005, "init", "timeout", "")
        == "INIT_REPORT Init Duration: 1.00 ms\tPhase: init\tStatus: timeout\n"
    )


def test_a_timeout() -> None:
    assert report.timeout_line(1_760_000_000_123, "id", 3) == (
        "2025-10-09T08:53:20.123Z id Task timed out after 3.00 seconds\n\n"
    )
    assert report.timeout_error("id", 3) == (
        b'{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: id Error: Task timed out after 3.00 seconds"}'
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "Runtime exited with error: signal: killed"),
        (0, "Runtime exited without providing a reason"),
        (1 << 8, "Runtime exited with error: exit status 1"),
        (137 << 8, "Runtime exited with error: exit status 137"),
        (signal.SIGSEGV, "Runtime exited with error: signal: segmentation fault"),
        (signal.SIGABRT | 0x80, "Runtime exited with error: signal: aborted"),
    ],
)
def test_how_a_runtime_ended(status: int | None, words: str) -> None:
    assert report.exit_words(status) == words
    assert json.loads(report.exit_error("id", words)) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: id Error: {words}",
    }


def test_a_sampled_invocation_tells_its_trace() -> None:
    _, line = report.end_lines("id", duration_ms=1, memory_mb=128, peak_kb=1, init_ms=None, segment=("root", "own"))
    assert line.endswith("\t\nXRAY TraceId: root\tSegmentId: own\tSampled: true\t\n")
