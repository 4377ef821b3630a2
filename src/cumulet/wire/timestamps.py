"""AWS's three ways to write a moment, each parsed to epoch seconds and rendered from number or datetime."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

Moment = int | float | datetime

_EPOCH = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")


def parse_timestamp(text: str) -> int | float:
    """Return epoch seconds from ISO 8601, RFC 822 or a number, whichever it is. Raises ValueError if it is none.

    AWS's own parsers take any of the three wherever a timestamp stands as text.
    """
    if _EPOCH.fullmatch(text):
        return _as_int(float(text))
    try:
        moment = parsedate_to_datetime(text) if text[:1].isalpha() else datetime.fromisoformat(text)
    except OverflowError:
        raise ValueError(text) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _as_int(moment.timestamp())


def render_epoch(moment: Moment) -> int | float:
    """Return epoch seconds."""
    return _as_int(_as_datetime(moment).timestamp()) if isinstance(moment, datetime) else moment


def render_iso8601(moment: Moment) -> str:
    """Return "2026-01-31T08:00:00Z", with milliseconds if there are any."""
    return _iso(_as_datetime(moment), "%Y-%m-%dT%H:%M:%S")


def render_iso8601_millis(moment: Moment) -> str:
    """Return "2026-01-31T08:00:00.000Z", as S3 has it in bodies."""
    at = _as_datetime(moment)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def render_rfc822(moment: Moment) -> str:
    """Return "Sat, 31 Jan 2026 08:00:00 GMT"."""
    return format_datetime(_as_datetime(moment), usegmt=True)


RENDERERS: dict[str, Callable[[Any], Any]] = {
    "unixTimestamp": render_epoch,
    "iso8601": render_iso8601,
    "rfc822": render_rfc822,
}
"""By the model's timestampFormat."""


def _iso(at: datetime, pattern: str) -> str:
    text = at.strftime(pattern)
    return f"{text}.{at.microsecond // 1000:03d}Z" if at.microsecond >= 1000 else f"{text}Z"


def _as_datetime(moment: Moment) -> datetime:
    at = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _as_int(seconds: float) -> int | float:
    return int(seconds) if seconds.is_integer() else seconds
