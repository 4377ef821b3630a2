"""Bodies of REST APIs come out as they went in; patches do what the same changes of a dictionary do."""

import base64
import gzip
import zlib
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.pipeline import encodings
from cumulet.services.apigateway.pipeline.faults import Refused
from cumulet.wire.message import Response
from unit.services.apigateway.test_rest_encodings import TO_BINARY, TO_TEXT, request

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=2000), st.sampled_from(["gzip", "deflate"]))
def test_what_is_packed_is_unpacked(body: bytes, coding: str) -> None:
    sent = request({"content-encoding": coding}, PACK[coding](body))
    assert encodings.unpacked(sent).arrival.request.body == body
    answer = encodings.packed(request({"accept-encoding": coding}, least=0), Response(200, (), body)).body
    assert isinstance(answer, bytes)
    assert (UNPACK[coding](answer) if body else answer) == body


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_no_body_crashes_unpacking(body: bytes, coding: str) -> None:
    try:
        encodings.unpacked(request({"content-encoding": coding}, body))
    except Refused as refused:
        assert refused.fault == "unmapped_type"


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_text_becomes_what_was_binary(body: bytes) -> None:
    image = request({"content-type": "image/png", "accept": "image/png"}, body, ("image/png",))
    as_text = encodings.request_to_text(image, TO_TEXT, body)
    assert as_text == base64.b64encode(body)
    assert encodings.request_to_binary(request({"content-type": "text/plain"}), TO_BINARY, as_text) == body
    assert encodings.answer_to_binary(image, "", as_text, "text/plain") == body
    assert encodings.answer_to_text(image, TO_TEXT, body, "image/png") == as_text


TABLE = patching.table("/entries/{key} texts add replace remove\n/members members add remove")
NAMES = st.text(max_size=4)
OPERATIONS = st.lists(st.tuples(st.sampled_from(["add", "remove", "member", "no member"]), NAMES, NAMES), max_size=8)


@settings(deadline=None, max_examples=100)
@given(OPERATIONS)
def test_patches_are_changes_in_order(changes: list[tuple[str, str, str]]) -> None:
    entries: dict[str, str] = {}
    members: list[str] = []
    operations: list[dict[str, Any]] = []
    for change, name, value in changes:
        path = "/entries/" + name.replace("~", "~0").replace("/", "~1")
        if change == "add":
            entries[name] = value
            operations.append({"op": "add", "path": path, "value": value})
        elif change == "remove" and name in entries:
            del entries[name]
            operations.append({"op": "remove", "path": path})
        elif change == "member":
            members += [] if name in members else [name]
            operations.append({"op": "add", "path": "/members", "value": name})
        elif change == "no member" and name in members:
            members.remove(name)
            operations.append({"op": "remove", "path": "/members", "value": name})
    patched = patching.patched({"entries": {}, "members": []}, operations, TABLE)
    assert patched == {"entries": entries, "members": members}
