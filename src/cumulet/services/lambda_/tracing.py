"""The X-Ray header of an invocation: the trace it belongs to, and how often each function was run on the way to it.

https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader; that Lambda ends loops
by counting in it: https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html. AWS's SDKs pass it on inside
functions by themselves. Pure.
"""

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

TRACE_DIGITS = 40
"""How many digits by chance a trace takes that nobody has begun, with its segment."""
HEXADECIMAL = "0123456789abcdef"
ROOT_BYTES = 12
LINEAGE_MAX = 32
"""Functions that are counted in one chain. Ours: AWS does not say."""

_ROOT = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")
_LINEAGE = re.compile(r"([0-9a-f]{8}):([0-9]{1,4})")


class Trace(NamedTuple):
    """An invocation's header, and how often its function was run in this chain before."""

    header: str
    times: int


def new_root(chance: bytes, now_ms: int) -> str:
    """Return the header of a trace that begins with a request; `chance` has ROOT_BYTES."""
    return f"Root=1-{now_ms // 1000:08x}-{chance.hex()}"


def follow(header: str, function_arn: str, chance: str, now_ms: int) -> Trace:
    """Return the trace of an invocation that was asked for with this header, which may be empty or nonsense.

    `chance` is so many hexadecimal digits.
    """
    name = _lineage_name(function_arn)
    parent, own_root = chance[:16], f"1-{now_ms // 1000:08x}-{chance[16:]}"
    if not header:
        return Trace(f"Root={own_root};Parent={parent};Sampled=0;Lineage={name}:1", 0)
    fields: dict[str, str] = dict([part.strip().partition("=")[::2] for part in header.split(";")])
    root = fields.get("Root", "")
    if not _ROOT.fullmatch(root):
        root = own_root
    times, lineage = 0, f"{name}:1"
    if told := fields.get("Lineage"):
        counts = dict(_LINEAGE.findall(told)[:LINEAGE_MAX])
        times = int(counts.pop(name, 0))
        lineage = "|".join([f"{name}:{times + 1}", *(f"{other}:{count}" for other, count in counts.items())])
    sampled = "1" if fields.get("Sampled") == "1" else "0"
    return Trace(f"Root={root};Parent={parent};Sampled={sampled};Lineage={lineage}", times)


def sample(header: str, asked: str) -> str:
    """Return a trace's header for a function with active tracing, which samples what nobody has decided on before.

    `asked` is the header with which the invocation was asked for. AWS takes one in a second, and one of twenty besides.
    """
    return header if "Sampled=" in asked else header.replace(";Sampled=0;", ";Sampled=1;")


def told_segment(header: str) -> tuple[str, str] | None:
    """Return trace and segment of an invocation that is sampled, as its report tells them."""
    if "Sampled=1" not in header:
        return None
    fields = dict(part.partition("=")[::2] for part in header.split(";"))
    return (fields.get("Root", ""), fields.get("Parent", "")) if fields.get("Sampled") == "1" else None


@lru_cache(maxsize=1024)
def _lineage_name(function_arn: str) -> str:
    return hashlib.sha256(function_arn.encode()).hexdigest()[:8]
