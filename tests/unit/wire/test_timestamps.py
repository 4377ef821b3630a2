from datetime import UTC, datetime, timedelta, timezone

import pytest

from cumulet.wire.timestamps import (
    parse_timestamp,
    render_epoch,
    render_iso8601,
    render_iso8601_millis,
    render_rfc822,
)

MOMENT = 1_700_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", MOMENT),
        ("1700000000.5", MOMENT + 0.5),
        ("2023-11-14T22:13:20Z", MOMENT),
        ("2023-11-14T22:13:20.500Z", MOMENT + 0.5),
        ("2023-11-15T00:13:20+02:00", MOMENT),
        ("2023-11-14T22:13:20", MOMENT),
        ("Tue, 14 Nov 2023 22:13:20 GMT", MOMENT),
    ],
)
def test_every_form_is_read(text: str, seconds: float) -> None:
    assert parse_timestamp(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "Mon, 01 Jan 99999999999 00:00:00 GMT", "2023-13-01T00:00:00Z", "٣", "nan", "inf", "1e400"],
)
def test_other_text_is_no_timestamp(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_timestamp(text)


AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("moment", [MOMENT, AT, AT.astimezone(timezone(timedelta(hours=2))), AT.replace(tzinfo=None)])
def test_numbers_and_datetimes_are_written_alike(moment: int | datetime) -> None:
    assert render_iso8601(moment) == "2023-11-14T22:13:20Z"
    assert render_iso8601_millis(moment) == "2023-11-14T22:13:20.000Z"
    assert render_rfc822(moment) == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert render_epoch(moment) == MOMENT


def test_milliseconds_are_written_where_there_are_any() -> None:
    assert render_iso8601(MOMENT + 0.25) == "2023-11-14T22:13:20.250Z"
