"""Conditional and ranged requests, as RFC 9110 and S3 have them. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cumulet.errors import ServiceError

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


def epoch_s(value: Any) -> float:
    """Return a timestamp parameter as seconds since the epoch."""
    return value.timestamp() if isinstance(value, datetime) else float(value)


def precondition_failed(condition: str) -> ServiceError:
    """Return S3's error for a condition that does not hold."""
    return ServiceError(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        status=412,
        Condition=condition,
    )


def _matches(condition: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in condition.split(",")]
    return "*" in tags or etag in tags


def check_read(params: Mapping[str, Any], etag: str, modified_ms: int, prefix: str = "") -> None:
    """Raise PreconditionFailed (412) or NotModified (304) unless the object may be sent.

    A header's ETag condition wins over its date condition. `prefix` is CopySource for the source of a copy, which
    answers 412 where a read answers 304.
    """
    modified_s = modified_ms // 1000
    if_match, if_none_match = params.get(f"{prefix}IfMatch"), params.get(f"{prefix}IfNoneMatch")
    unmodified_since, modified_since = params.get(f"{prefix}IfUnmodifiedSince"), params.get(f"{prefix}IfModifiedSince")
    header = "x-amz-copy-source-" if prefix else ""
    if if_match is not None:
        if not _matches(if_match, etag):
            raise precondition_failed(f"{header}If-Match")
    elif unmodified_since is not None and modified_s > epoch_s(unmodified_since):
        raise precondition_failed(f"{header}If-Unmodified-Since")
    if if_none_match is not None:
        unchanged, condition = _matches(if_none_match, etag), "If-None-Match"
    else:
        unchanged = modified_since is not None and modified_s <= epoch_s(modified_since)
        condition = "If-Modified-Since"
    if unchanged:
        if prefix:
            raise precondition_failed(header + condition)
        raise ServiceError("NotModified", "Not Modified", status=304)


def check_write(params: Mapping[str, Any], key: str, etag: str | None) -> None:
    """Raise unless a conditional write may replace what is there (`etag`, or None for nothing)."""
    if (if_none_match := params.get("IfNoneMatch")) is not None:
        if if_none_match != "*":
            raise ServiceError(
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
                status=501,
                Header="If-None-Match",
            )
        if etag is not None:
            raise precondition_failed("If-None-Match")
    if (if_match := params.get("IfMatch")) is not None:
        if etag is None:
            raise ServiceError("NoSuchKey", "The specified key does not exist.", status=404, Key=key)
        if not _matches(if_match, etag):
            raise precondition_failed("If-Match")


def parse_range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return the half-open range of bytes that is asked for, or None for all of them.

    A Range that is not understood (several ranges too) is ignored, as RFC 9110 has it and S3 does. Raises InvalidRange
    where it lies behind the end.
    """
    match = _RANGE.fullmatch(text or "")
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), size if match[2] == "" else min(int(match[2]) + 1, size)
        if match[2] and int(match[2]) < start:
            return None
    if start >= size:
        raise ServiceError(
            "InvalidRange",
            "The requested range is not satisfiable",
            status=416,
            RangeRequested=text,
            ActualObjectSize=size,
        )
    return start, end
