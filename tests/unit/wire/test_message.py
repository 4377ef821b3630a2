"""Headers are found in any case, and known as they were sent."""

from cumulet.wire.message import Headers


def test_names_are_found_in_lower_case_and_kept_as_they_were_sent() -> None:
    for headers in (
        Headers([("X-Many", "1"), ("HOST", "h"), ("x-many", "2")]),
        Headers.of_lower_case(
            (("x-many", "1"), ("host", "h"), ("x-many", "2")), ((b"X-Many", b"1"), (b"HOST", b"h"), (b"x-many", b"2"))
        ),
    ):
        assert (headers.get("x-many"), headers.get_all("x-many"), headers.get("host")) == ("1", ["1", "2"], "h")
        assert headers.spellings() == {"x-many": "X-Many", "host": "HOST"}


def test_a_name_that_no_socket_could_bring_is_kept_in_lower_case() -> None:
    headers = Headers([("X-\u0416", "1")])
    assert (headers.get("x-\u0436"), headers.spellings()) == ("1", {"x-\u0436": "X-?"})


def test_headers_made_from_others_have_no_spellings() -> None:
    assert Headers.of_lower_case((("host", "h"),)).spellings() == {}
