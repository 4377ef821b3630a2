"""The X-Ray header of an invocation: the trace it belongs to, and how often each function was run on the way to it.

https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader; that Lambda ends loops
by counting in it: https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html. AWS's SDKs pass it on inside
functions by themselves. Pure.
"""

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

CHANCE_BYTES = 20
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


def follow(header: str, function_arn: str, chance: bytes, now_ms: int) -> Trace:
    """Return the trace of an invocation that was asked for with this header, which may be empty or nonsense."""
    fields: dict[str, str] = {}
    if header:
        fields = dict(part.strip().partition("=")[::2] for part in header.split(";"))
    words = chance.hex().rjust(2 * CHANCE_BYTES, "0")
    root = fields.get("Root", "")
    if not _ROOT.fullmatch(root):
        root = f"1-{now_ms // 1000:08x}-{words[16:]}"
    name = _lineage_name(function_arn)
    counts = dict(_LINEAGE.findall(fields.get("Lineage", ""))[:LINEAGE_MAX])
    times = int(counts.pop(name, 0))
    lineage = "|".join([f"{name}:{times + 1}", *(f"{other}:{count}" for other, count in counts.items())])
    sampled = "1" if fields.get("Sampled") == "1" else "0"
    return Trace(f"Root={root};Parent={words[:16]};Sampled={sampled};Lineage={lineage}", times)


def sample(header: str, asked: str) -> str:
    """Return a trace's header for a function with active tracing, which samples what nobody has decided on before.

    `asked` is the header with which the invocation was asked for. AWS takes one in a second, and one of twenty besides.
    """
    return header if "Sampled=" in asked else header.replace(";Sampled=0;", ";Sampled=1;")


def told_segment(header: str) -> tuple[str, str] | None:
    """Return trace and segment of an invocation that is sampled, as its report tells them."""
    fields = dict(part.partition("=")[::2] for part in header.split(";"))
    return (fields.get("Root", ""), fields.get("Parent", "")) if fields.get("Sampled") == "1" else None


@lru_cache(maxsize=1024)
def _lineage_name(function_arn: str) -> str:
    return hashlib.sha256(function_arn.encode()).hexdigest()[:8]
