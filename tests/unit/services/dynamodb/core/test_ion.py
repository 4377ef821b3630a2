"""Ion text: what an export writes, and what an import reads and does not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services.dynamodb.core import ion

WRITTEN = {
    "texts": ({"a": {"S": 'say "hi"\t\\'}}, r'{a:"say \"hi\"\t\\"}'),
    "numbers": ({"a": {"N": "5"}, "b": {"N": "-0.5"}}, "{a:5.,b:-0.5}"),
    "names": (
        {"a-b": {"NULL": True}, "null": {"BOOL": False}, "it's": {"B": ""}},
        r"{'a-b':null,'null':false,'it\'s':{{}}}",
    ),
    "sets": (
        {"s": {"NS": ["1", "2.5"]}, "b": {"BS": ["AQ=="]}},
        "{s:$dynamodb_NS::[1.,2.5],b:$dynamodb_BS::[{{AQ==}}]}",
    ),
    "nested": ({"m": {"M": {"l": {"L": [{"M": {}}, {"L": []}]}}}}, "{m:{l:[{},[]]}}"),
}


@pytest.mark.parametrize(("item", "text"), WRITTEN.values(), ids=WRITTEN)
def test_what_is_written(item: Any, text: str) -> None:
    assert ion.render_ion({"Item": item}) == f"$ion_1_0 {{Item:{text}}}"


READ = {
    "an integer": ("{a: 1_000}", {"a": {"N": "1000"}}),
    "a decimal with an exponent": ("{a: -1.5d3}", {"a": {"N": "-1.5e3"}}),
    "a typed null": ("{a: null.string}", {"a": {"NULL": True}}),
    "names in quotes": ("{\"a\": true, 'b c': false}", {"a": {"BOOL": True}, "b c": {"BOOL": False}}),
    "comments and trailing commas": ("{a: [1, /* no */], // yes\n}", {"a": {"L": [{"N": "1"}]}}),
    "escapes": (r'{a: "\u00e9\x41\n"}', {"a": {"S": "éA\n"}}),
    "a blob with spaces": ("{a: {{ AQ I= }}}", {"a": {"B": "AQI="}}),
}


@pytest.mark.parametrize(("text", "item"), READ.values(), ids=READ)
def test_what_is_read(text: str, item: Any) -> None:
    assert list(ion.read_ion(text)) == [item]


NOT_READ = {
    "no struct": "[1]",
    "a symbol": "{a: b}",
    "a timestamp": "{a: 2020-01-01T}",
    "an s-expression": "{a: (1 2)}",
    "another annotation": "{a: x::1}",
    "a set of another kind": "{a: $dynamodb_SS::[1]}",
    "no end": "{a: 1",
    "no comma": "{a: 1 b: 2}",
    "too deep": "{a:" + "[" * 4000,
    "an endless exponent": "{a: 1e" + "9" * 5000 + "}",
}


@pytest.mark.parametrize("text", NOT_READ.values(), ids=NOT_READ)
def test_what_is_not_read(text: str) -> None:
    with pytest.raises(ion.NotIon):
        list(ion.read_ion(text))


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
numbers = st.decimals(-(10**9), 10**9, places=2, allow_nan=False).map(lambda number: format(number.normalize(), "f"))
scalars = st.one_of(
    texts.map(lambda text: {"S": text}),
    numbers.map(lambda number: {"N": number}),
    st.booleans().map(lambda truth: {"BOOL": truth}),
    st.just({"NULL": True}),
    st.sampled_from(["", "AQ==", "AQID"]).map(lambda binary: {"B": binary}),
    st.lists(texts, min_size=1, max_size=3, unique=True).map(lambda members: {"SS": members}),
)
values = st.recursive(
    scalars,
    lambda below: st.one_of(
        st.lists(below, max_size=3).map(lambda elements: {"L": elements}),
        st.dictionaries(texts, below, max_size=3).map(lambda entries: {"M": entries}),
    ),
    max_leaves=6,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.dictionaries(texts, values, max_size=4))
def test_what_is_written_is_read_as_it_was(item: Any) -> None:
    text = ion.render_ion({"Item": item})
    assert "\n" not in text
    assert ion.Balance().add(text)
    ((found,),) = [list(ion.read_ion(text))]
    assert with_points(found["Item"]["M"]) == with_points(item)


def with_points(value: Any) -> Any:
    """Return a value whose numbers are written as Ion's decimals are."""
    if isinstance(value, dict):
        return {
            name: below + "." if name == "N" and isinstance(below, str) and "." not in below else below
            for name, below in map_values(value).items()
        }
    return [with_points(element) for element in value] if isinstance(value, list) else value


def map_values(value: dict[str, Any]) -> dict[str, Any]:
    return {name: below if isinstance(below, (str, bool)) else with_points(below) for name, below in value.items()}
