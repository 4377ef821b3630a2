"""The X-Ray header that an invocation has, from the one of its request."""

import pytest

from cumulet.services.lambda_.tracing import LINEAGE_MAX, TRACE_DIGITS, follow, sample, told_segment

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:notes"
OTHER = "arn:aws:lambda:eu-west-1:123456789012:function:other"
CHANCE = bytes(range(TRACE_DIGITS // 2)).hex()
ROOT = "1-67891233-abcdef012345678912345678"
NEW_ROOT = "1-000004d2-08090a0b0c0d0e0f10111213"
PARENT = "0001020304050607"
NAME = "ad5d1bb2"


def header_of(given: str, arn: str = ARN) -> str:
    return follow(given, arn, CHANCE, 1_234_567).header


CASES = [
    ("none", "", f"Root={NEW_ROOT};Parent={PARENT};Sampled=0;Lineage=NAME:1"),
    ("a root", f"Root={ROOT}", f"Root={ROOT};Parent={PARENT};Sampled=0;Lineage=NAME:1"),
    (
        "sampled, with a parent",
        f"Root={ROOT};Parent=463ac35c9f6413ad;Sampled=1",
        f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=NAME:1",
    ),
    ("nonsense", "what;=is;Root=this\r\n", f"Root={NEW_ROOT};Parent={PARENT};Sampled=0;Lineage=NAME:1"),
    (
        "another function before",
        f"Root={ROOT};Lineage=01234567:3|nonsense|89abcdef:1",
        f"Root={ROOT};Parent={PARENT};Sampled=0;Lineage=NAME:1|01234567:3|89abcdef:1",
    ),
]


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_headers(given: str, expected: str) -> None:
    name = header_of("").rpartition("=")[2].partition(":")[0]
    assert header_of(given) == expected.replace("NAME", name)


def test_each_run_of_a_function_in_a_chain_is_counted() -> None:
    header, counted = "", []
    for arn in (ARN, OTHER, ARN, ARN, OTHER):
        trace = follow(header, arn, CHANCE, 0)
        counted.append(trace.times)
        header = trace.header
    assert counted == [0, 0, 1, 2, 1]


def test_a_chain_has_an_end() -> None:
    lineage = "|".join(f"{number:08x}:1" for number in range(10 * LINEAGE_MAX))
    assert header_of(f"Lineage={lineage}").count("|") == LINEAGE_MAX


def test_active_tracing_samples_what_nobody_has_decided_on() -> None:
    for asked, sampled in (("", True), (f"Root={ROOT}", True), (f"Root={ROOT};Sampled=0", False)):
        header = sample(header_of(asked), asked)
        assert (";Sampled=1;" in header) is sampled
        root = ROOT if asked else NEW_ROOT
        assert told_segment(header) == ((root, PARENT) if sampled else None)
    assert told_segment("") is None
